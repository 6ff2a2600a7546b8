"""What every engine must do with jobs. A suite subclasses `EngineContract` and fills the `engine` and `spec` fixtures.

class TestLocal(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return make_engine("local", 2)
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.engines import Engine, WorkerLost
from team.errors import BudgetExceeded
from tests.evals.engines.chores import die, die_at_first, double, nothing, raise_one, sleep_with_a_child
from tests.evals.engines.waiting import LONGEST_S, is_gone, wait_for

CALLER = """
import sys
from pathlib import Path
from evals.engines import make_engine
from team.errors import BudgetExceeded
from tests.evals.engines.chores import sleep_with_a_child
list(make_engine(sys.argv[1]).run(sleep_with_a_child, [Path(sys.argv[2])]))
"""


class EngineContract:
    """The promises. `engine` has room for two jobs at a time at least, and `spec` is what `--engine` takes for it."""

    def test_every_job_comes_back_once(self, engine: Engine) -> None:
        assert sorted(engine.run(double, range(7))) == [(number, 2 * number) for number in range(7)]
        assert list(engine.run(double, [])) == []
        assert list(engine.run(nothing, [1])) == [(1, None)]

    def test_a_job_may_follow_from_the_results_before_it(self, engine: Engine) -> None:
        known = [1]

        def jobs() -> Iterator[int]:
            while known[-1] < 16:
                yield known[-1]

        for _, result in engine.run(double, jobs(), 1):
            known.append(result)
        assert known == [1, 2, 4, 8, 16]

    def test_a_process_that_dies_takes_its_own_job_alone(self, engine: Engine) -> None:
        found = dict(engine.run(die, ["exit", "kill"]))
        assert all(isinstance(error, WorkerLost) for error in found.values())
        assert "died 3 times" in str(found["exit"])
        assert "exit code 7" in str(found["exit"])
        assert "killed by SIGKILL" in str(found["kill"])

    def test_a_job_whose_process_died_twice_is_done_at_last(self, engine: Engine, tmp_path: Path) -> None:
        assert list(engine.run(die_at_first, [tmp_path])) == [(tmp_path, "done")]
        assert len(list(tmp_path.iterdir())) == 2

    def test_what_a_job_raises_comes_back_with_its_traceback(self, engine: Engine) -> None:
        found = dict(engine.run(raise_one, ["plain", "exit", "unreadable"]))
        assert isinstance(found["plain"], ValueError)
        assert "in raise_one" in found["plain"].__notes__[0]
        assert str(found["exit"]) == "SystemExit: gone"
        with pytest.raises(TypeError):  # as its pickle would have it
            BudgetExceeded("only a message")  # type: ignore[call-arg]
        assert str(found["unreadable"]) == "BudgetExceeded: time limit reached: 2 of 1 s spent"

    def test_leaving_ends_what_is_being_done_and_what_that_started(self, engine: Engine, tmp_path: Path) -> None:
        note = tmp_path / "pids"

        def jobs() -> Iterator[Path]:
            yield note
            wait_for(note.exists, "the job has begun")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(engine.run(sleep_with_a_child, jobs(), 2))
        for pid in map(int, note.read_text().split()):
            wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")

    def test_a_caller_that_is_killed_leaves_no_process(self, spec: str, tmp_path: Path) -> None:
        note = tmp_path / "pids"
        path = f"import sys; sys.path[:] = {sys.path!r}"
        caller = subprocess.Popen([sys.executable, "-c", path + CALLER, spec, str(note)])
        try:
            wait_for(note.exists, "the job has begun")
        finally:
            caller.kill()
            caller.wait(LONGEST_S)
        for pid in map(int, note.read_text().split()):
            wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")
