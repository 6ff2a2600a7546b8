"""The embedded store: the contract of trackers, and a kill in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from team.rundir import RunDir
from tests.contracts.tracker import Store, TrackerContract
from tests.released import Released, committed, embedded, released, shown
from tools.recording import artefacts
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

    @pytest.fixture(scope="class")
    @classmethod
    def store(cls, tmp_path_factory: pytest.TempPathFactory) -> Store:
        folder = tmp_path_factory.mktemp("store")
        return Store(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri())


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
        while not (making.exists() and making.stat().st_size if when == "its tables are made" else committed(store) > 20):
            assert process.poll() is None, "it was done before it could be killed"
            pause.wait(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert committed(store) < 60, "the kill came in the middle"
    assert store.exists() == (when == "a third is written")

    resumed = Released(RunDir(run))
    tracked = track_run(resumed.host)
    parents, children = shown(embedded(resumed.run))
    assert [p.info.run_id for p in parents] == [tracked.run_id]
    assert parents[0].data.tags["mlteam.run"] == run.name
    assert sorted(c.info.run_name for c in children) == sorted(c.name for c in resumed.state.candidates)


def test_a_link_out_of_the_run_is_no_artefact(tmp_path: Path) -> None:
    r = released(tmp_path / "runs")
    secret = tmp_path / "secret"
    secret.write_text("of this machine")
    r.run.report.unlink()
    r.run.report.symlink_to(secret)
    assert [path.name for path in artefacts(r.run)] == ["contract.json", "leaderboard.json"]


def test_mlflow_reports_to_nobody() -> None:
    """MLflow is silent in tests and in CI of its own accord, so it is asked where it takes itself to be in neither."""
    asks = "from tools.recording import load_tracker; load_tracker(); import mlflow.telemetry.utils as u; print(u.is_telemetry_disabled())"
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    answer = subprocess.run([sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "True\n"
