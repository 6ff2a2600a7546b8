"""How trackers are named, and those that packages bring."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from team.rundir import RunDir
from tests.contracts.tracker import Place, Seen, TrackerContract
from tests.tools.installed import install
from tools.trackers.contract import Tracker
from tools.trackers.places import acts_outside, lacking, make_tracker, read_places
from tools.trackers.run_record import RunRecord

CODE = """
import os
import time

from tools.trackers.contract import NotSent, TOO_SLOW, Tracker, Written


class Ours(Tracker):
    '''Each record as a JSON file.'''

    def __init__(self, run):
        self.folder = run.path / "ours"

    def write(self, record, attachments, patience):
        if patience.total_s <= 0:
            raise NotSent(TOO_SLOW, answered=True)
        self.folder.mkdir(exist_ok=True)
        file = self.folder / f"{record.began_ms}.json"
        file.with_suffix(".tmp").write_text(record.model_dump_json())
        os.replace(file.with_suffix(".tmp"), file)
        return Written(file.name, 0)


class Broken(Tracker):
    def __init__(self, run):
        pass

    def write(self, record, attachments, patience):
        raise RuntimeError("s3cr3t")


def nothing(run):
    return None


NO_FACTORY = 7
"""


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("packages")
    points = {"ours": "Ours", "broken": "Broken", "nothing": "nothing", "number": "NO_FACTORY"}
    install(folder, "ours-trackers", CODE, {"mlteam.trackers": points})
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))


class Brought(Place):
    """The tracker of a package, by its entry point."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tracker(self, run: str) -> Tracker:
        (self._folder / run).mkdir(exist_ok=True)
        return make_tracker("ours", RunDir(self._folder / run))

    def seen(self, record: RunRecord) -> list[Seen]:
        files = (self._folder / record.run / "ours").glob(f"{record.began_ms}.json")
        return [_seen(RunRecord.model_validate_json(file.read_text())) for file in files]


def _seen(shown: RunRecord) -> Seen:
    names = dict.fromkeys(point.name for point in shown.points)
    return Seen(
        status=shown.status,
        params=shown.params,
        metrics=shown.metrics,
        history={name: [(point.step, point.value) for point in shown.points if point.name == name] for name in names},
        candidates={one.name: one.metrics for one in shown.candidates},
        folds={one.name: one.fold_scores for one in shown.candidates},
    )


@pytest.mark.usefixtures("brought")
class TestBrought(TrackerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, tmp_path_factory: pytest.TempPathFactory) -> Place:
        return Brought(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("http://H:5000/", ("http://h:5000",)),
        ("mlflow, wandb,tensorboard", ("mlflow", "wandb", "tensorboard")),
        ("wandb,https://h/team/,wandb", ("wandb", "https://h/team")),
    ],
)
def test_trackers_are_a_list_with_commas(text: str, places: tuple[str, ...]) -> None:
    assert read_places(text) == places


@pytest.mark.usefixtures("brought")
def test_a_name_that_is_none_is_answered_with_those_there_are(tmp_path: Path) -> None:
    assert read_places("ours") == ("ours",)
    with pytest.raises(
        ValueError, match=r"no tracker 'wandbb'; expected http://HOST:PORT .* mlflow, wandb, tensorboard, broken, nothing, number, ours"
    ):
        read_places("mlflow,wandbb")
    with pytest.raises(ValueError, match="expected http://HOST:PORT"):
        read_places("")
    with pytest.raises(ValueError, match=r"gives NoneType, expected a tools.trackers.contract.Tracker"):
        make_tracker("nothing", RunDir(tmp_path))
    with pytest.raises(ValueError, match=r"package 'ours-trackers' cannot be used: .* got int"):
        make_tracker("number", RunDir(tmp_path))
    with pytest.raises(ValueError, match="'gone' any more; install it again"):
        make_tracker("gone", RunDir(tmp_path))


def test_what_acts_outside_the_run_directory_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("mlflow", "tensorboard", "wandb", "ours", "http://h:1")
    assert [name for name in names if acts_outside(name)] == ["ours", "http://h:1"]
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert acts_outside("wandb")
    assert lacking(("mlflow", "http://h:1")) is None


def test_a_tracker_whose_package_is_not_there_is_told_with_what_to_type() -> None:
    """As in a Python without the extras: nothing is found any more that was not imported by then."""
    asks = "import sys; from tools.trackers.places import lacking; sys.path.clear(); print(lacking(('mlflow', 'wandb', 'tensorboard')))"
    done = subprocess.run([sys.executable, "-c", asks], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout == "the tracker wandb needs the package wandb: pip install 'mlteam[wandb]'\n"
