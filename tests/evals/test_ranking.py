"""Ranks and tests over tasks, held against Demšar's published example and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from evals.ranking import cliques, critical_difference, friedman, ranks

DEMSAR = [
    (0.763, 0.768, 0.771, 0.798),
    (0.599, 0.591, 0.590, 0.569),
    (0.954, 0.971, 0.968, 0.967),
    (0.628, 0.661, 0.654, 0.657),
    (0.882, 0.888, 0.886, 0.898),
    (0.936, 0.931, 0.916, 0.931),
    (0.661, 0.668, 0.609, 0.685),
    (0.583, 0.583, 0.563, 0.625),
    (0.775, 0.838, 0.866, 0.875),
    (1.000, 1.000, 1.000, 1.000),
    (0.940, 0.962, 0.965, 0.962),
    (0.619, 0.666, 0.614, 0.669),
    (0.972, 0.981, 0.9752, 0.9750),  # both are printed as 0.975, with the ranks 2 and 3
    (0.957, 0.978, 0.946, 0.970),
]
"""Table 6 of Demšar 2006: AUC of C4.5 and three variants of it on 14 datasets."""


def test_the_published_example_comes_out_as_published() -> None:
    found = np.array([ranks(row) for row in DEMSAR])
    assert found.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    # His statistic is without the correction for ties: χ² = 9.28, F = 3.69. With it, it is scipy's.
    assert 12 * 14 / (4 * 5) * ((found.mean(axis=0) ** 2).sum() - 4 * 5**2 / 4) == pytest.approx(9.28, abs=5e-3)
    test = friedman(found)
    expected = friedmanchisquare(*np.array(DEMSAR).T)
    assert test.chi2 == pytest.approx(expected.statistic)
    assert test.f == pytest.approx(13 * test.chi2 / (14 * 3 - test.chi2))
    assert test.p < 0.05
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, alpha=0.1) == pytest.approx(1.12, abs=5e-3)
    # As in his text: none are told apart at 0.05, and at 0.10 C4.5 is worse than both variants that tune its leaves.
    assert cliques(sorted(found.mean(axis=0)), critical_difference(4, 14)) == [(0, 3)]
    assert cliques(sorted(found.mean(axis=0)), critical_difference(4, 14, alpha=0.1)) == [(0, 2), (2, 3)]


def test_critical_values_are_those_of_the_published_table() -> None:
    published = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}
    for k, q in published.items():
        assert critical_difference(k, 6) == pytest.approx(q * math.sqrt(k * (k + 1) / 36), abs=2e-3 * math.sqrt(k * (k + 1) / 36))


def test_without_ties_the_statistic_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random((9, 5))
    found = np.array([ranks(list(row)) for row in scores])
    assert friedman(found).chi2 == pytest.approx(12 * 9 / (5 * 6) * ((found.mean(axis=0) - 3) ** 2).sum())
    assert friedman(found).chi2 == pytest.approx(friedmanchisquare(*scores.T).statistic)


def test_failures_share_the_last_ranks_and_equal_scores_theirs() -> None:
    assert ranks([0.9, None, 0.8, None]) == [1, 3.5, 2, 3.5]
    assert ranks([0.1 + 0.2, 0.3, 0.1]) == [1.5, 1.5, 3]
    assert ranks([None, None]) == [1.5, 1.5]
    assert ranks([-1e300, None]) == [1, 2]


def test_tests_where_all_agree_or_nothing_differs() -> None:
    alike = friedman(np.array([[1.0, 2, 3]] * 4))
    assert math.isinf(alike.f)
    assert alike.p == pytest.approx((1 / 6) ** 3)
    tied = friedman(np.array([[1.0, 2.5, 2.5]] * 3))
    assert tied.p == pytest.approx((1 / 3) ** 2), "there are three orders with such a tie"
    assert friedman(np.full((4, 3), 2.0)) == (0.0, 0.0, 1.0)


def test_under_the_hypothesis_the_test_holds_its_level() -> None:
    rng = np.random.default_rng(0)
    # Ranks that are means over three seeds, as a standing has them.
    p = [friedman(np.mean([rng.permuted(np.tile([1.0, 2, 3, 4], (10, 1)), axis=1) for _ in range(3)], axis=0)).p for _ in range(1500)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)


def test_cliques_are_the_longest_ones() -> None:
    assert cliques([1.0, 1.5, 2.4, 4.0, 4.2], 1.0) == [(0, 1), (1, 2), (3, 4)]
    assert cliques([1.0, 3.0, 5.0], 1.0) == []
    assert cliques([1.0], 1.0) == []
