"""The kernel of a run: begun ahead, the one that is asked for, and gone with the run."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from team.events import Event, KernelChanged
from team.kernels import Kernels
from team.rundir import create_run
from team.settings import load_settings
from team.vault import Vault


def opened(folder: Path, events: list[Event], stack: AsyncExitStack) -> Kernels:
    run = create_run(folder, "ahead")
    settings = load_settings({"source": "sklearn:iris", "out": folder, "sandbox": "unsafe-local"})

    def append(event: Event) -> Event:
        events.append(event)
        return event

    kernels = Kernels(run, Vault(run), settings, append, lambda: (_ for _ in ()).throw(AssertionError), stack, resumed=False)
    kernels.choose()
    return kernels


def started(events: list[Event]) -> list[int]:
    return [int(e.facts["pid"]) for e in events if isinstance(e, KernelChanged) and e.change == "started"]


async def test_the_kernel_that_is_asked_for_is_the_one_that_was_begun(tmp_path: Path) -> None:
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        kernels = opened(tmp_path, events, stack)
        await kernels.begin()
        kernel = await kernels.open()
        assert await kernels.open() is kernel
        assert kernel.names == []
        assert "True" in (await kernel.execute("import sys; print('sklearn.ensemble' in sys.modules)")).text
        assert started(events) == [kernel.pid]
    assert not any(psutil.pid_exists(pid) for pid in started(events))


async def test_a_run_that_ends_before_it_asks_for_its_kernel_leaves_none(tmp_path: Path) -> None:
    events: list[Event] = []
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    async with AsyncExitStack() as stack:
        await opened(tmp_path, events, stack).begin()
    left = {child.pid for child in psutil.Process().children(recursive=True)} - before
    assert not left
    assert not any(psutil.pid_exists(pid) for pid in started(events))
