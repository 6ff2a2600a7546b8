"""A few rows as one array a column: what a served model is asked for, without a table's own cost, which one row pays as thousands do.

Whatever is read here is what `columns.coerce` makes of the same rows. Families whose models can do with it say so by `TakesFew`; to all
others the same rows go as the table that they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from tools.contract import Column

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

FEW = 16
"""Rows that are read value by value: a table's own operations cost as much for one row as for thousands."""
MOST_DATES = 10_000
"""Whose reading is remembered."""


class TakesFew:
    """A fitted model whose `predict` takes `FewRows` as well as a table."""


class FewRows:
    """Rows in their schema.

    Args:
        columns: by name an array of float64, datetime64[ns] or objects (str, None where missing), shape (n,).
        rows: n.
    """

    def __init__(self, columns: Mapping[str, Array], rows: int, kept: dict[Any, Any] | None = None) -> None:
        self._columns, self._rows = columns, rows
        self._kept: dict[Any, Any] = {} if kept is None else kept

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> FewRows | None:
        """Values of JSON in the columns of a schema; None for what only a table can tell, such as a number among texts."""
        found = {}
        for column in columns:
            values = [row.get(column.name, _NOT_GIVEN) for row in rows]
            read = _READERS[column.kind](values, column)
            if read is None:
                return None
            found[column.name] = read
        return cls(found, len(rows))

    def __len__(self) -> int:
        return self._rows

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    @overload
    def __getitem__(self, name: str) -> Array: ...
    @overload
    def __getitem__(self, name: list[str]) -> FewRows: ...

    def __getitem__(self, name: str | list[str]) -> Array | FewRows:
        if isinstance(name, str):
            return self._columns[name]
        return FewRows({each: self._columns[each] for each in name}, self._rows, self._kept)

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def kept(self, key: Any, make: Callable[[], Array]) -> Array:
        """What was made of these rows before under a key that names column and reading; several members of a model ask for the same."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Array = self._kept[key]
        return found

    @property
    def frame(self) -> pd.DataFrame:
        """The same rows as a table."""
        import pandas as pd

        return pd.DataFrame(
            {name: pd.Series(values, dtype=values.dtype, copy=True) for name, values in self._columns.items()}, index=range(self._rows)
        )


_NOT_GIVEN = object()


def _numbers(values: list[Any], _: Column) -> Array | None:
    if not all(value is None or type(value) in (float, int, bool) for value in values):
        return None
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _truths(values: list[Any], column: Column) -> Array | None:
    return _numbers(values, column) if all(value is None or type(value) is bool for value in values) else None


def _texts(values: list[Any], _: Column) -> Array | None:
    if not all(value is None or type(value) is str for value in values):
        return None
    read = np.empty(len(values), dtype=object)
    read[:] = [None if value is None else value.strip() or None for value in values]
    return read


def _dates(values: list[Any], column: Column) -> Array | None:
    if not all(value is None or type(value) is str for value in values):
        return None
    missing = np.datetime64("NaT", "ns")
    return np.array([missing if value is None else read_date(value, column.day_first) for value in values], dtype="datetime64[ns]")


_READERS: dict[str, Callable[[list[Any], Column], Array | None]] = {
    "numeric": _numbers,
    "boolean": _truths,
    "datetime": _dates,
    "categorical": _texts,
    "text": _texts,
}


@lru_cache(MOST_DATES)
def read_date(text: str, day_first: bool) -> np.datetime64:
    """A moment in naive UTC as `columns.parse_dates` reads it, NaT for none."""
    import pandas as pd

    from tools.columns import parse_dates

    found: np.datetime64 = parse_dates(pd.Series([text]), day_first).to_numpy()[0]
    return found
