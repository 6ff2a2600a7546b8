"""Rows that fit the memory that training has: all of them, or a stated sample in which every class keeps its share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tools.conversion import TABLE, read_converted
from tools.parquet import by_pieces

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Positions = np.ndarray[Any, np.dtype[np.int64]]

WORKING_COPIES = 8
"""So many times the size of its rows a run needs: tables as they are and prepared, folds of them, and what libraries make of them."""
MOST_CLASSES = 50
"""With more different values the column is no stratum."""


class FittingRows(NamedTuple):
    """Rows that a run works on, in the order of the vault's table."""

    frame: pd.DataFrame
    at: Positions
    """Their positions in it, ascending."""
    told: str = ""
    """What is to be told of them: empty when they are all."""
    sampled_from: int | None = None
    """How many rows there are, where these are not all."""
    sampled_by: str | None = None
    """The column whose values keep their shares in the sample."""


def rows_that_fit(vault: Path, memory_mb: int | None, stratum: str | None, seed: int) -> FittingRows:
    """Rows of the vault's table that training has memory for.

    Args:
        memory_mb: of the sandbox, in MiB; None for no limit.
        stratum: a column whose values keep their shares; None, or one that is not there or has many values, for a plain sample.
    """
    import numpy as np

    with by_pieces(vault / TABLE) as file:
        rows, first = file.metadata.num_rows, file.read_row_group(0).slice(0, 100_000).to_pandas()
        names = file.schema_arrow.names
    row_bytes = first.memory_usage(index=False, deep=True).sum() / max(1, len(first))
    fitting = rows if memory_mb is None else int(memory_mb * 2**20 / WORKING_COPIES / row_bytes)
    if rows <= fitting:
        return FittingRows(read_converted(vault), np.arange(rows))
    at, stratified = _chosen(vault, rows, fitting, stratum if stratum in names else None, seed)
    how = f" (every value of {stratum!r} keeps its share)" if stratified else ""
    told = (
        f"Everything up to the final score rests on a random sample of {len(at):,} of {rows:,} rows{how}: more would not fit the"
        f" {memory_mb:,} MiB of the sandbox. A larger sandbox.memory_mb takes more."
    )
    return FittingRows(_taken(vault, at), at, told, rows, stratum if stratified else None)


def _chosen(vault: Path, rows: int, wanted: int, stratum: str | None, seed: int) -> tuple[Positions, bool]:
    """Positions of sampled rows, ascending, and whether they are stratified."""
    import numpy as np

    rng = np.random.default_rng(seed)
    if stratum is not None and (codes := _strata(vault, stratum)) is not None:
        parts = []
        for code in range(int(codes.max()) + 1):
            at = np.flatnonzero(codes == code)
            parts.append(rng.choice(at, min(len(at), max(2, round(wanted * len(at) / rows))), replace=False))
        return np.sort(np.concatenate(parts)), True
    return np.sort(rng.choice(rows, wanted, replace=False)), False


def _strata(vault: Path, column: str) -> np.ndarray[Any, np.dtype[np.int8]] | None:
    """Of each row the number of its value in a column, a missing one among them; None where there are many values."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    codes: dict[Any, int] = {}
    parts = []
    with by_pieces(vault / TABLE) as file:
        for batch in file.iter_batches(batch_size=1 << 16, columns=[column]):
            values = batch.column(column)
            if pa.types.is_dictionary(values.type):
                values = values.dictionary_decode()
            if pa.types.is_floating(values.type):
                values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
            values = values.dictionary_encode(null_encoding="encode")
            if len(values.dictionary) > MOST_CLASSES:
                return None
            here = [codes.setdefault(value, len(codes)) for value in values.dictionary.to_pylist()]
            if len(codes) > MOST_CLASSES:
                return None
            parts.append(np.array(here, dtype=np.int8)[values.indices.to_numpy()])
    return np.concatenate(parts)


def _taken(vault: Path, at: Positions) -> pd.DataFrame:
    """Rows at ascending positions, with no more than one group of the file in memory beside them."""
    import numpy as np
    import pyarrow as pa

    parts, begin = [], 0
    with by_pieces(vault / TABLE) as file:
        for batch in file.iter_batches(batch_size=1 << 16):
            here = at[np.searchsorted(at, begin) : np.searchsorted(at, begin + batch.num_rows)] - begin
            if len(here):
                parts.append(batch.take(pa.array(here)))
            begin += batch.num_rows
    return pa.Table.from_batches(parts).to_pandas()
