"""Rows in a plane: those that are alike stand near each other, the same way each time."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd

from tools.columns import infer_schema
from tools.understanding.picture import pictures

GROUPS = np.repeat([0, 1, 2], 30)


def groups() -> pd.DataFrame:
    """Three groups of 30 rows, told apart by numbers and a category together, and an identifier that says nothing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": GROUPS * (i - 1.5) * 4 + rng.normal(size=90) for i in range(4)})
    return frame.assign(kind=np.array(["u", "v", "w"], dtype=object)[GROUPS], id=rng.permutation(90) * 1000.0)


def test_rows_that_are_alike_stand_near_each_other() -> None:
    frame = groups()
    columns = infer_schema(frame, None).columns
    components, neighbours = pictures(frame, columns, {"id"}, seed=0)
    assert (components.way, neighbours.way) == ("principal components", "UMAP" if find_spec("umap") else "t-SNE")
    assert components.held is not None
    assert 0.5 < sum(components.held) <= 1
    assert neighbours.held is None
    for picture in (components, neighbours):
        assert picture.places.shape == (90, 2)
        assert np.isfinite(picture.places).all()
        apart = np.linalg.norm(picture.places[:, None] - picture.places[None], axis=2) + 1e9 * np.eye(90)
        assert (GROUPS[apart.argmin(axis=1)] == GROUPS).mean() > 0.95, picture.way
    again = pictures(frame, columns, {"id"}, seed=0)
    np.testing.assert_array_equal(neighbours.places, again[1].places)


def test_no_picture_where_there_is_nothing_to_spread() -> None:
    frame = groups()
    columns = infer_schema(frame, None).columns
    assert pictures(frame.head(15), columns, (), seed=0) == []
    assert pictures(frame, columns, {"x0", "x1", "x2", "x3", "id"}, seed=0) == [], "one column is no plane"
    assert pictures(frame.assign(x0=1.0, x1=1.0, x2=1.0, x3=1.0), columns, {"id"}, seed=0) == [], "three places are no cloud"
