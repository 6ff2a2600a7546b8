"""Every scheme by its promises: nobody learns from what validates it, groups stay whole, the past knows no future, gaps are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, TimeSeriesSplit

from tests.hosting import Hosting
from tests.tools.test_folds import contract
from tools.contract import Contract, Split
from tools.folds import Validation, make_validation
from tools.intake import fetch_data
from tools.schemes import described, usual_folds
from tools.sealing import seal_holdout
from tools.spec import InputRefused

SEEDS = st.integers(0, 10_000)


def scheme(kind: str, task: str = "binary", column: str | None = None, *, gap: float = 0.0, **changes: Any) -> Contract:
    sealed = contract(kind, task, column)  # type: ignore[arg-type]  # one of the tasks
    return sealed.model_copy(update={"split": sealed.split.model_copy(update={"gap": gap}), **changes})


def validated(validation: Validation, n: int) -> np.ndarray:
    """How often each row is predicted by a fit that has not seen it."""
    times = np.zeros(n, dtype=int)
    for part in validation.parts:
        learn, check = validation.rows(part)
        assert len(learn) > 0
        assert not set(learn) & set(check)
        times[check] += 1
    return times


@given(
    n=st.integers(12, 80),
    repeats=st.integers(1, 4),
    kind=st.sampled_from(["random", "stratified"]),
    validation=st.sampled_from([None, "kfold", "stratified"]),
    task=st.sampled_from(["binary", "regression"]),
    seed=SEEDS,
)
def test_each_row_is_validated_once_a_repeat(n: int, repeats: int, kind: str, validation: str | None, task: str, seed: int) -> None:
    y = np.random.default_rng(seed).integers(2, size=n)
    sealed = scheme(kind, task, repeats=repeats, validation=validation, seed=seed)
    found = make_validation(pd.DataFrame({"y": y}), sealed)
    assert (validated(found, n) == repeats).all()
    assert len(found.parts) == 5 * repeats
    again = make_validation(pd.DataFrame({"y": y}), sealed)
    assert all(np.array_equal(a, b) for a, b in zip(found.folds, again.folds, strict=True))
    assert all(np.bincount(folds).max() - np.bincount(folds).min() <= 1 for folds in found.folds)


def test_repeats_deal_anew_and_the_first_is_that_without_repeats() -> None:
    frame = pd.DataFrame({"y": np.arange(60) % 2})
    once, often = (make_validation(frame, scheme("stratified", repeats=r)) for r in (1, 3))
    assert np.array_equal(once.folds[0], often.folds[0])
    assert not any(np.array_equal(often.folds[0], other) for other in often.folds[1:])


@given(n=st.integers(20, 100), seed=SEEDS)
def test_the_range_of_numbers_is_dealt_evenly(n: int, seed: int) -> None:
    y = np.random.default_rng(seed).gamma(1.0, size=n)
    folds = make_validation(pd.DataFrame({"y": y}), scheme("random", "regression", validation="stratified", seed=seed)).folds[0]
    in_order = folds[np.argsort(y)]
    for start in range(0, n - n % 5, 5):
        assert sorted(in_order[start : start + 5]) == [0, 1, 2, 3, 4]


@given(n=st.integers(20, 100), groups=st.integers(7, 30), repeats=st.integers(1, 3), alone=st.booleans(), seed=SEEDS)
def test_no_group_is_on_both_sides(n: int, groups: int, repeats: int, alone: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"y": rng.integers(2, size=n), "g": rng.integers(groups, size=n)})
    assume(frame["g"].nunique() > 5)
    repeats = 1 if alone else repeats
    found = make_validation(frame, scheme("group", column="g", repeats=repeats, leave_one_out=alone, seed=seed))
    assert (validated(found, n) == repeats).all()
    for part in found.parts:
        learn, check = found.rows(part)
        assert not set(frame["g"].iloc[learn]) & set(frame["g"].iloc[check])
        if alone:
            assert frame["g"].iloc[check].nunique() == 1
            assert len(learn) + len(check) == n
    for folds in found.folds:
        assert (frame.assign(fold=folds).groupby("g")["fold"].nunique() == 1).all()


@given(n=st.integers(4, 60), seed=SEEDS)
def test_leave_one_out_learns_from_all_rows_but_one(n: int, seed: int) -> None:
    frame = pd.DataFrame({"y": np.random.default_rng(seed).integers(2, size=n)})
    found = make_validation(frame, scheme("stratified", leave_one_out=True, folds=min(10, n // 2), seed=seed))
    assert (validated(found, n) == 1).all()
    assert {len(found.rows(part)[0]) for part in found.parts} == {n - 1}
    assert all(found.folds[0][part.unit] == part.fold for part in found.parts)


@given(
    n=st.integers(30, 120),
    moments=st.integers(15, 60),
    gap=st.sampled_from([0.0, 1.0, 2.5]),
    window=st.sampled_from(["expanding", "sliding"]),
    dates=st.booleans(),
    seed=SEEDS,
)
def test_nobody_learns_from_the_future_or_from_the_gap(n: int, moments: int, gap: float, window: str, dates: bool, seed: int) -> None:
    when = np.random.default_rng(seed).integers(moments, size=n)
    column = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(when, unit="D")).astype(str) if dates else pd.Series(when)
    day = 86_400.0 if dates else 1.0
    sealed = scheme("time", "regression", "t", window=window, gap=gap * day)
    found = make_validation(pd.DataFrame({"y": np.arange(n), "t": column}), sealed)
    assert (np.bincount(np.concatenate([found.rows(part)[1] for part in found.parts]), minlength=n) <= 1).all()
    learned = []
    for part in found.parts:
        learn, check = found.rows(part)
        learned.append(len(learn))
        if len(learn):
            assert when[check].min() - when[learn].max() > gap
            assert set(np.flatnonzero(np.isin(when, when[learn]))) == set(learn), "rows of one moment are not parted"
            left_out = np.setdiff1d(np.flatnonzero(when < when[check].min() - gap), learn)
            assert window == "sliding" or len(left_out) == 0
            assert len(left_out) == 0 or when[left_out].max() < when[learn].min(), "the window holds the latest rows"
    if window == "sliding":
        most_of_a_moment = np.bincount(when).max()
        assert all(learned[0] <= later < learned[0] + most_of_a_moment for later in learned) or learned[0] == 0
    else:
        assert learned == sorted(learned)


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("window", ["expanding", "sliding"])
def test_folds_in_order_of_time_are_those_of_scikit_learn(window: str, gap: int) -> None:
    frame = pd.DataFrame({"y": np.arange(120), "t": np.arange(120)})
    found = make_validation(frame, scheme("time", "regression", "t", window=window, gap=float(gap)))
    blocks = {"test_size": 12, "max_train_size": 60 - gap} if window == "sliding" else {"test_size": 20}
    wanted = TimeSeriesSplit(5, gap=gap, **blocks).split(frame)
    for part, (learn, check) in zip(found.parts, wanted, strict=True):
        assert [rows.tolist() for rows in found.rows(part)] == [learn.tolist(), check.tolist()]


def test_groups_have_shares_of_classes_as_even_as_scikit_learn_has_them() -> None:
    """A class of one in twenty and groups of a rate each: how far a fold's share of a class is from a fifth, at most."""
    ours: list[float] = []
    theirs: list[float] = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        group = rng.integers(rng.integers(30, 60), size=500)
        y = np.where(rng.random(500) < 0.05, 2, rng.random(500) < rng.beta(1, 3, 60)[group]).astype(int)
        frame = pd.DataFrame({"y": y, "g": group})
        folds = make_validation(frame, scheme("group", "multiclass", "g", seed=seed)).folds[0]
        stratified = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(frame, y, group)
        for found, checks in ((ours, [np.flatnonzero(folds == fold) for fold in range(5)]), (theirs, [check for _, check in stratified])):
            shares = np.array([np.bincount(y[check], minlength=3) for check in checks]) / np.bincount(y)
            found.append(np.abs(shares - 0.2).max())
    assert np.mean(ours) <= np.mean(theirs)


