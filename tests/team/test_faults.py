"""What a machine does to a run: its disk fills up, its clock jumps, its folder moves. Each is really done here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from team.events import HoldoutScored, RunResumed, ToolCalled, ToolReturned
from team.log import read_events
from team.stages import Stage
from tests.team.commands import command, follow, lines, running
from tests.team.test_resume import first_words, interrupt

pytestmark = pytest.mark.slow


class Disk:
    """A file system of its own in memory, which a test can fill, shrink and lock."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=512m,nr_inodes=20000", "tmpfs", str(place))

    def limit(self, **options: str) -> None:
        self._mount("-o", "remount," + ",".join(f"{name}={value}" if value else name for name, value in options.items()), str(self.place))

    def used(self) -> tuple[int, int]:
        """Bytes and inodes."""
        found = os.statvfs(self.place)
        return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)

    @staticmethod
    def _mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        made = Disk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield made
    made.close()


def full(disk: Disk) -> None:
    disk.limit(size=str(disk.used()[0] + 16_384))


def without_inodes(disk: Disk) -> None:
    disk.limit(nr_inodes=str(disk.used()[1] + 1))


def wide_again(disk: Disk) -> None:
    disk.limit(size="512m", nr_inodes="20000")


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def finish(run: Path, **environment: str) -> dict[str, Any]:
    words = command("resume", str(run), "--json")
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def assert_whole(run: Path, summary: dict[str, Any]) -> None:
    """Nothing was done twice, nothing is missing."""
    events = list(read_events(run / "events.jsonl"))
    assert summary["status"] == "done"
    assert [e.seq for e in events] == list(range(len(events)))
    called, returned = ([e.call for e in events if isinstance(e, kind)] for kind in (ToolCalled, ToolReturned))
    assert sorted(called) == sorted(returned)
    assert sum(isinstance(e, HoldoutScored) for e in events) == 1
    assert (run / "reports" / "report.html").exists()
    assert (run / "model" / "pipeline.joblib").exists()


@pytest.mark.parametrize("lack", [full, without_inodes], ids=["space", "inodes"])
def test_a_run_whose_disk_is_full_stops_and_goes_on_when_there_is_room(lack: Any, disk: Disk) -> None:
    out = disk.place / "runs"
    with running(first_words(out)) as process:
        run = follow(process, out, lambda e: e["kind"] == "stage_entered" and e["stage"] == "train")
        lack(disk)
        code, err = end(process)
    assert code == 1
    assert "No space left on device" in err
    assert f"mlteam resume {run}" in err
    assert "Traceback" not in err
    refused = subprocess.run(command("resume", str(run)), capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode in (1, 2), "Traceback" in refused.stderr) == (True, False)
    wide_again(disk)
    assert_whole(run, finish(run))


def test_a_folder_that_may_be_read_only_is_told_and_the_run_goes_on_when_it_may_be_written(disk: Disk) -> None:
    out = disk.place / "runs"
    run, _, _ = interrupt(out, first_words(out), lambda e: e["kind"] == "stage_entered" and e["stage"] == "baseline", signal.SIGKILL)
    disk.limit(ro="")
    for words in (["resume", str(run)], ["report", str(run)], ["fork", str(run), "--at", "prepare"]):
        refused = subprocess.run(command(*words), capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode in (1, 2), words
        assert "Read-only file system" in refused.stderr, words
        assert "Traceback" not in refused.stderr
    shown = subprocess.run(command("show", str(run)), capture_output=True, text=True, timeout=60, check=False)
    assert (shown.returncode, "Traceback" in shown.stderr) == (0, False)
    disk.limit(rw="")
    assert_whole(run, finish(run))


def test_a_run_goes_on_in_a_copy_of_its_folder_elsewhere(tmp_path: Path) -> None:
    here, there, home = tmp_path / "here", tmp_path / "there", tmp_path / "home"
    run, _, _ = interrupt(here, first_words(here), lambda e: e["kind"] == "tool_called" and e["tool"] == "train", signal.SIGKILL)
    copy = Path(shutil.copytree(run, there / "another-name"))
    shutil.rmtree(here)
    home.mkdir()
    summary = finish(copy, HOME=str(home), TZ="Pacific/Auckland")
    assert_whole(copy, summary)
    assert Path(summary["run"]) == copy
    for document in (copy / "reports" / "report.html", copy / "notebook.ipynb"):
        text = document.read_text()
        assert (f"cd {copy}" in text, f"cd {here}" in text) == (True, False)


def test_a_run_that_is_stopped_in_every_stage_ends_all_the_same(tmp_path: Path) -> None:
    run = None
    for stage in Stage:

        def moment(event: dict[str, Any], stage: Stage = stage) -> bool:
            return event["kind"] == "stage_entered" and event["stage"] == stage

        words = first_words(tmp_path) if run is None else command("resume", str(run))
        run, code, err = interrupt(tmp_path, words, moment, signal.SIGINT)
        assert (code, "Traceback" in err) == (130, False), (stage, err)
        assert f"mlteam resume {run}" in err
        assert lines(run)[-1]["kind"] == "run_ended"
    assert run is not None
    assert_whole(run, finish(run))
    assert [e.times for e in read_events(run / "events.jsonl") if isinstance(e, RunResumed)] == list(range(1, len(Stage) + 1))


def faked(folder: Path) -> dict[str, str]:
    """Environment in which a process's calendar clock is moved by what stands in `folder/clock`; its steady clock is left alone."""
    found = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if found is None:
        if "CI" in os.environ:
            pytest.fail("CI provides libfaketime")
        pytest.skip("libfaketime is not installed: apt-get install libfaketime")
    clock = folder / "clock"
    clock.write_text("+0\n")
    return {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Or waits of one thread for another return at once, and each that waits for the interpreter keeps a core busy.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def test_a_clock_that_jumps_changes_no_budget_and_no_order(tmp_path: Path) -> None:
    environment = faked(tmp_path)
    out = tmp_path / "runs"
    with running(first_words(out), **environment) as process:
        run = follow(process, out, lambda e: e["kind"] == "stage_entered" and e["stage"] == "train")
        (tmp_path / "clock").write_text("+3d\n")
        follow(process, out, lambda e: e["kind"] == "stage_entered" and e["stage"] == "optimise")
    (tmp_path / "clock").write_text("-2d\n")
    summary = finish(run, **environment)
    assert_whole(run, summary)
    events = list(read_events(run / "events.jsonl"))
    stamps = [e.at for e in events]
    assert max(stamps) - stamps[0] > 2 * 86_400, "the clock really jumped ahead"
    assert min(stamps) < stamps[0] - 86_400, "and back"
    assert 0 < summary["seconds"]["search"] < 200
    resumed = next(e for e in events if isinstance(e, RunResumed))
    assert resumed.away_s is None or resumed.away_s >= 0
