"""Run a system's process to its end, and know what it took: seconds, processor seconds and memory of all that it started."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

TICK_S = 0.1
TAIL_BYTES = 8192
WAITED_S = 20.0
"""For processes that were killed and do not go."""


@dataclass(frozen=True)
class Ended:
    """How it ended and what it took."""

    code: int
    """As the shell tells it: 128 and the signal where one ended it."""
    stopped: Literal["", "timeout", "out_of_memory"]
    """Why it was ended from here; empty where it ended by itself."""
    wall_s: float
    cpu_s: float
    peak_mb: float
    tail: str
    """The end of what it printed."""
    killed_for_memory: bool = False
    """Whether the machine itself, or the container that this is, ran out of memory meanwhile."""


def supervise(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, limit_s: float, memory_mb: int | None = None
) -> Ended:
    """Run `command` and wait until nothing of it is left.

    It is ended at a limit, and when the process that started this one is gone: nobody would take its result.

    Args:
        env: its whole environment.
        log: gets what it prints, and must not be where it can write.
        limit_s: seconds after which it is ended.
        memory_mb: MiB of all its processes together after which it is ended; None leaves it to the machine.
    """
    parent, kills = os.getppid(), _oom_kills()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    stopped: Literal["", "timeout", "out_of_memory"] = ""
    peak = cpu = 0.0
    seen: set[psutil.Process] = set()
    with log.open("wb") as output:
        # In the group of this process, which engines end as a whole where whoever gave the job is gone.
        process = subprocess.Popen(command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TICK_S)
                break
            memory, seconds = _usage(process.pid, seen)
            peak, cpu = max(peak, memory), max(cpu, seconds)
            if memory_mb is not None and memory > memory_mb:
                stopped = "out_of_memory"
            elif time.monotonic() - began > limit_s:
                stopped = "timeout"
            elif os.getppid() != parent:
                raise SystemExit("whoever asked for this attempt is gone")
            if stopped:
                break
    finally:
        _end(process, seen)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    # Children that nobody waited for are in the samples alone; what ended between two samples is in the sum alone. Where other children
    # of this process ended meanwhile, the sum is theirs too, and the grader's is: it waits, and spends next to nothing.
    return Ended(code, stopped, wall, max(cpu, spent), peak, _tail(log), _oom_kills() > kills)


def _usage(root: int, seen: set[psutil.Process]) -> tuple[float, float]:
    """MiB held now, and processor seconds so far, of a process and all below it, which are added to `seen`."""
    held = seconds = 0.0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(root)
        below = process.children(recursive=True)
        seen.update(below)
        for each in (process, *below):
            with contextlib.suppress(psutil.Error):
                memory, times = each.memory_info(), each.cpu_times()
                # Pages of files are shared with whoever else has them open.
                held += memory.rss - getattr(memory, "shared", 0)
                seconds += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return held / 2**20, seconds


def _end(process: subprocess.Popen[bytes], seen: set[psutil.Process]) -> None:
    """Kill what is left of a process and of all that was ever seen below it, also where its parent is gone."""
    with contextlib.suppress(psutil.Error):
        seen.update(psutil.Process(process.pid).children(recursive=True))
    process.kill()
    for each in seen:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait(WAITED_S)
    psutil.wait_procs(list(seen), timeout=WAITED_S)


def _oom_kills() -> int:
    """How many processes were killed for want of memory, in this control group or, where it does not tell, on this machine."""
    for path, name in (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/proc/vmstat", "oom_kill")):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                if line.split()[0] == name:
                    return int(line.split()[1])
    return 0


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return file.read().decode("utf-8", "replace")
