"""Parquet, Arrow and Feather, ORC: files that know their own schema; and folders of parquet files in partitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading, first_line
from tools.formats.text import refuse_duplicates
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds


def read_parquet(path: Path, choice: Choice) -> Reading:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        refuse_duplicates(path, pq.read_schema(path).names)  # which pandas tells as if the file were broken
        frame = pd.read_parquet(path)
    except TableError:
        raise
    except MemoryError:  # Arrow's is one of its own exceptions too, and tells nothing of the file
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise TableError(f"{path.name}: not a readable parquet file ({first_line(error)}); is it whole?") from None
    return Reading(*_plain(frame, path, "Parquet"))


def read_partitions(folder: Path, files: list[Path]) -> Reading:
    """Read parquet files of a folder as one table; folders named `key=value` become columns.

    Raises:
        TableError: when the files do not have one schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted(map(str, files))
    try:
        table = partitions(folder, files).to_table()
    except MemoryError:  # Arrow's is one of its own exceptions too, and tells nothing of the file
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise TableError(f"{folder.name}: the folder's parquet files are no one table ({first_line(error)})") from None
    frame, name, notes = _plain(_frame(table), folder, "Parquet in partitions")
    rows = [(Path(path).relative_to(folder).as_posix(), pq.read_metadata(path).num_rows) for path in paths]
    return Reading(frame, name, [f"{len(paths):,} parquet files were read as one table.", *notes], rows)


def partitions(folder: Path, files: Sequence[Path]) -> ds.Dataset:
    """The files as one set of data; a column that is whole numbers in one of them and broken ones in another is broken ones. Raises what
    Arrow raises."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    paths = sorted(map(str, files))
    hive: dict[str, Any] = {"partitioning": ds.partitioning(flavor="hive"), "partition_base_dir": str(folder)}
    found = ds.dataset(paths, format="parquet", **hive)
    schemas = [fragment.physical_schema for fragment in found.get_fragments()]
    if all(schema.equals(schemas[0]) for schema in schemas):
        return found
    try:
        schema = pa.unify_schemas([found.schema, *schemas], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return found  # reading it says which column
    return ds.dataset(paths, format="parquet", schema=schema, **hive)


def read_arrow(path: Path, choice: Choice) -> Reading:
    import pyarrow as pa
    import pyarrow.feather as feather

    try:
        with path.open("rb") as file:
            stream = file.read(4) == b"\xff\xff\xff\xff"
        if stream:
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                table = reader.read_all()
        else:
            table = feather.read_table(path)
    except MemoryError:  # Arrow's is one of its own exceptions too, and tells nothing of the file
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{path.name}: not a readable Arrow or Feather file ({first_line(error)}); is it whole?") from None
    return Reading(*_plain(_frame(table), path, "Arrow"))


def read_orc(path: Path, choice: Choice) -> Reading:
    import pyarrow as pa
    import pyarrow.orc as orc

    try:
        table = orc.read_table(path)
    except MemoryError:  # Arrow's is one of its own exceptions too, and tells nothing of the file
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(f"{path.name}: not a readable ORC file ({first_line(error)}); is it whole?") from None
    return Reading(*_plain(_frame(table), path, "ORC"))


def _frame(table: pa.Table) -> pd.DataFrame:
    """A table as a frame; structures become columns named `outer.inner`."""
    import pyarrow as pa

    for _ in range(20):
        if not any(pa.types.is_struct(field.type) for field in table.schema):
            break
        table = table.flatten()
    return table.to_pandas()


def _plain(frame: pd.DataFrame, path: Path, name: str) -> tuple[pd.DataFrame, str, list[str]]:
    frame, notes = plain(frame, path)
    return frame, name, notes


PARQUET = Format("Parquet", (".parquet", ".pq"), lambda head, path: head.startswith(b"PAR1"), read_parquet)
ARROW = Format(
    "Arrow", (".feather", ".arrow", ".ipc"), lambda head, path: head.startswith((b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")), read_arrow
)
ORC = Format("ORC", (".orc",), lambda head, path: head.startswith(b"ORC"), read_orc)
