"""One cell from the sending of its code to its end, by itself or by the ladder interrupt, wait, restart, kill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from team.sandbox.channels import Channels, Message
from team.sandbox.contract import Death, Process
from team.sandbox.ending import cancel
from team.sandbox.outputs import Outputs

_TERMINATE_SECONDS = 1.0
"""How long a kernel may take to end after SIGTERM."""
_DRAIN_SECONDS = 10.0
"""How long to read output that was sent before the cell ended."""
_QUIET_SECONDS = 1.0
"""How long to wait for such output, or for a late answer to an interrupt, while nothing arrives."""
_BEGIN_SECONDS = 0.5
"""How long to wait for the kernel to begin a cell that is to be interrupted: before, it ignores the signal."""
_YOUNG_SECONDS, _AGAIN_SECONDS = 1.0, 0.3
"""A cell that was sent less than the first ago and goes on for the second is interrupted once more: IPython's own code,
which runs before the cell's, can swallow an interrupt. A cell that is older may be cleaning up and is left to it."""
_REPLY_SECONDS = 0.2
"""How long to wait for the reply of a kernel that is idle. It sends none when the interrupt met its own code."""


class Cell:
    """A cell in progress. `close` must be awaited whatever happened."""

    def __init__(
        self,
        channels: Channels,
        process: Process,
        event: Callable[..., None],
        code: str,
        outputs: Outputs,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._channels = channels
        self._process = process
        self._event = event
        self._collected = outputs
        self._sent = time.monotonic()
        cell = channels.execute(code, metadata)
        self._reply = asyncio.create_task(channels.reply(cell))
        self._outputs = asyncio.create_task(channels.outputs(cell, outputs))
        self._death = asyncio.create_task(process.wait())

    @property
    def reply(self) -> Message | None:
        """The kernel's reply, when it has come."""
        if self._reply.done() and (message := self._reply.result())["msg_type"] == "execute_reply":
            return message
        return None

    @property
    def death(self) -> Death | None:
        """How the kernel ended without a reply, when it has."""
        return self._death.result() if self._death.done() and not self._reply.done() else None

    @property
    def cut_off(self) -> bool:
        """Whether the kernel replied, but its outputs did not come to their end: whatever it says later will not arrive either."""
        return self._reply.done() and not self._outputs.done()

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
        if not await self._ends_within(timeout_s) and not self._outputs_failed:
            ending = await self.stop(interrupt_s, f"after {timeout_s:g} s")
        await self._drain()
        if self._outputs_failed:
            self._outputs.result()
        return ending

    async def stop(self, interrupt_s: float, when: str) -> str:
        """End the cell by the ladder. Returns in words which rung did it."""
        self._event("interrupt", when=when)
        await self._begins_within(_BEGIN_SECONDS)
        again = min(_AGAIN_SECONDS, interrupt_s) if time.monotonic() - self._sent < _YOUNG_SECONDS else 0.0
        self._event("wait", seconds=interrupt_s)
        if (again and await self._interrupt(again)) or (not self.death and await self._interrupt(interrupt_s - again)):
            return f"interrupted {when}; the variables are kept"
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

    async def _begins_within(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._collected.execution_count is None and not self.over and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    async def _interrupt(self, seconds: float) -> bool:
        """Raise KeyboardInterrupt in the cell. Returns whether it ended in time and left its kernel fit for the next."""
        asked = asyncio.create_task(self._channels.interrupt())
        try:
            if not await self._ends_within(seconds, interrupted=True) or self.death:
                return False
            # An interrupt that is still under way would hit the next cell.
            await asyncio.wait({asked, self._death}, timeout=_QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return asked.done()
        finally:
            await cancel(asked)

    async def _ends_within(self, seconds: float, *, interrupted: bool = False) -> bool:
        """Wait for the reply or the death; stops early when the callback for outputs fails meanwhile."""
        deadline = time.monotonic() + seconds
        waiting: set[asyncio.Task[Any]] = {self._reply, self._death}
        if not self._outputs.done():
            waiting.add(self._outputs)
        elif interrupted:
            self._channels.ask()
        while not self.over and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._outputs in waiting and self._outputs.done():
                if self._outputs_failed:
                    break
                waiting.remove(self._outputs)
                if interrupted:
                    await asyncio.wait(waiting, timeout=_REPLY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    self._channels.ask()  # its answer stands for the reply
        return self.over

    async def _drain(self) -> None:
        """Read what is still under way: the end of the outputs, or whatever a dead kernel had sent."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        quiet = _QUIET_SECONDS if self._reply.done() else _QUIET_SECONDS / 10
        while not self._outputs.done() and time.monotonic() < deadline:
            before = self._channels.received
            await asyncio.wait({self._outputs}, timeout=quiet)
            if self._channels.received == before:
                break

    @property
    def _outputs_failed(self) -> bool:
        return self._outputs.done() and self._outputs.exception() is not None
