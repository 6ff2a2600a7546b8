from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.problem import load_problem
from tools.understanding.missingness import littles_test, missingness


def table(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.multivariate_normal([0, 1, 2], [[1, 0.6, 0.3], [0.6, 1, 0.5], [0.3, 0.5, 1]], rows)


def test_littles_test_keeps_its_level_where_gaps_are_random() -> None:
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        matrix = table(rng, 300)
        matrix[rng.random(matrix.shape) < 0.15] = np.nan
        found = littles_test(matrix)
        assert found is not None
        refused += found[2] < 0.05
    assert refused <= 9


def test_littles_test_finds_gaps_that_depend_on_another_column() -> None:
    rng = np.random.default_rng(0)
    matrix = table(rng, 400)
    matrix[matrix[:, 0] > 0.5, 2] = np.nan
    found = littles_test(matrix)
    assert found is not None
    assert found[2] < 1e-6
    assert littles_test(table(rng, 100)) is None


def test_patterns_and_gaps_that_go_with_the_target_are_told(open_workspace: Open) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(table(rng, 600), columns=["a", "b", "c"]).assign(y=rng.choice(["u", "v"], 600))
    frame.loc[rng.random(600) < 0.2, ["a", "b"]] = np.nan
    frame.loc[(frame["y"] == "u") & (rng.random(600) < 0.4), "c"] = np.nan
    found = missingness(load_problem(open_workspace(frame, "y", "binary")))
    assert found.related == ["c"]
    assert found.verdict == "not random"
    assert ["a", "b"] in [pattern.columns for pattern in found.patterns]


@pytest.mark.parametrize("depends", ["nothing", "kind", "when", "size"])
def test_gaps_that_depend_on_a_column_of_any_kind_are_told_from_those_that_depend_on_none(open_workspace: Open, depends: str) -> None:
    rng, n = np.random.default_rng(0), 600
    frame = pd.DataFrame({"kind": rng.choice(["p", "q", "r"], n), "when": pd.date_range("2024-01-01", periods=n).astype(str)})
    frame = frame.assign(size=rng.lognormal(3, 1.5, n), gap=rng.lognormal(3, 1.5, n), y=rng.choice(["u", "v"], n))
    where = {"nothing": np.full(n, True), "kind": frame["kind"] == "p", "when": np.arange(n) > 400, "size": frame["size"] > 40}
    frame.loc[where[depends] & (rng.random(n) < 0.4), "gap"] = np.nan
    found = missingness(load_problem(open_workspace(frame, "y", "binary")))
    assert found.verdict == ("may be random" if depends == "nothing" else "not random"), found
    assert found.tested == 4
