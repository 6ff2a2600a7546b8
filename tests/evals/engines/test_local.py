"""The engine of one machine: every job comes back once, with what it came to, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from evals.engines import WorkerLost, make_engine
from evals.engines.local import LocalEngine
from team.errors import BudgetExceeded, UsageError
from tests.evals.engines.chores import die, die_at_first, double, raise_one, sleep_with_a_child, where
from tests.evals.engines.waiting import LONGEST_S, is_gone, wait_for


def test_every_job_comes_back_once_and_processes_are_used_again() -> None:
    engine = make_engine("local", 2)
    assert sorted(engine.run(double, range(7))) == [(number, 2 * number) for number in range(7)]
    assert len({pid for _, pid in engine.run(where, range(6), 1)}) == 1
    assert list(engine.run(double, [])) == []


def test_a_job_may_follow_from_the_results_before_it() -> None:
    known = [1]

    def jobs() -> list[int]:
        while known[-1] < 16:
            yield known[-1]

    for _, result in LocalEngine(1).run(double, jobs()):
        known.append(result)
    assert known == [1, 2, 4, 8, 16]


def test_a_process_that_dies_takes_its_own_job_alone() -> None:
    found = dict(LocalEngine(2).run(die, ["exit", "kill"]))
    assert all(isinstance(error, WorkerLost) for error in found.values())
    assert "died 3 times" in str(found["exit"])
    assert "exit code 7" in str(found["exit"])
    assert "killed by SIGKILL" in str(found["kill"])


def test_a_job_whose_process_died_twice_is_done_at_last(tmp_path: Path) -> None:
    assert list(LocalEngine(1).run(die_at_first, [tmp_path])) == [(tmp_path, "done")]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_job_raises_comes_back_with_its_traceback() -> None:
    found = dict(LocalEngine(1).run(raise_one, ["plain", "exit", "unreadable"]))
    assert isinstance(found["plain"], ValueError)
    assert "in raise_one" in found["plain"].__notes__[0]
    assert str(found["exit"]) == "SystemExit: gone"
    with pytest.raises(TypeError):
        BudgetExceeded("only a message")  # type: ignore[call-arg]
    assert str(found["unreadable"]) == "BudgetExceeded: time limit reached: 2 of 1 s spent"


def test_leaving_ends_what_is_being_done_and_what_that_started(tmp_path: Path) -> None:
    note = tmp_path / "pids"

    def jobs() -> list[Path]:
        yield note
        wait_for(note.exists, "the job has begun")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(LocalEngine(2).run(sleep_with_a_child, jobs()))
    for pid in map(int, note.read_text().split()):
        wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")


CALLER = """
import sys
from pathlib import Path
from evals.engines.local import LocalEngine
from tests.evals.engines.chores import sleep_with_a_child
list(LocalEngine(1).run(sleep_with_a_child, [Path(sys.argv[1])]))
"""


def test_a_caller_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    path = f"import sys; sys.path[:] = {sys.path!r}"
    caller = subprocess.Popen([sys.executable, "-c", path + CALLER, str(note)])
    try:
        wait_for(note.exists, "the job has begun")
    finally:
        caller.kill()
        caller.wait(LONGEST_S)
    for pid in map(int, note.read_text().split()):
        wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")


@pytest.mark.parametrize("spec", ["", "ray://here:1", "dask://", "dask://here", "dask://here:port", "dask://here:8786/path", "dask:8786"])
def test_an_engine_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"expected local"):
        make_engine(spec)


def test_no_jobs_at_a_time_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--jobs 0: expected 1 or more"):
        make_engine("local", 0)
