"""What is to be attempted, and a system's command where it may run: words filled in, environment, jail, the way to its model."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals import jail
from evals.attempts import Key
from evals.environments import interpreter
from evals.model_door import addresses, door
from evals.our_run import JAILED
from evals.suite import Task
from evals.supervising import Ended, supervise
from evals.systems.contract import System
from team.errors import PrerequisiteMissing
from team.sandbox.environment import tools_package

PATH = "/usr/local/bin:/usr/bin:/bin"
WORK = "work"
"""Below the folder of an eval: what attempts that are under way write."""


@dataclass(frozen=True)
class Job:
    """What to attempt, and with what means."""

    suite: str
    task: Task
    system: System
    seed: int
    fold: int
    budget_s: float
    out: Path
    """Folder of the eval."""
    environments: Path
    """Where virtual environments are kept."""
    model: str = ""
    threads: int = 1
    grace_s: float = 60.0
    """Seconds beyond the budget that an attempt may take before it counts as an overrun. At twice both it is ended."""
    memory_mb: int | None = None
    """MiB that the system's processes may take together; None leaves it to the machine."""
    jail: Literal["bubblewrap", "none"] = "bubblewrap"

    @property
    def key(self) -> Key:
        return Key(self.suite, self.task.name, self.system.name, self.seed, self.fold, self.budget_s)

    def __str__(self) -> str:
        fold = f", fold {self.fold}" if self.task.split.parts > 1 else ""
        return f"{self.task.name}: {self.system.name}, seed {self.seed}{fold}"


def prepared(job: Job) -> Path:
    """The interpreter that a system's command is given.

    Raises:
        PrerequisiteMissing: when a program that it needs is not there, or its environment cannot be made.
    """
    for program, command in job.system.programs.items():
        if shutil.which(program, path=PATH) is None:
            raise PrerequisiteMissing(f"system {job.system.name!r} needs the program {program!r}, which is not in {PATH}. Type: {command}")
    if not job.system.packages:
        return Path(sys.executable)
    name = job.system.environment or re.sub(r"\W", "_", job.system.name)
    return interpreter(job.environments, name, job.system.packages, job.system.bare)


def launch(job: Job, python: Path, folder: Path, log: Path, limit_s: float | None = None) -> Ended:
    """Run a system's command to its end.

    Args:
        python: interpreter of its environment.
        folder: what it may write to, with `table/` and `out/`.
        log: gets what it prints; outside of the folder.
        limit_s: seconds after which it is ended; None takes twice what it has.
    """
    filled = {
        "{python}": str(python),
        "{table}": str(folder / "table"),
        "{out}": str(folder / "out"),
        "{seconds}": f"{job.budget_s:g}",
        "{seed}": str(job.seed),
        "{threads}": str(job.threads),
        "{model}": job.model,
    }
    command = [_filled(word, filled) for word in job.system.command]
    with ExitStack() as stack:
        if job.jail == "bubblewrap":
            asks = job.system.network == "model"
            way = stack.enter_context(door(addresses(job.system.model or job.model))) if asks else None
            own = [python.parent.parent] if job.system.packages else []
            command = jail.jailed(command, folder, [*own, *job.system.shows], network=job.system.network is True, door=way)
        return supervise(
            command,
            cwd=folder,
            env=_environment(job, folder),
            log=log,
            limit_s=2 * (job.budget_s + job.grace_s) if limit_s is None else limit_s,
            memory_mb=job.memory_mb,
        )


def _filled(word: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\{[a-z]+\}", lambda found: places.get(found[0], found[0]), word)


def _environment(job: Job, folder: Path) -> dict[str, str]:
    """All that the system finds in its environment."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    threads = str(job.threads)
    counted = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MLTEAM_SANDBOX__CPUS")
    handed = {name: os.environ[name] for name in job.system.variables if name in os.environ}
    return {
        "PATH": PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(tools_package().parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(counted, threads),
        **({JAILED: "1"} if job.jail == "bubblewrap" else {}),
        **handed,
    }
