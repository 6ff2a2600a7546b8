"""Intervals of rates and rankings, whose values end at a bound: near it the percentiles of resamples are too short towards the middle.

Of rows that are nearly all right a resample has hardly ever more wrong ones than the sample, though other rows may. So the standard
error of the resamples is laid around the score on the scale of log-odds, which has no bound (Pepe 2003, The Statistical Evaluation of
Medical Tests, section 5.2.5, for areas under ROC curves; of correlations, which end at -1 and 1, that is Fisher's z).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tools.metrics.metric import Metric

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

ROUNDING = 1e-9
"""What is so near to a bound lies on it."""


def bounded(metric: Metric) -> bool:
    """Whether a metric is a rate of calls or a ranking that ends at both sides; a mean of losses has no such end that it comes near to."""
    return (metric.needs == "label" or metric.compares_rows) and all(map(math.isfinite, metric.range))


def bounded_ends(metric: Metric, score: float, std_error: float, level: float, draws: int) -> tuple[float, float] | None:
    """The ends of the interval; None at a bound and without a spread, where there is no scale to lay it on.

    Args:
        std_error: of the scores of resamples.
        level: nominal coverage, between 0 and 1.
        draws: independent ones that the spread rests on, see `tools.resampling.draws_of`.
    """
    from scipy.special import expit, logit
    from scipy.stats import t

    bottom, span = metric.range[0], metric.range[1] - metric.range[0]
    share = (score - bottom) / span
    if not ROUNDING < share < 1 - ROUNDING or std_error <= ROUNDING * span:
        return None
    reach = float(t.isf((1 - level) / 2, draws - 1)) * math.sqrt(draws / (draws - 1)) * std_error / (span * share * (1 - share))
    return bottom + span * float(expit(logit(share) - reach)), bottom + span * float(expit(logit(share) + reach))


def perfect_ranking_end(y: Array, level: float, groups: Array | None = None) -> float:
    """The lower end of the interval of a ROC AUC of 1, of which every resample is 1 as well.

    The lowest area of which 1 is no more than chance: within the quantile of the normal distribution by the variance that Hanley and
    McNeil (1982) give an area, with the mean of both classes' rows for either, as Newcombe (2006, Statistics in Medicine 25) has it.

    Args:
        y: 1 for positive rows, 0 for negative ones, shape (n,), one of each at least.
        level: nominal coverage, between 0 and 1.
        groups: the group of each row, shape (n,), where rows belong together: a group counts as one then.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.stats import norm

    positive, negative = (len(np.unique(groups[rows])) if groups is not None else int(rows.sum()) for rows in (y == 1, y != 1))
    others, z = (positive + negative) / 2 - 1, float(norm.isf((1 - level) / 2))

    def beyond(area: float) -> float:
        variance = area * (1 - area) / (positive * negative) * (1 + others * ((1 - area) / (2 - area) + area / (1 + area)))
        return 1 - area - z * math.sqrt(variance)

    return float(brentq(beyond, 1e-9, 1 - 1e-12))
