"""How often true values lay inside the intervals around their predictions, as a fact and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

NORMAL = 1.959964
SHOWN_LEVEL = 0.9
"""Of several, the one that stands for all."""


class Coverage(BaseModel):
    """How often true values of rows that no model saw lay inside their intervals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: float
    """Share that was to lie inside."""
    inside: int
    n: int
    share: float
    """Share that did."""
    low: float
    high: float
    """95 % interval of that share (Wilson 1927)."""
    width: float
    """Mean width of the intervals, in units of the target."""
    width_low: float | None = None
    width_high: float | None = None
    """95 % interval of the mean width; None where nobody asked for it."""
    groups: int | None = None
    """Number of groups, where rows of one belong together and both intervals allow for that; None where rows count."""


def covered(level: float, inside: int, n: int, width: float) -> Coverage:
    """The coverage of `n` intervals, `inside` of which hold their true value. `n` is above 0."""
    low, high = _wilson(inside / n, n, NORMAL)
    return Coverage(level=level, inside=inside, n=n, share=inside / n, low=low, high=high, width=width)


def measured(level: float, held: Array, widths: Array, groups: Array | None = None) -> Coverage:
    """The coverage of intervals row by row, with an interval of their mean width.

    Rows of one group lie inside or outside together. So where there are two groups or more the share has the interval of as many rows
    as would be so uncertain by themselves (the effective sample size of Kish 1965, from the variance over groups of Liang and Zeger
    1986), with Student's quantile of one degree of freedom less than there are groups. Where all rows lie inside, or none does, a
    group counts as one row.

    Args:
        held: whether the true value lies inside, bool (n,), n above 0.
        widths: of the intervals, shape (n,).
        groups: the group of each row, shape (n,).
    """
    import numpy as np
    from scipy.stats import t

    n, share, width = len(held), float(held.mean()), float(widths.mean())
    names, places = (None, np.arange(n)) if groups is None else np.unique(groups, return_inverse=True)
    if names is not None and len(names) < 2:
        names, places = None, np.arange(n)
    draws = int(places.max()) + 1

    def error(values: Array) -> float:
        """Standard error of a mean over rows, by the sums of what is off it in each group."""
        sums = np.bincount(places, weights=values - values.mean())
        return float(np.sqrt((sums**2).sum() * draws / max(1, draws - 1))) / n

    z, rows, known = NORMAL, float(n), error(held.astype(np.float64))
    if names is not None:
        z = float(t.isf(0.025, draws - 1))
        rows = min(rows, share * (1 - share) / known**2) if known > 0 else rows if 0 < share < 1 else float(draws)
    low, high = _wilson(share, rows, z)
    reach = float(t.isf(0.025, draws - 1)) * error(widths) if draws > 1 else 0.0
    reach = reach if reach > 1e-9 * width else 0.0  # of widths that are all one rounding leaves a little
    return Coverage(
        level=level,
        inside=int(held.sum()),
        n=n,
        share=share,
        low=low,
        high=high,
        width=width,
        width_low=max(0.0, width - reach),
        width_high=width + reach,
        groups=None if names is None else draws,
    )


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share of `n` rows, `z` standard errors to either side."""
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def coverage_told(intervals: Sequence[Mapping[str, Any]]) -> str:
    """What intervals hold in one clause, by the level that stands for all; empty where there are none."""
    shown = next((each for each in intervals if each["level"] == SHOWN_LEVEL), intervals[-1] if intervals else None)
    if shown is None:
        return ""
    width = f"{shown['width']:,.0f}" if shown["width"] >= 10_000 else f"{shown['width']:.4g}"
    return (
        f"intervals meant to hold {shown['level']:.0%} of values hold {shown['share']:.1%} of the holdout's"
        f" ({shown['low']:.1%} to {shown['high']:.1%}) and are {width} wide in the mean"
    )
