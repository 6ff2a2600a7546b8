"""The engine of many machines, against a scheduler and workers on this one: each job comes back once whoever dies."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evals.engines import Engine, WorkerLost
from evals.engines.dask import DaskEngine
from evals.harness import Plan, run_plan
from evals.suite import load_suite
from evals.systems import find_systems
from team.errors import MlteamError, PrerequisiteMissing
from tests.evals.engines.chores import die, double, hold, nothing, raise_one, sleep_with_a_child
from tests.evals.engines.cluster import Cluster
from tests.evals.engines.waiting import LONGEST_S, is_gone, wait_for


def test_every_job_comes_back_once(engine: Engine) -> None:
    assert sorted(engine.run(double, range(7))) == [(number, 2 * number) for number in range(7)]
    assert list(engine.run(double, [])) == []
    assert list(engine.run(nothing, [1])) == [(1, None)]


def test_what_becomes_of_a_job_is_its_own(engine: Engine) -> None:
    found = dict(engine.run(die, ["kill"]))
    assert isinstance(found["kill"], WorkerLost)
    assert "died 3 times" in str(found["kill"])
    raised = dict(engine.run(raise_one, ["plain", "unreadable"]))
    assert isinstance(raised["plain"], ValueError)
    assert "in raise_one" in raised["plain"].__notes__[0]
    assert str(raised["unreadable"]).startswith("BudgetExceeded: time limit reached")


def test_leaving_ends_jobs_on_the_workers_with_what_they_started(engine: Engine, tmp_path: Path) -> None:
    note = tmp_path / "pids"

    def jobs() -> Iterator[Path]:
        yield note
        wait_for(note.exists, "the job has begun")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.run(sleep_with_a_child, jobs(), 2))
    for pid in map(int, note.read_text().split()):
        wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")


CALLER = """
import sys
from pathlib import Path
from evals.engines import make_engine
from tests.evals.engines.chores import sleep_with_a_child
list(make_engine(sys.argv[1]).run(sleep_with_a_child, [Path(sys.argv[2])]))
"""


def test_a_caller_that_is_killed_leaves_no_job_on_the_workers(engine: Engine, address: str, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    path = f"import sys; sys.path[:] = {sys.path!r}"
    caller = subprocess.Popen([sys.executable, "-c", path + CALLER, f"dask://{address}", str(note)])
    try:
        wait_for(note.exists, "the job has begun")
    finally:
        caller.kill()
        caller.wait(LONGEST_S)
    for pid in map(int, note.read_text().split()):
        wait_for(lambda pid=pid: is_gone(pid), f"process {pid} has ended")


def test_what_a_killed_worker_had_is_done_by_another(cluster: Cluster, engine: DaskEngine, address: str, tmp_path: Path) -> None:
    found: list[tuple[tuple[Path, int], int | Exception]] = []
    asking = threading.Thread(target=lambda: found.extend(engine.run(hold, [(tmp_path, number) for number in range(4)])))
    cluster.worker("third", address)
    wait_for(lambda: len(engine.client.nthreads()) == 3, "a third worker")
    asking.start()
    try:
        wait_for(lambda: len(list(tmp_path.glob("begun-*"))) == 3, "all workers have begun a job")
        mine = next(tmp_path.glob("begun-*-third-*")).name.split("-")[1]
        cluster.kill("third")
    finally:
        for number in range(4):
            (tmp_path / f"go-{number}").touch()
        asking.join(LONGEST_S)
    assert sorted((number, result) for (_, number), result in found) == [(number, 10 * number) for number in range(4)]
    assert len(list(tmp_path.glob(f"begun-{mine}-*"))) == 2
    assert len(list(tmp_path.glob("begun-*"))) == 5


def test_attempts_of_a_suite_are_made_by_workers_and_kept_once(engine: DaskEngine, tmp_path: Path) -> None:
    systems = tuple(find_systems(["dummy"]))
    plan = Plan(load_suite("smoke"), systems, 30.0, 1, tmp_path / "out", tmp_path / "environments", tasks=("iris", "wine"), jail="none")
    went = run_plan(plan, engine, lambda done, of, job, row: None)
    assert sorted((row.task, row.system, row.status) for row in went.attempts) == [("iris", "dummy", "ok"), ("wine", "dummy", "ok")]
    assert (went.new, went.skipped, went.faults) == (2, 0, [])
    again = run_plan(plan, engine, lambda done, of, job, row: None)
    assert (again.new, again.skipped, len(again.attempts)) == (0, 2, 2)


def test_a_scheduler_without_workers_one_that_comes_back_and_one_that_is_gone(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        address = cluster.scheduler()
        with (
            closing(DaskEngine(address, patience_s=1.0)) as engine,
            pytest.raises(MlteamError, match=r"has had no worker for 1 s\. Start one: dask worker 127\.0\.0\.1:\d+ --nthreads 1"),
        ):
            list(engine.run(double, [1]))

        def going(comes_back: bool) -> Iterator[int]:
            yield from (1, 2)
            cluster.kill("scheduler")
            if comes_back:
                cluster.scheduler(port=address.rpartition(":")[2])
                cluster.worker("one", address)

        with closing(DaskEngine(address, patience_s=LONGEST_S)) as engine:
            assert sorted(engine.run(double, going(True), 3)) == [(1, 2), (2, 4)]
        cluster.kill("one")
        with (
            closing(DaskEngine(address, patience_s=1.0)) as engine,
            pytest.raises(MlteamError, match=r"went away, and 2 jobs were not done\. The same command goes on\."),
        ):
            list(engine.run(double, going(False), 3))
    with pytest.raises(PrerequisiteMissing, match=r"no scheduler answered in 1 s .* Start one there: dask scheduler --port \d+"):
        DaskEngine(address, patience_s=1.0)
