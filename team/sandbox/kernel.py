"""One kernel in one sandbox: run cells with a deadline, survive whatever they do."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.cell import Cell
from team.sandbox.channels import Message
from team.sandbox.choose import make_launcher
from team.sandbox.contract import CellResult, Death, Launcher, Limits, OnEvent, OnOutput, Status
from team.sandbox.ending import to_the_end
from team.sandbox.outputs import Outputs, plain_text
from team.sandbox.session import Session

_ABANDON_SECONDS = 1.5
"""How long a cell that nobody waits for any more may take to end after an interrupt: somebody wants to leave."""
_LAST_WORDS = ("Fatal Python error", "Timeout (")
"""What the interpreter writes at the head of its last traceback: when it crashed, and when a fit that answered no signal ended it."""


@asynccontextmanager
async def open_kernel(
    kind: str | Launcher,
    *,
    work: Path,
    data: Path | None = None,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
    warm: bool = False,
) -> AsyncIterator[Kernel]:
    """Start a kernel in a sandbox and end both when the block is left, however it is left.

        async with open_kernel("bubblewrap", work=Path("work")) as kernel:
            result = await kernel.execute("1 + 1")

    Args:
        kind: `docker`, `bubblewrap`, `unsafe-local`, or `auto` for the best that isolates here (never unsafe-local, which
            `choose("auto", trusted_code=True)` may name). A launcher that was made already is taken as it is.
        work: an existing folder, the kernel's working folder and the only place where its files last.
        data: an existing folder that the kernel may read.
        limits: what the sandbox may use; None for the defaults of `Limits`.
        env: environment variables for the kernel beside PATH, HOME and the like. The caller's own are not passed on.
        on_event: called with the kind and facts of each start, rung of the ladder and death.
        warm: whether a second kernel waits, started ahead, so that the one after a lost kernel is there at once. It costs what
            an idle kernel does.

    Raises:
        SandboxUnavailable: no sandbox of this kind works here; the message says why and what helps.
        UsageError: `kind` is unknown, or `work` or `data` cannot be used.
    """
    for name, folder in (("work", work), ("data", data)):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"the {name} folder {str(folder)!r} is no folder; make it first: mkdir -p {folder}")
    launcher = make_launcher(kind) if isinstance(kind, str) else kind
    data = data.resolve() if data else None
    async with Kernel(launcher, work.resolve(), data, limits or Limits(), env or {}, on_event, warm) as kernel:
        yield kernel


class Kernel:
    """A kernel that is ready for the next cell whatever the last one did. Made by `open_kernel`.

    Attributes:
        kind: the kind of sandbox it runs in.
        limits: the limits it was opened with.
        names: the user's variables as of the last cell that ended by itself.
        peak_mb: most memory, in MiB, that any of its kernels was seen to use before it ended; 0 while the first one runs.
    """

    def __init__(
        self,
        launcher: Launcher,
        work: Path,
        data: Path | None,
        limits: Limits,
        env: Mapping[str, str],
        on_event: OnEvent | None = None,
        warm: bool = False,
    ) -> None:
        self.kind = launcher.kind
        self.limits = limits
        self.names: list[str] = []
        self.peak_mb = 0.0
        self._launcher = launcher
        self._work, self._data, self._env = work, data, dict(env)
        self._on_event = on_event
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._spare: asyncio.Task[Session] | None = None
        self._warm = warm
        self._closed = False
        self._was_lost = False
        self._lost: list[str] = []

    async def __aenter__(self) -> Kernel:
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed = True
        await to_the_end(self._close())

    @property
    def pid(self) -> int | None:
        """Host process id of the sandbox's guard; None while no kernel runs."""
        return self._session.process.pid if self._session else None

    async def execute(
        self, code: str, timeout_s: float = 60.0, on_output: OnOutput | None = None, metadata: Mapping[str, str] | None = None
    ) -> CellResult:
        """Run one cell and wait for its end. Nothing that the cell does is raised here; a second call waits for the first.

        Cancelling the awaiting task interrupts the cell and leaves the kernel usable.

        Args:
            code: what a person would type into a notebook cell.
            timeout_s: wall-clock seconds the cell may take. A kernel that must be started anew first takes its own time.
            on_output: called with each notebook output as it arrives, progress displays included. An exception that
                it raises interrupts the cell and is raised here.
            metadata: of the request that carries the cell, such as the `traceparent` of whoever wants to know what takes its time.

        Raises:
            SandboxUnavailable: the last kernel was lost and no new one could be started.
            UsageError: `timeout_s` is not above zero.
            RuntimeError: the block of `open_kernel` has been left.
        """
        if not timeout_s > 0:
            raise UsageError(f"timeout_s={timeout_s!r}: expected seconds above 0")
        async with self._lock:
            if self._closed:
                raise RuntimeError("this kernel is closed: execute cells inside the block of open_kernel")
            if self._session and (death := self._session.process.poll()):
                await self._lose("died", cause=death.cause, log=death.log[-2000:])
            if not self._session:
                await self._start()
            fresh, lost = self._was_lost, self._lost
            self._was_lost, self._lost = False, []
            outputs = Outputs(self.limits, on_output)
            assert self._session is not None
            return await self._run(self._session, code, timeout_s, outputs, fresh, lost, metadata)

    def miss(self, names: list[str]) -> None:
        """Tell with the next cell that these variables of an earlier kernel are gone."""
        self._lost = list(dict.fromkeys([*self._lost, *names]))

    async def restart(self) -> None:
        """Throw the kernel away: the next cell runs in a fresh one, and its result says so. Waits for the cell in progress."""
        async with self._lock:
            await self._lose("restart", cause="asked for")

    async def _start(self) -> None:
        started = time.monotonic()
        session = await self._take_spare() or await self._launch()
        self._session = session
        if self._warm and not self._closed:
            self._spare = asyncio.create_task(self._launch(), name="spare kernel")
        self._event("started", sandbox=self.kind, pid=session.process.pid, seconds=round(time.monotonic() - started, 3))

    async def _launch(self) -> Session:
        return await Session.start(self._launcher, self._work, self._data, self.limits, self._env)

    async def _take_spare(self) -> Session | None:
        """The kernel that was started ahead, if it is fit for use; waits for one that is about to be."""
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        try:
            session = await spare
        except SandboxUnavailable:  # the start that follows meets the same, and tells it
            return None
        if session.process.poll():
            await session.aclose()
            return None
        return session

    async def _stop(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.aclose()
            if death := session.process.poll():
                self.peak_mb = max(self.peak_mb, death.peak_mb)

    async def _close(self) -> None:
        if self._spare:
            self._spare.cancel()
            with contextlib.suppress(asyncio.CancelledError, SandboxUnavailable):
                await (await self._spare).aclose()
        await self._stop()

    async def _lose(self, event: str | None = None, **facts: Any) -> None:
        """Put the kernel away and remember what went with it."""
        self._was_lost = True
        self._lost = list(dict.fromkeys([*self._lost, *self.names]))
        self.names = []
        await self._stop()
        if event:
            self._event(event, **facts)

    async def _run(
        self,
        session: Session,
        code: str,
        timeout_s: float,
        outputs: Outputs,
        fresh: bool,
        lost: list[str],
        metadata: Mapping[str, str] | None,
    ) -> CellResult:
        started = time.monotonic()
        cell = Cell(session.channels, session.process, self._event, code, outputs, metadata)
        try:
            ending = await cell.run(timeout_s, self.limits.interrupt_s)
        except BaseException:
            # Cancelled, or `on_output` raised: nobody waits for this cell any more, but the next one must find a kernel.
            await to_the_end(self._abandon(session, cell), hurry=session.process.kill)
            raise
        else:
            seconds = time.monotonic() - started
            reply, death, cut_off = cell.reply, cell.death, cell.cut_off
        finally:
            await cell.close()
        if reply:
            names = reply["metadata"].get("names")
            self.names = [str(name) for name in names] if isinstance(names, list) else []
        if death is None and ending and session.process.poll():
            death = session.process.poll()  # replied between two rungs, after the kernel was told to end
        if death:
            await self._lose("died", cause=death.cause, log=death.log[-2000:], peak_mb=death.peak_mb)
            lost = list(dict.fromkeys([*lost, *self._lost]))
        elif cut_off:
            await self._lose("restart", cause="the line to it was cut")
        ename, evalue, traceback = _exception(reply, death, outputs)
        return CellResult(
            status=_status(ending, reply, death),
            text=outputs.text(),
            outputs=outputs.notebook(),
            seconds=seconds,
            ename=ename,
            evalue=evalue,
            traceback=traceback,
            result=outputs.result,
            cause=ending or (death.cause if death else None),
            fresh=fresh,
            lost_variables=lost,
            lost=death is not None or cut_off,
            execution_count=outputs.execution_count,
        )

    async def _abandon(self, session: Session, cell: Cell) -> None:
        if not cell.over:
            await cell.stop(min(self.limits.interrupt_s, _ABANDON_SECONDS), "by the caller")
        if session.process.poll():
            await self._lose()

    def _event(self, kind: str, **facts: Any) -> None:
        if self._on_event is not None:
            self._on_event(kind, facts)


def _status(ending: str | None, reply: Message | None, death: Death | None) -> Status:
    if ending:
        return "timeout"
    if death or reply is None:
        return "died"
    return "ok" if reply["content"].get("status") == "ok" else "error"


def _exception(reply: Message | None, death: Death | None, outputs: Outputs) -> tuple[str | None, str | None, str | None]:
    """Class name, message and traceback of what ended the cell."""
    if outputs.error:
        return outputs.error
    if reply and reply["content"].get("status") == "error":  # its output was lost or cut
        content = reply["content"]
        return str(content.get("ename")), plain_text(str(content.get("evalue"))), None
    found = [at for words in _LAST_WORDS if death and (at := death.log.find(words)) >= 0]
    return None, None, death.log[min(found) :] if death and found else None
