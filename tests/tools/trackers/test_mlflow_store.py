"""The embedded store: the contract of trackers, a kill in the middle of it, and what MLflow's pages need."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from team.rundir import RunDir
from tests.contracts.tracker import Place, TrackerContract, record
from tests.contracts.tracker_places import InStores, OnServer
from tests.released import Released, committed, embedded, released, shown
from tools.trackers.contract import BY_COMMAND, NOTHING
from tools.trackers.outbox import attachments
from tools.tracking import track_run

TRACKS = """
import sys
from pathlib import Path
from tests.released import released
from tools.tracking import track_run

r = released(Path(sys.argv[1]), candidates=60)
print(r.run.path, flush=True)
track_run(r.host)
"""


class TestEmbedded(TrackerContract):
    """The store of a run directory."""

    many = False

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, tmp_path_factory: pytest.TempPathFactory) -> Place:
        return InStores(tmp_path_factory.mktemp("runs"))


def test_tracking_a_run_twice_leaves_one_record(tmp_path: Path) -> None:
    r = released(tmp_path)
    track_run(r.host)
    again = track_run(r.host)
    parents, children = shown(embedded(r.run))
    assert [p.info.run_id for p in parents] == [again.run_id]
    assert parents[0].data.tags["mlteam.run"] == r.run.name
    assert sorted(c.info.run_name for c in children) == ["linear-1", "linear-2", "linear-3"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {again.run_id}
    assert (again.server, again.kept) == (None, None)
    assert not r.run.outbox.exists()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["its tables are made", "a third is written"])
def test_a_run_that_was_killed_while_it_was_tracked_is_tracked_whole(tmp_path: Path, when: str) -> None:
    with subprocess.Popen([sys.executable, "-c", TRACKS, tmp_path / "runs"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = Path(process.stdout.readline().strip())
        making, store, pause = run / ".mlflow.db.tmp", run / "mlflow.db", Event()
        while not (making.exists() and making.stat().st_size if when == "its tables are made" else committed(store) > 40):
            assert process.poll() is None, "it was done before it could be killed"
            pause.wait(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert committed(store) < 180, "the kill came in the middle"
    assert store.exists() == (when == "a third is written")
    before = [parent.info.run_id for parent in shown(embedded(RunDir(run)))[0]] if store.exists() else []

    resumed = Released(RunDir(run))
    tracked = track_run(resumed.host)
    parents, children = shown(embedded(resumed.run))
    assert [p.info.run_id for p in parents] == [tracked.run_id]
    assert tracked.run_id in before or not before, "what was begun is gone on with"
    assert parents[0].data.tags["mlteam.run"] == run.name
    assert sorted(c.info.run_name for c in children) == sorted(c.name for c in resumed.state.candidates)
    (seen,) = OnServer(embedded(resumed.run)).seen(resumed.host.run_record())
    assert set(map(len, seen.folds.values())) == {2}


def test_data_and_model_are_named_and_no_row_of_the_data_is_stored(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    places = InStores(tmp_path)
    run = places.run("named")
    (run.model).mkdir()
    (run.model / "package.json").write_text("{}")
    written = places.tracker("named").write(record("named"), attachments(run), BY_COMMAND)
    client = MlflowClient(tracking_uri=embedded(run))
    (data,) = client.get_run(written.run_id).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("data.csv", "0" * 36)
    assert json.loads(data.dataset.source) == {"source": "data.csv", "sha256": "0" * 64}
    assert json.loads(data.dataset.profile) == {"num_rows": 333, "num_columns": 1}
    (output,) = client.get_run(written.run_id).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status.value, model.tags["mlteam.place"]) == ("a", "READY", str(run.model))

    # Written again, the model that stands there is the new run's.
    again = places.tracker("named").write(record("named"), attachments(run), BY_COMMAND)
    experiment = client.get_experiment_by_name("mlteam").experiment_id
    assert [one.source_run_id for one in client.search_logged_models([experiment])] == [again.run_id]


def test_leaving_one_out_makes_steps_and_no_thousand_runs(tmp_path: Path) -> None:
    places = InStores(tmp_path)
    (one,) = record("loo", "a").candidates
    given = record("loo", "a").model_copy(update={"candidates": [one.model_copy(update={"fold_scores": [1.0] * 1200})]})
    places.tracker("loo").write(given, NOTHING, BY_COMMAND)
    runs = OnServer(embedded(places.run("loo"))).runs(given)
    assert sorted(run.data.tags["mlteam.kind"] for run in runs) == ["candidate", "run"]


def test_a_link_out_of_the_run_is_no_artefact(tmp_path: Path) -> None:
    r = released(tmp_path / "runs")
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    r.run.report.unlink()
    r.run.report.symlink_to(secret)
    assert [path.name for path in attachments(r.run).files] == ["contract.json", "leaderboard.json"]


def test_mlflow_reports_to_nobody() -> None:
    """MLflow is silent in tests and in CI of its own accord, so it is asked where it takes itself to be in neither."""
    load = "from tools.trackers.mlflow_store import load_tracker; load_tracker()"
    asks = f"{load}; import mlflow.telemetry.utils as u; print(u.is_telemetry_disabled())"
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    answer = subprocess.run([sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "True\n"
