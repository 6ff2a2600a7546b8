"""Independent fits side by side in threads, each with its share of the cores.

Libraries that fit in compiled code let other threads run meanwhile, and most of them make little of a second core on a small
table: two fits of one thread each end sooner than one after the other of two threads each.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from tools import memory
from tools.deadline import Deadline
from tools.device import place

if TYPE_CHECKING:
    from tools.families.base import Family
    from tools.families.setting import Setting

Result = TypeVar("Result")
_BESIDE = contextvars.ContextVar("_BESIDE", default=False)


def beside_others() -> bool:
    """Whether the caller is one of several jobs that run side by side."""
    return _BESIDE.get()


def lanes_for(family: Family, rows: int, setting: Setting, fits: int) -> int:
    """How many fits of a family run at a time: one a core, fewer where memory has no room for them, one where it would not pay or
    they would share a graphics processor.

    Args:
        rows: of each fit.
        fits: how many there are.
    """
    wanted = family.abreast and "abreast" not in setting.without
    lanes = min(setting.threads, fits) if wanted and place(family, setting).device == "cpu" else 1
    if lanes > 1 and (needed := family.memory_mb(rows, setting)) > 0:
        lanes = max(1, min(lanes, int(memory.room_mb() / needed))) if memory.room_mb() < lanes * needed else lanes
    return max(1, lanes)


def abreast(jobs: Sequence[Callable[[Deadline], Result]], lanes: int, deadline: Deadline) -> Generator[Result]:
    """Run jobs, at most `lanes` at a time, and give their results in their order.

    Where the caller stops early, or a job fails, those that have not begun are left out, and those that run find their deadline over
    and are waited for: nothing goes on behind the caller's back.

    Args:
        jobs: each is given a deadline to keep.
        lanes: with one, jobs run in the caller's own thread, each when its result is asked for.
        deadline: of all jobs.

    Raises:
        Exception: what the first job in order that failed raised.
    """
    if lanes == 1:
        for job in jobs:
            yield job(deadline)
        return
    whole = deadline.share(float("inf"))
    with ThreadPoolExecutor(lanes, thread_name_prefix="fit") as pool:
        # Each in a copy of the caller's context, so that what is timed in a thread stands below what it is part of.
        futures = [pool.submit(contextvars.copy_context().run, _beside, job, whole) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            whole.end()
            for future in futures:
                future.cancel()


def _beside(job: Callable[[Deadline], Result], deadline: Deadline) -> Result:
    _BESIDE.set(True)
    return job(deadline)
