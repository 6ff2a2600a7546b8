"""Fit a chosen candidate on all rows, with several seeds where that helps, and average what they predict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.abreast import abreast, lanes_for
from tools.candidates import Candidate
from tools.crossval import bags_of, setting_for
from tools.deadline import Deadline
from tools.families import NETWORKS, family
from tools.families.fitted import Fitted
from tools.families.setting import FitContext
from tools.few_rows import FewRows
from tools.folds import share_of
from tools.preparation import Preparation
from tools.preparers import fit_prepared
from tools.problem import Problem
from tools.spans import timed

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Contract

Array = np.ndarray[Any, np.dtype[Any]]

GEOMETRIC = ("lightgbm", "xgboost")
"""Families that get the geometric mean of the folds' iterations where they learn classes: of few rows some fold goes on for hundreds
without a gain that counts, and a log loss grows without limit by what a model is wrongly sure of, as no squared error does. CatBoost,
which is shrunken more, lost by it."""


def refit(
    candidate: Candidate, problem: Problem, preparation: Preparation, deadline: Deadline, most: Deadline | None = None
) -> list[Fitted]:
    """Fit a candidate's configuration on all rows of `problem`, or on its share, once or with several seeds to be averaged.

    The number of iterations is the folds' mean, of some the geometric one, raised by half of what the rows grew by, since more rows
    carry more iterations. Families that profit are fitted with up to `Family.bags` seeds, fewer on many rows, and only while
    another fit is sure to end in time.

    Args:
        most: when a first fit that cannot be cut short has to be done, where that may be later than `deadline`.

    Raises:
        DeadlineReached: when not even one fit was done in time.
    """
    model_family = family(candidate.family)
    rows = share_of(np.arange(problem.n_rows), candidate.share, problem.y, problem.contract)
    setting = replace(setting_for(problem, preparation), n_rows=len(rows))
    X, y = problem.X[[column.name for column in preparation.columns]], problem.y
    if len(rows) < problem.n_rows:
        X, y = X.iloc[rows], y[rows]
    rounds = refit_iterations(candidate, problem.contract)
    bags = bags_of(model_family, len(rows), problem)
    lanes = lanes_for(model_family, len(rows), setting, bags)
    setting = replace(setting, threads=max(1, setting.threads // lanes))

    def job(bag: int) -> Callable[[Deadline], Fitted]:
        def fit(whole: Deadline) -> Fitted:
            until = most if most and not (model_family.iterative or bag) else whole.share(whole.remaining() * 0.9)
            context = FitContext(deadline=until, iterations=rounds, seed=setting.seed + bag)
            with timed("refit", family=candidate.family, candidate=candidate.name, seed=setting.seed + bag, rows=len(X)) as timing:
                made = fit_prepared(model_family, preparation.preparers, X, y, None, None, dict(candidate.params), setting, context)
                timing.tell(iterations=made.iterations, cut_short=made.cut_short, device=made.device)
            return made

        return fit

    fits: list[Fitted] = []
    longest = 0.0
    while len(fits) < bags and (not fits or deadline.remaining() >= 1.5 * longest):
        started = time.monotonic()
        fits += abreast([job(bag) for bag in range(len(fits), min(bags, len(fits) + lanes))], lanes, deadline)
        longest = max(longest, time.monotonic() - started)
    return fits


def refit_iterations(candidate: Candidate, contract: Contract) -> int | None:
    """How many iterations a fit on all rows gets; None for families without."""
    if not candidate.iterations:
        return None
    fits = candidate.n_folds / candidate.repeats
    growth = 1 + 0.5 / max(1, (fits if fits >= 2 else contract.folds) - 1)
    if candidate.family in ("random_forest", "extra_trees", "survival_forest", *NETWORKS) or "growth" in contract.constraints.without:
        growth = 1.0
    counts = np.maximum(1, candidate.iterations)
    if contract.predicts == "classes" and candidate.family in GEOMETRIC:
        # Rounded first, so that a last bit does not decide between two whole numbers.
        return max(1, round(round(float(np.exp(np.log(counts).mean())), 6) * growth))
    return max(1, round(float(np.mean(counts)) * growth))


def average(fits: list[Fitted], X: pd.DataFrame | FewRows) -> Array:
    """Mean prediction of several fits."""
    mean: Array = np.mean([fitted.predict(X) for fitted in fits], axis=0)
    return mean
