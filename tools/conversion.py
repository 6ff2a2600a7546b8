"""From files as they came to one Parquet table: read where nothing can be reached, checked where it counts.

Files that somebody else made are parsed in a sandbox of its own, which sees them read-only and ends before the team's sandbox starts.
The host opens nothing of it but the one file that came out, after looking at its description.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, Field

from tools.files import open_regular
from tools.formats.dialect import Dialect
from tools.parquet import NotFlat, check_flat_file
from tools.spec import InputRefused, ToolRefused, tool
from tools.workspace import workspace, write_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tools.formats.contract import Choice
    from tools.tally import Tally

TABLE, READING = "table.parquet", "reading.json"
COMPRESSIONS = {"UNCOMPRESSED", "SNAPPY"}
MOST_CELLS = 5_000_000_000
MOST_BYTES = 200 * 2**30
MOST_TOLD, LONGEST, MOST_FILES, MOST_COUNTS = 50, 500, 10_000, 1000
WHOLE_BYTES = 256 * 2**20
"""A table that unpacks to less is counted exactly."""
_DTYPES = {"int64": "int64", "double": "float64", "bool": "bool", "string": "str"}
"""What pandas reads Arrow's usual types as, which needs no pandas to say."""


class FileRead(BaseModel):
    """Rows of one file of several that were put under each other."""

    name: str = Field(max_length=1000)
    """Path below the folder of files."""
    rows: int = Field(ge=0)


class Counted(BaseModel):
    """What a column holds, as it was counted while its table was converted."""

    missing: int = Field(ge=0)
    unique: int = Field(ge=0)
    """Different values."""
    exact: bool
    """Whether that is no estimate."""


class SourceRead(BaseModel):
    """What was read of a source."""

    format: str = Field(max_length=100)
    rows: int
    columns: int
    notes: list[str] = []
    """What was guessed, chosen, repaired or left out, a sentence each."""
    files: list[FileRead] = Field([], max_length=MOST_FILES)
    """Of files under each other, their rows in the order of the table; else empty."""
    counts: list[Counted] = Field([], max_length=MOST_COUNTS)
    """Of the first columns, where the table was converted in a stream; else empty."""
    dialect: Dialect = Dialect()
    """How its inside was read, for later rows of the same kind."""


@tool(where="kernel", timeout_s=3600)
def read_source(
    sheet: Annotated[str | None, "Of a workbook: a sheet's name, or its number from 1."] = None,
    key: Annotated[str | None, "Of an HDF5 or JSON file: where the table stands in it."] = None,
    table: Annotated[str | None, "Of several tables: the one whose rows are learnt from."] = None,
    gather: Annotated[str | None, "Of several tables: those with many rows for each, joined as counts, means and ranges."] = None,
    header: Annotated[str | None, "Of text: `none` when the first line is a row, `first` when it is the header."] = None,
    encoding: Annotated[str | None, "Of text: its encoding, such as cp1251, where it is not the one that would be guessed."] = None,
    delimiter: Annotated[str | None, "Of text: what parts the fields, such as `;`, `tab` or `blanks`."] = None,
    decimal: Annotated[str | None, "Of text: the decimal sign, `comma` or `point`."] = None,
) -> SourceRead:
    """Read the files in the data folder as one table and write it as Parquet."""
    from tools.tables import TableError

    space = workspace()
    try:
        inside = {"sheet": sheet, "key": key, "table": table, "gather": gather}
        of_text = {"header": header, "encoding": encoding, "delimiter": delimiter, "decimal": decimal}
        return convert(space.data, space.work / TABLE, inside | of_text)
    except TableError as error:
        raise ToolRefused(str(error)) from None
    except MemoryError:
        raise ToolRefused("reading it takes more memory than the sandbox has; raise sandbox.memory_mb, or give it as Parquet") from None


