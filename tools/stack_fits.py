"""The fits of a second layer: what it learns from, fold by fold and at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.deadline import Deadline, DeadlineReached
from tools.stack_rows import SAID, Forests, readable_columns

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.fitted import Fitted
    from tools.families.setting import Params, Setting
    from tools.preparation import Preparation
    from tools.problem import Problem

Array = np.ndarray[Any, np.dtype[Any]]

SEEDS = 4
"""Fits of a layer that reads the rows, which are averaged in the end."""
FINDING = 0.65
"""Share of a layer's time for finding out how many iterations each fold asks for; fits with as many take less."""
FEW_ROWS = 1000
"""Rows that forests are grown on to tell how long they take to predict."""


@dataclass(frozen=True)
class Layer:
    """A second layer that may be tried."""

    family: str
    params: Params
    preparation: Preparation | None = None
    """Whose columns it reads beside what candidates say; None for a layer that reads nothing else."""

    @classmethod
    def reading(cls, family: str, problem: Problem, preparation: Preparation) -> Layer:
        """One that reads the rows: trees cut at random where they are LightGBM's, since the candidates' columns alone would be cut else,
        and the first configuration of its portfolio for another family."""
        from tools.families import family as family_for

        made = cls(family, {}, preparation)
        setting = made.setting(problem, 1)
        params = dict(family_for(family).default(setting)[0])
        if family == "lightgbm":
            params |= {"num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.5, "bagging_fraction": 1.0, "extra_trees": True}
        return replace(made, params=params)

    @property
    def columns(self) -> list[Column]:
        """Of the rows, that it reads."""
        return readable_columns(self.preparation) if self.preparation else []

    def setting(self, problem: Problem, columns: int) -> Setting:
        """What the layer's family needs to know.

        Args:
            columns: of numbers, that it reads beside the rows' own.
        """
        from tools.crossval import setting_for
        from tools.preparation import every_column

        known = setting_for(problem, self.preparation or every_column(problem.schema))
        name = SAID if self.preparation else ""
        numbers = [Column(name=f"{name}{i}", kind="numeric", missing=0.0, unique=problem.n_rows) for i in range(columns)]
        dates = bool(self.preparation and self.preparation.dates)
        return replace(known, columns=[*self.columns, *numbers], text=False, dates=dates, text_chars=0.0)

    def whole(self, said: Array, problem: Problem) -> tuple[Setting, pd.DataFrame, Forests | None]:
        """What it learns from in the end: all rows."""
        known = self.setting(problem, 1)
        read = log_odds(list(said), known.log_target)
        if self.preparation is None:
            return self.setting(problem, read.shape[1]), read, None
        own, forests, beyond = self._grown(np.arange(problem.n_rows), problem, Deadline())
        read = reading_rows(own, read, beyond)
        return self.setting(problem, read.shape[1] - own.shape[1]), read, forests

    def fold(
        self, said: pd.DataFrame, learn: Array, check: Array, problem: Problem, deadline: Deadline
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What a fold's fit learns from, and what it predicts from; the forests, if any, have seen the former rows alone.

        Args:
            said: of all rows, as `log_odds` gives it.
        """
        if self.preparation is None:
            return said.iloc[learn], said.iloc[check]
        own, forests, beyond = self._grown(learn, problem, deadline)
        rows = problem.X.iloc[check][list(own.columns)]
        return reading_rows(own, said.iloc[learn], beyond), reading_rows(rows, said.iloc[check], forests.said(rows))

    def sample(self, problem: Problem) -> tuple[float, float]:
        """Milliseconds that its forests take for a single row, and MB on file, as some rows tell; zeros for a layer without."""
        from tools.measuring import CALLS, latency_of

        if self.preparation is None:
            return 0.0, 0.0
        rows = np.sort(np.random.default_rng(problem.contract.seed).permutation(problem.n_rows)[:FEW_ROWS])
        own, forests, _ = self._grown(rows, problem, Deadline())
        return latency_of(forests.said, own.head(CALLS)), forests.megabytes * problem.n_rows / len(rows)

    def _grown(self, rows: Array, problem: Problem, deadline: Deadline) -> tuple[pd.DataFrame, Forests, Array]:
        setting = replace(self.setting(problem, 0), n_rows=len(rows))
        own, y = problem.X.iloc[rows][[column.name for column in self.columns]], problem.y[rows]
        forests, beyond = Forests.grow(own, np.log1p(np.maximum(y, 0.0)) if setting.log_target else y, setting, deadline)
        return own, forests, beyond

    def fit(
        self,
        X: pd.DataFrame,
        y: Array,
        setting: Setting,
        iterations: int | None,
        seed: int,
        unseen: tuple[pd.DataFrame, Array] | None = None,
        deadline: Deadline | None = None,
    ) -> Fitted:
        """Fit it with so many iterations, or until it gets no better on rows that it has not seen."""
        from tools.families import family
        from tools.families.setting import FitContext

        context = FitContext(deadline=deadline or Deadline(), iterations=iterations, seed=seed)
        X_unseen, y_unseen = unseen or (None, None)
        return family(self.family).fit(X, y, X_unseen, y_unseen, dict(self.params), setting, context)


def shrunken(problem: Problem) -> Layer:
    """Strongly shrunk trees over what the inputs say, which is nearly the same of each."""
    return Layer(
        "lightgbm",
        {
            "learning_rate": 0.05,
            "num_leaves": 8,
            "min_data_in_leaf": max(5, problem.n_rows // 60),
            "feature_fraction": 0.4,
            "bagging_fraction": 0.7,
            "lambda_l1": 0.0,
            "lambda_l2": 5.0,
            "extra_trees": False,
            "cat_smooth": 10.0,
            "log_target": Layer("lightgbm", {}).setting(problem, 1).log_target,
        },
    )


def log_odds(said: list[Array], log_target: bool) -> pd.DataFrame:
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


def reading_rows(own: pd.DataFrame, said: pd.DataFrame, beyond: Array) -> pd.DataFrame:
    """A row's own columns, what candidates say of it, and what forests do; rows in the same order."""
    import pandas as pd

    numbers = pd.DataFrame(np.hstack([said.to_numpy(), beyond]), index=own.index)
    numbers.columns = [f"{SAID}{i}" for i in range(numbers.shape[1])]
    return pd.concat([own, numbers], axis=1)


@dataclass(frozen=True)
class Frames:
    """What second layers that read the same things learn from and predict from, fold by fold."""

    folds: list[tuple[int, Array]]
    """Repeat, and positions of the rows that are predicted, int64."""
    frames: list[tuple[pd.DataFrame, pd.DataFrame]]
    latency_ms: float
    """Of the forests, for a single row."""
    size_mb: float
    """Of the forests, on all rows."""
    seconds: float
    """That growing the forests took, a fold."""

    @classmethod
    def of(cls, layer: Layer, said: Array, problem: Problem, deadline: Deadline) -> Frames:
        """The frames of all folds of all repeats.

        Args:
            said: out-of-fold predictions of the inputs, (m, repeats · n, k) or (m, repeats · n).

        Raises:
            DeadlineReached: when forests would take longer than there is time.
        """
        n = problem.n_rows
        folds = [(repeat, np.flatnonzero(ids == fold)) for repeat, ids in enumerate(problem.scheme.folds) for fold in np.unique(ids)]
        read = log_odds(list(said), layer.setting(problem, 1).log_target)
        frames = []
        before = deadline.elapsed()
        for number, (repeat, check) in enumerate(folds):
            until = deadline.share(deadline.remaining() / (len(folds) - number))
            learn = np.setdiff1d(np.arange(n), check)
            frames.append(layer.fold(read.iloc[repeat * n : (repeat + 1) * n], learn, check, problem, until))
        seconds = (deadline.elapsed() - before) / len(folds)
        return cls(folds, frames, *layer.sample(problem), seconds)


def cross_fitted(layer: Layer, frames: Frames, problem: Problem, deadline: Deadline) -> CrossFitted:
    """What a second layer predicts for each row from the rows of the other folds.

    Raises:
        DeadlineReached: when the time was over before every fold was done.
    """
    from tools.abreast import abreast, lanes_for
    from tools.families import family
    from tools.measuring import CALLS, latency_of, size_of

    learner, n, folds = family(layer.family), problem.n_rows, frames.folds
    setting = layer.setting(problem, frames.frames[0][0].shape[1] - len(layer.columns))
    lanes = lanes_for(learner, problem.fold_rows, setting, len(folds))
    setting = replace(setting, threads=max(1, setting.threads // lanes))

    def job(number: int, iterations: int | None) -> Callable[[Deadline], Fitted]:
        def fit(whole: Deadline) -> Fitted:
            whole.check()
            until = whole.share(FINDING * whole.remaining() / math.ceil(len(folds) / lanes)) if iterations is None else whole
            X, X_check = frames.frames[number]
            check = folds[number][1]
            unseen = (X_check, problem.y[check]) if iterations is None else None
            fitted = layer.fit(X, problem.y[np.setdiff1d(np.arange(n), check)], setting, iterations, setting.seed, unseen, until)
            if fitted.cut_short:
                raise DeadlineReached("a second layer takes longer than there is time")
            return fitted

        return fit

    with closing(abreast([job(i, None) for i in range(len(folds))], lanes, deadline)) as fits:
        counts = [fitted.iterations or 1 for fitted in fits]
    others = [max(1, round((sum(counts) - count) / (len(counts) - 1))) for count in counts]
    oof, before = problem.empty_oof(), deadline.elapsed()
    with closing(abreast([job(i, count) for i, count in enumerate(others)], lanes, deadline)) as fits:
        for number, fitted in enumerate(fits):
            repeat, check = folds[number]
            oof[repeat * n + check] = fitted.predict(frames.frames[number][1])
    seconds = frames.seconds + (deadline.elapsed() - before) / math.ceil(len(folds) / lanes)
    seeds = SEEDS if layer.preparation else 1
    latency_ms = frames.latency_ms + seeds * latency_of(fitted.predict, frames.frames[-1][1].head(CALLS))
    size_mb = frames.size_mb + seeds * size_of(fitted)
    return CrossFitted(oof, max(1, round(float(np.mean(counts)))), latency_ms, size_mb, seconds * n / max(1, problem.fold_rows))


@dataclass(frozen=True)
class CrossFitted:
    """A layer, fitted on each fold's other rows."""

    oof: Array
    """What it predicts for each row, in the shape of a candidate's."""
    iterations: int | None
    """Of a fit on all rows."""
    latency_ms: float
    """Milliseconds that it adds to the prediction of a single row."""
    size_mb: float
    """MB on file that it adds."""
    refit_seconds: float
    """About how long one fit on all rows takes, forests included."""
