"""Death at a moment that a test names: before MLflow's store carries out a statement, or a file of its models is copied."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from team.registering import register
from team.rundir import RunDir


def strike(moment: str) -> None:
    """Have this process die at it.

    Args:
        moment: words of a statement with its parameters, in their order, or the name of a file.
    """

    @event.listens_for(Engine, "before_cursor_execute")
    def told(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        said = f"{statement} {parameters}"
        if all(word in said for word in moment.split(" … ")):
            os.kill(os.getpid(), signal.SIGKILL)

    def audited(name: str, given: tuple[Any, ...]) -> None:
        if name == "shutil.copyfile" and Path(str(given[1])).name == moment and "mlteam-registry-" not in str(given[1]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audited)


def register_struck(run: str, moment: str, name: str, word: str | None = None) -> None:
    """Register a run in a process that does not get to its end."""
    strike(moment)
    register(RunDir(Path(run)), name=name, word=word)
    os.kill(os.getpid(), signal.SIGKILL)
