from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import mixed
from tools.columns import coerce, infer_schema
from tools.features import FEW, DenseScaler, Style, TableEncoder, date_parts
from tools.text_features import TextFeatures


@pytest.mark.parametrize("style", ["codes", "target", "dense"])
def test_unseen_rows_fit_whatever_they_hold(style: str) -> None:
    frame = mixed().drop(columns="outcome")
    schema = infer_schema(frame, None)
    X, y = coerce(frame, schema), np.arange(len(frame)) % 3
    encoder = TableEncoder(schema.columns, style, n_classes=3)  # type: ignore[arg-type]
    matrix = encoder.fit_transform(X, y)
    strange = X.head(4).copy()
    strange['colour "{a}"'] = ["never seen", None, "red", ""]
    strange["size [mm]"] = [np.inf, -np.inf, np.nan, 1e300]
    strange["note 🙂"] = [None, "", "🙂", "x" * 5000]
    strange["when"] = pd.NaT
    found = encoder.transform(strange)
    assert found.shape == (4, matrix.shape[1])
    assert found.dtype == np.float32
    assert not np.isinf(found).any()
    assert np.isfinite(found).all() or style != "dense"
    assert encoder.transform(X.head(0)).shape == (0, matrix.shape[1])


def test_codes_mark_categories_and_unseen_ones_are_missing() -> None:
    X = pd.DataFrame({"c": pd.Series(["a", "a", "b", None], dtype=object)})
    encoder = TableEncoder(infer_schema(X, None).columns, "codes")
    assert encoder.fit_transform(X, np.zeros(4)).ravel()[:3].tolist() == [0, 0, 1]
    assert encoder.categorical_positions == [0]
    assert np.isnan(encoder.transform(pd.DataFrame({"c": ["z"]}, dtype=object))).all()


def test_many_categories_are_replaced_by_their_mean_target() -> None:
    levels = [f"l{i:02d}" for i in range(20)] * 20
    X = pd.DataFrame({"c": pd.Series(levels, dtype=object)})
    y = np.array([int(level[1:]) for level in levels], dtype=float)
    matrix = TableEncoder(infer_schema(X, None).columns, "target").fit_transform(X, y)
    assert matrix.shape == (400, 1)
    assert np.corrcoef(matrix[:, 0], y)[0, 1] > 0.99


@pytest.mark.parametrize("rarest", [1, 2, 4])
def test_no_row_is_encoded_by_its_own_label_however_rare_a_class_is(rarest: int) -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"c": pd.Series([f"v{i}" for i in rng.integers(0, 400, 1000)], dtype=object)})
    y = rng.integers(0, 3, 1000)
    y[:rarest] = 3
    encoder = TableEncoder(infer_schema(X, None).columns, "target", n_classes=4)
    matrix = encoder.fit_transform(X, y)
    assert matrix.shape == (1000, 4)
    assert np.isfinite(matrix).all()
    for code in range(3):
        assert abs(np.corrcoef(matrix[:, code], y == code)[0, 1]) < 0.15
    again = encoder.transform(X)  # which is for other rows, and tells what these ones taught
    assert np.corrcoef(again[:, 0], y == 0)[0, 1] > 0.4


def test_dates_have_hours() -> None:
    parts, names = date_parts(pd.Series(pd.to_datetime(["2024-02-29 13:30", None])))
    row = dict(zip(names, parts[0], strict=True))
    assert (row["year"], row["month"], row["day"], row["weekday"], row["hour"]) == (2024, 2, 29, 3, 13.5)
    assert np.isnan(parts[1]).all()


def test_text_that_says_nothing_still_has_lengths() -> None:
    assert TextFeatures().fit(pd.Series(["", "", None])).transform(pd.Series(["a b"])).tolist() == [[3, 2]]


def test_the_scaler_survives_constant_and_missing_columns() -> None:
    matrix = np.array([[1.0, np.nan, 5.0, 0.0], [1.0, np.nan, 6.0, 0.0], [1.0, np.nan, np.nan, 1.0]])
    scaled = DenseScaler().fit(matrix).transform(matrix)
    assert np.isfinite(scaled).all()
    assert scaled.shape == (3, 5)
    assert scaled[:, 4].tolist() == [0, 0, 1]
    assert abs(DenseScaler().fit(matrix).transform(np.full((1, 4), 1e30))).max() <= 3


@pytest.mark.parametrize("style", ["codes", "target", "dense"])
def test_a_few_rows_are_read_as_many_are(style: Style) -> None:
    """They go another way, value by value."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "n": rng.normal(size=300),
            "few": rng.choice(["a", "b", None], 300),
            "many": [f"c{number}" for number in rng.integers(0, 30, 300)],
            "when": pd.Timestamp("1912-06-23 23:59:59.123456789") + pd.to_timedelta(rng.integers(0, 2**62, 300), unit="ns"),
        }
    )
    frame.loc[::7, ["n", "when"]] = None
    schema = infer_schema(frame, None)
    rows = coerce(frame, schema)
    encoder = TableEncoder(schema.columns, style)
    encoder.fit_transform(rows, rng.normal(size=300))
    odd = rows.assign(few=rows["few"].where(rows.index % 5 > 0, "never seen"))
    together = encoder.transform(odd)
    assert np.array_equal(np.vstack([encoder.transform(odd.iloc[[place]]) for place in range(60)]), together[:60], equal_nan=True)
    assert np.array_equal(encoder.transform(odd.head(FEW)), together[:FEW], equal_nan=True)
    one_by_one = pd.concat([coerce(frame.iloc[[place]], schema) for place in range(60)], ignore_index=True)
    pd.testing.assert_frame_equal(one_by_one, rows.head(60))
