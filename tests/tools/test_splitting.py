"""Taking the holdout: shares, classes, groups, time, and targets that cannot be learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tools.contract import Split
from tools.spec import InputRefused
from tools.splitting import check_target, infer_task, split_rows


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1] * 20, "binary"),
        ([True, False] * 20, "binary"),
        (["yes", "no"] * 20, "binary"),
        (["a", "b", "c"] * 20, "multiclass"),
        ([0, 1, 2] * 20, "multiclass"),
        ([0.0, 1.0, 2.0, None] * 20, "multiclass"),
        (list(range(60)), "regression"),
        ([0.5, 1.25, 2.0] * 20, "regression"),
        ([1, 2, 3, 4, 5], "regression"),
    ],
)
def test_the_task_follows_from_the_values(values: list[object], task: str) -> None:
    assert infer_task(pd.Series(values)) == task


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        ([None] * 20, "binary", "missing in every row"),
        ([3] * 20, "regression", r"one value only \('3'\)"),
        ([1, 2, 3], "regression", "3 rows with a target for 5 folds; expected at least 10 rows"),
        (["a"] * 19 + ["b"], "binary", "class 'b' .* has one row"),
        ([f"id{i}" for i in range(300)], "multiclass", "300 distinct values"),
        (["x", "y"] * 10, "regression", r"is text \('x'\), expected numbers"),
        ([1.0, float("inf")] * 10, "regression", "infinite values"),
        (["a", "b", "c"] * 10, "binary", "3 classes, expected two"),
    ],
)
def test_targets_that_cannot_serve_are_refused(values: list[object], task: str, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        check_target(pd.Series(values, name="y"), task, folds=5)  # type: ignore[arg-type]  # one of the tasks


def split(kind: str, column: str | None = None, fraction: float = 0.25) -> Split:
    return Split(kind=kind, column=column, holdout_fraction=fraction, seed=0)  # type: ignore[arg-type]  # one of the kinds


def check_partition(frame: pd.DataFrame, train: np.ndarray, holdout: np.ndarray) -> None:
    assert sorted([*train, *holdout]) == list(range(len(frame)))
    assert len(holdout) > 0


def test_stratified_keeps_shares_and_is_the_same_for_a_seed() -> None:
    frame = pd.DataFrame({"y": ["a"] * 80 + ["b"] * 20, "x": range(100)})
    train, holdout = split_rows(frame, "y", split("stratified"))
    check_partition(frame, train, holdout)
    assert frame["y"].iloc[holdout].value_counts().to_dict() == {"a": 20, "b": 5}
    again = split_rows(frame, "y", split("stratified"))
    assert np.array_equal(holdout, again[1])


def test_a_class_with_one_row_stays_in_training() -> None:
    frame = pd.DataFrame({"y": ["a"] * 30 + ["b"] * 30 + ["c"], "x": range(61)})
    train, holdout = split_rows(frame, "y", split("stratified"))
    check_partition(frame, train, holdout)
    assert "c" in set(frame["y"].iloc[train])


def test_two_rows_of_the_rarer_class_are_one_on_each_side() -> None:
    frame = pd.DataFrame({"y": ["a"] * 50 + ["b"] * 2})
    train, holdout = split_rows(frame, "y", split("stratified"))
    assert (frame["y"].iloc[train] == "b").sum() == (frame["y"].iloc[holdout] == "b").sum() == 1


def test_groups_are_never_parted() -> None:
    frame = pd.DataFrame({"y": np.arange(90.0), "who": np.repeat(range(30), 3)})
    train, holdout = split_rows(frame, None, split("group", "who"))
    check_partition(frame, train, holdout)
    assert not set(frame["who"].iloc[train]) & set(frame["who"].iloc[holdout])


@pytest.mark.parametrize("as_text", [True, False])
def test_time_takes_the_latest_and_never_parts_a_moment(as_text: bool) -> None:
    when = pd.date_range("2024-01-01", periods=20).repeat(5)
    frame = pd.DataFrame({"y": np.arange(100.0), "when": when.astype(str) if as_text else when}).sample(frac=1, random_state=0)
    frame = frame.reset_index(drop=True)
    train, holdout = split_rows(frame, None, split("time", "when", 0.22))
    check_partition(frame, train, holdout)
    moments = pd.to_datetime(frame["when"])
    assert moments.iloc[train].max() < moments.iloc[holdout].min()
    assert len(holdout) == 25


def test_columns_that_cannot_split_are_refused() -> None:
    frame = pd.DataFrame({"y": np.arange(20.0), "one": 1, "when": ["2024-01-01"] * 19 + ["never"]})
    with pytest.raises(InputRefused, match="group column 'one' has one value"):
        split_rows(frame, None, split("group", "one"))
    with pytest.raises(InputRefused, match="time column 'when' has 1 values that are no moment"):
        split_rows(frame, None, split("time", "when"))
    with pytest.raises(InputRefused, match="one moment for too many rows"):
        split_rows(frame, None, split("time", "one"))
