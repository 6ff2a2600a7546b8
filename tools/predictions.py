"""Write predictions as a parquet table, and read one that somebody else's code wrote.

The host reads tables that sandboxed code made, so reading trusts nothing: not the path, not the size, not a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.contract import Contract
from tools.files import read_regular
from tools.parquet import NotFlat, check_flat

if TYPE_CHECKING:
    import numpy as np
    import pyarrow.parquet as pq

    Array = np.ndarray[Any, np.dtype[Any]]

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a row may sum from 1 before the table is refused."""
ORDER_TOLERANCE = 1e-9
"""How far a quantile may lie below that of a lower level, as a share of the row's largest one: what rounding does to an average."""
COMPRESSIONS = ("UNCOMPRESSED", "SNAPPY")
"""Of the columns that are read. The others can unpack to any size."""
_SPARE_COLUMNS = 20
"""So many columns beside those of the contract are looked at, to name them in the message."""
LARGEST = 1e150
"""Of a predicted value: the squares of many of them can be summed."""


class PredictionError(ValueError):
    """A table of predictions breaks the contract; the message says what was expected and what was found."""


def write_predictions(path: Path, contract: Contract, predictions: Array, fold: Array | None = None) -> None:
    """Write predictions atomically: columns `row`, optionally `fold`, then `contract.prediction_columns`.

    Args:
        predictions: probabilities (n, k) in the order of `contract.classes`, quantiles (n, q), or values (n,).
        fold: fold id per row, shape (n,), -1 for rows that no fold validates.

    Raises:
        PredictionError: when the shape does not fit the contract.
    """
    content = encode_predictions(contract, predictions, fold)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def encode_predictions(contract: Contract, predictions: Array, fold: Array | None = None) -> bytes:
    """The file that `write_predictions` writes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = contract.prediction_columns
    values = np.asarray(predictions, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] != len(names):
        raise PredictionError(f"predictions have shape {np.shape(predictions)}; expected one column for each of {names}")
    columns: dict[str, Any] = {"row": np.arange(len(values), dtype=np.int64)}
    if fold is not None:
        columns["fold"] = np.asarray(fold, dtype=np.int64)
    columns.update({name: values[:, i] for i, name in enumerate(names)})
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue().to_pybytes()


def read_predictions(path: Path, contract: Contract, rows: int, *, partial: bool = False, inside: Path | None = None) -> Array:
    """Read and check a table that untrusted code wrote.

    Args:
        rows: how many rows there must be.
        partial: whether rows whose `fold` is -1 may be missing as a whole; they come back as NaN.
        inside: a trusted folder; no part of the path below it may be a symbolic link. Without it only the file
            itself may be none.

    Returns:
        Probabilities (rows, k), each row of classes summing to 1, quantiles (rows, q), ascending in each row, or values (rows,). float64.

    Raises:
        PredictionError: for a link, no regular file, a wrong size, wrong columns or types, wrong row ids, values that
            are not finite or too large to be scored, quantiles that cross, and probabilities outside 0 to 1 or not summing to 1.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = contract.prediction_columns
    try:
        data = read_regular(path, rows * (len(names) + 2) * 64 + 10_000_000, inside)
    except OSError as error:
        raise PredictionError(f"{path.name}: cannot read it as a regular file ({error.strerror or error})") from None
    try:
        check_flat(data, len(names) + _SPARE_COLUMNS)
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            _check_shape(path, file, names, rows)
            table = file.read()
    except (pa.ArrowException, OSError, NotFlat) as error:
        raise PredictionError(f"{path.name}: not a readable parquet file ({str(error).splitlines()[0][:200]})") from None
    if table.num_rows != rows:
        raise PredictionError(f"{path.name}: {table.num_rows} rows; expected {rows}, one per input row")
    ids = _column(path, table, "row")
    if not np.array_equal(ids, np.arange(rows)):
        wrong = int(np.flatnonzero(ids != np.arange(rows))[0])
        raise PredictionError(f"{path.name}: `row` must count 0 to {rows - 1} in order; row {wrong} has {ids[wrong]:g}")
    values = np.column_stack([_column(path, table, name) for name in names]) if rows else np.empty((0, len(names)))
    left_out = np.zeros(rows, dtype=bool)
    if partial and "fold" in table.column_names:
        left_out = (_column(path, table, "fold") == -1) & np.isnan(values).all(axis=1)
    values[~left_out] = _checked(path, contract, values[~left_out], np.flatnonzero(~left_out))
    return values[:, 0] if contract.one_number else values


