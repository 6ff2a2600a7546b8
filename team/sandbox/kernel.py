"""One kernel in one sandbox: run cells with a deadline, survive whatever they do."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.cell import Cell, cancel
from team.sandbox.channels import Channels, Message
from team.sandbox.choose import make_launcher
from team.sandbox.contract import CellResult, Death, Launcher, Limits, OnEvent, OnOutput, Process, Status
from team.sandbox.outputs import Outputs, plain_text

_START_SECONDS = 60.0
"""Most seconds from starting the sandbox to a kernel that answers."""
_LONGEST_SOCKET_PATH = 100
"""Bytes; the system allows 107 for the name of a Unix socket."""


@asynccontextmanager
async def open_kernel(
    kind: str,
    *,
    work: Path,
    data: Path | None = None,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
    on_event: OnEvent | None = None,
) -> AsyncIterator[Kernel]:
    """Start a kernel in a sandbox and end both when the block is left, however it is left.

        async with open_kernel("bubblewrap", work=Path("work")) as kernel:
            result = await kernel.execute("1 + 1")

    Args:
        kind: `bubblewrap`, `unsafe-local`, or `auto` for the best that isolates here (never unsafe-local, which
            `choose("auto", trusted_code=True)` may name).
        work: an existing folder, the kernel's working folder and the only place where its files last.
        data: an existing folder that the kernel may read.
        limits: what the sandbox may use; None for the defaults of `Limits`.
        env: environment variables for the kernel beside PATH, HOME and the like. The caller's own are not passed on.
        on_event: called with the kind and facts of each start, rung of the ladder and death.

    Raises:
        SandboxUnavailable: no sandbox of this kind works here; the message says why and what helps.
        UsageError: `kind` is unknown, or `work` or `data` cannot be used.
    """
    for name, folder in (("work", work), ("data", data)):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"the {name} folder {str(folder)!r} is no folder; make it first: mkdir -p {folder}")
    launcher = make_launcher(kind)
    async with Kernel(launcher, work.resolve(), data.resolve() if data else None, limits or Limits(), env or {}, on_event) as kernel:
        yield kernel


class Kernel:
    """A kernel that is ready for the next cell whatever the last one did. Made by `open_kernel`.

    Attributes:
        kind: the kind of sandbox it runs in.
        limits: the limits it was opened with.
        names: the user's variables as of the last cell that ended by itself.
    """

    def __init__(
        self,
        launcher: Launcher,
        work: Path,
        data: Path | None,
        limits: Limits,
        env: Mapping[str, str],
        on_event: OnEvent | None = None,
    ) -> None:
        self.kind = launcher.kind
        self.limits = limits
        self.names: list[str] = []
        self._launcher = launcher
        self._work, self._data, self._env = work, data, dict(env)
        self._on_event = on_event
        self._lock = asyncio.Lock()
        self._running: AsyncExitStack | None = None
        self._closed = False
        self._was_lost = False
        self._lost: list[str] = []

    async def __aenter__(self) -> Kernel:
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closed = True
        await to_the_end(self._stop())

    @property
    def pid(self) -> int | None:
        """Host process id of the sandbox's guard; None while no kernel runs."""
        return self._process.pid if self._running else None

    async def execute(self, code: str, timeout_s: float = 60.0, on_output: OnOutput | None = None) -> CellResult:
        """Run one cell and wait for its end. Nothing that the cell does is raised here; a second call waits for the first.

        Cancelling the awaiting task interrupts the cell and leaves the kernel usable.

        Args:
            code: what a person would type into a notebook cell.
            timeout_s: wall-clock seconds the cell may take. A kernel that must be started anew first takes its own time.
            on_output: called with each notebook output as it arrives, progress displays included. An exception that
                it raises interrupts the cell and is raised here.

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
            if self._running and (death := self._process.poll()):
                await self._lose("died", cause=death.cause, log=death.log[-2000:])
            if not self._running:
                await self._start()
            fresh, lost = self._was_lost, self._lost
            self._was_lost, self._lost = False, []
            outputs = Outputs(self.limits, on_output)
            return await self._run(code, timeout_s, outputs, fresh, lost)

    async def restart(self) -> None:
        """Throw the kernel away: the next cell runs in a fresh one, and its result says so. Waits for the cell in progress."""
        async with self._lock:
            await self._lose("restart", cause="asked for")

    async def _start(self) -> None:
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            folder = _private_folder()
            stack.callback(_remove, folder)
            connection = folder / "connection"
            connection.mkdir(mode=0o700)
            channels = Channels(connection, self._launcher.inside(connection), self.limits)
            stack.callback(channels.close)
            process = await self._launcher.start(folder, self._work, self._data, self.limits, self._env)
            stack.push_async_callback(process.aclose)
            await self._wait_ready(channels, process)
            self._running = stack.pop_all()
        self._channels: Channels = channels
        self._process: Process = process
        self._event("started", sandbox=self.kind, pid=process.pid, seconds=round(time.monotonic() - started, 3))

    async def _wait_ready(self, channels: Channels, process: Process) -> None:
        async def connect() -> None:
            while not channels.bound():
                await asyncio.sleep(0.005)
            await channels.connect()

        connecting, death = asyncio.create_task(connect()), asyncio.create_task(process.wait())
        try:
            await asyncio.wait({connecting, death}, timeout=_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                return connecting.result()
        finally:
            await cancel(connecting, death)
        ended = process.poll()
        why = f"{ended.cause}\n{ended.log.strip()}" if ended else f"no answer within {_START_SECONDS:g} s"
        raise SandboxUnavailable(f"the kernel did not start in the {self.kind} sandbox: {why}\nSee what works here: mlteam doctor")

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running:
            await running.aclose()

    async def _lose(self, event: str | None = None, **facts: Any) -> None:
        """Put the kernel away and remember what went with it."""
        self._was_lost = True
        self._lost = list(dict.fromkeys([*self._lost, *self.names]))
        self.names = []
        await self._stop()
        if event:
            self._event(event, **facts)

    async def _run(self, code: str, timeout_s: float, outputs: Outputs, fresh: bool, lost: list[str]) -> CellResult:
        started = time.monotonic()
        cell = Cell(self._channels, self._process, self._event, code, outputs)
        try:
            ending = await cell.run(timeout_s, self.limits.interrupt_s)
        except BaseException:
            # Cancelled, or `on_output` raised: nobody waits for this cell any more, but the next one must find a kernel.
            await to_the_end(self._abandon(cell), hurry=self._process.kill)
            raise
        else:
            seconds = time.monotonic() - started
            reply, death = cell.reply, cell.death
        finally:
            await cell.close()
        if reply:
            names = reply["metadata"].get("names")
            self.names = [str(name) for name in names] if isinstance(names, list) else []
        if death is None and ending and self._process.poll():
            death = self._process.poll()  # replied between two rungs, after the kernel was told to end
        if death:
            await self._lose("died", cause=death.cause, log=death.log[-2000:])
            lost = list(dict.fromkeys([*lost, *self._lost]))
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
            execution_count=outputs.execution_count,
        )

    async def _abandon(self, cell: Cell) -> None:
        if not cell.over:
            await cell.stop(self.limits.interrupt_s, "by the caller")
        if self._process.poll():
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
    crash = death.log.find("Fatal Python error") if death else -1
    return None, None, death.log[crash:] if death and crash >= 0 else None


async def to_the_end(cleanup: Coroutine[Any, Any, None], hurry: Callable[[], None] | None = None) -> None:
    """Await `cleanup` without letting a cancellation stop it half-way; the cancellation is raised afterwards.

    Args:
        hurry: called at each cancellation, to make the rest short.
    """
    task = asyncio.ensure_future(cleanup)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
            if hurry:
                hurry()
    task.result()
    if cancelled:
        raise cancelled


def _private_folder() -> Path:
    """A new folder, readable by us alone, whose sockets have names that the system accepts."""
    longest = len("/mlteam-xxxxxxxx/connection/k-1")
    base = next((base for base in (tempfile.gettempdir(), "/tmp") if len(os.fsencode(base)) + longest <= _LONGEST_SOCKET_PATH), "/tmp")
    return Path(tempfile.mkdtemp(prefix="mlteam-", dir=base))


def _remove(folder: Path) -> None:
    """Remove a folder that the sandbox could write to: a cell may have taken the permissions off its parts."""

    def unlock(remove: Callable[[str], Any], path: str, error: Any) -> None:
        for locked in (os.path.dirname(path), path):
            if not os.path.islink(locked) and os.path.isdir(locked):
                os.chmod(locked, stat.S_IRWXU)
        if remove is os.rmdir or remove is os.unlink:
            remove(path)
        else:
            shutil.rmtree(path)

    shutil.rmtree(folder, onerror=unlock)
