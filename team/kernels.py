"""What executes code for a run: the kind of sandbox, what it may use, the kernel of the roles, and sandboxes for one purpose each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from team.errors import SandboxUnavailable
from team.events import Event, KernelChanged, SandboxChosen
from team.graphics_use import graphics_use
from team.ongoing import Ongoing
from team.parsing import Parser
from team.quarantine import Quarantine
from team.replaying import replay
from team.resources import Busy, no_graphics
from team.rundir import RunDir
from team.sandbox import Kernel, Limits, open_kernel
from team.sandbox.choose import choose, make_launcher
from team.sandbox.contract import Launcher
from team.sandbox.graphics import gpus_for
from team.sandbox.use import ContainerUse
from team.settings import Settings
from team.vault import Vault
from tools.device import device_variables, visible

if TYPE_CHECKING:
    from tools.conversion import SourceRead
    from tools.submission import Scored


AHEAD = "exec('import pandas, pyarrow.parquet, scipy.stats, sklearn.ensemble, sklearn.model_selection', {})"
"""What the kernel does before it is asked for anything: nearly every tool imports these, in more than a second. It leaves no name."""
AHEAD_S = 60.0


class Kernels:
    """Opens what a run executes code in."""

    def __init__(
        self,
        run: RunDir,
        vault: Vault,
        settings: Settings,
        append: Callable[[Event], Event],
        ongoing: Callable[[], Ongoing],
        stack: AsyncExitStack,
        *,
        resumed: bool,
    ) -> None:
        """Nothing is opened yet; `choose` comes first.

        Args:
            ongoing: the call that candidates written as code are told to.
            stack: closes the roles' kernel when the run ends.
            resumed: whether a kernel goes through the cells of an earlier process when it opens.
        """
        self._run, self._vault, self._settings = run, vault, settings
        self._append, self._ongoing, self._stack, self._resumed = append, ongoing, stack, resumed
        self._of_roles: Kernel | None = None
        self._of_roles_stack = AsyncExitStack()
        self._ahead: asyncio.Task[Kernel] | None = None
        self.limits = Limits(**settings.sandbox.model_dump(include=set(Limits.model_fields) - {"memory_mb"}), memory_mb=settings.memory_mb)
        """What kernels that are started from here on may use."""
        self.containers = ContainerUse()
        """What the containers among them take."""

    def choose(self) -> None:
        """Settle on a kind of sandbox and say why. Called in the run's event loop, which host threads parse a source through.

        Raises:
            PrerequisiteMissing: when the kind that was asked for does not work here.
        """
        self._loop = asyncio.get_running_loop()
        chosen = choose(self._settings.sandbox.kind, trusted_code=self._settings.playbook_alone)
        self._kind = chosen.kind
        self._limit()
        self._append(SandboxChosen(sandbox=chosen.kind, why=chosen.why))

    async def rebind(self, settings: Settings) -> None:
        """Go on by other settings: the roles' kernel is ended, since its memory may hold what is gone and other limits started it."""
        self._settings = settings
        await self._give_up()
        if self._of_roles is not None:
            self._of_roles = None
            await self._of_roles_stack.aclose()
        self._limit()

    async def begin(self) -> None:
        """Start the roles' kernel while the source is fetched, which needs none, so that it is there when it is asked for."""
        stack = await self._stack.enter_async_context(AsyncExitStack())
        self._stack.push_async_callback(self._give_up)  # which comes before the stack is closed that the kernel is put on
        self._ahead = asyncio.create_task(self._start_ahead(stack), name="kernel ahead")

    async def open(self) -> Kernel:
        """The roles' kernel, which is started when it is first asked for, where that has not begun."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            with suppress(SandboxUnavailable):  # the start that follows meets the same, and tells it
                return await ahead
        return await self._start()

    async def _start_ahead(self, stack: AsyncExitStack) -> Kernel:
        kernel = await self._start(stack)
        await kernel.execute(AHEAD, timeout_s=AHEAD_S)
        return kernel

    async def _give_up(self) -> None:
        """End a start that nobody waits for any more."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.wait([ahead])

    async def _start(self, stack: AsyncExitStack | None = None) -> Kernel:
        if self._of_roles is None:
            opened = open_kernel(
                self.launcher(),
                work=self._run.work,
                data=self._run.data,
                limits=self.limits,
                env=self.variables(),
                on_event=self._changed,
                warm=True,
            )
            self._of_roles_stack = await self._stack.enter_async_context(AsyncExitStack()) if stack is None else stack
            self._of_roles = await self._of_roles_stack.enter_async_context(opened)
            if self._resumed and (told := await replay(self._of_roles, self._run.cells)):
                self._changed("replayed", told)
        return self._of_roles

    async def cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        """Score a module fold by fold, each in a sandbox of its own; see `Quarantine`."""
        quarantine = Quarantine(self._run, self._vault, self.launcher(), self.limits, self._ongoing(), self.variables())
        return await quarantine.cross_validate(name, code, time_s)

    def read_source(self) -> SourceRead:
        """Parse the source in a sandbox of its own, from a host thread."""
        return Parser(self._run, self.launcher, self.limits, self._loop).read()

    def graphics_use(self) -> Busy:
        """How busy the graphics processors are that this run may use; none of them is, where it may use none."""
        shown = self.limits.gpus != 0 if self._kind == "docker" else self._kind == "unsafe-local" and self._settings.fitted_on != "cpu"
        return graphics_use() if shown and visible() else no_graphics

    def launcher(self) -> Launcher:
        """Starts sandboxes of the chosen kind."""
        weights = self._settings.weights.resolve() if self._settings.weights else None
        options: dict[str, Any] = self._settings.sandbox.model_dump(include={"transport"})
        options |= {"use": self.containers} if self._kind == "docker" else {}
        return make_launcher(self._kind, **options, weights=weights)

    def variables(self) -> dict[str, str]:
        """Environment of every kernel."""
        return device_variables(self._settings.fitted_on)

    def _limit(self) -> None:
        gpus = gpus_for(self._settings.fitted_on, self._settings.gpus, self._kind)
        self.limits = self.limits.model_copy(update={"gpus": gpus, "memory_mb": self._settings.memory_mb})

    def _changed(self, change: str, facts: dict[str, Any]) -> None:
        self._append(KernelChanged(change=change, facts=facts))
