"""Handing in code: what is refused unread, what a fold does with it, and what a notebook does again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.coded import CLASSES, VALUES, write_code_candidate
from tests.tools.conftest import Open
from tools.candidates import CODE_FILE, leaderboard, load_candidate, load_code
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.finishing import finish, predict_rows
from tools.model import fit_model
from tools.problem import load_problem
from tools.spec import ToolFailed, ToolRefused
from tools.submission import MAX_CODE_BYTES, check_code, cross_validate, predict_fold, submit_candidate
from tools.training import train
from tools.workspace import Workspace


@pytest.mark.parametrize(
    "code",
    [
        CLASSES,
        "make_model = object",
        "make_model: object = print",
        "\n" * (MAX_CODE_BYTES - 30) + "def make_model(): pass",
        "import re\nx = '\\d'\ndef make_model(): pass",
    ],
    ids=["function", "assigned", "annotated", "large", "strange escape"],
)
def test_a_module_with_the_function_is_taken(code: str) -> None:
    check_code(code)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 1", "defines no make_model at its top level"),
        ("class A:\n    def make_model(self): pass", "defines no make_model at its top level"),
        ("make_model: object", "defines no make_model at its top level"),
        ("def make_model(:\n", r"no Python: invalid syntax, line 1: def make_model\(:"),
        ("def make_model(): pass\nx = 'ü" + "x" * MAX_CODE_BYTES + "'", "at most 200,000 are taken. Leave data out of it"),
        ("a\0b", "no Python: source code string cannot contain null bytes"),
        ("'\ud800'", "cannot be read .UnicodeEncodeError"),
        ("-" * 100_000 + "1", "cannot be read .MemoryError"),
        ("a" + ".b" * 90_000, "cannot be read .RecursionError"),
        ("(" * 190_000, "no Python: too many nested parentheses"),
    ],
    ids=["nothing", "method", "declared", "no Python", "too large", "null", "surrogate", "signs", "attributes", "parentheses"],
)
def test_what_is_no_such_module_is_refused(code: str, told: str) -> None:
    with pytest.raises(ToolRefused, match=told):
        check_code(code)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-a", "A", "ä", "a" * 81, ".a", "a b"])
async def test_strange_names_are_refused(tmp_path: Path, name: str) -> None:
    host = Hosting(tmp_path, "sklearn:iris").host
    with pytest.raises(ToolRefused, match="must be lower-case letters"):
        await submit_candidate(host, name, CLASSES)


async def test_code_is_refused_where_the_contract_cannot_be_kept_by_it(tmp_path: Path) -> None:
    host = Hosting(tmp_path, "sklearn:iris", interpretable=True).host
    with pytest.raises(ToolRefused, match="a model written as code cannot be taken: the contract wants a model that a person can read"):
        await submit_candidate(host, "mine", CLASSES)


async def test_names_that_are_taken_are_refused_and_so_is_a_planted_folder(tmp_path: Path) -> None:
    hosting = Hosting(tmp_path / "runs", "sklearn:iris")
    folder = hosting.run.work / "candidates"
    folder.mkdir()
    (folder / "theirs").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ToolRefused, match="'theirs' is there already; choose another name"):
        await submit_candidate(hosting.host, "theirs", CLASSES)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ToolRefused, match="work/candidates is no folder of its own"):
        await submit_candidate(hosting.host, "mine", CLASSES)


def as_fold(space: Workspace, code: str) -> None:
    """Make the workspace look like a fold's: the rows to predict are those held out."""
    (space.data / "holdout.parquet").rename(space.data / "validation.parquet")
    (space.data / CODE_FILE).write_text(code)


@pytest.mark.parametrize(("table", "code"), [("wine", CLASSES), ("diabetes", VALUES)], ids=["classes", "values"])
def test_a_fold_is_predicted_in_the_order_of_its_rows(open_workspace: Open, table: str, code: str) -> None:
    space = open_workspace(table)
    as_fold(space, code)
    found = predict_fold()
    predictions = pd.read_parquet(space.work / "predictions.parquet")
    assert found.rows == len(predictions) == space.contract.rows_holdout
    assert list(predictions.columns) == ["row", *space.contract.prediction_columns]
    assert 0 <= found.fit_seconds < 300


