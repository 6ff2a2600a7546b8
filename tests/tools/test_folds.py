from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tools.contract import Contract, Split, Task
from tools.folds import fit_rows, fold_ids, make_folds


def contract(kind: str, task: Task = "binary", column: str | None = None, seed: int = 0) -> Contract:
    return Contract(
        task=task,
        target="y",
        metric="log_loss",
        direction="minimize",
        classes=[],
        split=Split(kind=kind, column=column, holdout_fraction=0.2, seed=seed),  # type: ignore[arg-type]
        folds=5,
        rows_train=0,
        rows_holdout=0,
        features=[],
        seed=seed,
    )


def test_stratified_folds_spread_every_class() -> None:
    frame = pd.DataFrame({"y": ["a"] * 80 + ["b"] * 17 + ["c"] * 2 + ["d"]})
    folds = make_folds(frame, contract("stratified"))
    table = pd.crosstab(frame["y"], folds)
    assert set(table.loc["a"]) == {16}
    assert set(table.loc["b"]) <= {3, 4}
    assert table.loc["c"].max() == 1
    assert np.bincount(folds).tolist() == [20] * 5


def test_stratified_folds_spread_every_label() -> None:
    """Dealt at random, five rows of a label are in five folds about once in 26 times; ten that all rows of another share, no better."""
    rng = np.random.default_rng(3)
    labels = np.column_stack(
        [rng.random(200) < 0.5, np.arange(200) < 10, np.arange(200) < 5, (np.arange(200) > 190) & (np.arange(200) < 196)]
    )
    names = ["half", "ten", "five", "others"]
    frame = pd.DataFrame({"y": [";".join(name for name, true in zip(names, row, strict=True) if true) for row in labels]})
    sealed = contract("random", "multilabel").model_copy(update={"classes": names, "validation": "stratified"})
    for seed in range(5):
        folds = make_folds(frame, sealed.model_copy(update={"seed": seed}))
        counts = np.array([[labels[folds == fold, place].sum() for place in range(4)] for fold in range(5)])
        assert (counts[:, 1:] == [2, 1, 1]).all()
        assert np.ptp(counts[:, 0]) <= 1
        assert np.ptp(np.bincount(folds, minlength=5)) <= 1
    assert np.array_equal(folds, make_folds(frame, sealed.model_copy(update={"seed": 4})))


def test_folds_depend_on_the_seed_and_on_nothing_else() -> None:
    frame = pd.DataFrame({"y": np.arange(40) % 2, "x": range(40)})
    one = make_folds(frame, contract("stratified"))
    assert np.array_equal(one, make_folds(frame.assign(y=frame["y"].astype(str)), contract("stratified")))
    assert not np.array_equal(one, make_folds(frame, contract("stratified", seed=1)))


def test_a_group_lies_in_one_fold() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.integers(2, size=300), "g": rng.integers(40, size=300)})
    folds = make_folds(frame, contract("group", column="g"))
    assert (frame.assign(fold=folds).groupby("g")["fold"].nunique() == 1).all()
    assert np.bincount(folds).max() < 1.5 * np.bincount(folds).min()


def test_fewer_groups_than_folds_give_fewer_folds() -> None:
    frame = pd.DataFrame({"y": [0, 1] * 6, "g": ["a", "b", "c"] * 4})
    assert fold_ids(make_folds(frame, contract("group", column="g"))) == [0, 1, 2]


@pytest.mark.parametrize("as_text", [False, True])
def test_time_folds_learn_from_the_past_alone(as_text: bool) -> None:
    when = pd.Series(pd.date_range("2024-01-01", periods=60, freq="D")).sample(frac=1, random_state=0).reset_index(drop=True)
    frame = pd.DataFrame({"y": range(60), "t": when.astype(str) if as_text else when})
    sealed = contract("time", "regression", "t")
    folds = make_folds(frame, sealed)
    assert fold_ids(folds) == [0, 1, 2, 3, 4]
    assert (folds == -1).sum() == 10
    for fold in fold_ids(folds):
        assert when[fit_rows(folds, fold, sealed)].max() < when[folds == fold].min()


def test_rows_of_one_moment_are_not_parted() -> None:
    frame = pd.DataFrame({"y": range(60), "t": np.arange(60) // 7})
    folds = make_folds(frame, contract("time", "regression", "t"))
    assert (frame.assign(fold=folds).groupby("t")["fold"].nunique() == 1).all()


def test_other_folds_learn_from_all_other_rows() -> None:
    folds = np.array([0, 1, 2, 0])
    assert fit_rows(folds, 0, contract("random")).tolist() == [1, 2]


SEEDS = st.integers(0, 10_000)


@given(n=st.integers(10, 120), classes=st.integers(2, 5), kind=st.sampled_from(["stratified", "random"]), seed=SEEDS)
def test_every_row_is_validated_once_and_in_folds_of_like_size(n: int, classes: int, kind: str, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(classes, size=n)
    sealed = contract(kind, "multiclass", seed=seed)
    folds = make_folds(pd.DataFrame({"y": labels}), sealed)
    assert fold_ids(folds) == [0, 1, 2, 3, 4]
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 1
    for fold in fold_ids(folds):
        assert sorted([*fit_rows(folds, fold, sealed), *np.flatnonzero(folds == fold)]) == list(range(n))
    if kind == "stratified":
        shares = pd.crosstab(labels, folds)
        assert (shares.max(axis=1) - shares.min(axis=1) <= 1).all()


@given(n=st.integers(10, 120), groups=st.integers(2, 30), seed=SEEDS)
def test_no_group_is_on_both_sides_of_a_fold(n: int, groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"y": rng.integers(2, size=n), "g": rng.integers(groups, size=n)})
    assume(frame["g"].nunique() > 1)
    sealed = contract("group", column="g", seed=seed)
    folds = make_folds(frame, sealed)
    assert fold_ids(folds) == list(range(min(5, frame["g"].nunique())))
    for fold in fold_ids(folds):
        assert not set(frame["g"][fit_rows(folds, fold, sealed)]) & set(frame["g"][folds == fold])


@given(n=st.integers(12, 120), moments=st.integers(6, 60), seed=SEEDS)
def test_no_fold_learns_from_its_future(n: int, moments: int, seed: int) -> None:
    when = np.random.default_rng(seed).integers(moments, size=n)
    frame = pd.DataFrame({"y": np.arange(n), "t": when})
    sealed = contract("time", "regression", "t")
    folds = make_folds(frame, sealed)
    for fold in fold_ids(folds):
        learned = fit_rows(folds, fold, sealed)
        assert len(learned) > 0
        assert when[learned].max() < when[folds == fold].min()
