"""Rows beyond the sample that a run worked on: which they are, and a table of them for the final fit, written piece by piece."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.contract import Contract
from tools.conversion import TABLE
from tools.parquet import by_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    import pyarrow as pa

    Positions = np.ndarray[Any, np.dtype[np.int64]]

SAMPLE_FILE = "sample.parquet"
"""In the vault: positions of the rows that were sampled, ascending; not there where all rows fit."""
BEYOND_FILE = "beyond.parquet"
"""In `data/`, once the holdout is open."""
PIECE_ROWS = 1 << 16


def keep_sample(vault: Path, at: Positions) -> None:
    """Remember which rows of the vault's table were sampled."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = vault / f".{SAMPLE_FILE}.tmp"
    pq.write_table(pa.table({"row": at}), temporary)
    temporary.replace(vault / SAMPLE_FILE)


def write_beyond(vault: Path, data: Path, contract: Contract) -> int:
    """Write the rows that were not sampled, as far as they have a target that the contract knows; return their number.

    They have the columns of `train.parquet`, classes as text and values as float64. No more than a piece of them is in memory. Nothing
    is written where all rows were in the sample, or where the target is no plain one: events and several labels.
    """
    import pyarrow.parquet as pq

    sample = vault / SAMPLE_FILE
    if not sample.exists() or contract.event is not None or contract.predicts not in ("classes", "values"):
        return 0
    names = pq.read_schema(data / "train.parquet").names
    temporary, rows = data / f".{BEYOND_FILE}.tmp", 0
    writer: pq.ParquetWriter | None = None
    try:
        for piece in _pieces(vault, names, contract):
            writer = writer or pq.ParquetWriter(temporary, piece.schema)
            writer.write_table(piece)
            rows += piece.num_rows
    finally:
        if writer is not None:
            writer.close()
    if rows:
        temporary.replace(data / BEYOND_FILE)
    return rows


def _pieces(vault: Path, names: list[str], contract: Contract) -> Iterator[pa.Table]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    sampled = pq.read_table(vault / SAMPLE_FILE)["row"].to_numpy()
    begin = 0
    with by_pieces(vault / TABLE) as file:
        for batch in file.iter_batches(batch_size=PIECE_ROWS, columns=names):
            left = np.ones(batch.num_rows, dtype=bool)
            left[sampled[np.searchsorted(sampled, begin) : np.searchsorted(sampled, begin + batch.num_rows)] - begin] = False
            begin += batch.num_rows
            table = pa.Table.from_batches([batch]).select(names)
            target, known = _target(table[contract.target].to_pandas(), contract)
            kept = left & known
            if kept.any():
                place = names.index(contract.target)
                yield table.set_column(place, contract.target, pa.array(target, from_pandas=True)).filter(pa.array(kept))


def _target(values: pd.Series, contract: Contract) -> tuple[Any, Any]:
    """The target as `train.parquet` has it, and where it can be learnt from."""
    import numpy as np
    import pandas as pd

    from tools.columns import label_text

    if contract.predicts == "classes":
        texts = label_text(values).astype(object)
        known = texts.isin(contract.classes)
        return texts.where(known, None).to_numpy(dtype=object), known.to_numpy()
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, np.isfinite(numbers)
