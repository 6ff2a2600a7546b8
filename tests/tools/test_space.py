from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import mixed
from tools.alignment import as_in, by_size
from tools.columns import coerce, infer_schema
from tools.detector_panel import crossed_panel_scores, panel_scores
from tools.space import MOST_WIDTH, Space, has_say


def test_columns_count_alike_whatever_their_units() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"metres": rng.normal(2, 0.3, 500), "grams": rng.normal(70_000, 9000, 500), "sort": rng.choice(["a", "b"], 500)})
    schema = infer_schema(frame, None)
    points = Space(schema.columns).fit(coerce(frame, schema)).transform(coerce(frame, schema))
    assert points[:, :2].std(axis=0) == pytest.approx([1, 1], abs=0.15)
    a, b = points[(frame["sort"] == "a").to_numpy()][0, 2:], points[(frame["sort"] == "b").to_numpy()][0, 2:]
    assert np.linalg.norm(a - b) == pytest.approx(1)


def test_any_table_becomes_finite_points_and_texts_have_no_say() -> None:
    frame = mixed().drop(columns="outcome")
    schema = infer_schema(frame, None)
    said = {column.name for column in schema.columns if has_say(column)}
    assert "note 🙂" not in said
    assert {"size [mm]", "flag", "when"} <= said
    X = coerce(frame, schema)
    space = Space(schema.columns).fit(X.iloc[:100])
    assert np.isfinite(space.transform(X)).all()
    assert space.transform(X.iloc[:0]).shape == (0, space.transform(X).shape[1])


def test_an_outlier_stays_one_but_not_without_bounds() -> None:
    frame = pd.DataFrame({"x": [*np.linspace(-1, 1, 50), 20.0, 1e9]})
    schema = infer_schema(frame, None)
    points = Space(schema.columns).fit(coerce(frame, schema)).transform(coerce(frame, schema))[:, 0]
    assert points[:50].max() < points[50] < points[51] <= 5


def test_a_wide_table_is_brought_down() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 60)), columns=[f"c{i}" for i in range(60)])
    schema = infer_schema(frame, None)
    assert Space(schema.columns).fit(coerce(frame, schema)).transform(coerce(frame, schema)).shape == (80, MOST_WIDTH)


def test_groups_are_numbered_by_size_and_as_in_another_clustering() -> None:
    groups = np.array([2, 2, 2, 0, 0, 1])
    assert by_size(groups)[groups].tolist() == [0, 0, 0, 1, 1, 2]
    other = np.array([1, 1, 1, 0, 0, 0])
    assert as_in(other, groups)[groups].tolist() == [1, 1, 1, 0, 0, 2], "what finds none is numbered on"
    assert len(set(as_in(other, groups).tolist())) == len(as_in(other, groups)), "no two groups get one number"


def test_the_panel_puts_a_lonely_point_on_top() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 3))
    found = panel_scores(known, np.vstack([np.zeros((1, 3)), np.full((1, 3), 9.0)]), seed=0)
    assert (found[1] > found[0]).all()
    crossed = crossed_panel_scores(known, np.arange(200) % 5, seed=0)
    assert crossed.shape == (200, 4)
    assert np.corrcoef(crossed.T).min() > 0.4
