"""Families, search spaces and preparers of installed packages, through the tools that use them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tests.tools.installed import install
from tools.attempt import Attempt, Fit, read_attempt
from tools.candidates import leaderboard, load_candidate
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.ensembling import ensemble
from tools.evaluation import evaluate
from tools.families import FamilyUnavailable, all_names, family
from tools.preparation import load_preparation, prepare
from tools.preparers import fit_prepared, learn, prove
from tools.problem import load_problem
from tools.spaces import SearchSpace
from tools.spec import ToolRefused
from tools.training import train
from tools.tuning import tune
from tools.workspace import workspace

CODE = """
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.preprocessing import TargetEncoder

from tools.families.appetite import Appetite
from tools.families.base import Family
from tools.families.fitted import Raw
from tools.families.matrix import MatrixModel, encoder_for


class Nearest(Family):
    name = "nearest"
    appetite = Appetite(table=2.0, matrix=2.0)

    def default(self, setting):
        return [{"n_neighbors": 7, "weights": "uniform"}]

    def space(self, trial, setting):
        return {"n_neighbors": trial.suggest_int("n_neighbors", 1, 40), "weights": "uniform"}

    def _fit(self, X, y, valid, params, setting, context):
        encoder = encoder_for(setting, "dense")
        kind = KNeighborsClassifier if setting.n_classes else KNeighborsRegressor
        return Raw(MatrixModel(encoder, kind(**params).fit(encoder.fit_transform(X, y), y), setting.n_classes))


class Tears(Nearest):
    name = "tears"

    def default(self, setting):
        raise RuntimeError("no portfolio today")


class Sulks(Nearest):
    name = "sulks"

    def unsuited(self, setting):
        raise RuntimeError("no answer today")


class Unfit(Nearest):
    name = "unfit"

    def _fit(self, X, y, valid, params, setting, context):
        raise ArithmeticError("cannot add up")


class Leaves(Nearest):
    name = "leaves"

    def _fit(self, X, y, valid, params, setting, context):
        raise SystemExit(3)


class Says:
    def __init__(self, made):
        self.made = made

    def predict(self, X):
        return self.made(len(X))


class Gaps(Nearest):
    name = "gaps"

    def _fit(self, X, y, valid, params, setting, context):
        return Raw(Says(lambda n: np.where(np.arange(n)[:, None] < 2, np.nan, 1 / 3) * np.ones((1, 3))))


class Wide(Nearest):
    name = "wide"

    def _fit(self, X, y, valid, params, setting, context):
        return Raw(Says(lambda n: np.full((n, 4), 0.25)))


def flat(trial, setting):
    return {"max_depth": trial.suggest_int("max_depth", 1, 2)}


def endless(trial, setting):
    while True:
        pass


def hollow(trial, setting):
    raise LookupError("nothing to draw from")