def convert(folder: Path, output: Path, choice: Mapping[str, str | None]) -> SourceRead:
    """Read the files of a folder as one table and write it to `output`.

    Raises:
        TableError: when they are none.
    """
    import pyarrow as pa

    from tools.formats.contract import Choice, first_line
    from tools.formats.detect import read
    from tools.formats.whole import refuse_too_large
    from tools.tables import TableError, checked

    files = [path for path in folder.rglob("*") if path.is_file()]
    path = files[0] if len(files) == 1 else folder
    chosen = Choice.of(choice)
    if found := _streamed(path, output, chosen):
        return found
    refuse_too_large(path)
    reading = read(path, chosen)
    frame = checked(reading.frame, path)
    try:
        frame.to_parquet(output, index=False)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise TableError(f"{path.name}: the table cannot be kept as Parquet ({first_line(error)})") from None
    pieces = [FileRead(name=name, rows=rows) for name, rows in reading.pieces[:MOST_FILES]]
    return SourceRead(
        format=reading.format, rows=len(frame), columns=frame.shape[1], notes=reading.notes, files=pieces, dialect=reading.dialect
    )


def _streamed(path: Path, output: Path, choice: Choice) -> SourceRead | None:
    """Large files converted without ever holding them whole; None when their format or their shape asks for that."""
    from tools.formats.parts import stream
    from tools.tables import TableError

    found = stream(path, output, choice)
    if found is None:
        return None
    if found.rows == 0:
        raise TableError(f"{path.name}: a header but no rows ({found.columns} columns); expected rows below it")
    pieces = [FileRead(name=name, rows=rows) for name, rows in found.pieces[:MOST_FILES]]
    counts = [Counted(missing=one.missing, unique=one.unique, exact=one.exact) for one in found.counts.values()]
    return SourceRead(
        format=found.format,
        rows=found.rows,
        columns=found.columns,
        notes=found.notes,
        files=pieces,
        counts=counts,
        dialect=found.dialect,
    )


def take_over(path: Path, inside: Path, told: SourceRead, vault: Path) -> SourceRead:
    """Take a table that a sandbox wrote into the vault, with what was told of it.

    Args:
        inside: the sandbox's folder, which nobody writes to any more.

    Raises:
        InputRefused: when the file is not what it should be; nothing of it is unpacked then.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from tools.tables import MOST_COLUMNS

    temporary = vault / f".{TABLE}.tmp"
    try:
        with open_regular(path, MOST_BYTES, inside) as file:
            check_flat_file(file, MOST_COLUMNS)
            file.seek(0)
            with temporary.open("wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 22)
        with pq.ParquetFile(temporary) as table:
            facts = table.metadata
            packed = {facts.row_group(g).column(c).compression for g in range(facts.num_row_groups) for c in range(facts.num_columns)}
            rows, columns = facts.num_rows, facts.num_columns
    except (OSError, NotFlat, pa.ArrowException) as error:
        temporary.unlink(missing_ok=True)
        raise InputRefused(f"what the sandbox made of the source is no plain table ({str(error).splitlines()[0][:200]}).") from None
    if packed - COMPRESSIONS or rows * columns > MOST_CELLS or (rows, columns) != (told.rows, told.columns):
        temporary.unlink()
        raise InputRefused(f"what the sandbox made of the source is not what it told: {rows:,} rows and {columns:,} columns.")
    temporary.replace(vault / TABLE)
    if sum(file.rows for file in told.files) not in (0, rows):
        told = told.model_copy(update={"files": []})
    if len(told.counts) > columns or any(one.missing + one.unique > rows for one in told.counts):
        told = told.model_copy(update={"counts": []})
    told = told.model_copy(update={"notes": [note[:LONGEST] for note in told.notes[:MOST_TOLD]]})
    write_text(vault / READING, told.model_dump_json(indent=1))
    return told


def reading_of(vault: Path) -> SourceRead:
    """What was told of a source when it was converted."""
    return SourceRead.model_validate_json((vault / READING).read_text(encoding="utf-8"))


def table_names(vault: Path) -> list[str]:
    """The columns of the table that the source was converted to."""
    import pyarrow.parquet as pq

    return [str(name) for name in pq.read_schema(vault / TABLE).names]


def read_converted(vault: Path) -> pd.DataFrame:
    """The table that the source was converted to.

    Raises:
        InputRefused: when it cannot be read after all.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(vault / TABLE)
    except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
        raise InputRefused(f"the table that the source was converted to cannot be read ({str(error)[:200]}).") from None