def test_rows_that_need_moments_are_not_guessed_without() -> None:
    from tools.folds import fit_rows

    with pytest.raises(ValueError, match="needs the moments of the rows"):
        fit_rows(np.array([-1, 0, 1]), 1, scheme("time", "regression", "t", gap=1.0))


def table(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows), unit="D")
    x = rng.normal(size=rows)
    return pd.DataFrame(
        {"x": x, "who": np.arange(rows) // 4, "day": when.astype(str), "step": np.arange(rows), "y": x + rng.normal(size=rows)}
    ).assign(third=np.arange(rows) * 3 // rows)


def sealed(tmp_path: Path, rows: int = 120, **settings: Any) -> Contract:
    table(rows).to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", **settings)
    fetch_data(h.host)
    told = seal_holdout(h.host)
    assert told.validation == described(h.vault.contract)
    return h.vault.contract


@pytest.mark.parametrize(
    ("settings", "fields", "told"),
    [
        ({}, {"folds": 8, "repeats": 1}, "8 folds of shuffled rows; because nothing that was said ties rows together"),
        ({"validation": "stratified"}, {"fold_kind": "stratified"}, "the target's range is dealt evenly; as was asked for"),
        ({"validation": "repeated"}, {"repeats": 5}, "8 folds of shuffled rows, dealt 5 times anew; as was asked for"),
        ({"repeats": 3, "folds": 4}, {"repeats": 3, "folds": 4}, "4 folds of shuffled rows, dealt 3 times anew"),
        ({"folds": "loo"}, {"leave_one_out": True, "folds": 10}, "each row is predicted by a model that learned from all others"),
        ({"validation": "loo", "group": "who"}, {"leave_one_out": True, "fold_kind": "group"}, "leave-one-out: each 'who' is predicted"),
        ({"group": "who"}, {"fold_kind": "group"}, "never part the rows of one 'who'; because rows of one 'who' belong together"),
        ({"group": "third", "holdout": 0.3}, {"folds": 2, "rows_train": 80}, "2 folds that never part the rows of one 'third'"),
        ({"group": "third", "folds": 4, "holdout": 0.3}, {"folds": 2}, "2 folds that never part the rows of one 'third'"),
        ({"validation": "nested"}, {"repeats": 1, "validation": None}, "8 folds of shuffled rows"),
        (
            {"time_column": "day", "gap": "1w", "window": "sliding"},
            {"window": "sliding", "rows_train": 89},
            "in order of 'day', each learning from as many of the latest earlier rows as the first one has, with a gap of 7 days before",
        ),
        ({"time_column": "step", "gap": "2"}, {"rows_train": 94}, "each learning from all earlier rows, with a gap of 2 before what"),
    ],
)
def test_what_was_asked_for_is_in_the_contract_and_told(
    tmp_path: Path, settings: dict[str, Any], fields: dict[str, Any], told: str
) -> None:
    made = sealed(tmp_path, **settings)
    assert {name: getattr(made, name) for name in fields} == fields
    assert told in described(made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": "group"}, "--validation group needs a column; name it with --group"),
        ({"validation": "time"}, "--validation time needs a column; name it with --time-column"),
        ({"validation": "kfold", "group": "who"}, "--validation kfold would part rows of one group, which --group rules out"),
        ({"validation": "stratified", "time_column": "day"}, "would learn from later rows, which --time-column rules out"),
        ({"folds": "loo", "time_column": "day"}, "leave-one-out would learn from later rows"),
        ({"folds": "loo", "repeats": 2}, "leave-one-out is the same however often"),
        ({"repeats": 2, "time_column": "day"}, "folds in order of time are the same"),
        ({"window": "sliding"}, "--window sliding is for folds in order of time"),
        ({"gap": "7d"}, "--gap 7d is for folds in order of time"),
        ({"gap": "7", "time_column": "day"}, "--gap '7' does not fit time column 'day', which holds dates; expected a duration"),
        ({"gap": "7d", "time_column": "step"}, "which holds numbers; expected a number without a unit"),
        ({"gap": "30d", "time_column": "day"}, "leaves a fold with 0 rows to learn from; use a smaller --gap"),
        ({"gap": "60w", "time_column": "day"}, "the gap before the holdout takes all rows"),
        ({"group": "who", "repeats": 2, "folds": 20, "holdout": 0.5}, "no more values than there are folds, so every repeat"),
        ({"folds": "loo", "rows": 700}, "leave-one-out over 560 rows would fit every candidate as often; at most 500"),
    ],
)
def test_wishes_that_contradict_each_other_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        sealed(tmp_path, **settings)


def test_no_metric_of_pairs_is_taken_where_each_row_has_a_model_of_its_own(tmp_path: Path) -> None:
    """The reason: left out, a row makes its class rarer, and what knows no more than that ranks all rows the wrong way round."""
    from sklearn.metrics import roc_auc_score

    y = np.arange(40) % 2
    found = make_validation(pd.DataFrame({"y": y}), scheme("stratified", leave_one_out=True))
    prior = np.array([y[found.rows(part)[0]].mean() for part in sorted(found.parts, key=lambda part: part.unit or 0)])
    assert roc_auc_score(y, prior) == 0.0
    table().assign(y=lambda frame: frame["y"] > 0).to_csv(tmp_path / "t.csv", index=False)
    h = Hosting(tmp_path / "runs", tmp_path / "t.csv", target="y", folds="loo")
    fetch_data(h.host)
    assert seal_holdout(h.host).metric == "log_loss"
    h = Hosting(tmp_path / "more", tmp_path / "t.csv", target="y", folds="loo", metric="roc_auc")
    fetch_data(h.host)
    with pytest.raises(InputRefused, match=r"'roc_auc' compares rows.*Use --metric log_loss, or --repeats"):
        seal_holdout(h.host)


def test_a_handful_of_rows_can_be_left_out_one_by_one(tmp_path: Path) -> None:
    made = sealed(tmp_path, rows=10, folds="loo")
    assert (made.rows_train, made.folds, made.leave_one_out) == (8, 4, True)


def test_the_gap_lies_before_the_holdout_too() -> None:
    from tools.splitting import split_rows

    frame = table(100)
    split = Split(kind="time", column="step", holdout_fraction=0.2, seed=0, gap=5)
    train, holdout = split_rows(frame, None, split)
    assert (train.tolist(), holdout.tolist()) == (list(range(75)), list(range(80, 100)))


@pytest.mark.parametrize(
    ("rows", "split", "folds"), [(40, "random", 5), (300, "stratified", 8), (300, "group", 5), (4_000, "random", 5), (80_000, "random", 3)]
)
def test_few_rows_get_more_folds_and_many_get_fewer(rows: int, split: str, folds: int) -> None:
    assert usual_folds(rows, split) == folds
