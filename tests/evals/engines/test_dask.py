"""The engine of many machines, against a scheduler and workers on this one: each job comes back once whoever dies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from evals.engines.dask import DaskEngine
from evals.harness import Plan, run_plan
from evals.suite import load_suite
from evals.systems import find_systems
from team.errors import MlteamError, PrerequisiteMissing
from tests.contracts.engine import EngineContract
from tests.evals.engines.chores import double, hold
from tests.evals.engines.cluster import Cluster
from tests.evals.engines.waiting import LONGEST_S, wait_for


class TestDask(EngineContract):
    @pytest.fixture
    def spec(self, address: str) -> str:
        return f"dask://{address}"


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
    went = run_plan(plan, engine)
    assert sorted((row.task, row.system, row.status) for row in went.attempts) == [("iris", "dummy", "ok"), ("wine", "dummy", "ok")]
    assert (went.new, went.skipped, went.faults) == (2, 0, [])
    again = run_plan(plan, engine)
    assert (again.new, again.skipped, len(again.attempts)) == (0, 2, 2)


def test_a_scheduler_without_workers_one_that_comes_back_and_one_that_is_gone(tmp_path: Path) -> None:
    said: list[str] = []
    with Cluster(tmp_path) as cluster:
        address = cluster.scheduler()
        with (
            closing(DaskEngine(address, patience_s=1.0, say=said.append)) as engine,
            pytest.raises(PrerequisiteMissing, match=r"no worker for 1 s\. Start one, .* again: dask worker 127\.0\.0\.1:\d+ --nthreads 1"),
        ):
            list(engine.run(double, [1]))
        assert said[0] == f"asking the Dask scheduler at {address}"
        assert said[1].startswith(f"dask://{address} has no worker; waiting 1 s for one. Start one: dask worker ")
        assert len(said) == 2

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
    with pytest.raises(PrerequisiteMissing, match=r"no scheduler answered in 1 s\. Start one there, .* again: dask scheduler --port \d+"):
        DaskEngine(address, answer_s=1.0)


def test_what_answers_and_is_no_scheduler_is_told(engine: DaskEngine) -> None:
    (worker,) = list(engine.client.nthreads())[:1]
    with pytest.raises(PrerequisiteMissing, match=r"what answers there is a worker\. Start one there"):
        DaskEngine(worker.removeprefix("tcp://"))
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as guest:
                guest.sendall(page)
                while guest.recv(4096):
                    pass

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(PrerequisiteMissing, match="what answers there is no Dask scheduler"):
            DaskEngine(f"127.0.0.1:{server.getsockname()[1]}")
        answering.join()
