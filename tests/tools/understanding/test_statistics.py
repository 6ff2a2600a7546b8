from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.tools.conftest import Open
from tools.problem import load_problem
from tools.understanding import statistics

RNG = np.random.default_rng(2)
SHAPES = {
    "normal": RNG.normal(3, 2, 1500),
    "uniform": RNG.uniform(-1, 4, 1500),
    "lognormal": RNG.lognormal(1, 0.9, 1500),
    "exponential": RNG.exponential(5, 1500),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_known_and_fits(shape: str) -> None:
    found, distance, fits = statistics.nearest_shape(SHAPES[shape])
    assert (found, fits) == (shape, True)
    assert distance < 0.03


def test_what_has_no_shape_fits_none() -> None:
    two_humps = np.concatenate([RNG.normal(-5, 1, 500), RNG.normal(5, 1, 500)])
    assert not statistics.nearest_shape(two_humps)[2]


def test_moments_are_scipys() -> None:
    values = SHAPES["lognormal"]
    found = statistics.moments_of("x", np.append(values, [np.nan, np.inf]))
    assert found is not None
    assert found.skew == pytest.approx(stats.skew(values), rel=1e-4)
    assert found.kurtosis == pytest.approx(stats.kurtosis(values), rel=1e-4)
    assert found.p95 == pytest.approx(np.quantile(values, 0.95), rel=1e-4)


def test_cramers_v_is_one_for_copies_and_near_none_for_strangers() -> None:
    a, b = RNG.integers(0, 4, 2000), RNG.integers(0, 5, 2000)
    assert statistics.cramers_v(a, a) == pytest.approx(1, abs=0.01)
    assert statistics.cramers_v(a, b) < 0.05
    assert statistics.cramers_v(a, np.zeros(2000, dtype=int)) == 0


def test_relations_information_inflation_and_outliers_of_a_table(open_workspace: Open) -> None:
    n = 800
    a, b = RNG.normal(size=n), RNG.normal(size=n)
    frame = pd.DataFrame(
        {
            "a": a,
            "a again": 2 * a + 0.1 * RNG.normal(size=n),
            "a bent": np.exp(3 * a),
            "b": b,
            "u": RNG.choice(["x", "y", "z"], n),
            "y": np.where(b > 0, "up", "down"),
        }
    )
    frame["u too"] = frame["u"].str.upper()
    frame.loc[:3, "b"] = [40.0, -40.0, 35.0, -35.0]
    problem = load_problem(open_workspace(frame, "y", "binary"))
    pairs = {(r.column, r.other): r for r in statistics.relations(problem)}
    assert pairs["a", "a again"].measure == "pearson"
    assert pairs["a", "a bent"].measure == "spearman"
    assert pairs["u", "u too"].measure == "cramers_v"
    assert not any("b" in pair for pair in pairs)
    telling = statistics.informative(problem)
    assert telling[0].column == "b"
    assert telling[0].share > 0.8
    assert {one.column for one in telling if one.share > 0.1} == {"b"}
    assert {one.column for one in statistics.inflation(problem)} == {"a", "a again"}
    found = statistics.outliers(problem)
    assert found is not None
    assert {"b", "a bent"} <= {one.column for one in found.columns}
    assert found.mahalanobis is not None
    assert found.mahalanobis > 0.001
