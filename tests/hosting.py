"""A real host context over a folder, for tests of host tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from team.errors import SandboxUnavailable
from team.host import Host
from team.parsing import read_here
from team.rundir import RunDir, create_run
from team.settings import load_settings
from team.stages import State
from team.vault import Vault
from tools.submission import Scored


class Hosting:
    """A run directory with its vault and host, and a state that a test may set."""

    def __init__(self, out: Path, source: str | Path, **settings: Any) -> None:
        self.run: RunDir = create_run(out, "test")
        self.settings = load_settings({"source": str(source), "out": out, **settings})
        self.vault = Vault(self.run)
        self.state = State()
        self.host = Host(self.run, self.settings, self.vault, lambda: self.state, self._cross_validate, lambda: read_here(self.run.vault))

    async def _cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        raise SandboxUnavailable("there is no sandbox in this test; use tests/rooming.py")
