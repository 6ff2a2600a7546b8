"""Our differences between groups against Fairlearn's, which says the same where groups are large enough to be told of."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equal_opportunity_difference
from sklearn.metrics import mean_absolute_error, zero_one_loss

from tools.fairness import FEWEST, disparities


def drawn(seed: int, rows: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, calls and groups of a model that treats three groups differently."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    y = (rng.random(rows) < 0.4).astype(int)
    right = rng.random(rows) < np.select([groups == "a", groups == "b"], [0.9, 0.75], 0.6)
    return y, np.where(right, y, 1 - y), groups


@pytest.mark.parametrize("seed", range(5))
def test_two_classes_have_fairlearns_differences(seed: int) -> None:
    y, called, groups = drawn(seed)
    assert disparities("binary", y, [np.eye(2)[called]], groups) == {
        "error": pytest.approx(
            MetricFrame(metrics=zero_one_loss, y_true=y, y_pred=called, sensitive_features=groups).difference(), abs=1e-6
        ),
        "selection_rate": pytest.approx(demographic_parity_difference(y, called, sensitive_features=groups), abs=1e-6),
        "tpr": pytest.approx(equal_opportunity_difference(y, called, sensitive_features=groups), abs=1e-6),
    }


@pytest.mark.parametrize("seed", range(3))
def test_values_have_fairlearns_difference_as_a_share_of_the_error_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, groups = rng.normal(size=400), rng.choice(["a", "b"], 400)
    said = y + rng.normal(scale=np.where(groups == "a", 0.3, 1.0))
    frame = MetricFrame(metrics=mean_absolute_error, y_true=y, y_pred=said, sensitive_features=groups)
    assert disparities("regression", y, [said], groups) == {"error": pytest.approx(frame.difference() / frame.overall, abs=1e-6)}


def test_groups_that_are_too_small_for_a_rate_are_left_out_which_fairlearn_tells_of() -> None:
    y, called, groups = drawn(0)
    few = np.arange(len(y)) < FEWEST - 1
    groups = np.where(few, "few", groups)
    called = np.where(few, 1 - y, called)
    kept = disparities("binary", y, [np.eye(2)[called]], groups)
    assert kept == disparities("binary", y[~few], [np.eye(2)[called[~few]]], groups[~few])
    assert kept["error"] < MetricFrame(metrics=zero_one_loss, y_true=y, y_pred=called, sensitive_features=groups).difference()


def test_ordered_classes_are_called_as_the_model_calls_them() -> None:
    """By the expected place a row of 0.45, 0.1, 0.45 is called the middle class, by the largest probability an end."""
    groups = np.repeat(["a", "b"], 40)
    y = np.ones(80, dtype=np.int64)
    proba = np.where((groups == "a")[:, None], [0.46, 0.1, 0.44], [0.1, 0.8, 0.1])
    assert disparities("ordinal", y, [proba], groups, decision="mean") == {"error": 0.0}
    assert disparities("ordinal", y, [proba], groups, decision="mode") == {"error": 1.0}
