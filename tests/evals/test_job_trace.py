"""Spans of jobs that an engine has done elsewhere join the trace of the run that they are for."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evals.engines import Engine
from evals.engines.local import LocalEngine
from evals.engines.tracing import receiving
from evals.job_trace import JobTrace, search_of
from evals.spread import Search, search
from team.events import RunStarted
from team.log import EventLog
from team.rundir import RunDir
from team.trace_export import resource
from team.trace_ids import TraceIds
from tests.evals.engines.chores import double, raise_one
from tests.evals.engines.cluster import Cluster
from tests.evals.engines.waiting import wait_for
from tests.tools.conftest import diabetes, write_workspace
from tools.spans import TimedSpan
from tools.studies import quiet


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "runs" / "some-run")
    write_workspace(found.path, diabetes(), "progression", "regression")
    log = EventLog(found.events)
    log.append(RunStarted(run=found.name, settings={}, versions={}))
    log.close()
    return found


def spread(run: RunDir, engine: Engine, folder: Path) -> list[dict[str, Any]]:
    """The spans of a search of one trial."""
    with quiet(), search_of(run, "tree", lambda line: None):
        search(engine, Search(run.path, "tree", f"journal:{folder / 'studies'}", trials=1, pruner="none", sandbox="unsafe-local"))
    return [json.loads(line) for line in run.traces.read_text().splitlines()]


def check(run: RunDir, spans: list[dict[str, Any]]) -> None:
    ids = {span["context"]["span_id"]: span for span in spans}
    kinds = {kind: [span for span in spans if span["name"].startswith(kind)] for kind in ("search tree", "job fit", "fit tree")}
    (asked,) = kinds["search tree"]
    folds = json.loads((run.data / "contract.json").read_text())["folds"]
    assert len(kinds["job fit"]) == len(kinds["fit tree"]) == folds
    assert len(spans) == 1 + 2 * folds
    assert len({span["context"]["trace_id"] for span in spans}) == 1
    for fit in kinds["fit tree"]:
        job = ids[fit["parent_id"]]
        assert job["name"] == "job fit"
        assert job["attributes"]["mlteam.pid"] != os.getpid()
        assert ids[job["parent_id"]] is asked
        assert asked["start_time"] <= job["start_time"] <= fit["start_time"] <= fit["end_time"] <= job["end_time"] <= asked["end_time"]


@pytest.mark.slow
def test_fits_of_worker_processes_stand_below_their_search(run: RunDir, tmp_path: Path) -> None:
    check(run, spread(run, LocalEngine(2), tmp_path))


@pytest.mark.slow
def test_fits_of_dask_workers_join_the_trace(run: RunDir, tmp_path: Path) -> None:
    dask = pytest.importorskip("evals.engines.dask")
    folder = tmp_path / "cluster"
    folder.mkdir()
    with Cluster(folder) as cluster:
        address = cluster.scheduler()
        cluster.worker("one", address)
        engine = dask.DaskEngine(address)
        try:
            wait_for(lambda: len(engine.client.nthreads()) == 1, "a worker")
            check(run, spread(run, engine, tmp_path))
        finally:
            engine.close()


def test_a_job_that_fails_is_told_with_what_it_was(tmp_path: Path) -> None:
    made: list[Any] = []
    with receiving(JobTrace(TraceIds(1), 2, made.append, resource())):
        found = dict(LocalEngine(1).run(raise_one, ["plain"]))
        assert dict(LocalEngine(1).run(double, [4])) == {4: 8}
    assert isinstance(found["plain"], ValueError)
    assert [(span.name, span.attributes.get("error.type"), span.parent.span_id) for span in made] == [
        ("job raise_one", "ValueError", 2),
        ("job double", None, 2),
    ]
    assert dict(LocalEngine(1).run(double, [4])) == {4: 8}
    assert len(made) == 2, "nobody asked"


def test_a_clock_that_goes_wrong_is_put_right() -> None:
    made: list[Any] = []
    now = time.time()
    far = now + 3600
    job = TimedSpan(id="a" * 16, parent="b" * 16, kind="job", start=far, end=far + 2)
    inside = TimedSpan(id="c" * 16, parent="a" * 16, kind="fit", start=far + 0.5, end=far + 1.5)
    JobTrace(TraceIds(1), 2, made.append, resource()).take([inside, job], now - 10)
    fit, around = made
    assert now - 10 <= around.start_time / 1e9 < fit.start_time / 1e9 < fit.end_time / 1e9 < around.end_time / 1e9 <= time.time()
    assert (fit.end_time - fit.start_time) / 1e9 == pytest.approx(1.0, abs=1e-3)


def test_nothing_is_written_into_a_run_that_is_going_on(run: RunDir) -> None:
    with run.lock(), search_of(run, "tree", lambda line: sys.exit(line)):
        pass
    assert not run.traces.exists()
