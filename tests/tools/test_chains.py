"""Chains of labels: a label as a column of those behind it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.candidates import leaderboard
from tools.crossval import setting_for
from tools.families import FOUNDATION, LEARNS, FamilyUnavailable, family
from tools.families.base import CHAIN
from tools.families.setting import FitContext
from tools.preparation import choose_columns
from tools.problem import Problem, load_problem
from tools.training import train

NESTED = "far,near"


def nested(rows: int = 400) -> pd.DataFrame:
    """Far is a cut of a column, near what lies between two: a straight line finds it only where far is known."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    far, near = x > 0.8, (x > -0.8) & (x <= 0.8)
    text = [";".join(name for name, true in (("far", a), ("near", b)) if true) for a, b in zip(far, near, strict=True)]
    return pd.DataFrame({"label1": x + 0.05 * rng.normal(size=rows), "noise": rng.normal(size=rows), NESTED: text})


def opened(open_workspace: Open) -> Problem:
    return load_problem(open_workspace(nested(), NESTED, "multilabel"))


@pytest.mark.parametrize("name", [name for name in LEARNS["multilabel"] if name not in ("dummy", *FOUNDATION)])
def test_every_family_chains(open_workspace: Open, name: str) -> None:
    problem = opened(open_workspace)
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    try:
        asked = family(name)
    except FamilyUnavailable as reason:
        pytest.skip(str(reason))
    params = {**asked.default(setting)[0], **({"epochs": 4} if name == "mlp" else {})}
    learn, check = np.flatnonzero(problem.folds != 0), np.flatnonzero(problem.folds == 0)
    X, y = problem.X, problem.y
    fits = {}
    for order in ("forward", "backward", None):
        given = params if order is None else {**params, CHAIN: order}
        fits[order] = asked.fit(X.iloc[learn], y[learn], X.iloc[check], y[check], given, setting, FitContext(iterations=8))
        said = fits[order].predict(X.iloc[check])
        assert said.shape == (len(check), 2)
        assert ((said >= 0) & (said <= 1)).all()
        assert np.allclose(pickle.loads(pickle.dumps(fits[order])).predict(X.iloc[check]), said)
        assert len(fits[order].predict(X.head(0))) == 0
        assert set(fits[order].importance) <= set(X.columns)
    # The label that comes first knows of no other, in whatever order.
    alone = fits[None].predict(X.iloc[check])
    assert np.array_equal(fits["forward"].predict(X.iloc[check])[:, 0], alone[:, 0])
    assert np.array_equal(fits["backward"].predict(X.iloc[check])[:, 1], alone[:, 1])
    assert not np.array_equal(fits["forward"].predict(X.iloc[check]), alone)


def test_a_chain_is_taken_where_it_proves_itself(open_workspace: Open) -> None:
    space = open_workspace(nested(), NESTED, "multilabel", metric="accuracy")
    train(["linear"], per_family=2, time_s=20)
    first, second = leaderboard(space)
    assert (first.params.get(CHAIN), second.params.get(CHAIN)) == ("forward", None)
    assert first.score > second.score + 0.1


class Counted:
    """A fitted vectorizer that counts how often it is asked."""

    def __init__(self, vectorizer: Any) -> None:
        self.steps, self.asked, self._vectorizer = vectorizer.steps, 0, vectorizer

    def transform(self, X: pd.DataFrame) -> Any:
        self.asked += 1
        return self._vectorizer.transform(X)


def test_labels_read_the_rows_once(open_workspace: Open) -> None:
    problem = opened(open_workspace)
    setting = setting_for(problem, choose_columns(problem, name="default", drop=[], text=True, dates=True))
    asked = family("linear")
    fitted = asked.fit(problem.X, problem.y, None, None, asked.default(setting)[0], setting, FitContext())
    models = fitted.predictor.fits  # type: ignore[attr-defined]
    alone = np.column_stack([each.predict(problem.X)[:, 1] for each in models])
    counted = Counted(models[0].predictor.vectorizer)
    assert all(each.predictor.vectorizer is models[0].predictor.vectorizer for each in models)
    for each in models:
        each.predictor.vectorizer = counted
    assert np.array_equal(fitted.predict(problem.X), alone)
    assert counted.asked == 1
    models[0].predict(problem.X)
    assert counted.asked == 2, "what was read is kept for one call alone"
