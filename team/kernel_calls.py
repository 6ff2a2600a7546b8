"""Calls of tools that run in the kernel: a cell each, made again where somebody else killed the kernel."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Container
from typing import Any

from team.deadlines import deadline
from team.live import printing
from team.ongoing import Ongoing
from team.outcome import Outcome
from team.reading import from_outside, loss_of, read_cell
from team.rundir import RunDir
from team.sandbox import CellResult, Kernel
from team.timings import Timings
from tools.show import PROGRESS_MIME
from tools.spec import ToolSpec

KILLED_REPEATS = 2
"""How often a tool is called again whose kernel somebody else killed. After that it is taken for the call's own doing."""


class KernelCalls:
    """Makes them for one run.

    Args:
        kernel: gives the run's kernel, started if need be.
        tools: names that the cells of tools import, which are no variables of a role.
    """

    def __init__(self, run: RunDir, kernel: Callable[[], Awaitable[Kernel]], ongoing: Ongoing, tools: Container[str]) -> None:
        self._run, self._kernel, self._ongoing, self._tools = run, kernel, ongoing, tools
        self.touched = False
        """Whether code of a role ran in the kernel since it was started."""

    async def call(self, spec: ToolSpec, values: dict[str, Any]) -> Outcome:
        """Run one in its cell.

        Raises:
            SandboxUnavailable: there is no kernel, and none could be started.
        """
        self.touched |= spec.free_form

        with printing(self._run.live, self._ongoing.running.call) as printed:

            def on_output(output: dict[str, Any]) -> None:
                if output["output_type"] == "stream":
                    printed(output["text"])
                facts = output.get("data", {}).get(PROGRESS_MIME)
                if isinstance(facts, dict):
                    self._ongoing.progress(facts)

            cell = await self._cell(spec, spec.cell(values), deadline(spec, values), on_output)
        outcome = read_cell(spec, cell).model_copy(update={"loss": loss_of(cell)})
        if outcome.status == "error" and os.strerror(errno.ENOSPC) in outcome.text:
            self._run.probe()  # the sandbox's word does not count: only a disk that takes nothing from the host ends the run
        return outcome

    async def begin_afresh(self) -> None:
        """Throw the kernel away that code of a role ran in: it may have changed what tools do, or left something running."""
        await (await self._kernel()).restart()
        self.touched = False

    async def _cell(self, spec: ToolSpec, code: str, timeout_s: float, on_output: Callable[[dict[str, Any]], None]) -> CellResult:
        kernel = await self._kernel()
        done = self._ongoing.recorded()
        cell, made = done[-1] if done else None, len(done)
        while cell is None or (_killed(cell) and not spec.free_form and made <= KILLED_REPEATS):
            # Not the call's own doing, and tools can be called again: what they finished is on disk.
            timings = Timings()

            def on_any(output: dict[str, Any], timings: Timings = timings) -> None:
                timings.take(output)
                on_output(output)

            cell = await kernel.execute(code, timeout_s=timeout_s, on_output=on_any, metadata=self._ongoing.metadata)
            self._ongoing.journal(spec.name, code, cell, self._typed(kernel.names) if spec.free_form else None, timings)
            made += 1
        return cell

    def _typed(self, names: list[str]) -> list[str]:
        """Variables that a role made, without what the cells of tools import."""
        return [name for name in names if name != "show" and name not in self._tools]


def _killed(cell: CellResult) -> bool:
    return cell.status == "died" and from_outside(cell.cause)
