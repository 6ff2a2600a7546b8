"""Each candidate has a notebook of what it rests on: valid, with its own words, and with no cell that is another's business."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest

from reports.candidate_notebooks import SETUP, makers_of, write_candidate_notebooks
from team.log import read_events
from team.rundir import RunDir
from tests.reports.written import Written, finished


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return finished(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def notebooks(run: RunDir) -> dict[str, Any]:
    folder = write_candidate_notebooks(run.path)
    assert folder == run.notebooks
    return {path.stem: nbformat.read(path, as_version=nbformat.NO_CONVERT) for path in sorted(folder.iterdir())}


def test_every_candidate_has_a_valid_one(notebooks: dict[str, Any]) -> None:
    assert list(notebooks) == ["dummy-1", "lightgbm-1", "linear-1"]
    for notebook in notebooks.values():
        nbformat.validate(notebook)


def test_its_cells_are_those_that_made_it_and_looked_at_it(notebooks: dict[str, Any]) -> None:
    tools = {
        name: [cell.metadata.mlteam.get("tool") for cell in notebook.cells if cell.cell_type == "code"]
        for name, notebook in notebooks.items()
    }
    assert tools == {"dummy-1": [None, "train"], "lightgbm-1": [None, "train", "evaluate"], "linear-1": [None, "train"]}
    evaluated = [cell for cell in notebooks["lightgbm-1"].cells if cell.cell_type == "code"][-1]
    assert {mime for output in evaluated.outputs for mime in output.get("data", {})} == {"text/plain", "text/html", "image/png"}


def test_words_tell_what_it_scored_and_how_it_stands(notebooks: dict[str, Any]) -> None:
    first, last = notebooks["lightgbm-1"].cells[0].source, notebooks["lightgbm-1"].cells[-1].source
    assert first.startswith("# lightgbm-1")
    assert "ROC AUC 0.972" in first
    assert "the best of 3 candidates" in first
    assert "--execute notebooks/lightgbm-1.ipynb" in first
    assert "0.96, 0.97, 0.98, 0.96, 0.99" in last
    assert "0.9777" in last
    assert "this one was never scored on the holdout" in notebooks["linear-1"].cells[-1].source


def test_the_same_run_gives_the_same_bytes_and_none_of_before_is_left(run: RunDir) -> None:
    (run.notebooks / "gone.ipynb").write_text("{}")
    first = {path.name: path.read_bytes() for path in run.notebooks.iterdir()}
    write_candidate_notebooks(run.path)
    assert {path.name: path.read_bytes() for path in run.notebooks.iterdir()} == {n: b for n, b in first.items() if n != "gone.ipynb"}


def test_it_works_in_the_run_directory_wherever_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "setup.py").write_text(SETUP)
    monkeypatch.chdir(tmp_path / "notebooks")
    for _ in range(2):
        runpy.run_path(str(tmp_path / "setup.py"))
        assert Path.cwd() == tmp_path


def test_a_candidate_belongs_to_the_call_that_scored_it(run: RunDir) -> None:
    assert makers_of(list(read_events(run.events))) == dict.fromkeys(("dummy-1", "linear-1", "lightgbm-1"), "call3")


def test_a_run_without_candidates_has_none(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
    assert write_candidate_notebooks(w.run.path) is None
    assert not w.run.notebooks.exists()
