"""The guard by itself, with small programs in place of a kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from team.sandbox import Limits
from team.sandbox.contract import Death
from team.sandbox.inside.guard import children, descendants, memory, own_memory
from team.sandbox.process import GuardedProcess


async def end_of(code: str, tmp_path: Path, limits: Limits | None = None) -> Death:
    process = await GuardedProcess.start(
        [sys.executable, "-c", code], folder=tmp_path / "own", cwd=tmp_path, env={}, limits=limits or Limits()
    )
    try:
        return await asyncio.wait_for(process.wait(), 60)
    finally:
        await process.aclose()


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("pass", "exit code 0"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.abort()", "killed by signal 6 (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9 (SIGKILL)"),
    ],
)
async def test_an_end_is_described(code: str, cause: str, tmp_path: Path) -> None:
    assert (await end_of(code, tmp_path)).cause == cause


async def test_the_tail_of_what_was_written_is_kept(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(100_000): print(i)\nsys.stdout.flush()\nprint('why it failed', file=sys.stderr)"
    death = await end_of(code, tmp_path)
    assert death.log.endswith("why it failed\n")
    assert len(death.log) <= 8192


async def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    process = await GuardedProcess.start(["/no/such/program"], folder=tmp_path / "own", cwd=tmp_path, env={}, limits=Limits())
    death = await process.wait()
    await process.aclose()
    assert "/no/such/program" in death.log


async def test_the_peak_of_memory_is_reported(tmp_path: Path) -> None:
    death = await end_of("import time; b = bytearray(100 * 2**20); time.sleep(0.4)", tmp_path)
    assert 100 < death.peak_mb < 200


async def test_limits_reach_the_program(tmp_path: Path) -> None:
    code = "import os, resource as r; print(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE), len(os.sched_getaffinity(0)))"
    death = await end_of(code, tmp_path, Limits(open_files=100, cpus=1))
    assert death.log == "(100, 100) (0, 0) 1\n"


async def test_no_limits_are_no_limits(tmp_path: Path) -> None:
    code = "import resource as r; print(r.getrlimit(r.RLIMIT_DATA)[0] == r.RLIM_INFINITY)"
    death = await end_of(code, tmp_path, Limits(memory_mb=None, processes=None, open_files=None))
    assert death.log == "True\n"


async def test_terminate_asks_and_kill_does_not(tmp_path: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nopen('up', 'w').close()\ntime.sleep(60)"
    process = await GuardedProcess.start([sys.executable, "-c", code], folder=tmp_path / "own", cwd=tmp_path, env={}, limits=Limits())
    assert process.poll() is None
    async with asyncio.timeout(60):
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.01)
        process.terminate()
        assert (await process.wait()).cause == "exit code 5"
    process.terminate()
    process.kill()
    await process.aclose()
    await process.aclose()


async def test_killing_the_guard_kills_the_program(tmp_path: Path) -> None:
    process = await GuardedProcess.start(
        [sys.executable, "-c", "import time; time.sleep(60)"], folder=tmp_path / "own", cwd=tmp_path, env={}, limits=Limits()
    )
    async with asyncio.timeout(60):
        while not (programs := psutil.Process(process.pid).children()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        death = await process.wait()
    assert "guards the sandbox" in death.cause
    assert psutil.wait_procs(programs, timeout=60)[1] == []
    await process.aclose()


def test_descendants_are_found_below_threads_too() -> None:
    me = os.getpid()
    assert set(children(me)) == {p.pid for p in psutil.Process(me).children()}
    assert set(descendants(os.getppid())) >= {me}


def test_memory_of_a_process() -> None:
    before = memory(os.getpid())
    block = bytearray(50 * 2**20)
    assert 45 * 2**20 < memory(os.getpid()) - before < 60 * 2**20
    assert own_memory(os.getpid()) == pytest.approx(memory(os.getpid()), rel=0.3)
    assert memory(2**22 + 1) == 0
    del block


async def test_too_many_threads_are_told_as_such(tmp_path: Path) -> None:
    code = "import threading, time\nthreading.stack_size(65536)\n"
    code += "for _ in range(200): threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\ntime.sleep(20)"
    death = await end_of(code, tmp_path, Limits(processes=10))
    assert death.cause.startswith("too many processes: ")
    assert "threads in the sandbox, 160 allowed" in death.cause


async def test_page_tables_count_as_memory(tmp_path: Path) -> None:
    code = "import mmap, time\nm = mmap.mmap(-1, 60 * 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)\n"
    code += "for at in range(0, 60 * 2**30, 2**21): m[at]\ntime.sleep(20)"
    death = await end_of(code, tmp_path, Limits(memory_mb=100))
    assert death.cause.startswith("out of memory: ")
