"""A real toolroom over a folder, with a kernel that is started when it is first needed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from team.approval import Approve
from team.approvals import Approvals
from team.budget import Limits as Budget
from team.budget import Meter
from team.cells import CellJournal
from team.events import Event
from team.evidence import Evidence
from team.host import Host
from team.journal import Journal
from team.log import EventLog
from team.parsing import read_here
from team.quarantine import Quarantine
from team.sandbox import Kernel, Limits, open_kernel
from team.sandbox.choose import make_launcher
from team.scales import Scales
from team.stages import Stage, State
from team.toolroom import Toolroom
from team.vault import Vault
from tests.hosting import Hosting
from tools.device import device_variables
from tools.submission import Scored


class Rooming:
    """A toolroom, and everything that was logged."""

    def __init__(
        self,
        out: Path,
        source: str | Path,
        stack: AsyncExitStack,
        *,
        search_s: float = 60,
        trials: int | None = None,
        sandbox: str = "unsafe-local",
        approve: Approve | None = None,
        writes_models: bool = False,
        **settings: Any,
    ):
        self.hosting = Hosting(out, source, **settings)
        self.run = self.hosting.run
        self.log = EventLog(self.run.events)
        self.events: list[Event] = []
        self.log.subscribe(self.events.append)
        self.meter = Meter(Budget(search_s=search_s, trials=trials))
        self._stack, self._kernel, self._sandbox = stack, None, sandbox
        self._limits = Limits(memory_mb=self.hosting.settings.memory_mb)
        self._env = device_variables(self.hosting.settings.fitted_on)
        vault = Vault(self.run)
        self.room = Toolroom(
            host=Host(
                self.run, self.hosting.settings, vault, lambda: self.room.state, self._cross_validate, lambda: read_here(self.run.vault)
            ),
            evidence=Evidence(self.run, vault, self.log.append),
            meter=self.meter,
            cells=CellJournal(self.run.cells),
            record=Journal(self.log, self.run.replies),
            kernel=self._open,
            state=State(),
            approvals=Approvals(self.hosting.settings.approval, approve, self.log.append),
            scales=Scales(self.run, lambda: make_launcher(sandbox), lambda: self._limits, lambda: self._env),
            writes_models=writes_models,
        )

    def enter(self, stage: Stage, **facts: Any) -> None:
        self.room.state = self.room.state.model_copy(update={"stage": stage, "visits": {**self.room.state.visits, stage: 1}, **facts})

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def _open(self) -> Kernel:
        self._kernel = self._kernel or await self._stack.enter_async_context(
            open_kernel(self._sandbox, work=self.run.work, data=self.run.data, limits=self._limits, env=self._env)
        )
        return self._kernel

    async def _cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        quarantine = Quarantine(self.run, self.hosting.vault, self._sandbox, self._limits, self.room.ongoing, self._env)
        return await quarantine.cross_validate(name, code, time_s)


@asynccontextmanager
async def rooming(out: Path, source: str | Path, **settings: Any) -> AsyncIterator[Rooming]:
    async with AsyncExitStack() as stack:
        made = Rooming(out, source, stack, **settings)
        try:
            yield made
        finally:
            made.log.close()
