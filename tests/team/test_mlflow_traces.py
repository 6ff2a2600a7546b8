"""A run's trace in MLflow: in the store of the run directory, and on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from team.events import RunEnded, RunStarted, StageEntered, TurnEnded, TurnStarted
from team.log import EventLog
from team.mlflow_traces import keep_in_store
from team.rundir import RunDir
from team.telemetry import Tracer
from team.trace_export import Exports, resource, wished
from team.tracking_record import EXPERIMENT
from tests.tracking_server import TrackingServer
from tools.trackers.mlflow_file import make_store
from tools.trackers.mlflow_store import load_tracker

EVENTS = [
    RunStarted(run="some-run", settings={}, versions={}),
    StageEntered(stage="train", visit=1),
    TurnStarted(turn=1, role="engineer", stage="train", briefing="the prompt"),
    TurnEnded(turn=1, role="engineer", status="ok", seconds=0.5),
    RunEnded(status="done", seconds=2),
]
NAMES = ["invoke_agent engineer", "invoke_workflow mlteam", "stage train"]


def traced(run: RunDir, tracker: str | None = None) -> list[str]:
    """Have a process write and send the spans of a short run; what was not taken."""
    run.path.mkdir(exist_ok=True)
    exports = Exports(run.traces, wished(tracker, {}), close_s=60.0)
    log = EventLog(run.events)
    log.subscribe(Tracer(run.name, exports.take, resource()))
    for event in EVENTS:
        log.append(event)
    log.close()
    return exports.close()


def shown(uri: str) -> list[Any]:
    """The traces of the experiment."""
    load_tracker()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_traces(locations=[experiment.experiment_id]))


def test_the_run_directorys_own_store_shows_the_trace_once(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "some-run")
    assert traced(run) == []
    assert keep_in_store(run) == "", "without a store there is nothing to do"
    assert not run.tracking.exists()
    load_tracker()
    make_store(run.tracking, run.path / "mlartifacts")
    assert (keep_in_store(run), keep_in_store(run)) == ("", "")
    (trace,) = shown(f"sqlite:///{run.tracking}")
    assert sorted(span.name for span in trace.data.spans) == NAMES
    turn = next(span for span in trace.data.spans if span.name == "invoke_agent engineer")
    assert turn.attributes["gen_ai.agent.name"] == "engineer"
    assert trace.info.state == "OK"


def test_a_store_that_cannot_be_read_is_told_and_no_more(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "some-run")
    traced(run)
    run.tracking.write_text("this is no database")
    assert "the run's own MLflow store did not take the trace" in keep_in_store(run)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    made = TrackingServer(tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.mark.slow
def test_a_server_gets_the_trace_into_the_experiment_of_runs(tmp_path: Path, server: TrackingServer) -> None:
    run = RunDir(tmp_path / "some-run")
    assert traced(run, server.address) == []
    (trace,) = shown(server.address)
    assert sorted(span.name for span in trace.data.spans) == NAMES
    server.kill()
    again = RunDir(tmp_path / "another-run")
    (trouble,) = traced(again, server.address)
    assert trouble.startswith(f"MLflow at 127.0.0.1:{server.port} did not take the trace: the connection was refused; 3 of 3 spans")
