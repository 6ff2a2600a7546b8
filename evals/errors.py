"""How far a score is from perfect, so that scores of different metrics can be set against each other as ratios."""

from __future__ import annotations

LEAST_ERROR = 1e-9


def error_of(score: float, *, lower_is_better: bool, least: float = LEAST_ERROR) -> float:
    """The metric itself where it is minimised, and one minus it where it is maximised up to 1; never below `least`."""
    return max(least, score if lower_is_better else 1 - score)
