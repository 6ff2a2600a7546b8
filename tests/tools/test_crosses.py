from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tools.columns import coerce, infer_schema
from tools.crosses import Crosses, interacting
from tools.features import TableEncoder
from tools.few_rows import FewRows

ROWS = 4000


def calendar(seed: int = 0, *, strength: float = 1.0) -> tuple[pd.DataFrame, np.ndarray[Any, Any], list[Any]]:
    """Days of a year that are good or bad each for itself, a number that counts, a category that does not, gaps."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "month": rng.integers(1, 13, ROWS),
            "day": rng.integers(1, 29, ROWS),
            "wind": rng.normal(size=ROWS),
            "gate": rng.choice(list("abcdef"), ROWS),
        }
    )
    effect = rng.normal(size=(13, 29))[frame["month"], frame["day"]]
    y = strength * effect + 0.5 * frame["wind"].to_numpy() + rng.normal(size=ROWS)
    frame["gate"] = frame["gate"].mask(rng.random(ROWS) < 0.1)
    frame["wind"] = frame["wind"].mask(rng.random(ROWS) < 0.1)
    schema = infer_schema(frame, None)
    return coerce(frame, schema), y, schema.columns


def names(pairs: list[Any]) -> list[tuple[str, str]]:
    return [pair[:2] for pair in pairs]


def test_the_pair_that_matters_is_named_and_no_other() -> None:
    X, y, columns = calendar()
    assert names(interacting(X, y, columns, 0, 0)) == [("month", "day")]
    assert names(interacting(X, (y > 0).astype(np.int64), columns, 2, 0)) == [("month", "day")]
    assert names(interacting(X, np.digitize(y, [-1, 1]), columns, 3, 0)) == [("month", "day")]


@pytest.mark.parametrize("seed", range(8))
def test_chance_names_none(seed: int) -> None:
    X, y, columns = calendar(seed, strength=0)
    assert interacting(X, y, columns, 0, seed) == []
    rng = np.random.default_rng(seed)
    assert interacting(X, rng.permutation(y), columns, 0, seed) == []


def test_what_two_columns_say_each_for_itself_is_no_pair() -> None:
    X, _, columns = calendar()
    months, days = X["month"].to_numpy(float), X["day"].to_numpy(float)
    y = np.sin(months) + days / 10 + np.random.default_rng(1).normal(size=ROWS)
    assert interacting(X, y, columns, 0, 0) == []


def test_days_of_a_column_of_dates_are_cells_by_themselves() -> None:
    rng = np.random.default_rng(0)
    days = rng.integers(0, 300, ROWS)
    frame = pd.DataFrame({"when": pd.Timestamp("2024-01-01") + pd.to_timedelta(days * 24.0 + rng.random(ROWS) * 24, unit="h")})
    frame["when"] = frame["when"].dt.strftime("%Y-%m-%d %H:%M:%S").mask(rng.random(ROWS) < 0.05)
    schema = infer_schema(frame, None)
    X, trend = coerce(frame, schema), days / 100
    y = rng.normal(size=300)[days] + trend + rng.normal(size=ROWS)
    assert names(interacting(X, y, schema.columns, 0, 0)) == [("when", "when")]
    assert interacting(X, trend + rng.normal(size=ROWS), schema.columns, 0, 0) == [], "a trend is no pair"
    encoder = TableEncoder(schema.columns, "target", crossed=schema.columns)
    encoder.fit_transform(X, y)
    stranger = pd.Series([pd.Timestamp("2031-05-05 10:00"), pd.NaT, X["when"].dropna().iloc[0]]).astype(X["when"].dtype)
    told = encoder.transform(pd.DataFrame({"when": stranger}))[:, -1]
    same = X["when"].dt.floor("D") == stranger[2].floor("D")
    assert told[0] == pytest.approx(y.mean(), abs=1e-5)
    assert abs(told[2] - y[same.to_numpy()].mean()) < 0.4
    few = encoder.transform(FewRows({"when": stranger.to_numpy(dtype="datetime64[ns]")}, 3))
    assert np.array_equal(few[:, -1], told)


def test_few_rows_or_many_classes_are_not_asked() -> None:
    X, y, columns = calendar()
    assert interacting(X.head(400), y[:400], columns, 0, 0) == []
    assert interacting(X, np.digitize(y, np.linspace(-2, 2, 11)), columns, 12, 0) == []


@pytest.mark.parametrize(("classes", "width"), [(0, 1), (2, 1), (3, 3)])
def test_rows_that_it_learnt_from_are_told_what_others_say(classes: int, width: int) -> None:
    X, y, columns = calendar()
    coded = y if not classes else (y > 0).astype(np.int64) if classes == 2 else np.digitize(y, [-1, 1])
    encoder = TableEncoder(columns, "codes", n_classes=classes, crossed=columns)
    matrix = encoder.fit_transform(X, coded)
    assert encoder.crosses is not None
    assert (len(encoder.crosses.pairs), encoder.crosses.width) == (1, width)
    block = encoder.blocks_[-1]
    assert (block.source, block.beside, block.stop - block.start, matrix.shape[1]) == ("month", "day", width, block.stop)
    again = encoder.transform(X)
    assert np.array_equal(matrix[:, : block.start], again[:, : block.start], equal_nan=True)
    # A row's own target is in what its cell says, but not in what it is told when the encoder learns.
    place, truth = block.stop - 1, coded == coded.max() if classes else coded
    told, own = (np.corrcoef(each[:, place], truth)[0, 1] for each in (matrix, again))
    assert 0.2 < told < own - 0.03


def test_a_few_rows_unseen_ones_and_a_pickle_get_the_same() -> None:
    X, y, columns = calendar()
    X = X.assign(wet=pd.array(np.resize([True, False, None], ROWS), dtype="boolean"))
    effect = np.where(X["wet"].fillna(False), 1.0, -1.0) * np.where(X["gate"].isin(["a", "b"]), 1.0, -1.0)
    columns = infer_schema(X, None).columns
    learnt = Crosses(columns, 0, 0)
    from sklearn.model_selection import KFold

    learnt.fit_transform(X, y + effect, KFold(5, shuffle=True, random_state=0))
    assert set(names(learnt.pairs)) == {("month", "day"), ("gate", "wet")}
    strange = X.head(6).assign(month=[99, None, 3, 4, 5, 6], gate=["z", None, "a", "b", "c", "z"])
    strange = coerce(strange, infer_schema(X, None))
    whole = learnt.transform(strange)
    values = {
        name: strange[name].to_numpy(dtype=object if name == "gate" else np.float64, na_value=None if name == "gate" else np.nan)
        for name in X
    }
    assert np.array_equal(learnt.transform(FewRows(values, 6)), whole)
    assert np.array_equal(pickle.loads(pickle.dumps(learnt)).transform(strange), whole)
    month_day = names(learnt.pairs).index(("month", "day"))
    assert whole[0, month_day] == pytest.approx(float((y + effect).mean())), "what no row was like says the mean of all"
