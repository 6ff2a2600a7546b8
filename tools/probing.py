"""The computations behind `examine_structure`: fits on halves of the rows, and on tables without structure.

Stability after Lange et al. 2004 and Hennig 2007: two fits on rows that they do not share judge all rows. The reference after Tibshirani,
Walther and Hastie 2001: columns shuffled each for itself keep what each column is like, and lose all that rows are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tools.deadline import Deadline
from tools.features import numbers
from tools.metrics.structure import MOST_ROWS
from tools.model import FittedModel
from tools.problem import Problem
from tools.space import Space
from tools.structure import TOP_SHARE, Difference, Group
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Column

Array = np.ndarray[Any, np.dtype[Any]]

MOST_PAIRS, MOST_SHUFFLED, FEWEST_SHUFFLED = 10, 19, 5
STABLE = 0.5
"""Half way from chance to sameness."""
NOTABLE = 0.2
"""A difference of so many standard deviations, or of such a share of rows, is told."""
MOST_DIFFERENCES, MOST_GROUPS = 5, 20
CHARS = 40


@dataclass(frozen=True)
class Halves:
    """How alike fits on two halves of the rows are."""

    mean: float
    spread: float
    chance: float
    pairs: int


class Probe:
    """Fits one configuration again and again, on other rows or on none that are real.

    Args:
        fit: fits the candidate on a problem.
    """

    def __init__(self, problem: Problem, fit: Callable[[Problem], FittedModel]) -> None:
        self.problem, self._fit = problem, fit
        self._rng = np.random.default_rng(problem.contract.seed)

    def fit(self, X: pd.DataFrame) -> FittedModel:
        n = len(X)
        none = np.full(n, -1)
        return self._fit(replace(self.problem, X=X.reset_index(drop=True), y=self.problem.y[:n], folds=none, validation=None))

    def halves(self, deadline: Deadline) -> Halves:
        """Pairs of fits on halves, one pair at least."""
        X, n = self.problem.X, self.problem.n_rows
        groups = self.problem.contract.predicts == "groups"
        found: list[float] = []
        while len(found) < MOST_PAIRS and (not found or not deadline.expired()):
            order = self._rng.permutation(n)
            first, second = (self.fit(X.iloc[np.sort(part)]).predict_table(X) for part in (order[: n // 2], order[n // 2 :]))
            found.append(_rand(first, second) if groups else _shared(top(first), top(second)))
        # Two draws of a share s have s² in common, and 2s - s² between them.
        chance = 0.0 if groups else TOP_SHARE / (2 - TOP_SHARE)
        return Halves(float(np.mean(found)), float(np.std(found)), chance, len(found))

    def against_shuffled(self, groups: Array, deadline: Deadline) -> tuple[float, list[float]]:
        """The silhouette of the groups on their own rows, and of groups of shuffled tables on theirs; a few at least."""
        X = self.problem.X
        shuffled: list[float] = []
        while len(shuffled) < MOST_SHUFFLED and (len(shuffled) < FEWEST_SHUFFLED or not deadline.expired()):
            table = X.assign(**{name: X[name].to_numpy()[self._rng.permutation(len(X))] for name in X.columns})
            shuffled.append(self._silhouette(table, self.fit(table).predict_table(table)))
        return self._silhouette(X, groups), shuffled

    def _silhouette(self, X: pd.DataFrame, groups: Array) -> float:
        from tools.metrics import score

        return score("silhouette", "cluster", Space(self.problem.schema.columns).fit(X).transform(X), groups)

    def draw(self, space: Workspace, candidate: str, found: Array) -> str:
        """The rows in the plane that holds most of their variance, coloured by group, or by whether they are on top."""
        from sklearn.decomposition import PCA

        from tools import plots

        rows = np.sort(self._rng.permutation(self.problem.n_rows)[:MOST_ROWS])
        points = Space(self.problem.schema.columns).fit(self.problem.X).transform(self.problem.X.iloc[rows])
        plane = PCA(min(2, points.shape[1]), svd_solver="full").fit_transform(points)
        if self.problem.contract.predicts == "groups":
            codes, names = found[rows].astype(int), [f"group {code}" for code in range(int(found.max()) + 1)]
        else:
            codes, names = np.isin(rows, top(found)).astype(int), ["others", f"highest {TOP_SHARE:.0%} of scores"]
        path = space.plots / f"{candidate}-rows.png"
        plots.plane(path, "Training rows, by their two principal components", plane, codes, names)
        return f"plots/{path.name}"


def top(scores: Array) -> Array:
    """Rows of the highest scores, one at least; where scores are alike, those that come first."""
    return np.argsort(-scores, kind="stable")[: max(1, round(TOP_SHARE * len(scores)))]


def described(problem: Problem, found: Array) -> list[Group]:
    """Groups, or the rows of the highest scores, by the columns in which they differ most from all other rows."""
    n = problem.n_rows
    if problem.contract.predicts == "groups":
        codes, sizes = np.unique(found.astype(int), return_counts=True)
        order = codes[np.argsort(-sizes, kind="stable")][:MOST_GROUPS]
        parts = [(f"group {code}", found.astype(int) == code) for code in order]
    else:
        parts = [(f"highest {TOP_SHARE:.0%} of scores", np.isin(np.arange(n), top(found)))]
    return [
        Group(name=name, rows=int(inside.sum()), share=round(float(inside.mean()), 4), differs=_differences(problem, inside))
        for name, inside in parts
    ]


def verdict(
    halves: Halves, real: float | None, shuffled: list[float]
) -> Literal["structure", "no structure", "stable", "unstable", "unknown"]:
    """Whether groups are set apart more than those of every shuffled table, or scores much more stable than chance."""
    if real is not None:
        return "structure" if real > max(shuffled, default=0.0) and real > 0 else "no structure"
    return "stable" if halves.mean > halves.chance + STABLE * (1 - halves.chance) else "unstable"


def _rand(first: Array, second: Array) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(first.astype(int), second.astype(int)))


def _shared(first: Array, second: Array) -> float:
    both = len(np.intersect1d(first, second))
    return both / (len(first) + len(second) - both)


def _differences(problem: Problem, inside: Array) -> list[Difference]:
    if inside.all():
        return []
    found = [one for column in problem.schema.columns if (one := _difference(column, problem.X[column.name], inside)) is not None]
    notable = [one for one in found if abs(one.size) >= NOTABLE]
    return sorted(notable, key=lambda one: -abs(one.size))[:MOST_DIFFERENCES]


def _difference(column: Column, values: pd.Series, inside: Array) -> Difference | None:
    name = column.name[:CHARS]
    if column.kind in ("numeric", "boolean"):
        array = numbers(values)
        known = np.isfinite(array)
        spread = float(array[known].std()) if known.any() else 0.0
        if spread == 0 or not (known & inside).any() or not (known & ~inside).any():
            return None
        here, elsewhere = float(array[known & inside].mean()), float(array[known & ~inside].mean())
        return Difference(column=name, here=f"{here:.4g}", elsewhere=f"{elsewhere:.4g}", size=round((here - elsewhere) / spread, 3))
    if column.kind != "categorical":
        return None
    shares = [values[part].value_counts(normalize=True) for part in (inside, ~inside)]
    gaps = shares[0].sub(shares[1], fill_value=0.0)
    if gaps.empty:
        return None
    level = gaps.abs().idxmax()
    told = [f"{str(level)[:CHARS]} {float(dict(part).get(level, 0.0)):.0%}" for part in shares]
    return Difference(column=name, here=told[0], elsewhere=told[1], size=round(float(dict(gaps)[level]), 3))
