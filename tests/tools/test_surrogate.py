from __future__ import annotations

import numpy as np
import pandas as pd

from tools.columns import coerce, infer_schema
from tools.surrogate import surrogate


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=rows),
            "plan": rng.choice(["basic", "plus"], rows),
            "since": (pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")).astype(str),
            "note": [f"long words number {i} that nobody can cut by" for i in range(rows)],
        }
    )
    frame.loc[::9, "size"] = None
    return frame


def test_groups_that_follow_from_columns_are_said_by_them() -> None:
    frame = table()
    schema = infer_schema(frame, None)
    X = coerce(frame, schema)
    groups = np.where(X["plan"] == "plus", 2, np.where(X["since"] > pd.Timestamp("2021-06-01"), 1, 0))
    found = surrogate(schema, X, groups, seed=0)
    assert found is not None
    assert found.fidelity > 0.98 > 0.6 > found.floor
    assert sum(leaf.share for leaf in found.leaves) == 1.0
    said = {leaf.group: leaf.conditions for leaf in found.leaves if leaf.right and leaf.right > 0.9}
    assert any("plus" in condition for condition in said[2])
    assert any(condition.startswith("since > 2021-0") for condition in said[1])
    assert any(condition.startswith("since <= 2021-0") for condition in said[0])


def test_groups_that_follow_from_nothing_have_no_more_fidelity_than_the_largest() -> None:
    frame = table()
    schema = infer_schema(frame, None)
    found = surrogate(schema, coerce(frame, schema), np.random.default_rng(1).integers(3, size=len(frame)), seed=0)
    assert found is not None
    assert found.fidelity < found.floor + 0.1


def test_one_group_needs_no_words() -> None:
    frame = table(40)
    schema = infer_schema(frame, None)
    assert surrogate(schema, coerce(frame, schema), np.zeros(40, dtype=int), seed=0) is None
