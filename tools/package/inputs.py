"""What rows a model takes: names, types and ranges of its columns, learnt from the rows that it was fitted on."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tools.contract import Column, ColumnKind, TableSchema

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 1000
"""Of a column with more, any text is taken: they are names rather than categories, and models pool the rare ones."""
LONGEST_TEXT = 20_000
"""Characters of a value."""
YEARS_DAYS = 3653.0
"""Ten years: a date lies at most so far beyond those that were seen, or as far as they reach."""


class Input(BaseModel):
    """One column of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: ColumnKind
    required: bool = True
    """Whether the model uses it. One that is not used may be left out."""
    nullable: bool = False
    """Whether it may be null: it was missing in rows that the model learnt from."""
    low: float | None = None
    high: float | None = None
    """Least and largest value that the model has seen; of dates in days since 1970. None where there is no range."""
    whole: bool = False
    """Whether all of its numbers are whole."""
    categories: list[str] | None = None
    """Values that were seen, sorted; None for text, where there are more than `MOST_CATEGORIES`, and where the model does not use them."""
    day_first: bool = False

    @property
    def accepted(self) -> tuple[float, float] | None:
        """Values that are taken: those that were seen, and as much again on each side; nobody has measured a model further out."""
        if self.low is None or self.high is None:
            return None
        width = self.high - self.low
        if self.kind == "datetime":
            width = max(width, YEARS_DAYS)
        width = width or max(1.0, abs(self.high))
        return self.low - width, self.high + width


class Inputs(BaseModel):
    """`inputs.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: list[Input]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def frame(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Rows as the table that the model is given, in the columns' order; what is left out is missing."""
        import pandas as pd

        return pd.DataFrame({column.name: [row.get(column.name) for row in rows] for column in self.columns}, index=range(len(rows)))


def learn_inputs(frame: pd.DataFrame, schema: TableSchema, used: Collection[str] | None) -> Inputs:
    """What rows a model takes.

    Args:
        frame: the rows that it was fitted on, in the schema's dtypes or as they came.
        schema: the columns that a row may have.
        used: those that the model uses; None for all.
    """
    from tools.columns import coerce

    table = coerce(frame, schema)
    return Inputs(columns=[_learn(column, table[column.name], used is None or column.name in used) for column in schema.columns])


def _learn(column: Column, values: pd.Series, required: bool) -> Input:
    import numpy as np

    facts: dict[str, Any] = {"name": column.name, "kind": column.kind, "required": required, "nullable": bool(values.isna().any())}
    if column.kind == "boolean":
        return Input(**facts)
    if column.kind in ("numeric", "datetime"):
        numbers = as_numbers(values)
        seen = numbers[np.isfinite(numbers)]
        if len(seen):
            facts |= {"low": float(seen.min()), "high": float(seen.max()), "whole": bool((seen % 1 == 0).all())}
        return Input(**facts, day_first=column.day_first)
    if column.kind == "categorical" and required:  # what a model does not use may name the rows, and stays with them
        levels = sorted(map(str, values.dropna().unique()))
        facts["categories"] = levels if 0 < len(levels) <= MOST_CATEGORIES else None
    return Input(**facts)


def as_numbers(values: pd.Series) -> Any:
    """Numbers, or dates in days since 1970, float64, NaN where missing. Of a column as `coerce` gives it."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return ((values - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype=np.float64)
    return values.to_numpy(dtype=np.float64)
