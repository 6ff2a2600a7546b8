"""The score of the one look at the holdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from tools.coverage import Coverage

if TYPE_CHECKING:
    from tools.metrics import Interval


class OtherScores(NamedTuple):
    """Metrics beside the one that decided, by name, of the predictions that gave the final score."""

    scores: dict[str, float]
    ends: dict[str, tuple[float, float]]
    """Of their 95 % bootstrap intervals."""

    @classmethod
    def of(cls, found: Mapping[str, Interval]) -> OtherScores:
        """Those of intervals by name."""
        return cls({name: each.score for name, each in found.items()}, {name: (each.low, each.high) for name, each in found.items()})


class HoldoutScore(BaseModel):
    """The final score with its bootstrap interval. What the tool gives, the log tells and the state keeps has these fields."""

    candidate: str
    metric: str
    score: float
    low: float
    high: float
    level: float
    n: int
    looks: int
    groups: int | None = None
    """Number of groups that the interval resampled whole; None where it resampled rows."""
    intervals: list[Coverage] = []
    """Where values are predicted: how many of the holdout's lay inside the intervals around them."""
    others: dict[str, float] = {}
    """Other metrics of the same predictions on the same rows, by name. They decided nothing."""
    other_ends: dict[str, tuple[float, float]] = {}
    """Ends of their 95 % bootstrap intervals, of those that have one; over whole groups as far as groups are enough."""
