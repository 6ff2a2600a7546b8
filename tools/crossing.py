"""Whether pairs of columns are worth a configuration of their own on a table: asked of two quick boosters, once.

That a pair matters (`tools.crosses`) is not enough: most of what pairs say, trees find by themselves, and means of the target then only add
noise. On `flights`, where every day of the year has delays of its own, LightGBM's ROC AUC over five folds went from 0.751 to 0.792; on
`bikes` and `hotel` its error grew by 6 and 3 %.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.crosses import Array, interacting
from tools.show import progress
from tools.text_features import Recent

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.setting import Setting
    from tools.problem import Problem

MOST_ROWS = 20_000
MOST_CELLS = 500_000
"""Rows times columns, and classes where there are more than two, that the boosters are shown."""
FEWEST_ROWS = 1000
ROUNDS, RATE = 160, 0.1
"""Enough to find by themselves what trees find: with half as many `bikes` passes for a table of pairs."""
SURE = 3.0
"""Standard errors by which the one with pairs must err less."""
SECONDS = 10.0
"""Which a booster may take; on tables of any size it takes less than three."""
LEAST_S = 10.0
"""A call with less time left does not ask: the answer could take half of it."""

_ASKED = Recent(size=8)


def with_crosses(setting: Setting, problem: Problem, left_s: float = math.inf) -> Setting:
    """The setting, which says from here on whether families are to read pairs of columns. Columns that a step made are left alone.

    Args:
        left_s: seconds that the call has left.
    """
    contract = problem.contract
    if left_s < LEAST_S:
        return setting
    if contract.forecast or contract.predicts not in ("classes", "values", "quantiles") or "crosses" in setting.without:
        return setting
    raw = [column for column in setting.columns if column.name in problem.X and column.name not in setting.monotone]
    last = int(problem.folds.max())
    learnt, judged = problem.learn(last), np.flatnonzero(problem.folds == last)
    return replace(setting, crossable=worth_crossing(problem.X, problem.y, replace(setting, columns=raw), learnt, judged))


def worth_crossing(X: pd.DataFrame, y: Array, setting: Setting, learnt: Array, judged: Array) -> bool:
    """Whether a booster that reads pairs of columns errs less on rows that it has not seen. Asked once of the same rows in a process.

    Args:
        X: raw rows in the schema's dtypes, with the setting's columns.
        y: class codes, or values, shape (n,).
        learnt: positions of the rows that the boosters may learn from, as a fold's fit may.
        judged: positions of those that tell which errs less.
    """
    rows = hashlib.blake2b(np.ascontiguousarray(y).tobytes(), digest_size=16).digest()
    key = (rows, tuple((column.name, column.kind) for column in setting.columns), setting.n_classes, setting.seed)
    return bool(_ASKED.get(key, lambda: _asked(X, y, setting, learnt, judged)))


def _asked(X: pd.DataFrame, y: Array, setting: Setting, learnt: Array, judged: Array) -> bool:
    columns = [column for column in setting.columns if column.kind != "text"]
    if not interacting(X, y, columns, setting.n_classes, setting.seed):
        return False
    outputs = setting.n_classes if setting.n_classes > 2 else 1
    most = min(MOST_ROWS, max(FEWEST_ROWS, MOST_CELLS // len(columns) // outputs))
    rng = np.random.default_rng(setting.seed)
    learnt, judged = rng.permutation(learnt)[:most], rng.permutation(judged)[: most // 2]
    try:
        plain, crossed = (_errors(X, y, learnt, judged, columns, setting, {**extra}) for extra in ({}, {"crosses": "pairs"}))
    except Exception as error:  # nothing is lost but the pairs, and a search must not end by it
        progress(skipped="pairs of columns", reason=f"they were not tried: {type(error).__name__}: {error}"[:200])
        return False
    gain = plain - crossed
    return bool(gain.mean() > SURE * gain.std() / len(gain) ** 0.5)


def _errors(X: pd.DataFrame, y: Array, learnt: Array, judged: Array, columns: Sequence[Column], setting: Setting, extra: Any) -> Array:
    """Loss of each judged row: of the log for classes, squared for values.

    Raises:
        TooSlow: when the booster did not come to its end in time, so that nothing can be compared.
    """
    from tools.deadline import Deadline, TooSlow
    from tools.families import family
    from tools.families.setting import FitContext

    booster = family("lightgbm")
    plain = replace(setting, columns=list(columns), text=False, n_rows=len(learnt), quantiles=(), device="cpu", monotone={})
    params = {**booster.default(plain)[0], "learning_rate": RATE, **extra}
    names = [column.name for column in columns]
    context = FitContext(deadline=Deadline(SECONDS), iterations=ROUNDS, seed=setting.seed)
    fitted = booster.fit(X[names].iloc[learnt].reset_index(drop=True), y[learnt], None, None, params, plain, context)
    if fitted.cut_short:
        raise TooSlow(f"a booster needs more than {SECONDS:g} s for {ROUNDS} iterations")
    said = fitted.predict(X[names].iloc[judged].reset_index(drop=True))
    if not setting.n_classes:
        return np.asarray((said - y[judged]) ** 2)
    return np.asarray(-np.log(np.maximum(said[np.arange(len(judged)), y[judged].astype(int)], 1e-6)))
