"""What memory the sandbox still has. Its guard kills everything in it the moment the limit is passed, so it is asked for beforehand."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import sys
from collections.abc import Callable

LIMIT = "MLTEAM_MEMORY_MB"
"""Environment variable in which a sandbox is told its limit, in MiB."""
_COUNTED = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:")
"""Lines of /proc/self/status, in KiB, that count against the limit: what only swap could free, and page tables."""

WORDS = ("bad_alloc", "bad allocation", "unable to allocate", "out of memory")
"""How compiled libraries say that memory could not be had."""
_FORGETTING: list[Callable[[], None]] = []


def limit_mb() -> float:
    """Memory that the sandbox may use, in MiB; infinite where there is no limit."""
    told = os.environ.get(LIMIT, "")
    return float(told) if told.isdigit() and int(told) > 0 else math.inf


def used_mb() -> float:
    """Memory of this process that counts against the limit, in MiB; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as status:
            lines = [line.split() for line in status]
    except OSError:
        return 0.0
    return sum(int(parts[1]) for parts in lines if parts and parts[0] in _COUNTED) / 1024


def room_mb() -> float:
    """Memory that is left, in MiB; infinite where there is no limit."""
    return max(0.0, limit_mb() - used_mb())


def forgets(forget: Callable[[], None]) -> None:
    """What is kept in this process to be quick can be done without: `forget` lets go of it when memory is to be given back."""
    _FORGETTING.append(forget)


def give_back() -> None:
    """Return to the system what the last fit has freed, and what was kept to be quick: the C library keeps it for later, and it counts
    meanwhile."""
    for forget in _FORGETTING:
        forget()
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
        if trim is not None:
            trim(0)


def ran_out(error: BaseException) -> bool:
    """Whether an exception says that memory could not be had."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or any(words in told for words in WORDS)
