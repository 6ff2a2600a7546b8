"""Work that signals end as Ctrl-C does, and that leaves nothing of its loop behind when it fails."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


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
