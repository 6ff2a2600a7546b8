"""Weights & Biases: the contract of trackers by its offline files, what goes along, and that nothing is sent without a key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.tracker import Place, TrackerContract, record
from tests.contracts.tracker_places import InOfflineRuns, offline
from tests.faulty_server import answering, refusing
from tools.trackers.contract import BY_COMMAND, NOTHING, Attachments, NotSent, Patience
from tools.trackers.wandb_runs import KEY, sends

pytest.importorskip("wandb", reason="pip install 'mlteam[wandb]'")
WRITES = """
import sys
from pathlib import Path
from team.rundir import RunDir
from tests.contracts.tracker import record
from tools.trackers.contract import BY_COMMAND, NOTHING
from tools.trackers.wandb_runs import WandB
Path(sys.argv[1]).mkdir()
WandB(RunDir(Path(sys.argv[1]))).write(record("r"), NOTHING, BY_COMMAND)
"""


@pytest.mark.slow
class TestWandB(TrackerContract):
    many = False
    streams = False

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, tmp_path_factory: pytest.TempPathFactory) -> Place:
        return InOfflineRuns(tmp_path_factory.mktemp("runs"))


def test_tables_report_data_and_model_go_along_and_no_row_of_the_data(tmp_path: Path) -> None:
    places = InOfflineRuns(tmp_path)
    run = places.run("r")
    report, package = tmp_path / "report.html", run.model
    report.write_text("<!doctype html><p>the report")
    package.mkdir()
    (package / "package.json").write_text("{}")
    (package / "elsewhere").symlink_to("/etc/passwd")
    places.tracker("r").write(record("r"), Attachments([report], package), BY_COMMAND)
    home = run.path / "wandb"
    files = {path.name.partition("_")[0] for path in home.rglob("*") if path.is_file()}
    assert {"leaderboard", "folds", "report"} <= files
    parent = next(found for path in home.glob("*/*.wandb") if (found := offline(path))["kind"] == "run")
    assert {kind for kind, _ in parent["artifacts"]} >= {"documents", "dataset", "model"}
    (table,) = home.rglob("leaderboard_*.table.json")
    assert json.loads(table.read_text())["data"][0] == ["a", "linear", 0.9, 1.5]
    assert "root:" not in "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


def test_without_a_key_no_socket_leaves_the_machine(tmp_path: Path) -> None:
    """In a network namespace of its own, where there is none: nothing fails, and nothing was tried."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("there are no network namespaces here")
    strace = ["strace", "-f", "-e", "trace=connect", "-o", str(tmp_path / "calls")] if shutil.which("strace") else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = ["unshare", "-rn", *strace, sys.executable, "-c", WRITES, str(tmp_path / "r")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list((tmp_path / "r" / "wandb").glob("offline-run-*"))
    if strace:
        calls = (tmp_path / "calls").read_text()
        assert "AF_UNIX" in calls, "what it connects to is seen"
        assert [line for line in calls.splitlines() if "AF_INET" in line and "127.0.0.1" not in line and "::1" not in line] == []


@pytest.mark.parametrize("how", ["refused", "key refused"])
def test_with_a_key_a_server_that_is_down_is_told_and_the_offline_runs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert not sends()
    monkeypatch.setenv(KEY, "s3cr3t" * 7)
    assert sends()
    places = InOfflineRuns(tmp_path)
    with answering(401) as (address, _):
        monkeypatch.setenv("WANDB_BASE_URL", refusing() if how == "refused" else address)
        with pytest.raises(NotSent) as caught:
            places.tracker("r").write(record("r", "a"), NOTHING, Patience(4, 60.0))
    told = {"refused": "the connection was refused", "key refused": f"it does not take the key in {KEY}"}
    assert str(caught.value) == told[how]
    assert len(places.seen(record("r", "a"))) == 1
    assert "s3cr3t" not in "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
