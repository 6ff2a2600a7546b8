"""What a search keeps: by several values what no other beats in all of them, and the knee of it; by the score alone the best few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tools.candidates import Candidate

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_KEPT, CLOSE = 4, 2.0
"""Trials that a search by the score alone keeps, and the standard errors over folds that they may be behind the best of their family. A
blend of several configurations of a family is worth more than the best one (Erickson et al. 2025, "TabArena": tuned, and tuned and
ensembled)."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A finished trial."""

    values: tuple[float, ...]
    """One for each objective."""
    candidate: Candidate
    oof: Array | None
    """Out-of-fold predictions; None when the candidate is on record already."""
    before: Array | None = None
    """The same before they were calibrated."""


class Front:
    """Trials of which none is at least as good as another in every objective. With one objective that is the best alone.

    Args:
        signs: 1 for each objective of which more is better, -1 for the others.
    """

    def __init__(self, signs: Sequence[float]) -> None:
        self._signs = signs
        self.kept: list[Kept] = []

    def add(self, one: Kept) -> None:
        """Take a trial in, unless another is as good in everything; what it beats goes."""
        if any(self._as_good(kept, one) for kept in self.kept):
            return
        self.kept = [kept for kept in self.kept if not self._as_good(one, kept)] + [one]

    @property
    def best(self) -> Kept | None:
        """The best by the first objective, the earlier of equals; None when there is none."""
        return min(self.kept, key=lambda kept: self._costs(kept)[0], default=None)

    def knee(self) -> Kept | None:
        """Where giving up some of one objective stops to pay in the others; None when there is nothing.

        With each objective brought to the range that it takes on the front, the point that lies farthest below the plane through
        the ends (Das 1999, "On characterizing the 'knee' of the Pareto curve"): the one whose costs add up to the least. Of equals, the
        best by the first objective.
        """
        columns = list(zip(*map(self._costs, self.kept), strict=True))
        lows, spans = [min(column) for column in columns], [max(column) - min(column) for column in columns]

        def whole(kept: Kept) -> tuple[float, float]:
            costs = self._costs(kept)
            shares = [(cost - low) / span for cost, low, span in zip(costs, lows, spans, strict=True) if span > 0]
            return round(sum(shares), 9), costs[0]

        return min(self.kept, key=whole, default=None)

    def chosen(self, most: int) -> list[Kept]:
        """At most so many of the front, best first by the first objective: the ends, the knee, and what lies evenly between.

        Raises:
            ValueError: when `most` has no room for the ends and the knee.
        """
        ranked = sorted(self.kept, key=lambda kept: self._costs(kept)[0])
        if len(ranked) <= most:
            return ranked
        knee, places = self.knee(), range(len(ranked))
        taken = {min(places, key=lambda i: self._costs(ranked[i])[k]) for k in range(len(self._signs))}
        taken |= {i for i in places if ranked[i] is knee}
        if len(taken) > most:
            raise ValueError(f"most={most}: the ends and the knee are {len(taken)}")
        while len(taken) < most:  # the one that lies farthest from those that are taken
            taken.add(max((i for i in places if i not in taken), key=lambda i: min(abs(i - other) for other in taken)))
        return [ranked[i] for i in sorted(taken)]

    def _costs(self, kept: Kept) -> list[float]:
        return [-sign * value for sign, value in zip(self._signs, kept.values, strict=True)]

    def _as_good(self, one: Kept, other: Kept) -> bool:
        """Whether `one` is at least as good as `other` in everything."""
        return all(mine <= theirs for mine, theirs in zip(self._costs(one), self._costs(other), strict=True))


class Podium:
    """The best few trials of a search by the score alone, for a blend to choose from.

    Args:
        sign: 1 where more is better, -1 else.
    """

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._kept: list[Kept] = []

    def add(self, one: Kept) -> None:
        """Take a trial in, unless it or one with its configuration is there already or so many are better; of equals the earlier stays."""
        if one.oof is not None and all(kept.candidate.params != one.candidate.params for kept in self._kept):
            self._kept = sorted([*self._kept, one], key=lambda kept: -self._sign * kept.candidate.score)[:MOST_KEPT]

    def chosen(self, before: Candidate | None) -> list[Kept]:
        """The trials that are not clearly worse than the best of them and of the family before, the best first."""
        known = [kept.candidate for kept in self._kept[:1]] + ([before] if before else [])
        best = max(known, key=lambda candidate: self._sign * candidate.score, default=None)
        if best is None:
            return []
        return [kept for kept in self._kept if self._sign * (best.score - kept.candidate.score) <= CLOSE * best.std_error]
