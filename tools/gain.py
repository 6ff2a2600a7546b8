"""Whether what a search gained is real, by the folds that it was found on and the number of candidates that were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

CHANCE = 0.16
"""How often a round whose candidates are all as good as the best before it may pass for a gain. Of one candidate and many folds it
asks for a gain above one standard error."""


class Gain(BaseModel):
    """How much better the best of some candidates is than the one before them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gain: float
    """Above 0 is better, in the metric's units."""
    std_error: float
    """Standard error of the gain, corrected for training sets that overlap; of a single fold that of its rows; 0 where there is nothing to
    estimate it from."""
    margin: float
    """What the gain must exceed to be more than chance."""
    candidates: int
    """How many were tried."""
    p: float
    """Chance of such a gain where no candidate is better, corrected for their number; 0 without a standard error."""

    @property
    def real(self) -> bool:
        """Whether the gain is more than chance would give the best of so many."""
        return self.gain > self.margin


def judge_gain(
    gain: float, differences: Sequence[float], test_to_train: float, candidates: int, chance: float = CHANCE, row_error: float = 0.0
) -> Gain:
    """Judge the gain of the best of `candidates`, which was picked on the very folds that measure it.

    The standard error over J folds is that of Nadeau and Bengio (2003), √(1/J + n₂/n₁) s, since training sets of folds overlap and
    √(1/J) s would be too small. The test is one-sided with J - 1 degrees of freedom, and its level is divided by the number of
    candidates: Bonferroni's correction, which is Holm's for the smallest of their p-values.

    Args:
        gain: improvement of the score, above 0 is better.
        differences: improvement in each fold that both were scored on.
        test_to_train: n₂/n₁, rows validated by a fold over rows learned from.
        candidates: how many were tried to find it, 1 at least.
        chance: how often none better may pass for a gain, between 0 and 1.
        row_error: standard error of the gain by the rows that a single fold validates, which is all there is to tell noise by then; 0
            where it is not known.

    Raises:
        ValueError: for `candidates` below 1.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    if candidates < 1:
        raise ValueError(f"a gain is made by 1 candidate or more, got {candidates}")
    folds = len(differences)
    mean = sum(differences) / folds if folds else 0.0
    spread = sum((d - mean) ** 2 for d in differences) / (folds - 1) if folds > 1 else 0.0
    error = math.sqrt((1 / folds + test_to_train) * spread) if folds else 0.0
    if folds < 2 and row_error > 0:
        p = min(1.0, candidates * float(norm.sf(gain / row_error)))
        margin = max(0.0, float(norm.isf(chance / candidates)) * row_error)
        return Gain(gain=gain, std_error=row_error, margin=margin, candidates=candidates, p=p)
    if error == 0.0:
        return Gain(gain=gain, std_error=0.0, margin=0.0, candidates=candidates, p=0.0 if gain > 0 else 1.0)
    margin = float(student.isf(chance / candidates, folds - 1)) * error
    p = min(1.0, candidates * float(student.sf(gain / error, folds - 1)))
    return Gain(gain=gain, std_error=error, margin=max(0.0, margin), candidates=candidates, p=p)
