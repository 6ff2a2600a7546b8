"""Slice finding: conditions over columns, a search for those where the loss is worst, and a test on other rows.

Chung et al. 2019 (Slice Finder) and Sagadeeva and Boehm 2021 (SliceLine) search lattices of conjunctions; two conditions are
as many as a person acts on, and so few that all pairs fit into one product of matrices. A search over thousands of slices finds
a bad one in any noise, so it sees one half of the rows, and what it chose is tested on the other half alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.deadline import Deadline
from tools.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_COLUMNS = 60
MOST_LEVELS = 12
BINS = 5
TEXT_CHARS = 60
"""Of a name or level in the words of a condition."""
MOST_CONDITIONS = 400
MOST_ROWS = 20_000
"""Of a half that the search weighs pairs on; all rows of the other half are tested."""
LEAST_SHARE, MOST_SHARE, LEAST_ROWS = 0.02, 0.6, 20
"""Support of a slice in the half that is searched."""
LEAST_TESTED = 10
"""Rows of a slice in the other half without which nothing can be said of it."""
MARGIN = 2.0
"""Standard errors that a difference is lowered by before slices are compared: few rows are often bad by chance."""
ALIKE = 0.5
"""Slices that share more than this of their rows (Jaccard) are told as one."""


@dataclass(frozen=True)
class Condition:
    """One condition over one column: that its value is missing, is a level, or lies between two numbers or dates."""

    column: str
    text: str
    level: Any = None
    low: Any = None
    """Excluded."""
    high: Any = None
    """Included."""

    def holds(self, X: pd.DataFrame) -> Array:
        """For every row whether it does, bool (n,)."""
        values = X[self.column]
        if self.level is not None:
            return (values == self.level).to_numpy(dtype=bool)
        if self.low is None and self.high is None:
            return values.isna().to_numpy()
        numbers, inside = values.to_numpy(), values.notna().to_numpy()
        inside = inside if self.low is None else inside & (numbers > self.low)
        return inside if self.high is None else inside & (numbers <= self.high)


@dataclass(frozen=True)
class Half:
    """Validated rows of one half."""

    rows: Array
    """Positions in the table."""
    losses: Array
    groups: Array | None
    """Which rows belong together, or None where every row stands for itself."""


@dataclass(frozen=True)
class Search:
    """What a search over one half came to."""

    chosen: list[tuple[Condition, ...]]
    """The worst slices, the worst first."""
    looked_at: int
    complete: bool


@dataclass(frozen=True)
class Hypothesis:
    """A slice with its test on the other half."""

    conditions: tuple[Condition, ...]
    inside: float
    outside: float
    low: float
    high: float
    p_value: float

    def holds(self, problem: Problem) -> Array:
        """For every row of the table whether it lies in the slice."""
        return _all(self.conditions, problem.X)


def halves(problem: Problem, losses: Array, groups: Array | None) -> tuple[Half, Half]:
    """Deal the validated rows into two halves by the contract's seed; rows that belong together stay so."""
    rows = np.flatnonzero(problem.validated & np.isfinite(losses))
    rng = np.random.default_rng(problem.contract.seed)
    if groups is None:
        first = np.zeros(len(rows), dtype=bool)
        first[rng.permutation(len(rows))[: len(rows) // 2]] = True
    else:
        side = rng.permutation(groups.max() + 1) % 2 == 0
        first = side[groups[rows]]
    parts = (rows[first], rows[~first])
    found, tested = (Half(part, losses[part], None if groups is None else groups[part]) for part in parts)
    return found, tested


def conditions(problem: Problem, rows: Array) -> list[Condition]:
    """Conditions with enough support among `rows`: category levels, bins by quantiles, and missing values."""
    least, most = _support(len(rows))
    X = problem.X.iloc[rows]
    found: list[Condition] = []
    for column in problem.schema.columns[:MOST_COLUMNS]:
        found += [condition for condition in _of_column(column, X[column.name]) if least <= condition.holds(X).sum() <= most]
    return found[:MOST_CONDITIONS]


def _support(n: int) -> tuple[int, int]:
    return max(LEAST_ROWS, int(np.ceil(LEAST_SHARE * n))), int(MOST_SHARE * n)


def _of_column(column: Column, values: pd.Series) -> list[Condition]:
    name = _cut(column.name)
    found = [Condition(column.name, f"{name} is missing")] if values.isna().any() else []
    if column.kind in ("categorical", "boolean") or (column.kind == "numeric" and column.unique <= BINS):
        for level in values.value_counts().index[:MOST_LEVELS]:
            shown = repr(_cut(level)) if isinstance(level, str) else f"{level:g}"
            found.append(Condition(column.name, f"{name} = {shown}", level=level))
    elif column.kind in ("numeric", "datetime"):
        found += _bins(column, values.dropna())
    return found


def _bins(column: Column, present: pd.Series) -> list[Condition]:
    """Intervals between quantiles, open below and closed above; the outermost are unbounded."""
    if present.empty:
        return []
    cuts = np.unique(present.quantile(np.arange(1, BINS) / BINS, interpolation="lower").to_numpy())
    edges = [edge for edge in cuts if edge < present.to_numpy().max()]
    texts = [f"{edge:.6g}" if column.kind == "numeric" else str(edge)[:16].removesuffix("T00:00").replace("T", " ") for edge in edges]
    if not edges:
        return []
    name = _cut(column.name)
    inner = [
        Condition(column.name, f"{above} < {name} <= {below}", low=low, high=high)
        for (low, above), (high, below) in itertools.pairwise(zip(edges, texts, strict=True))
    ]
    first = Condition(column.name, f"{name} <= {texts[0]}", high=edges[0])
    return [first, *inner, Condition(column.name, f"{name} > {texts[-1]}", low=edges[-1])]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"


def search(half: Half, single: list[Condition], X: pd.DataFrame, most: int, deadline: Deadline) -> Search:
    """The worst slices of one or two conditions, by the lower end of their difference to the rest.

    A pair counts only where it is worse than both of its conditions alone. Slices that are much alike are told once.

    Args:
        X: the whole table.
    """
    if not single:
        return Search([], 0, True)
    step = -(-len(half.rows) // MOST_ROWS)
    rows, losses = half.rows[::step], half.losses[::step]
    seen = X.iloc[rows]
    masks = np.column_stack([condition.holds(seen) for condition in single]).astype(np.float32)
    centred = (losses - losses.mean()).astype(np.float32)
    least, most_rows = _support(len(rows))
    # Sums over every conjunction at once: the diagonal is the conditions alone.
    counts = masks.T @ masks
    complete = not deadline.expired()
    sums = (masks * centred[:, None]).T @ masks
    squares = (masks * (centred**2)[:, None]).T @ masks
    bound = _lower_end(counts, sums, squares, len(rows), float(centred.sum()), float((centred**2).sum()))
    bound[(counts < least) | (counts > most_rows)] = -np.inf
    alone = np.diag(bound).copy()
    pairs = np.triu(bound, 1)
    pairs[np.tril_indices(len(single))] = -np.inf
    names = np.array([condition.column for condition in single])
    pairs[names[:, None] == names[None, :]] = -np.inf
    looked_at = int(np.isfinite(alone).sum() + np.isfinite(pairs).sum())
    pairs[pairs <= np.maximum(alone[:, None], alone[None, :])] = -np.inf
    if not complete:
        pairs[:] = -np.inf
    chosen: list[tuple[int, ...]] = []
    taken: list[Array] = []
    order = np.argsort(-np.concatenate([alone, pairs.ravel()]), kind="stable")
    for place in order:
        value = alone[place] if place < len(single) else pairs.ravel()[place - len(single)]
        if not value > 0 or len(chosen) == most:
            break
        members = (int(place),) if place < len(single) else tuple(map(int, divmod(int(place) - len(single), len(single))))
        inside: Array = np.asarray(masks[:, list(members)].all(axis=1))
        if any((inside & other).sum() > ALIKE * (inside | other).sum() for other in taken):
            continue
        chosen.append(members)
        taken.append(inside)
    return Search([tuple(single[i] for i in members) for members in chosen], looked_at, complete)


def _lower_end(counts: Array, sums: Array, squares: Array, n: int, total: float, total_squares: float) -> Array:
    """Welch's difference of means, lowered by its margin, of every slice against the rest."""
    inside, outside = np.maximum(counts, 2.0).astype(np.float64), np.maximum(n - counts, 2.0).astype(np.float64)
    mean_in, mean_out = sums / inside, (total - sums) / outside
    spread_in = np.maximum(squares / inside - mean_in**2, 0) / (inside - 1)
    spread_out = np.maximum((total_squares - squares) / outside - mean_out**2, 0) / (outside - 1)
    return mean_in - mean_out - MARGIN * np.sqrt(spread_in + spread_out)


def verify(half: Half, chosen: list[tuple[Condition, ...]], X: pd.DataFrame) -> list[Hypothesis]:
    """Test slices on rows that they were not found on: one-sided, with Holm's correction over all of `chosen`.

    Slices of too few rows here cannot be judged: they count in the correction, and their p-value is 1.

    Args:
        X: the whole table.
    """
    from tools.multiplicity import holm

    found = []
    rows = X.iloc[half.rows]
    for members in chosen:
        inside = _all(members, rows)
        if min(inside.sum(), (~inside).sum()) < LEAST_TESTED:
            found.append(Hypothesis(members, np.nan, np.nan, np.nan, np.nan, 1.0))
        else:
            found.append(Hypothesis(members, *_difference(half.losses, inside, half.groups)))
    adjusted = holm([one.p_value for one in found])
    return [replace(one, p_value=p) for one, p in zip(found, adjusted, strict=True) if p is not None]


def _difference(losses: Array, inside: Array, groups: Array | None) -> tuple[float, float, float, float, float]:
    """Means inside and outside, the 95 % interval of their difference, and the one-sided p-value of it.

    Welch 1947, with a standard error of at least what all rows together give: ten rows of one loss have no spread of their own.
    Where rows belong together the error is over groups (Liang and Zeger 1986), with one degree of freedom less than there are groups.
    """
    from scipy.stats import t

    worse, rest = losses[inside], losses[~inside]
    difference = float(worse.mean() - rest.mean())
    spreads = worse.var(ddof=1) / len(worse), rest.var(ddof=1) / len(rest)
    error = float(np.sqrt(max(sum(spreads), losses.var(ddof=1) * (1 / len(worse) + 1 / len(rest)))))
    degrees = sum(spreads) ** 2 / max(spreads[0] ** 2 / (len(worse) - 1) + spreads[1] ** 2 / (len(rest) - 1), 1e-300)
    if groups is not None:
        influence = np.where(inside, (losses - worse.mean()) / len(worse), -(losses - rest.mean()) / len(rest))
        together = np.bincount(groups, weights=influence, minlength=groups.max() + 1)
        count = len(np.unique(groups))
        error = max(error, float(np.sqrt((together**2).sum() * count / max(1, count - 1))))
        degrees = max(1, min(degrees, count - 1))
    if error == 0:  # all rows have one loss
        return float(worse.mean()), float(rest.mean()), 0.0, 0.0, 1.0
    reach = float(t.ppf(0.975, degrees)) * error
    p = float(t.sf(difference / error, degrees))
    return float(worse.mean()), float(rest.mean()), difference - reach, difference + reach, p


def _all(members: tuple[Condition, ...], X: pd.DataFrame) -> Array:
    inside = np.ones(len(X), dtype=bool)
    for condition in members:
        inside &= condition.holds(X)
    return inside
