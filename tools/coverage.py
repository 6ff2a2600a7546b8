"""How often true values lay inside the intervals around their predictions, as a fact and in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

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


def covered(level: float, inside: int, n: int, width: float) -> Coverage:
    """The coverage of `n` intervals, `inside` of which hold their true value. `n` is above 0."""
    z = 1.959964
    centre = (inside + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(inside * (n - inside) / n + z * z / 4)
    return Coverage(
        level=level, inside=inside, n=n, share=inside / n, low=max(0.0, centre - half), high=min(1.0, centre + half), width=width
    )


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
