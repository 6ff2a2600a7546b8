"""How rows are distributed: what a model has learnt from, and how far other rows are from it.

The distance is the population stability index, the symmetrised Kullback-Leibler divergence between two histograms (Jeffreys 1946; Yurdakul
2018 on its use). Below 0.1 is usually called none, above 0.25 a shift that asks for a look.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tools.contract import TableSchema

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
MOST_LEVELS = 50
"""Of a category column; the others are one."""
LEAST_SHARE = 1e-4
"""An empty bin counts as so much, or its logarithm would be infinite."""


class Histogram(BaseModel):
    """Shares of the values of one column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edges: list[float] = []
    """Of numbers and dates (days since 1970): where one bin ends and the next begins, ascending; a value on an edge is in the bin above."""
    levels: list[str] = []
    """Of categories and booleans: those that have a bin of their own."""
    shares: list[float]
    """Of the bins, then of all other levels (categories), then of missing values; they sum to 1."""

    def places(self, values: pd.Series) -> list[int]:
        """Numbers of the bins that values of a coerced column fall into."""
        import numpy as np

        from tools.package.inputs import as_numbers

        last = len(self.shares) - 1
        if self.levels or values.dtype == object:
            place = {level: number for number, level in enumerate(self.levels)}
            return [last if value is None or value != value else place.get(_level(value), last - 1) for value in values]
        numbers = as_numbers(values)  # all at once: a package learns from every row
        found = np.searchsorted(np.asarray(self.edges, dtype=np.float64), numbers, side="right")
        placed: list[int] = np.where(np.isnan(numbers), last, found).tolist()
        return placed

    def distance(self, counts: list[int]) -> float:
        """The population stability index of counts of the same bins; 0 where nothing was counted."""
        total = sum(counts)
        if not total:
            return 0.0
        pairs = [(max(share, LEAST_SHARE), max(count / total, LEAST_SHARE)) for share, count in zip(self.shares, counts, strict=True)]
        return sum((now - before) * math.log(now / before) for before, now in pairs)


class Baseline(BaseModel):
    """`drift.json`: the distribution of each column but free text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    columns: dict[str, Histogram]


def learn_baseline(frame: pd.DataFrame, schema: TableSchema) -> Baseline:
    """The distribution of rows, numbers by their deciles."""
    from tools.columns import coerce

    table = coerce(frame, schema)
    columns = {}
    for column in schema.columns:
        if column.kind != "text":
            empty = _bins(table[column.name], by_level=column.kind in ("categorical", "boolean"))
            counts = [0] * len(empty.shares)
            for place in empty.places(table[column.name]):
                counts[place] += 1
            columns[column.name] = empty.model_copy(update={"shares": [count / max(1, len(table)) for count in counts]})
    return Baseline(rows=len(table), columns=columns)


def _bins(values: pd.Series, *, by_level: bool) -> Histogram:
    import numpy as np

    from tools.package.inputs import as_numbers

    if by_level:
        counts = values.dropna().map(_level).value_counts()
        levels = [str(level) for level in sorted(counts.index, key=lambda level: (-counts[level], level))[:MOST_LEVELS]]
        return Histogram(levels=levels, shares=[0.0] * (len(levels) + 2))
    numbers = as_numbers(values)
    numbers = numbers[np.isfinite(numbers)]
    edges = sorted({float(edge) for edge in np.quantile(numbers, np.arange(1, BINS) / BINS)}) if len(numbers) else []
    return Histogram(edges=edges, shares=[0.0] * (len(edges) + 2))


def _level(value: object) -> str:
    """A category as text; of booleans, which a schema keeps as 0.0 and 1.0, false and true."""
    return str(value) if isinstance(value, str) else ("true" if value else "false")