def _check_shape(path: Path, file: pq.ParquetFile, names: list[str], rows: int) -> None:
    """Refuse by the file's own description before any value is unpacked."""
    import pyarrow as pa

    schema = file.schema_arrow
    found = schema.names
    if found not in (["row", *names], ["row", "fold", *names]):
        shown = [name[:60] for name in found[:20]]
        raise PredictionError(f"{path.name}: columns {shown}; expected row, optionally fold, then {names} in this order")
    if file.metadata.num_rows != rows:
        raise PredictionError(f"{path.name}: {file.metadata.num_rows} rows; expected {rows}, one per input row")
    for field in schema:
        if not (pa.types.is_integer(field.type) or (pa.types.is_floating(field.type) and field.name in names)):
            raise PredictionError(f"{path.name}: column {field.name!r} is {field.type}; expected numbers")
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    if packed := {chunk.compression for chunk in chunks} - set(COMPRESSIONS):
        raise PredictionError(f"{path.name}: compressed with {', '.join(sorted(packed)).lower()}; expected snappy, or no compression")
    if sum(group.num_rows for group in groups) != rows or {chunk.num_values for chunk in chunks} - {group.num_rows for group in groups}:
        raise PredictionError(f"{path.name}: its parts do not have the {rows} rows that the whole has")
    if sum(chunk.total_uncompressed_size for chunk in chunks) > rows * len(found) * 64 + 10_000_000:
        raise PredictionError(f"{path.name}: unpacks to more than {rows} rows of numbers can take")


def _column(path: Path, table: Any, name: str) -> Array:
    """One column as float64, nulls as NaN."""
    import numpy as np

    column = table.column(name)
    if column.null_count and name in ("row", "fold"):
        raise PredictionError(f"{path.name}: column {name!r} has {column.null_count} missing values")
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _checked(path: Path, contract: Contract, values: Array, rows: Array) -> Array:
    """Check finite values, the order of quantiles, and probabilities; give these with rows summing to 1."""
    import numpy as np

    def refuse(bad: Array, what: str) -> None:
        if bad.any():
            i, j = np.argwhere(bad)[0]
            where = f"row {rows[i]}, column {contract.prediction_columns[j]!r}: {values[i, j]:g}"
            raise PredictionError(f"{path.name}: {int(bad.sum())} predictions {what}; the first is {where}")

    refuse(~np.isfinite(values), "are missing or not finite")
    refuse(np.abs(values) > LARGEST, "are too large to be scored")
    if contract.one_number:
        return values
    if contract.predicts == "quantiles":
        slack = ORDER_TOLERANCE * np.abs(values).max(axis=1, keepdims=True, initial=0.0)
        refuse(np.diff(values, axis=1, prepend=-np.inf) < -slack, "lie below the quantile of a lower level")
        ascending: Array = np.sort(values, axis=1)
        return ascending
    refuse((values < 0) | (values > 1), "are no probabilities between 0 and 1")
    if contract.predicts == "labels":
        return values
    totals = values.sum(axis=1)
    off = np.abs(totals - 1) > SUM_TOLERANCE
    if off.any():
        i = int(np.flatnonzero(off)[0])
        raise PredictionError(f"{path.name}: {int(off.sum())} rows do not sum to 1; row {rows[i]} sums to {totals[i]:.6g}")
    normalised: Array = values / totals[:, None]
    return normalised
