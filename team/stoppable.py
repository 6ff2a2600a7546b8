"""Work that signals end as Ctrl-C does, and that leaves nothing of its loop behind when it fails."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
DEAF_S = 5.0
"""Behind the first signal, in which what it interrupted is cleaned up."""
INTERRUPTED = 130
SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt the block as Ctrl-C does: the first of all of them by KeyboardInterrupt.

    Those right behind it are not heard, for whoever types Ctrl-C twice wants an end, and cutting off what cleans up would put it off. A
    later one ends the process there and then. That stays so behind a block that was interrupted, as the process is about to end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: list[float] = []

    def heard(number: int, frame: object) -> None:
        if not first:
            first.append(time.monotonic())
            atexit.register(_deaf)
            raise KeyboardInterrupt
        if time.monotonic() - first[0] > DEAF_S:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), SHOW_CURSOR)
            os._exit(INTERRUPTED)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heeded = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heeded:
        signal.signal(number, heard)
    try:
        yield
    finally:
        if not first:
            for number, handler in heeded.items():
                signal.signal(number, handler)


def _deaf() -> None:
    """Python gives signals back their defaults as it ends, one of which would then take the place of the exit code."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


async def stoppable(work: Coroutine[Any, Any, Result]) -> Result:
    """Await `work`; the signals that ask a program to end cancel it.

    When it ends by an exception, that is all there is to tell: what else runs on this loop is cancelled, and what comes of that is dropped.
    AutoGen's runtime, given up in the middle of a message, now and then ends so by a `task_done() called too many times`, which
    `asyncio.run` would print after the reason.
    """
    task = asyncio.ensure_future(work)
    if sys.platform != "win32" and threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except BaseException:
        left = asyncio.all_tasks() - {asyncio.current_task(), task}
        for one in left:
            one.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        raise
