"""A second layer: one more model, which learns from what the candidates predict out of fold (stacked generalisation, Wolpert 1992).

Where a weighted average can only trust a candidate everywhere alike, a second layer learns which one to trust for which class and
at which level. It has few rows to learn that from and every reason to overfit, so it must prove itself: its part in the
prediction is chosen like a member's weight, and it is kept only where the whole gains on folds that it never saw (`tools.ensembling`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import Deadline, DeadlineReached
from tools.stack import Stack

if TYPE_CHECKING:
    import pandas as pd

    from tools.candidates import Candidate
    from tools.families.fitted import Fitted
    from tools.families.setting import Params, Setting
    from tools.problem import Problem

Array = np.ndarray[Any, np.dtype[Any]]

FAMILY = "lightgbm"
FEWEST_ROWS = 500
"""With fewer out-of-fold rows a second layer finds what is not there."""
FEWEST_INPUTS, MOST_INPUTS = 3, 12
MOST_COLUMNS = 200
"""What a second layer learns from at most: a column an input and class."""
LEAST_S = 2.0
"""In less time than this none is tried."""


@dataclass
class FittedStack:
    """A second layer, fitted on out-of-fold predictions of the training rows."""

    stack: Stack
    fitted: Fitted
    log_target: bool

    def mixed(self, average: Array, said: dict[str, Array]) -> Array:
        """The average of the members with the second layer's part in it.

        Args:
            average: shape (n, k) or (n,).
            said: what each input says of the same rows, in the same shape.
        """
        X = _columns([said[name] for name in self.stack.inputs], self.log_target)
        mixed: Array = (1 - self.stack.share) * average + self.stack.share * self.fitted.predict(X)
        return mixed


def stackable(problem: Problem) -> bool:
    """Whether a second layer may be tried: it needs probabilities or values for every row, and leaves no promise kept by its inputs."""
    contract, bounds = problem.contract, problem.contract.constraints
    if "second_layer" in bounds.without:
        return False
    plain = contract.predicts in ("classes", "values") and contract.forecast is None
    return plain and problem.n_rows >= FEWEST_ROWS and bool(problem.validated.all()) and not bounds.bounded and not bounds.monotone


def choose_inputs(records: Sequence[Candidate], members: Sequence[str], n_classes: int, refit_s: float | None) -> list[str]:
    """Which candidates a second layer learns from: the members and the best others, as many as can be fitted once more in the time.

    Args:
        records: the best first.
        refit_s: most seconds that fitting all of them once may take; None for no limit.
    """
    most = min(MOST_INPUTS, MOST_COLUMNS // max(1, n_classes if n_classes > 2 else 1))
    ordered = [r for r in records if r.name in members] + [r for r in records if r.name not in members]
    taken: list[str] = []
    seconds = 0.0
    for record in ordered:
        if len(taken) < most and (refit_s is None or seconds + record.refit_seconds <= refit_s):
            taken.append(record.name)
            seconds += record.refit_seconds
    return taken


def fit_stack(said: Array, average: Array, names: list[str], problem: Problem, deadline: Deadline) -> tuple[Stack, Array] | None:
    """Try a second layer, and say what it is and what the whole predicts out of fold; None where it gets no part in the prediction.

    Its iterations are counted on other folds than the one that it is scored on, and so is its part.

    Args:
        said: out-of-fold predictions of the inputs, (m, repeats · n, k) or (m, repeats · n).
        average: the members' average, crossed, (repeats · n, k) or (repeats · n,).
        names: of the inputs.

    Raises:
        DeadlineReached: when the time was over before it had seen every fold.
    """
    from tools.blending import cross_weighed

    params = _params(problem)
    oof, iterations = _cross_fitted(params, said, problem, deadline)
    parts, mixed = cross_weighed(np.stack([average, oof]), problem, deadline)
    if parts[1] <= 0:
        return None
    return Stack(inputs=names, family=FAMILY, params=params, share=round(float(parts[1]), 6), iterations=iterations), mixed


def refit_stack(stack: Stack, said: Array, problem: Problem) -> FittedStack:
    """Fit a second layer on the out-of-fold predictions of all rows.

    Args:
        said: mean over repeats, (m, n, k) or (m, n).
    """
    from tools.families import family
    from tools.families.setting import FitContext

    setting = _setting(problem, 1)
    X = _columns(list(said), setting.log_target)
    setting = _setting(problem, X.shape[1])
    context = FitContext(iterations=stack.iterations, seed=setting.seed)
    fitted = family(stack.family).fit(X, problem.y, None, None, dict(stack.params), setting, context)
    return FittedStack(stack, fitted, setting.log_target)


def latency_ms(stack: Stack, said: Array, problem: Problem) -> float:
    """Milliseconds that it adds to the prediction of a single row.

    Args:
        said: as `fit_stack` takes it.
    """
    from tools.measuring import CALLS, latency_of

    fitted = refit_stack(stack, np.stack([problem.scheme.averaged(each) for each in said]), problem)
    return latency_of(fitted.fitted.predict, _columns([each[:CALLS] for each in said], fitted.log_target))


def _params(problem: Problem) -> Params:
    """Strongly shrunk trees, since the inputs say nearly the same."""
    return {
        "learning_rate": 0.05,
        "num_leaves": 8,
        "min_data_in_leaf": max(5, problem.n_rows // 60),
        "feature_fraction": 0.4,
        "bagging_fraction": 0.7,
        "lambda_l1": 0.0,
        "lambda_l2": 5.0,
        "extra_trees": False,
        "cat_smooth": 10.0,
        "log_target": _setting(problem, 1).log_target,
    }


def _setting(problem: Problem, columns: int) -> Setting:
    from tools.contract import Column
    from tools.crossval import setting_for
    from tools.preparation import every_column

    known = setting_for(problem, every_column(problem.schema))
    numbers = [Column(name=str(i), kind="numeric", missing=0.0, unique=problem.n_rows) for i in range(columns)]
    return replace(known, columns=numbers, text=False, dates=False, text_chars=0.0)


def _columns(said: list[Array], log_target: bool) -> pd.DataFrame:
    """Predictions as numbers to learn from: the log-odds of a class, one column for two classes, or the values on the scale they are
    learnt on. Float64."""
    import pandas as pd

    parts = []
    for each in said:
        if each.ndim == 1:
            parts.append(np.log1p(np.maximum(each, 0.0))[:, None] if log_target else each[:, None])
        else:
            proba = np.clip(each[:, 1:] if each.shape[1] == 2 else each, 1e-6, 1 - 1e-6)
            parts.append(np.log(proba / (1 - proba)))
    matrix = np.hstack(parts)
    return pd.DataFrame(matrix, columns=[str(i) for i in range(matrix.shape[1])])


def _cross_fitted(params: Params, said: Array, problem: Problem, deadline: Deadline) -> tuple[Array, int]:
    """What the second layer predicts for each row from the rows of the other folds, and how many iterations it should get."""
    from tools.abreast import abreast, lanes_for
    from tools.families import family
    from tools.families.setting import FitContext

    learner, n = family(FAMILY), problem.n_rows
    folds = [(repeat, np.flatnonzero(ids == fold)) for repeat, ids in enumerate(problem.scheme.folds) for fold in np.unique(ids)]
    X = _columns(list(said), _setting(problem, 1).log_target)
    setting = _setting(problem, X.shape[1])
    lanes = lanes_for(learner, problem.fold_rows, setting, len(folds))
    setting = replace(setting, threads=max(1, setting.threads // lanes))

    def job(repeat: int, check: Array, iterations: int | None) -> Callable[[Deadline], Fitted]:
        def fit(whole: Deadline) -> Fitted:
            whole.check()
            until = whole.share(whole.remaining() / 2 / math.ceil(len(folds) / lanes)) if iterations is None else whole
            rows = X.iloc[repeat * n : (repeat + 1) * n]
            learn = np.setdiff1d(np.arange(n), check)
            X_valid, y_valid = (rows.iloc[check], problem.y[check]) if iterations is None else (None, None)
            context = FitContext(deadline=until, iterations=iterations, seed=setting.seed)
            fitted = learner.fit(rows.iloc[learn], problem.y[learn], X_valid, y_valid, dict(params), setting, context)
            if fitted.cut_short:
                raise DeadlineReached("a second layer takes longer than there is time")
            return fitted

        return fit

    with closing(abreast([job(*fold, None) for fold in folds], lanes, deadline)) as fits:
        counts = [fitted.iterations or 1 for fitted in fits]
    others = [max(1, round((sum(counts) - count) / (len(counts) - 1))) for count in counts]
    oof = problem.empty_oof()
    with closing(abreast([job(*fold, count) for fold, count in zip(folds, others, strict=True)], lanes, deadline)) as fits:
        for (repeat, check), fitted in zip(folds, fits, strict=True):
            oof[repeat * n + check] = fitted.predict(X.iloc[repeat * n + check])
    return oof, max(1, round(float(np.mean(counts))))
