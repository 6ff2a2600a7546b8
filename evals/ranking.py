"""Ranks of systems over datasets, and whether they differ by more than chance: Friedman's test, and Nemenyi's after it.

After Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, Journal of Machine Learning Research 7.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

ALPHA = 0.05
DIGITS = 9
"""Scores that agree in so many significant digits are one score: what should tie does, whatever the last bit says."""

Array = np.ndarray[Any, np.dtype[Any]]


class Friedman(NamedTuple):
    """Whether any system's rank differs from the others' by more than chance."""

    chi2: float
    """With k - 1 degrees of freedom, corrected for ties."""
    f: float
    """Iman and Davenport's statistic of it, which is less cautious, with k - 1 and (k - 1)(n - 1); infinite where all agree."""
    p: float
    """By `f`; where all datasets agree, the chance that n rankings of k with these ties do."""


def same(first: float, second: float) -> bool:
    """Whether two scores are one, but for rounding."""
    return first == second or rounded(first) == rounded(second)


def rounded(score: float) -> float:
    """A score to as many digits as count."""
    return float(f"{score:.{DIGITS}g}")


def ranks(scores: Sequence[float | None]) -> list[float]:
    """Ranks from 1, the highest score first. Equal scores share the mean of their ranks; None failed, and shares the last ones."""
    from scipy.stats import rankdata

    found = rankdata([math.inf if score is None else -rounded(score) for score in scores], method="average")
    return [float(rank) for rank in found]


def friedman(ranks: Array) -> Friedman:
    """Friedman's test (Friedman 1937), with the correction of Iman and Davenport (1980).

    The χ² statistic divides by the spread that the ranks have, so that ties, and ranks that are means over seeds, are taken for what they
    are: whatever the values within a dataset, under the hypothesis any order of them is as likely.

    Args:
        ranks: of k systems on n datasets, shape (n, k), both 2 at least.
    """
    from scipy.stats import f as fisher

    n, k = ranks.shape
    middle = (k + 1) / 2
    spread = float(((ranks - middle) ** 2).sum())
    if spread == 0:
        return Friedman(0.0, 0.0, 1.0)
    chi2 = (k - 1) * n**2 * float(((ranks.mean(axis=0) - middle) ** 2).sum()) / spread
    left = n * (k - 1) - chi2
    if left <= 1e-9 * n * (k - 1):
        orders = math.lgamma(k + 1) - sum(math.lgamma(count + 1) for count in np.unique(ranks[0], return_counts=True)[1])
        return Friedman(chi2, math.inf, math.exp(-(n - 1) * orders))
    f = (n - 1) * chi2 / left
    return Friedman(chi2, f, float(fisher.sf(f, k - 1, (k - 1) * (n - 1))))


@lru_cache(maxsize=64)
def critical_difference(systems: int, datasets: int, alpha: float = ALPHA) -> float:
    """How far two average ranks must be apart to differ, by Nemenyi's test (Nemenyi 1963): q √(k (k + 1) / 6n).

    q is the quantile of the studentized range for k groups and infinite degrees of freedom, divided by √2. For ranks that are means over
    seeds the difference is too large rather than too small, as they spread less than whole ones.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.isf(alpha, systems, math.inf)) / math.sqrt(2)
    return q * math.sqrt(systems * (systems + 1) / (6 * datasets))


def cliques(average: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """The longest stretches of systems that Nemenyi's test does not tell apart.

    Args:
        average: average ranks, ascending.

    Returns:
        first and last position of each, of two systems at least, none within another.
    """
    found: list[tuple[int, int]] = []
    for first, last in ((i, max(j for j, rank in enumerate(average) if rank - average[i] < difference)) for i in range(len(average))):
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def pairs(count: int) -> list[tuple[int, int]]:
    """All pairs of positions, the lower one first."""
    return list(itertools.combinations(range(count), 2))