class Described(NamedTuple):
    """What a table's columns are."""

    columns: list[dict[str, Any]]
    """Of the first ones `name`, `type`, `unique` (number of different values) and `missing`."""
    types: dict[str, str]
    """Of every column, by name, the dtype that pandas gives it."""
    estimated: list[str]
    """Those of `columns` whose `unique` is an estimate."""


def described(vault: Path, most: int) -> Described:
    """Look at the converted table. What was counted at its conversion is not counted again; no more than a piece of a large one is in
    memory.

    Args:
        most: so many columns are told of.
    """
    import pyarrow.parquet as pq

    from tools.tally import tallies

    path = vault / TABLE
    with pq.ParquetFile(path) as file:
        facts, schema = file.metadata, file.schema_arrow
    names = schema.names[:most]
    counts = _counts(vault, names)
    large = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups)) >= WHOLE_BYTES
    if not (large or counts):
        return _described_whole(read_converted(vault), most)
    found = counts or tallies(path, names)
    if not large and (estimates := [name for name in names if not found[name].exact]):
        found |= tallies(path, estimates, most_hashes=facts.num_rows * len(estimates))
    types = _types(path, schema, facts, {name: one.missing for name, one in found.items()})
    told = [{"name": name, "type": types[name], "unique": found[name].unique, "missing": found[name].missing} for name in names]
    return Described(told, types, [name for name in names if not found[name].exact])


def _described_whole(frame: pd.DataFrame, most: int) -> Described:
    types = {str(name): str(kind) for name, kind in frame.dtypes.items()}
    told = []
    for name in list(frame)[:most]:
        unique, missing = int(frame[name].nunique(dropna=True)), int(frame[name].isna().sum())
        told.append({"name": str(name), "type": types[str(name)], "unique": unique, "missing": missing})
    return Described(told, types, [])


def _counts(vault: Path, names: list[str]) -> dict[str, Tally]:
    """What was counted of these columns, the table's first ones, when it was converted; empty where not all of them were."""
    from tools.tally import Tally

    counts = reading_of(vault).counts if (vault / READING).exists() else []
    if len(counts) < len(names):
        return {}
    return {name: Tally(one.missing, one.unique, one.exact) for name, one in zip(names, counts, strict=False)}


def _types(path: Path, schema: pa.Schema, facts: pq.FileMetaData, missing: dict[str, int]) -> dict[str, str]:
    """The dtypes that pandas gives the columns of a file, where so many values are missing in some of them."""
    import pyarrow as pa

    if schema.metadata is None and all(str(field.type) in _DTYPES for field in schema):
        types = {field.name: _DTYPES[str(field.type)] for field in schema}
    else:
        types = {str(name): str(kind) for name, kind in schema.empty_table().to_pandas().dtypes.items()}
    for i, field in enumerate(schema):
        if not types[field.name].startswith(("int", "uint", "bool")):
            continue
        if missing[field.name] if field.name in missing else _nulls(path, facts, i, field.name):
            types[field.name] = "object" if pa.types.is_boolean(field.type) else "float64"
    return types


def _nulls(path: Path, facts: pq.FileMetaData, column: int, name: str) -> int:
    from tools.tally import tallies

    found = [facts.row_group(i).column(column).statistics for i in range(facts.num_row_groups)]
    if all(one is not None and one.has_null_count for one in found):
        return sum(one.null_count for one in found)
    return tallies(path, [name])[name].missing


def choice_of(options: Mapping[str, str]) -> dict[str, str | None]:
    """What options of SOURCE say of its inside."""
    from tools.sources.spelling import READING as READING_OPTIONS  # with what fetches, which no sandbox needs

    return {name: options.get(name) for name in READING_OPTIONS}


def by_its_own_name(text: str, source: str, files: list[str], folder: str) -> str:
    """A message about a file in the vault as one about SOURCE: the copy is an inner matter."""
    if len(files) == 1:
        return text.replace(files[0].rpartition("/")[2], source)
    text = text.replace(f" {folder}#", f" {source}#")
    return text.replace(f"{folder}: ", f"{source}: ", 1) if text.startswith(f"{folder}: ") else f"{source}: {text}"
