"""Survival curves of risks, learnt from out-of-fold predictions: what it takes for a risk to say how long.

A risk only ranks. How fast rows of a risk have the event is learnt by Cox regression (1972) on one number, the normal score of where the
risk stands, with Breslow's (1974) baseline: from risks of models that did not see the row, as intervals are (`tools.conformal`). So
blends, code and boosters get curves as every family does, and curves are no better than their risks. Curves of two risks never cross.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tools.survival import censoring_curve, events_of, step_values, times_of

if TYPE_CHECKING:
    from tools.metrics import Interval

Array = np.ndarray[Any, np.dtype[Any]]

MOST_MOMENTS = 200
EDGE = 1e-3
"""Standings nearer to 0 and 1 are taken for this: a normal score has no end."""
STEEPEST = 10.0
_STEPS = 30
GRID = 100
"""Moments between which the Brier score is integrated."""
OBSERVED = 0.1
"""Share of the rows that must be under observation still at the last of them; beyond, few rows would carry the score."""
IBS, ONE_CURVE = "ibs", "ibs_one_curve"
"""What the integrated Brier score is called beside the metrics, and that of one curve for all rows, which any model must beat."""


class Curves(BaseModel):
    """What turns risks of one model into the chance that the event has not happened yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    candidate: str
    rows: int = Field(gt=0)
    """Number of out-of-fold risks it was learnt from."""
    moments: list[float]
    """Ascending, in the unit of the target; at most `MOST_MOMENTS`."""
    hazard: list[float]
    """Cumulative hazard, up to each moment, of a row whose risk stands in the middle."""
    slope: float
    """Log hazard that one standard normal step of the risk's standing adds."""
    until: float
    """The last time that was observed; nothing is known beyond."""

    def survival(self, risk: Array, at: Sequence[float] | Array) -> Array:
        """Chance that the event has not happened by each time of `at`, shape (n, len(at)).

        Args:
            risk: standings between 0 and 1, shape (n,).
            at: times of 0 and more; beyond `until` the last known chance is given.
        """
        base = step_values(np.asarray(self.moments), np.asarray(self.hazard), np.asarray(at, dtype=np.float64), before=0.0)
        found: Array = np.exp(-np.exp(self.slope * _scores(risk))[:, None] * base)
        return found


def learn(candidate: str, y: Array, risk: Array) -> Curves:
    """Learn curves from out-of-fold risks.

    Args:
        y: signed times, shape (n,), one event at least.
        risk: standings of models that did not see the row, shape (n,).

    Raises:
        ValueError: when no event was seen.
    """
    times, events, z = times_of(y), events_of(y), _scores(risk)
    if not events.any():
        raise ValueError("no event was seen, so there is no survival curve to learn")
    order = np.argsort(-times, kind="stable")
    moments, places, counts = np.unique(times[events], return_inverse=True, return_counts=True)
    # Rows at risk at a moment are those that last as long: the first so many by falling time.
    at_risk = np.searchsorted(-times[order], -moments, side="right") - 1
    seen = np.bincount(places, weights=z[events])
    slope = 0.0
    for _ in range(_STEPS):
        weight = np.exp(slope * z[order])
        s0, s1, s2 = (np.cumsum(weight * z[order] ** power)[at_risk] for power in (0, 1, 2))
        mean = s1 / s0
        # A belief worth one event that the risk says nothing keeps the slope finite where risks order all times rightly.
        gradient = (seen - counts * mean).sum() - slope
        step = gradient / ((counts * (s2 / s0 - mean**2)).sum() + 1.0)
        slope = float(np.clip(slope + step, 0.0, STEEPEST))
        if abs(step) < 1e-8:
            break
    hazard = np.cumsum(counts / np.cumsum(np.exp(slope * z[order]))[at_risk])
    if len(moments) > MOST_MOMENTS:
        kept = np.unique(np.linspace(0, len(moments) - 1, MOST_MOMENTS).round().astype(int))
        moments, hazard = moments[kept], hazard[kept]
    return Curves(candidate=candidate, rows=len(y), moments=moments.tolist(), hazard=hazard.tolist(), slope=slope, until=float(times.max()))


def brier_losses(y: Array, survival: Array, at: Array, known: Array) -> Array:
    """Squared errors of survival curves integrated over time, as a share of the time, shape (n,); their mean is the integrated Brier score.

    Rows count by the inverse chance of not being censored (Graf et al. 1999).

    Args:
        y: signed times of the rows that are scored, shape (n,).
        survival: chance of each row to have no event by each time, shape (n, m).
        at: ascending times, shape (m,), m at least 2.
        known: signed times of the rows that censoring is learnt from.
    """
    times, events = times_of(y), events_of(y)
    moments, kept = censoring_curve(known)
    own = step_values(moments, kept, times, before=1.0)
    then = step_values(moments, kept, at, before=1.0)
    gone = np.divide(events, own, out=np.zeros(len(y)), where=own > 0)
    there = np.divide(1.0, then, out=np.zeros(len(at)), where=then > 0)
    over = times[:, None] <= at
    errors = np.where(over, gone[:, None] * survival**2, there * (1 - survival) ** 2)
    losses: Array = np.trapezoid(errors, at, axis=1) / (at[-1] - at[0])
    return losses


def moments_to_score(known: Array) -> Array:
    """Times from the first event to the moment at which few rows are under observation, shape (GRID,).

    Raises:
        ValueError: when there is no time between the two.
    """
    times, events = times_of(known), events_of(known)
    last = float(np.quantile(times, 1 - OBSERVED))
    if not events.any() or times[events].min() >= last:
        raise ValueError("events are too late or too few for an integrated Brier score")
    return np.linspace(float(times[events].min()), last, GRID)


def brier_interval(
    y: Array, survival: Array, at: Array, known: Array, groups: Array | None = None, resamples: int = 300, seed: int = 0
) -> Interval:
    """The integrated Brier score with its bootstrap interval: of rows within events and censored rows, or of whole groups.

    Raises:
        ValueError: when there are fewer than two groups.
    """
    from tools.metrics import Interval
    from tools.resampling import draw, tail_of

    losses = brier_losses(y, survival, at, known)
    means = np.array([counts @ losses / counts.sum() for counts in draw("survival", y, resamples, seed, groups)])
    tail = tail_of(0.95, len(y) if groups is None else max(2, len(np.unique(groups))))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(
        score=float(losses.mean()),
        low=float(low),
        high=float(high),
        std_error=float(means.std(ddof=1)),
        level=0.95,
        n=len(y),
        groups=None if groups is None else len(np.unique(groups)),
    )


def cross_fitted(y: Array, risk: Array, folds: Array, at: Array) -> tuple[Array, Array]:
    """Chances of out-of-fold risks by curves that other folds taught, and those of one curve for all, shape (n, m) each.

    Raises:
        ValueError: when the rows outside a fold have no event.
    """
    own, alike = np.empty((len(y), len(at))), np.empty((len(y), len(at)))
    for fold in np.unique(folds):
        rows = folds == fold
        others = ~rows if not rows.all() else rows
        own[rows] = learn("", y[others], risk[others]).survival(risk[rows], at)
        alike[rows] = learn("", y[others], np.full(int(others.sum()), 0.5)).survival(risk[rows], at)
    return own, alike


def _scores(risk: Array) -> Array:
    from scipy.special import ndtri

    found: Array = ndtri(np.clip(risk, EDGE, 1 - EDGE))
    return found
