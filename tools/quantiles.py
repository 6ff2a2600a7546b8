"""Quantiles of a target that are predicted together: which levels, what each row's loss is, what the outermost interval holds.

A level's quantile is what minimises the pinball loss in the mean (Koenker and Bassett 1978). Quantiles that were learnt apart can
cross; sorted within a row they cross no more, and are never further from the true ones (Chernozhukov, Fernández-Val and Galichon
2010). Models are averaged level by level, which keeps the order of sorted ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tools.coverage import Coverage, measured

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = (0.1, 0.5, 0.9)
"""Where nobody asked for others."""
MEDIAN = 0.5
MOST_LEVELS = 49
"""Some families fit a model a level."""


def levels_of(value: str | Sequence[Any]) -> list[float]:
    """The levels of a list, or of text with commas, ascending, the median among them.

    Raises:
        ValueError: naming what is no number, what lies outside 0 and 1, or what stands there twice.
    """
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)
    expected = "expected levels between 0 and 1 with commas between them, such as 0.1,0.5,0.9"
    found: list[float] = []
    for part in parts:
        try:
            level = math.nan if isinstance(part, bool) else float(f"{float(part):.6g}")
        except (TypeError, ValueError):
            level = math.nan
        if not 0 < level < 1:
            raise ValueError(f"{str(part)!r} is no level; {expected}")
        if level in found:
            raise ValueError(f"{level:g} stands there twice; {expected}")
        found.append(level)
    if not found:
        raise ValueError(f"no level is named; {expected}")
    if len(found) > MOST_LEVELS:
        raise ValueError(f"{len(found)} levels are named; expected at most {MOST_LEVELS}")
    return sorted({*found, MEDIAN})


def column_of(level: float) -> str:
    """The column that predictions of a level stand in."""
    return f"q_{level:g}"


def losses_by_level(y: Array, predictions: Array, levels: Array) -> Array:
    """Pinball loss of each row at each level, shape (n, q), in units of the target.

    Args:
        y: shape (n,).
        predictions: shape (n, q).
        levels: shape (q,), or (n, q) with equal rows.
    """
    import numpy as np

    errors = y[:, None] - predictions
    found: Array = np.maximum(levels * errors, (levels - 1) * errors)
    return found


def pinball_losses(y: Array, predictions: Array, levels: Array) -> Array:
    """Mean over levels of each row's pinball losses, shape (n,)."""
    mean: Array = losses_by_level(y, predictions, levels).mean(axis=1)
    return mean


def crps_losses(y: Array, predictions: Array, levels: Array) -> Array:
    """Each row's continuous ranked probability score, shape (n,), as far as the levels tell it: twice the integral of the pinball loss
    over all levels (Gneiting and Ranjan 2011), in which each level stands for those that are nearest to it."""
    import numpy as np

    row = np.broadcast_to(levels, predictions.shape)[0]
    shares = np.diff(np.concatenate([[0.0], (row[1:] + row[:-1]) / 2, [1.0]]))
    found: Array = 2 * losses_by_level(y, predictions, levels) @ shares
    return found


def measure_pairs(y: Array, predictions: Array, levels: Sequence[float], groups: Array | None = None) -> list[Coverage]:
    """How often true values lie between predicted quantiles, ends included: of the outermost pair of levels and the pairs within it,
    the narrowest first.

    Args:
        y: shape (n,), with n above 0.
        predictions: ascending in each row, shape (n, q).
        levels: ascending, shape (q,).
        groups: the group of each row, shape (n,), where rows belong together.
    """
    found = []
    for place in reversed(range(len(levels) // 2)):
        low, high = predictions[:, place], predictions[:, -1 - place]
        level = float(f"{levels[-1 - place] - levels[place]:.6g}")
        found.append(measured(level, (y >= low) & (y <= high), high - low, groups))
    return found
