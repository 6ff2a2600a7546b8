"""What the machine gives: the system's own counts, of children that ended too, and what a killed process could not tell any more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from team.events import Event, ResourcesUsed
from team.graphics_use import graphics_use
from team.resources import Counted, Reading, ResourceMeter, hours_of, read_processes
from team.sandbox.use import ContainerUse, group_of, reading_of

BURN = "import os\nwhile sum(os.times()[:2]) < {seconds}: pass\n"


class Log(list[Event]):
    def take(self, event: Event) -> Event:
        self.append(event.model_copy(update={"seq": len(self)}))
        return self[-1]


def counted(log: Log) -> ResourcesUsed:
    assert isinstance(log[-1], ResourcesUsed)
    return log[-1]


def test_the_time_of_children_counts_while_they_run_and_after(tmp_path: Path) -> None:
    log, meter = Log(), ResourceMeter(tmp_path / "resources.json")
    meter.start()
    meter.turn(3, "engineer", "train")
    subprocess.run([sys.executable, "-c", BURN.format(seconds=0.5)], check=True)
    meter.tell(log.take)
    first = counted(log)
    assert (first.turn, first.role, first.stage, first.gpu_seconds) == (3, "engineer", "train", 0.0)
    assert first.cpu_seconds >= 0.5
    assert first.memory_gb_seconds > 0
    # One that has a child of its own, as a sandbox has, and still runs when it is looked at.
    script = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN.format(seconds=0.5)!r}])\nprint(flush=True)\ninput()\n"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        meter.tell(log.take)
        process.kill()
    assert counted(log).cpu_seconds >= 0.5
    meter.tell(log.take)
    meter.stop()
    assert counted(log).cpu_seconds < 0.5, "what was told is not told again when it ends"
    own = sum(os.times()[:4])
    assert read_processes().cpu_s == pytest.approx(own, abs=0.5)
    assert hours_of(log).cpu == pytest.approx(sum(e.cpu_seconds for e in log if isinstance(e, ResourcesUsed)) / 3600)


def test_what_a_killed_process_counted_is_told_by_the_next_and_only_once(tmp_path: Path) -> None:
    file, log = tmp_path / "resources.json", Log()
    file.write_text(Counted(after=-1, turn=2, role="critic", stage="plan", seconds=9, cpu_seconds=4, memory_gb_seconds=1).model_dump_json())
    meter = ResourceMeter(file)
    left = meter.start(log)
    assert left == ResourcesUsed(turn=2, role="critic", stage="plan", seconds=9, cpu_seconds=4, gpu_seconds=0, memory_gb_seconds=1)
    log.take(left)
    again = ResourceMeter(file)
    assert again.start(log) is None, "an event tells of it already"
    for one in (meter, again):
        one.stop()
    assert not file.exists()
    file.write_text("{torn")
    assert meter.start(log) is None


def test_a_run_that_stood_is_nobody_s(tmp_path: Path) -> None:
    log, meter = Log(), ResourceMeter(tmp_path / "resources.json")
    meter.tell(log.take)
    assert not log, "nothing is counted yet"
    meter.start()
    meter.turn(3, "engineer", "train")
    meter.tell(log.take, idle=True)
    meter.tell(log.take)
    meter.stop()
    assert [(e.role, e.stage) for e in log if isinstance(e, ResourcesUsed)] == [("", ""), ("engineer", "train")]


def test_containers_are_counted_by_their_daemon_and_keep_what_they_took(tmp_path: Path) -> None:
    answers: dict[str, list[Reading | None]] = {"a": [Reading(1.0, 100), Reading(2.5, 50)], "b": [Reading(4.0, 10), None]}
    use = ContainerUse(lambda container: answers[container].pop(0))
    use.began("a", None)
    use.began("b", None)
    assert use() == Reading(5.0, 110)
    use.ends("a")
    assert use() == Reading(6.5, 0), "the last word on each is kept, and what has ended holds nothing"


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_is_found_by_a_process_and_read(version: int, tmp_path: Path) -> None:
    groups, processes = tmp_path / "cgroup", tmp_path / "proc"
    (processes / "7").mkdir(parents=True)
    if version == 1:
        (processes / "7" / "cgroup").write_text("4:memory:/docker/c\n2:cpu,cpuacct:/docker/c\n0::/\n")
        files = {"cpuacct/docker/c/cpuacct.usage": "2500000000", "memory/docker/c/memory.usage_in_bytes": str(300 * 2**20)}
        files["memory/docker/c/memory.stat"] = f"inactive_file 1\ntotal_inactive_file {100 * 2**20}"
    else:
        (processes / "7" / "cgroup").write_text("0::/system.slice/docker-c.scope\n")
        place = "system.slice/docker-c.scope"
        files = {f"{place}/cpu.stat": "usage_usec 2500000\nuser_usec 1", f"{place}/memory.current": str(300 * 2**20)}
        files[f"{place}/memory.stat"] = f"anon 5\ninactive_file {100 * 2**20}"
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{text}\n")
    found = group_of(7, groups, processes)
    assert found is not None
    assert found.read() == Reading(2.5, 200)
    assert group_of(8, groups, processes) is None
    (found.cpu / ("cpuacct.usage" if version == 1 else "cpu.stat")).unlink()
    assert found.read() is None


def test_a_daemon_s_answer_is_read_as_docker_stats_reads_it() -> None:
    statistics = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 300 * 2**20, "stats": {"inactive_file": 100 * 2**20}},
    }
    assert reading_of(statistics) == Reading(2.5, 200)
    assert reading_of({"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}) is None


class Binding:
    """The part of NVIDIA's binding that is used, of two devices."""

    class NVMLError(Exception):
        pass

    def __init__(self, shares: Callable[[int], int]) -> None:
        self._shares = shares

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUtilizationRates(self, device: int) -> object:
        return type("Rates", (), {"gpu": self._shares(device)})()


def test_graphics_processors_are_asked_how_busy_they_are() -> None:
    assert graphics_use(Binding([30, 100].__getitem__))() == pytest.approx(1.3)

    def lost(device: int) -> int:
        raise Binding.NVMLError

    assert graphics_use(Binding(lost))() is None


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="this machine has a graphics processor of NVIDIA")
def test_without_a_driver_nobody_knows() -> None:
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py: pip install 'mlteam[gpu]'")
    assert graphics_use()() is None


def test_a_count_that_nobody_knows_stays_unknown(tmp_path: Path) -> None:
    log, meter = Log(), ResourceMeter(tmp_path / "resources.json")
    meter.start(busy=lambda: None)
    meter.tell(log.take)
    meter.stop()
    assert counted(log).gpu_seconds is None
    assert hours_of(log).gpu is None