class Ratios(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.mean_ = X.mean(numeric_only=True)
        return self

    def transform(self, X):
        return (X[self.mean_.index] / self.mean_).add_prefix("ratio ")


class Gossip(TransformerMixin, BaseEstimator):
    "Shows a row the target of the nearest row that it was fitted on: itself, where it was among them."

    def fit(self, X, y):
        self.model_ = KNeighborsRegressor(n_neighbors=1).fit(X.to_numpy(), y)
        return self

    def transform(self, X):
        return pd.DataFrame({"told": self.model_.predict(X.to_numpy()), "first": X.iloc[:, 0].to_numpy()})


class Dice(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return pd.DataFrame({"dice": np.random.default_rng().normal(size=len(X))})


class Quits(Ratios):
    def fit(self, X, y=None):
        raise SystemExit(5)


class Shrinks(Ratios):
    def transform(self, X):
        return super().transform(X).iloc[1:]


def best_three():
    return SelectKBest(k=3)


def encoded():
    return TargetEncoder(target_type="continuous")


NOTHING = 3
"""
POINTS = {
    "mlteam.families": {
        "nearest": "Nearest",
        "tears": "Tears",
        "sulks": "Sulks",
        "unfit": "Unfit",
        "leaves": "Leaves",
        "gaps": "Gaps",
        "wide": "Wide",
        "plain": "NOTHING",
        "lightgbm": "Nearest",
        "misnamed": "Tears",
    },
    "mlteam.spaces": {"tree": "flat", "linear": "hollow", "extra_trees": "NOWHERE", "knn": "endless"},
    "mlteam.preparers": {
        "ratios": "Ratios",
        "gossip": "Gossip",
        "dice": "Dice",
        "shrinks": "Shrinks",
        "quits": "Quits",
        "best_three": "best_three",
        "encoded": "encoded",
        "nothing": "NOTHING",
    },
}


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("site")
    install(folder, "lab-models", CODE, POINTS)
    install(folder, "torn-models", "import does_not_exist_anywhere\n", {"mlteam.families": {"torn": "Torn"}})
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("lab_models", None)


def test_a_family_of_a_package_goes_all_the_way(lab: None, open_workspace: Open) -> None:
    space = open_workspace("wine")
    assert "nearest" in all_names()
    trained = train(["tree", "nearest"], time_s=120, per_family=1)
    assert {c.family for c in trained.candidates} == {"tree", "nearest"}
    tuned = tune("nearest", trials=4, time_s=120)
    assert tuned.trials_done + tuned.trials_pruned == 4
    blend = ensemble(time_s=120)
    assert blend.candidate is not None
    shown = evaluate(tuned.candidate.name, time_s=60)
    assert shown.candidate == tuned.candidate.name
    model = joblib.load(space.fitted / tuned.candidate.name / "pipeline.joblib")
    predicted = model.predict_table(space.table("holdout"))
    assert predicted.shape == (space.contract.rows_holdout, 3)
    assert model.members[0].candidate.family == "nearest"
    described = json.loads((space.fitted / tuned.candidate.name / "model.json").read_text())
    assert described["libraries"]["lab-models"] == "1.0", "who loads the model is told what it needs"


def test_broken_families_are_named_and_cost_the_others_nothing(lab: None, open_workspace: Open) -> None:
    space = open_workspace("wine")
    trained = train(["tree", "tears", "sulks", "unfit", "leaves", "gaps", "wide", "torn", "plain", "elsewhere"], time_s=120, per_family=1)
    assert [c.family for c in trained.candidates] == ["tree"]
    why = {skipped.name.removesuffix("-1"): skipped.reason for skipped in trained.skipped}
    assert "no portfolio today" in why["tears"]
    assert "RuntimeError: no answer today (package 'lab-models')" in why["sulks"]
    assert "ArithmeticError: cannot add up (package 'lab-models')" in why["unfit"]
    assert "it tried to end the process that it runs in (SystemExit: 3) (package 'lab-models')" in why["leaves"]
    assert re.search(r"2 of \d+ predictions are missing or infinite \(package 'lab-models'\)", why["gaps"])
    assert re.search(r"predicts in the shape \(\d+, 4\), expected \(\d+, 3\)", why["wide"])
    assert "family 'torn' of package 'torn-models' cannot be used: ModuleNotFoundError" in why["torn"]
    assert "family 'plain' of package 'lab-models' cannot be used: TypeError: it is a int" in why["plain"]
    assert "unknown family 'elsewhere'" in why["elsewhere"]
    assert {told.what for told in trained.degraded} == set(why)
    assert set(why) == {"tears", "sulks", "unfit", "leaves", "gaps", "wide", "torn", "plain", "elsewhere"}
    with pytest.raises(
        ToolRefused, match=r"no trial of 'gaps' was finished; the last one failed with ValueError: 2 of .* missing or infinite"
    ):
        tune("gaps", trials=2, time_s=60)
    with pytest.raises(ToolRefused, match="family 'torn' of package 'torn-models'"):
        tune("torn")
    with pytest.raises(FamilyUnavailable, match="the entry point is called 'misnamed', the family 'tears'"):
        family("misnamed")
    assert type(family("lightgbm")).__module__ == "tools.families.lightgbm", "a package cannot take a built-in family's place"
    space.work.joinpath("attempt.json").write_text(
        Attempt(
            tool="train", arguments={}, current=Fit(candidate="nearest-1", family="nearest", params={}, preparation="default")
        ).model_dump_json()
    )
    read = read_attempt(space.work)
    assert read is not None
    assert read.current is not None
    assert read.current.family == "nearest", "the host knows a lost fit of it by name"


def test_the_host_lists_families_without_importing_them(lab: None) -> None:
    sys.modules.pop("lab_models", None)
    assert {"nearest", "torn"} <= set(all_names())
    assert "lab_models" not in sys.modules


def test_a_space_of_a_package_takes_the_familys_place(lab: None, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    found = tune("tree", trials=5, time_s=120)
    assert found.degraded == []
    assert found.params["max_depth"] <= 2
    # What the space leaves out keeps the family's first default.
    assert found.params["min_samples_leaf"] == load_candidate(space, found.candidate.name).params["min_samples_leaf"] >= 2


@pytest.mark.parametrize(("name", "why"), [("linear", "LookupError: nothing to draw from"), ("extra_trees", "AttributeError")])
def test_a_broken_space_is_named_and_the_familys_own_is_searched(lab: None, open_workspace: Open, name: str, why: str) -> None:
    open_workspace("diabetes")
    found = tune(name, trials=2, time_s=60)
    assert found.trials_done >= 1
    assert len(found.degraded) == 1
    assert f"search space {name!r} of package 'lab-models' cannot be used: {why}" in found.degraded[0].reason


def test_a_space_that_does_not_come_back_gives_its_place_to_the_familys_own(lab: None, open_workspace: Open) -> None:
    problem = load_problem(open_workspace("diabetes"))
    setting = setting_for(problem, load_preparation(workspace(), "default", problem))
    around = Deadline(60)
    with around.alarm():
        found = SearchSpace(family("knn"), setting, within_s=0.3)
    assert (found.package, found.broken) == (
        None,
        "search space 'knn' of package 'lab-models' cannot be used: it did not draw 5 configurations in 0.3 s.",
    )
    assert "n_neighbors" in found.draw(optuna.trial.FixedTrial({"n_neighbors": 5, "weights": "distance"}))


def test_a_preparer_is_fitted_inside_the_folds_and_packaged(lab: None, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    made = prepare("prepared", preparers=["ratios"])
    assert made.preparers == ["ratios"]
    problem = load_problem(space)
    preparation = load_preparation(space, "prepared", problem)
    assert [column.name for column in preparation.made] == [f"ratio {column.name}" for column in preparation.columns]
    assert not preparation.preparers[0].cross_fit
    trained = train(["tree", "lightgbm"], preparation="prepared", time_s=120, per_family=1)
    assert {c.name for c in trained.candidates} == {"tree-prepared-1", "lightgbm-prepared-1"}
    evaluate("lightgbm-prepared-1", time_s=60)
    model = joblib.load(space.fitted / "lightgbm-prepared-1" / "pipeline.joblib")
    assert np.isfinite(model.predict_table(space.table("holdout"))).all()


def test_what_is_read_of_the_target_is_not_shown_to_its_own_row(lab: None, open_workspace: Open) -> None:
    """Each row is told the target of its nearest row: its own, unless the transformer is fitted on others."""
    space = open_workspace("diabetes")
    prepare("prepared", preparers=["gossip"])
    problem = load_problem(space)
    used = load_preparation(space, "prepared", problem).preparers
    assert used[0].cross_fit
    shown, _, steps = learn(used, problem.X, problem.y, 0)
    assert np.mean(shown["told"] == problem.y) < 0.1
    assert np.corrcoef(shown["told"], problem.y)[0, 1] < 0.8
    told = steps[0][1].transform(problem.X)["told"]
    assert np.mean(told == problem.y) > 0.9, "so the cross-fitting is what keeps them apart"
    assert list(shown["first"]) == list(problem.X.iloc[:, 0])


def test_one_that_cross_fits_by_itself_or_only_chooses_is_left_to_it(lab: None, open_workspace: Open) -> None:
    problem = load_problem(open_workspace("diabetes"))
    assert not prove("best_three", problem.X, problem.y, 0).cross_fit
    assert not prove("encoded", problem.X.round(1), problem.y, 0).cross_fit
    assert prove("gossip", problem.X, problem.y, 0).cross_fit


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dice", "something else each time"),
        ("shrinks", "332 rows went in and 331 came out"),
        ("quits", "preparer 'quits' of package 'lab-models' failed: SystemExit: 5"),
        ("nothing", "cannot be used: TypeError: it is a int"),
        ("unheard", "no preparer 'unheard' is installed where this runs; preparers: .*gossip"),
    ],
)
def test_a_preparer_that_cannot_be_used_is_refused_by_name(lab: None, open_workspace: Open, name: str, why: str) -> None:
    space = open_workspace("diabetes")
    with pytest.raises(ToolRefused, match=why):
        prepare("prepared", preparers=[name])
    assert not (space.preparations / "prepared.json").exists()
    assert train(["tree"], time_s=120, per_family=1).candidates
    assert leaderboard(space)[0].preparation == "default"


def test_no_preparer_stands_between_a_column_and_a_prediction_that_must_follow_it(lab: None, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    prepare("prepared", preparers=["ratios"])
    path = space.data / "contract.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "constraints": {"monotone": {"bmi": 1}}}))
    with pytest.raises(ToolRefused, match="preparer 'ratios' would hide how the prediction follows 'bmi', which is bound"):
        prepare("again", preparers=["ratios"])
    with pytest.raises(ToolRefused, match="'prepared' would hide how the prediction follows 'bmi', which is bound, behind ratios"):
        train(["tree"], preparation="prepared", time_s=60)


def test_rows_that_a_preparer_fails_on_are_told_with_its_package(lab: None, open_workspace: Open) -> None:
    space = open_workspace("diabetes")
    prepare("prepared", preparers=["ratios"])
    problem = load_problem(space)
    preparation = load_preparation(space, "prepared", problem)
    fitted = fit_with(problem, preparation)
    with pytest.raises(ValueError, match="preparer 'ratios' of package 'lab-models' failed: KeyError"):
        fitted.predict(pd.DataFrame({"other": [1.0]}))


def test_several_labels_get_what_a_preparer_makes(lab: None, open_workspace: Open) -> None:
    space = open_workspace("shapes")
    prepare("prepared", preparers=["ratios"])
    problem = load_problem(space)
    fitted = fit_with(problem, load_preparation(space, "prepared", problem))
    assert fitted.predict(problem.X).shape == (problem.n_rows, 3)
    with pytest.raises(ValueError, match="preparer 'ratios' of package 'lab-models' failed: KeyError"):
        fitted.predict(pd.DataFrame({"other": [1.0]}))


def fit_with(problem, preparation):  # type: ignore[no-untyped-def]
    from tools.crossval import setting_for
    from tools.families.setting import FitContext

    setting = setting_for(problem, preparation)
    model = family("tree")
    return fit_prepared(model, preparation.preparers, problem.X, problem.y, None, None, model.default(setting)[0], setting, FitContext())
