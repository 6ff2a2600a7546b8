"""A process that opens kernels, for what can only be seen of a whole process.

    python -m evals.sandbox_host memory NAME WORK     what idle kernels cost it in memory
    python -m evals.sandbox_host victim NAME WORK     what its cell sees of its environment; it then waits to be killed

It prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil

from evals.sandbox_contestants import Conditions, Contestant, contestant

SECRET = "BENCH_SECRET"
"""Name of a variable that the bench puts into this process's environment and that no cell should find."""
_KERNELS = 4
_MIB = 2**20

LOOK = f"""
import glob, os
places = ['os.environ'] * ({SECRET!r} in os.environ)
for path in glob.glob('/proc/[0-9]*/environ'):
    try:
        with open(path, 'rb') as file:
            places += ['/proc/*/environ'] * ({SECRET!r}.encode() in file.read())
    except OSError:
        pass
print('found in:', *sorted(set(places)))
"""
LEAVE_A_CHILD = "import subprocess\n_ = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint('left', 'one')"


async def memory(who: Contestant, work: Path) -> dict[str, float]:
    """Resident memory in MiB of this process and of what helps it on this machine: guards and wrappers, but not kernels, and
    nothing that lives in a container or belongs to the Docker daemon.

    Returns:
        `first` kernel, with all that had to be imported for it, and each `further` one; of that, `helpers`.
    """
    nothing = psutil.Process().memory_info().rss / _MIB
    if reason := who.obstacle():
        raise RuntimeError(reason)
    async with AsyncExitStack() as stack:
        used, helped = [], []
        for number in range(1 + _KERNELS):
            folder = work / str(number)
            folder.mkdir()
            kernel = await stack.enter_async_context(who.open(folder, Conditions()))
            await kernel.run("1")
            gc.collect()
            helped.append(_helpers(who.kernel_program))
            used.append(psutil.Process().memory_info().rss / _MIB + helped[-1])
        return {
            "first": used[0] - nothing,
            "further": (used[-1] - used[0]) / _KERNELS,
            "helpers": (helped[-1] - helped[0]) / _KERNELS,
        }


async def victim(who: Contestant, work: Path) -> None:
    """Look for the secret in a cell, leave a child of the kernel behind, and wait for the end."""
    if reason := who.obstacle():
        raise RuntimeError(reason)
    async with who.open(work, Conditions()) as kernel:
        seen, left = await kernel.run(LOOK), await kernel.run(LEAVE_A_CHILD)
        print(json.dumps({"seen": seen.text, "left": left.text}), flush=True)
        await asyncio.Event().wait()


def _helpers(kernel_program: str) -> float:
    """Resident MiB of this process's descendants but for the kernels and what those started."""
    total, waiting = 0.0, psutil.Process().children()
    while waiting:
        process = waiting.pop()
        if not is_kernel(process.cmdline(), kernel_program):
            total += process.memory_info().rss / _MIB
            waiting += process.children()
    return total


def is_kernel(command: list[str], program: str) -> bool:
    """Whether a command line is an interpreter that runs the kernel program, and no wrapper around it."""
    return bool(program and command) and Path(command[0]).name.startswith("python") and any(part.endswith(program) for part in command)


def main() -> None:
    what, name, work = sys.argv[1:]
    if what == "victim":
        asyncio.run(victim(contestant(name), Path(work)))
    else:
        figures: dict[str, Any] = asyncio.run(memory(contestant(name), Path(work)))
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
