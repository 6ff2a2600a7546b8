"""Metrics of groups and of anomaly scores: against scikit-learn's, at their ends, and under resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk

from tools.metrics import bootstrap_interval, default_metric, score, undefined_reason


def blobs(apart: float, n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    groups = np.arange(n) % 3
    return apart * np.eye(3)[groups] + rng.normal(size=(n, 3)), groups


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("silhouette", sk.silhouette_score), ("davies_bouldin", sk.davies_bouldin_score), ("calinski_harabasz", sk.calinski_harabasz_score)],
)
def test_groups_score_as_scikit_learn_has_it(name: str, theirs: object) -> None:
    points, groups = blobs(4.0)
    assert score(name, "cluster", points, groups.astype(float)) == pytest.approx(theirs(points, groups))  # type: ignore[operator]


def test_groups_that_lie_apart_score_better_and_one_group_has_nothing() -> None:
    far, near = (score("silhouette", "cluster", *blobs(apart)) for apart in (8.0, 2.0))
    assert far > near > 0
    points, _ = blobs(8.0)
    assert score("silhouette", "cluster", points, np.zeros(len(points))) == 0


def test_many_rows_are_sampled() -> None:
    points, groups = blobs(4.0, 4500)
    assert score("silhouette", "cluster", points, groups) == pytest.approx(sk.silhouette_score(points, groups), abs=0.02)


def test_the_interval_of_a_silhouette_is_not_flattered_by_repeated_rows() -> None:
    points, groups = blobs(3.0)
    found = bootstrap_interval("silhouette", "cluster", points, groups)
    assert found.low < found.score < found.high
    assert found.score - found.low == pytest.approx(found.high - found.score, rel=0.3)


def test_agreement_is_the_rank_correlation_weighted_by_consensus() -> None:
    rng = np.random.default_rng(1)
    panel, scores = rng.normal(size=(80, 4)) + rng.normal(size=(80, 1)), rng.normal(size=80).round(1)
    alike = spearmanr(np.column_stack([scores, panel])).statistic
    weights = (alike[1:, 1:].sum(axis=0) - 1) ** 2
    assert score("agreement", "anomaly", panel, scores) == pytest.approx(np.average(alike[0, 1:], weights=weights))
    assert score("agreement", "anomaly", panel[:, :1], panel[:, 0] ** 3) == pytest.approx(1)
    assert score("agreement", "anomaly", panel, np.full(80, 0.5)) == 0
    found = bootstrap_interval("agreement", "anomaly", panel, scores, resamples=100)
    assert found.low <= found.score <= found.high


def test_a_detector_that_none_of_the_others_is_like_has_no_say() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=400)
    panel = np.column_stack([truth + 0.3 * rng.normal(size=400) for _ in range(3)] + [-truth])
    assert score("agreement", "anomaly", panel, truth) > 0.9
    assert score("agreement", "anomaly", panel, -truth) < -0.9


def test_detectors_that_all_disagree_count_alike() -> None:
    truth = np.arange(50.0)
    panel = np.column_stack([truth, -truth])
    assert score("agreement", "anomaly", panel, truth) == pytest.approx(0)


def test_labels_are_scored_by_the_order_of_the_scores() -> None:
    rng = np.random.default_rng(2)
    labels, scores = (rng.random(200) < 0.1).astype(int), rng.random(200)
    assert score("roc_auc", "anomaly", labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert score("average_precision", "anomaly", labels, scores) == pytest.approx(sk.average_precision_score(labels, scores))


def test_what_cannot_be_scored_is_told() -> None:
    panel = np.random.default_rng(0).normal(size=(20, 4))
    assert "name it with --target" in str(undefined_reason("roc_auc", "anomaly", panel))
    assert "leave --target out" in str(undefined_reason("agreement", "anomaly", np.array([0, 1, 0])))
    assert "both labels" in str(undefined_reason("roc_auc", "anomaly", np.zeros(5, dtype=int)))
    assert undefined_reason(default_metric("anomaly"), "anomaly", panel) is None
    with pytest.raises(ValueError, match="for cluster tasks, this task is anomaly"):
        score("silhouette", "anomaly", panel, panel[:, 0])