def test_rows_come_as_the_schema_has_them(open_workspace: Open) -> None:
    """Every kind of column, with gaps: what the module is promised is what it gets."""
    code = """
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin


class Looking(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        kinds = {"size [mm]": "float64", "flag": "float64", "when": "datetime64[ns]", "note 🙂": "object", 'colour "{a}"': "object"}
        assert {name: str(X[name].dtype) for name in kinds} == kinds
        assert all(value is None or isinstance(value, str) for value in X["note 🙂"])
        assert isinstance(X.index, pd.RangeIndex)
        assert set(y) <= {0, 1, 2} and y.dtype == np.int64
        X["size [mm]"] = 0.0
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        assert "outcome" not in X and X["size [mm]"].nunique() > 1
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


make_model = Looking
"""
    space = open_workspace("mixed")
    as_fold(space, code)
    assert predict_fold().rows == space.contract.rows_holdout


def test_a_notebook_does_again_what_the_run_did_and_a_run_does_not(
    open_workspace: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    space = open_workspace("wine")
    with pytest.raises(ToolRefused, match="call submit_candidate"):
        cross_validate("mine", CLASSES)
    assert leaderboard(space) == []
    monkeypatch.delenv("MLTEAM_WORK")
    monkeypatch.chdir(tmp_path)
    again = Workspace(space.data, tmp_path / "replay")
    found = cross_validate("mine", CLASSES)
    record = load_candidate(again, "mine")
    assert (record.score, record.fold_scores) == (found.candidate.score, found.fold_scores)
    assert record.score < 0.2, "log loss of a linear model on wine"
    assert load_code(again, record) == CLASSES


def test_it_is_evaluated_finished_and_predicts(open_workspace: Open, tmp_path: Path) -> None:
    space = open_workspace("wine")
    write_code_candidate(space, "mine", CLASSES)
    alone = evaluate("mine", time_s=30)
    assert alone.rows_predicted == space.contract.rows_holdout
    assert alone.importance[0].importance > 0
    train_rows = space.table("train")
    train_rows.to_parquet(space.data / "all.parquet", index=False)
    assert finish("mine", time_s=30).members == ["mine"]
    described = json.loads((space.model / "model.json").read_text())["members"][0]
    assert (described["family"], described["code"]) == ("code", CLASSES)
    train_rows.drop(columns=["cultivar"]).to_csv(tmp_path / "rows.csv", index=False)
    predict_rows(str(space.model), str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"))
    predicted = pd.read_csv(tmp_path / "out.csv", dtype={"prediction": str})["prediction"]
    assert (predicted == train_rows["cultivar"]).mean() > 0.95


def test_a_member_of_an_ensemble_may_be_code(open_workspace: Open) -> None:
    space = open_workspace("wine")
    train(["tree"], per_family=1, time_s=4)
    write_code_candidate(space, "mine", CLASSES, knows=0.8)
    weights = {member.name: member.weight for member in ensemble().members}
    assert set(weights) == {"mine", "tree-1"}, "one knows what the other does not"
    problem, holdout = load_problem(space), space.table("holdout")
    whole, *parts = (
        fit_model(space, load_candidate(space, n), problem, Deadline(30)).predict_table(holdout) for n in ("ensemble", *weights)
    )
    mean = np.sum([w * part for w, part in zip(weights.values(), parts, strict=True)], axis=0)
    calibration = load_candidate(space, "ensemble").calibration
    assert np.allclose(whole, calibration.apply(mean) if calibration else mean, atol=1e-5)


def test_code_that_fails_on_all_rows_is_told_in_its_own_words(open_workspace: Open) -> None:
    space = open_workspace("wine")
    write_code_candidate(space, "mine", "def make_model():\n    raise ValueError('only in folds')\n")
    with pytest.raises(ToolFailed, match=r"make_model\(\) failed: ValueError: only in folds"):
        evaluate("mine", time_s=30)


def test_code_that_was_changed_after_its_score_is_refused(open_workspace: Open) -> None:
    space = open_workspace("wine")
    made = write_code_candidate(space, "mine", CLASSES)
    (space.candidates / "mine" / CODE_FILE).write_text(VALUES)
    with pytest.raises(ToolRefused, match=r"candidate\.py of 'mine' is not the code that was scored"):
        load_code(space, made)
