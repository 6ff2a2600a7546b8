"""One cell from the sending of its code to its end, by itself or by the ladder interrupt, wait, restart, kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from team.sandbox.channels import Channels, Message
from team.sandbox.contract import Death, Process
from team.sandbox.outputs import Outputs

_TERMINATE_SECONDS = 1.0
"""How long a kernel may take to end after SIGTERM."""
_DRAIN_SECONDS = 10.0
"""How long to read output that was sent before the cell ended."""
_QUIET_SECONDS = 1.0
"""How long to wait for such output, or for a late answer to an interrupt, while nothing arrives."""


class Cell:
    """A cell in progress. `close` must be awaited whatever happened."""

    def __init__(self, channels: Channels, process: Process, event: Callable[..., None], code: str, outputs: Outputs) -> None:
        self._channels = channels
        self._process = process
        self._event = event
        cell = channels.execute(code)
        self._reply = asyncio.create_task(channels.reply(cell))
        self._outputs = asyncio.create_task(channels.outputs(cell, outputs))
        self._death = asyncio.create_task(process.wait())

    @property
    def reply(self) -> Message | None:
        """The kernel's reply, when it has come."""
        return self._reply.result() if self._reply.done() else None

    @property
    def death(self) -> Death | None:
        """How the kernel ended without a reply, when it has."""
        return self._death.result() if self._death.done() and not self._reply.done() else None

    @property
    def over(self) -> bool:
        return self._reply.done() or self._death.done()

    async def run(self, timeout_s: float, interrupt_s: float) -> str | None:
        """Wait for the end and for the outputs that belong to it.

        Returns:
            None, or for a cell that reached its deadline which rung of the ladder ended it.

        Raises:
            Exception: what the callback for outputs raised. The cell then goes on until `stop`.
        """
        ending = None
        if not await self._ends_within(timeout_s):
            ending = await self.stop(interrupt_s, f"after {timeout_s:g} s")
        await self._drain()
        return ending

    async def stop(self, interrupt_s: float, when: str) -> str:
        """End the cell by the ladder. Returns in words which rung did it."""
        self._event("interrupt", when=when)
        asked = asyncio.create_task(self._channels.interrupt())
        try:
            self._event("wait", seconds=interrupt_s)
            if await self._ends_within(interrupt_s) and not self.death:
                # An interrupt that is still under way would hit the next cell.
                await asyncio.wait({asked, self._death}, timeout=_QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if asked.done():
                    return f"interrupted {when}; the variables are kept"
        finally:
            await cancel(asked)
        if self.death:
            return f"interrupted {when}, which ended its kernel: {self.death.cause}"
        self._event("restart", waited_s=interrupt_s)
        self._process.terminate()
        await asyncio.wait({self._death}, timeout=_TERMINATE_SECONDS)
        ignored = f"interrupted {when}, but went on for {interrupt_s:g} s more"
        if self._death.done():
            return f"{ignored}; its kernel was ended and a new one follows"
        self._event("kill", waited_s=_TERMINATE_SECONDS)
        self._process.kill()
        await self._process.wait()
        return f"{ignored} and did not end at SIGTERM either; its kernel was killed and a new one follows"

    async def close(self) -> None:
        """End the tasks that read. The kernel is left as it is."""
        await cancel(self._reply, self._outputs, self._death)

    async def _ends_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.over:
            self._raise_callback_error()
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            waiting = {task for task in (self._reply, self._outputs, self._death) if not task.done()}
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return True

    async def _drain(self) -> None:
        """Read what is still under way: the end of the outputs, or whatever a dead kernel had sent."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        quiet = _QUIET_SECONDS if self._reply.done() else _QUIET_SECONDS / 10
        while not self._outputs.done() and time.monotonic() < deadline:
            before = self._channels.received
            await asyncio.wait({self._outputs}, timeout=quiet)
            if self._channels.received == before:
                break
        self._raise_callback_error()

    def _raise_callback_error(self) -> None:
        if self._outputs.done():
            self._outputs.result()


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are done; what they raise is not of interest any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
