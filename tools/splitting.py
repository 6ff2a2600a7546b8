"""Take the holdout from the rows: stratified, at random, by group, or the latest in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.contract import Split, Task, predicts
from tools.forecast import Forecast
from tools.spec import InputRefused

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MOST_CLASSES = 200
FEW_VALUES = 20
"""An integer target with at most this many distinct values, each of them common, is a class label."""


def infer_task(target: pd.Series) -> Task:
    """Binary, multiclass or regression, from the values of the target.

    Text and booleans are classes. Numbers are classes when they are whole, at most `FEW_VALUES` differ, and rows are
    at least ten times as many as values.
    """
    import pandas as pd

    values = target.dropna()
    distinct = values.nunique()
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return "binary" if distinct == 2 else "multiclass"
    if distinct == 2:
        return "binary"
    whole = bool((values % 1 == 0).all())
    if whole and distinct <= FEW_VALUES and len(values) >= 10 * distinct:
        return "multiclass"
    return "regression"


def check_target(target: pd.Series, task: Task, folds: int) -> None:
    """Refuse a target that cannot be learnt or scored.

    Raises:
        InputRefused: naming the column, what was found and what was expected.
    """
    values = target.dropna()
    name = target.name
    if values.empty:
        raise InputRefused(f"target {name!r} is missing in every row; choose another column with --target.")
    if values.nunique() < 2:
        raise InputRefused(
            f"target {name!r} has one value only ({str(values.iloc[0])!r}); a model needs at least two. Choose another --target."
        )
    if len(values) < 2 * folds:
        raise InputRefused(
            f"{len(values)} rows with a target for {folds} folds; expected at least {2 * folds} rows."
            f" Bring more rows{f', or try --folds {len(values) // 2}' if len(values) >= 4 else ''}."
        )
    if predicts(task) == "labels":
        return
    if predicts(task) != "classes":
        _check_values(values, task)
        return
    counts = values.value_counts()
    if len(counts) > MOST_CLASSES:
        raise InputRefused(
            f"target {name!r} has {len(counts)} distinct values, more than the {MOST_CLASSES} classes a classifier is given."
            " If it is a number, store it as one; if it is an identifier, choose another --target."
        )
    if counts.iloc[0] < 2:
        raise InputRefused(
            f"target {name!r} has a different value in every row; classes must repeat. If it is a number, store it as one;"
            " if it is an identifier, choose another --target."
        )
    if task == "binary" and len(counts) != 2:
        raise InputRefused(
            f"target {name!r} has {len(counts)} classes, expected two for a binary task. Use --task multiclass, or leave --task out."
        )
    if task in ("multiclass", "ordinal") and len(counts) == 2:
        kind, cure = ("a multiclass", "leave --task out") if task == "multiclass" else ("an ordinal", "leave --task and --classes out")
        raise InputRefused(f"target {name!r} has two classes, expected three or more for {kind} task. Use --task binary, or {cure}.")
    if counts.iloc[-1] < 2 and len(counts) == 2:
        raise InputRefused(
            f"class {str(counts.index[-1])!r} of target {name!r} has one row; at least two are needed, one to learn from and one to score."
        )


def check_events(events: pd.Series) -> None:
    """Refuse events that no risk can be learnt from. `events` are 1 and 0, see `tools.survival.read_events`.

    Raises:
        InputRefused: naming the column, what was found and what was expected.
    """
    happened = int(events.sum())
    if happened < 2:
        raise InputRefused(
            f"event column {events.name!r} has {happened} events among {len(events)} rows; at least two are needed, one to learn from"
            " and one to score. Name the column that is 1 where the event happened with --event."
        )


SAID: dict[Task, str] = {
    "regression": "regression",
    "count": "counts",
    "quantile": "quantiles",
    "forecast": "a forecast",
    "survival": "times until an event",
}


def _check_values(values: pd.Series, task: Task) -> None:
    """Refuse a target of numbers that is none, and counts that cannot have been counted."""
    import numpy as np
    import pandas as pd

    name = values.name
    if not pd.api.types.is_numeric_dtype(values):
        raise InputRefused(
            f"target {name!r} is text ({str(values.iloc[0])!r}), expected numbers for {SAID[task]}. Name another --target or --task."
        )
    numbers = values.to_numpy(dtype="float64")
    if not np.isfinite(numbers).all():
        raise InputRefused(f"target {name!r} holds infinite values; replace them or drop those rows.")
    if task == "survival" and (values < 0).any():
        raise InputRefused(f"target {name!r} holds {float(values.min()):g}; times until an event are 0 or more.")
    if task == "count" and (off := (numbers < 0) | (numbers % 1 != 0)).any():
        raise InputRefused(
            f"target {name!r} has {int(off.sum())} values that are no counts, such as {numbers[off][0]:g}; expected whole numbers of 0"
            " and more. Use --task regression, or leave --task out."
        )


def split_rows(frame: pd.DataFrame, stratum: str | None, split: Split, forecast: Forecast | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the training and of the holdout rows, both int64 and ascending.

    `stratified` keeps the shares of the values of `stratum`, and every value with two rows or more has at least one row on each
    side; `group`
    keeps each value of `split.column` on one side; `time` takes the latest rows, and never parts rows of one moment. Of a
    forecast it is the last horizon of every series.

    Raises:
        InputRefused: when the column of a group or time split does not serve.
    """
    import numpy as np
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    n = len(frame)
    positions = np.arange(n)
    if forecast is not None:
        last = forecast.blocks_of(frame) == 0
        return np.flatnonzero(~last), np.flatnonzero(last)
    size = min(max(1, round(n * split.holdout_fraction)), n - 1)
    if split.kind == "time":
        return _by_time(frame, split, size)
    elif split.kind == "group":
        groups = frame[split.column].astype(str)
        if groups.nunique() < 2:
            raise InputRefused(f"group column {split.column!r} has one value; a split by group needs at least two.")
        chooser = GroupShuffleSplit(n_splits=1, test_size=split.holdout_fraction, random_state=split.seed)
        holdout = next(chooser.split(positions, groups=groups))[1]
    elif split.kind == "stratified":
        assert stratum is not None
        holdout = _by_class(frame[stratum].to_numpy().astype(str), split)
    else:
        holdout = train_test_split(positions, test_size=size, random_state=split.seed)[1]
    holdout = np.sort(holdout)
    return np.setdiff1d(positions, holdout), holdout


