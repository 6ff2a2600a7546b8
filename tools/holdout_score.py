"""The score of the one look at the holdout."""

from __future__ import annotations

from pydantic import BaseModel

from tools.coverage import Coverage


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
