"""HDF5: columns that lie side by side, tables of records, matrices, and what pandas writes; nothing pickled is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading, first_line, library, told
from tools.formats.dialect import Dialect
from tools.tables import TableError

MAGIC = b"\x89HDF\r\n\x1a\n"


def read_hdf5(path: Path, choice: Choice) -> Reading:
    """Read one table of a file: the key that was asked for, else the largest.

    A table is a dataset of records, a matrix, a group of equally long columns, or a frame that pandas kept there.

    Raises:
        TableError: when the file cannot be opened, holds no table, or what was asked for is kept as pickles.
    """
    h5py = library("h5py", "h5py", "reading an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            found = _tables(h5py, file)
            if not found:
                raise TableError(f"{path.name}: holds no table; expected a dataset of rows, or equally long columns in a group")
            name = choice.key.strip("/") if choice.key is not None else max(found, key=lambda key: found[key])
            if name not in found:
                raise TableError(f"{path.name}: there is no table {choice.key!r}; tables: {told(['/' + key for key in found], 20)}")
            frame, notes = _frame(h5py, path, file[name] if name else file)
    except (OSError, RuntimeError, KeyError) as error:
        raise TableError(f"{path.name}: not a readable HDF5 file ({first_line(error)}); is it whole?") from None
    if len(found) > 1:
        notes.append(f"/{name} was read; the file also has {told(['/' + key for key in found if key != name])}.")
    frame, changed = plain(frame, path)
    return Reading(frame, "HDF5", [*notes, *changed], dialect=Dialect(key=f"/{name}"))


def _tables(h5py: Any, file: Any) -> dict[str, int]:
    """Every table of a file with its number of cells."""
    found: dict[str, int] = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if item.ndim == 2 or (item.ndim == 1 and item.dtype.names):
                found[name] = int(item.size) * (len(item.dtype.names) if item.dtype.names else 1)
            return
        columns = _columns(h5py, item)
        if len(columns) > 1 or _written_by_pandas(item):
            found[name] = sum(int(column.size) for column in columns.values()) or 1
        if _written_by_pandas(item):
            found[name] = max(found[name], sum(int(part.size) for part in item.values() if isinstance(part, h5py.Dataset)))

    look("", file)
    file.visititems(look)
    frames = {
        name
        for name in found
        if not isinstance(file[name] if name else file, h5py.Dataset) and _written_by_pandas(file[name] if name else file)
    }
    return {name: size for name, size in found.items() if name in frames or not any(name.startswith(f"{frame}/") for frame in frames)}


def _columns(h5py: Any, group: Any) -> dict[str, Any]:
    """One-dimensional datasets of a group that have the length most of its rows have."""
    flat = {name: item for name, item in group.items() if isinstance(item, h5py.Dataset) and item.ndim == 1 and not item.dtype.names}
    return flat if len({len(item) for item in flat.values()}) == 1 else {}


def _written_by_pandas(group: Any) -> bool:
    return "pandas_type" in group.attrs


def _frame(h5py: Any, path: Path, item: Any) -> tuple[Any, list[str]]:
    import pandas as pd

    if isinstance(item, h5py.Dataset):
        return _of_dataset(h5py, path, item), []
    if not _written_by_pandas(item):
        return pd.DataFrame({name: _values(h5py, path, column) for name, column in _columns(h5py, item).items()}), []
    if "table" in item:  # pandas keeps the names of blocks as pickles; columns that lie alone have theirs in the open
        names = item["table"].dtype.names or ()
        blocks = [name for name in names if name.startswith("values_block_")]
        if blocks:
            raise TableError(
                f"{path.name}: pandas kept the column names of {item.name!r} as pickles, which are never opened;"
                " save it with data_columns=True, or as Parquet"
            )
        frame = _of_dataset(h5py, path, item["table"])
        return frame.drop(columns=[name for name in names if name == "index"]), []
    columns: dict[str, Any] = {}
    for number in range(int(item.attrs.get("nblocks", 0))):
        names = [_text(name) for name in item[f"block{number}_items"][()]]
        block = item[f"block{number}_values"]
        if h5py.check_vlen_dtype(block.dtype) is not None or block.attrs.get("CLASS") == b"VLARRAY":
            raise TableError(
                f"{path.name}: pandas kept the columns {told(names)} as pickles, which are never opened; save the frame as Parquet"
            )
        for i, name in enumerate(names):
            columns[name] = block[:, i]
    order = [_text(name) for name in item["axis0"][()]] if "axis0" in item else list(columns)
    return pd.DataFrame({name: columns[name] for name in order if name in columns}), []


def _of_dataset(h5py: Any, path: Path, item: Any) -> Any:
    import pandas as pd

    if not item.dtype.names:
        values = _values(h5py, path, item)
        return pd.DataFrame(values, columns=pd.Index([f"column_{i + 1}" for i in range(item.shape[1])]))
    columns: dict[str, Any] = {}
    records = item[()]
    for name in item.dtype.names:
        values = records[name]
        if values.ndim == 1:
            columns[name] = _decoded(values)
        elif values.ndim == 2:
            columns.update({f"{name}_{i}": values[:, i] for i in range(values.shape[1])})
        else:
            raise TableError(f"{path.name}: field {name!r} of {item.name!r} has {values.ndim} dimensions; expected a value or a list")
    return pd.DataFrame(columns)


def _values(h5py: Any, path: Path, item: Any) -> Any:
    if h5py.check_vlen_dtype(item.dtype) not in (None, bytes, str):
        raise TableError(f"{path.name}: {item.name!r} holds lists of any length; expected a value in each cell")
    return _decoded(item[()])


def _decoded(values: Any) -> Any:
    if values.dtype.kind == "S":
        return [_text(value) for value in values]
    if values.dtype.kind == "O":
        return [_text(value) if isinstance(value, bytes) else value for value in values]
    return values


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


FORMAT = Format("HDF5", (".h5", ".hdf5", ".hdf", ".he5"), lambda head, path: head.startswith(MAGIC), read_hdf5, ("key",))