def _by_class(labels: np.ndarray, split: Split) -> np.ndarray:
    """Each class gives its share, but at least one row and never its last: scikit-learn's splitter may give none."""
    import numpy as np

    chooser = np.random.default_rng(split.seed)
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            quota = min(max(1, round(len(rows) * split.holdout_fraction)), len(rows) - 1)
            chosen.append(chooser.choice(rows, quota, replace=False))
    return np.concatenate(chosen)


def _by_time(frame: pd.DataFrame, split: Split, size: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    from tools.columns import moments
    from tools.folds import as_numbers

    when = moments(frame[split.column], split.day_first)
    if when.isna().any():
        raise InputRefused(
            f"time column {split.column!r} has {int(when.isna().sum())} values that are no moment; clean it, or leave --time-column out."
        )
    ordered = when.sort_values(kind="stable")
    first = ordered.iloc[len(ordered) - size]
    holdout = np.flatnonzero((when >= first).to_numpy())
    if len(holdout) == len(frame):
        raise InputRefused(f"time column {split.column!r} has one moment for too many rows to split by; leave --time-column out.")
    if not split.gap:
        return np.setdiff1d(np.arange(len(frame)), holdout), holdout
    at = as_numbers(when)
    train = np.flatnonzero(at < at[holdout].min() - split.gap)
    if len(train) == 0:
        raise InputRefused(f"the gap before the holdout takes all rows of time column {split.column!r}; use a smaller --gap or --holdout.")
    return train, holdout
