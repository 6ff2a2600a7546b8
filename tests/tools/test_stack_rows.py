from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tools.contract import Column
from tools.deadline import Deadline, DeadlineReached
from tools.families.setting import Setting
from tools.preparation import Preparation
from tools.stack_rows import SAID, Forests, readable_columns


def noise(rows: int = 400) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 4)), columns=list("abcd"))


def setting(n_classes: int, rows: int = 400) -> Setting:
    columns = [Column(name=name, kind="numeric", missing=0.0, unique=rows) for name in "abcd"]
    return Setting(columns=columns, n_rows=rows, n_classes=n_classes, metric="log_loss" if n_classes else "rmse", seed=3)


def test_of_the_rows_that_they_learnt_from_the_trees_speak_that_did_not_see_them() -> None:
    X, y = noise(), np.random.default_rng(1).integers(0, 2, 400)
    forests, beyond = Forests.grow(X, y, setting(2), Deadline())
    assert beyond.shape == (400, 2), "the log-odds of the second class, a column a forest"
    assert all(0.4 < roc_auc_score(y, column) < 0.6 for column in beyond.T), "in noise nobody knows a row that he has not seen"
    assert all(roc_auc_score(y, column) > 0.99 for column in forests.said(X).T), "and everybody one that he has"


@pytest.mark.parametrize(("codes", "n_classes", "width"), [([0, 1, 2], 3, 6), ([0, 2], 3, 6), ([0, 1], 0, 2)])
def test_they_say_something_finite_of_every_class_or_a_value(codes: list[int], n_classes: int, width: int) -> None:
    y = np.random.default_rng(1).choice(codes, 400).astype(np.float64 if not n_classes else np.int64)
    forests, beyond = Forests.grow(noise(), y, setting(n_classes), Deadline())
    for said in (beyond, forests.said(noise(50))):
        assert said.shape[1] == width
        assert np.isfinite(said).all()


def test_a_class_that_is_missing_among_many_levels_stops_nobody() -> None:
    """Encoders by the target count the classes that are there."""
    X = noise().assign(city=pd.Categorical(np.random.default_rng(2).integers(0, 40, 400).astype(str)))
    city = Column(name="city", kind="categorical", missing=0.0, unique=40)
    known = replace(setting(3), columns=[*setting(3).columns, city])
    forests, beyond = Forests.grow(X, np.random.default_rng(1).choice([0, 2], 400), known, Deadline())
    assert beyond.shape == (400, 6)
    assert (beyond[:, [1, 4]] == beyond[:, [1, 4]].min()).all(), "of the class that is not there, both say that it is not"
    assert np.isfinite(forests.said(X)).all()


def test_where_memory_has_no_room_they_are_not_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTEAM_MEMORY_MB", "1")
    with pytest.raises(MemoryError, match="forests for a second layer take"):
        Forests.grow(noise(), np.random.default_rng(1).normal(size=400), setting(0), Deadline())


def test_values_that_can_be_learnt_are_said_of_rows_that_nobody_saw() -> None:
    X = noise(1200)
    y = np.sin((X["a"] + X["b"]).to_numpy())
    forests, beyond = Forests.grow(X.iloc[:900], y[:900], setting(0, 900), Deadline())
    for column in (*beyond.T, *forests.said(X.iloc[900:]).T):
        truth = y[:900] if len(column) == 900 else y[900:]
        assert np.corrcoef(column, truth)[0, 1] > 0.8


def test_without_time_they_are_not_grown() -> None:
    with pytest.raises(DeadlineReached):
        Forests.grow(noise(), np.arange(400.0), setting(0), Deadline(0.0))


def test_texts_and_names_of_its_own_are_not_read() -> None:
    kinds = {"age": "numeric", "notes": "text", f"{SAID}0": "numeric", "when": "datetime", "city": "categorical"}
    columns = [Column.model_validate({"name": name, "kind": kind, "missing": 0.0, "unique": 9}) for name, kind in kinds.items()]
    preparation = Preparation(name="default", columns=columns, dropped=[], text=True, dates=True)
    assert [column.name for column in readable_columns(preparation)] == ["age", "when", "city"]
