"""Text of any size as Parquet, block by block: memory does not grow with the file.

Arrow parses; what it does not read as pandas does (lines with missing fields, other encodings, blanks behind delimiters) pandas parses in
chunks. A column's kind is guessed from pieces all over the file; a value that does not fit widens it, and the file is begun again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tools.formats.contract import Choice, first_line
from tools.formats.numbers import written_numbers
from tools.formats.text import DELIMITERS, PACKED, checked_header, detected, lacks_header, sniffed
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Kind = Literal["bool", "int", "float", "comma", "text"]
STREAM_FROM = 64 * 2**20
"""Files of so many bytes and more are streamed."""
_WIDER: dict[str, Kind] = {"bool": "text", "int": "float", "float": "text", "comma": "text"}
_HEAD, _PIECE, _PIECES, _BLOCK = 1 << 20, 1 << 18, 8, 1 << 22
_GROUP_ROWS = 200_000
_CHUNK_CELLS = 2_000_000


class Streamed(NamedTuple):
    rows: int
    columns: int
    notes: list[str]


class _Plan(NamedTuple):
    """How a file is read."""

    path: Path
    delimiter: str
    encoding: str
    names: list[str]
    above: int
    """Lines above the first row."""
    plain: bool
    """Whether Arrow reads it as pandas would."""
    quoted: bool
    """Whether a quoted field may go over several lines, which takes Arrow longer to part."""
    commented: bool


class _Misfit(Exception):
    """A column holds what its kind does not."""

    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column


class _Odd(Exception):
    """Arrow does not read the file."""


def stream_text(path: Path, output: Path, choice: Choice) -> Streamed | None:
    """Convert a file of text; None when it has to be read whole (UTF-16, packed, a header over several lines).

    Raises:
        TableError: as `read_text` does.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff", *PACKED)):
        return None
    plan, notes = _planned(path, head, choice)
    if plan is None:
        return None
    kinds = _guessed(plan)
    while True:
        try:
            rows = _written(plan, kinds, output)
            break
        except _Misfit as misfit:
            kinds[misfit.column] = _WIDER[kinds[misfit.column]]
        except _Odd:
            plan = plan._replace(plain=not plan.quoted, quoted=True)
    commas = [plan.names[i] for i, kind in enumerate(kinds) if kind == "comma"]
    notes += [f"Numbers with decimal commas: {', '.join(map(repr, commas[:10]))}."] if commas else []
    return Streamed(rows, len(plan.names), [*notes, f"{path.stat().st_size:,} bytes were read in a stream."])


def _planned(path: Path, head: bytes, choice: Choice) -> tuple[_Plan | None, list[str]]:
    whole = len(head) < _HEAD
    head = head if whole else head[: head.rfind(b"\n") + 1]
    try:
        text, encoding = head.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        encoding = detected(head)
        text = head.decode(encoding, errors="replace")
    notes = [] if encoding == "utf-8" else [f"Decoded as {encoding}."]
    lines = text.splitlines()
    above = 0
    while above < len(lines) and (not lines[above].strip() or lines[above].startswith("#")):
        above += 1
    if above and above < len(lines) and lines[above - 1].startswith("#"):
        delimiter = max(DELIMITERS, key=lines[above].count)
        above -= lines[above - 1].count(delimiter) >= lines[above].count(delimiter)
    commented = any(line.startswith("#") for line in lines[:above])
    notes += ["Comment lines that begin with # were left out."] if commented else []
    delimiter, records = sniffed("\n".join(lines[above:]))
    headless = choice.header == "none" or (choice.header is None and lacks_header(records))
    header = [f"column_{i + 1}" for i in range(len(records[0]))] if headless else records[0]
    names = checked_header(path, header, records if headless else records[1:])
    if any("\n" in name for name in names):
        return None, notes
    if headless:
        notes.append(f"The first line is a row, not a header: the columns are named {names[0]} to {names[-1]}.")
    names = [name if name.strip() else f"Unnamed: {i}" for i, name in enumerate(names)]
    plain = encoding == "utf-8" and f"{delimiter} " not in text and not commented and len(names) > 1
    return _Plan(
        path,
        delimiter,
        encoding,
        names,
        above + (not headless),
        plain,
        any("\n" in cell for record in records for cell in record),
        commented,
    ), notes


def _guessed(plan: _Plan) -> list[Kind]:
    """Each column's kind by pieces from all over the file."""
    import pandas as pd

    kinds: list[Kind | None] = [None] * len(plan.names)
    size = plan.path.stat().st_size
    with plan.path.open("rb") as file:
        for number in range(_PIECES):
            file.seek(size * number // _PIECES)
            piece = file.read(_PIECE)
            lines = piece.split(b"\n")[1:-1] if number else piece.split(b"\n")[plan.above : -1]
            try:
                frame = pd.read_csv(
                    io.BytesIO(b"\n".join(lines)),
                    sep=plan.delimiter,
                    header=None,
                    names=plan.names,
                    index_col=False,
                    low_memory=False,
                    skipinitialspace=True,
                    encoding=plan.encoding,
                    encoding_errors="replace",
                    on_bad_lines="skip",
                )
            except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError):
                continue
            kinds = [_wider(kind, _kind_of(frame.iloc[:, i], plan.delimiter)) for i, kind in enumerate(kinds)]
    return [kind or "float" for kind in kinds]


def _kind_of(values: pd.Series, delimiter: str) -> Kind | None:
    from pandas.api import types

    if values.isna().all():
        return None
    if types.is_bool_dtype(values.dtype) or (values.dtype == object and values.dropna().map(lambda value: isinstance(value, bool)).all()):
        return "bool"
    if types.is_numeric_dtype(values.dtype):
        # Whole numbers with missing ones among them come as floats.
        return "int" if types.is_integer_dtype(values.dtype) else "float"
    return "comma" if written_numbers(values, delimiter)[1] == "with decimal commas" else "text"


def _wider(one: Kind | None, other: Kind | None) -> Kind | None:
    if one is None or other is None or one == other:
        return one or other
    return "float" if {one, other} == {"int", "float"} else "comma" if {one, other} <= {"int", "comma"} else "text"


def _written(plan: _Plan, kinds: list[Kind], output: Path) -> int:
    """Write all rows; returns how many there are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "comma": pa.float64(), "text": pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in zip(plan.names, kinds, strict=True)])
    texts = [name for name, kind in zip(plan.names, kinds, strict=True) if kind == "text"]
    rows, held = 0, 0
    waiting: list[pa.RecordBatch] = []
    # Numbers seldom repeat, so a dictionary of them is work for nothing. One group is written while the next is read.
    with (
        pq.ParquetWriter(output, schema, compression="snappy", use_dictionary=texts or False) as writer,
        ThreadPoolExecutor(1) as beside,
    ):
        writing: Future[None] | None = None
        for batch in chain(_by_arrow(plan, kinds) if plan.plain else _by_pandas(plan, kinds, schema), [None]):
            if batch is not None:
                waiting.append(batch)
                held, rows = held + batch.num_rows, rows + batch.num_rows
            if waiting and (held >= _GROUP_ROWS or batch is None):
                if writing is not None:
                    writing.result()
                writing = beside.submit(writer.write_table, pa.Table.from_batches(waiting, schema))
                waiting, held = [], 0
        if writing is not None:
            writing.result()
    return rows


def _by_arrow(plan: _Plan, kinds: list[Kind]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv as pc

    read = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "comma": pa.string(), "text": pa.string()}
    options = pc.ConvertOptions(
        column_types={name: read[kind] for name, kind in zip(plan.names, kinds, strict=True)},
        null_values=_missing(),
        true_values=["True", "TRUE", "true"],
        false_values=["False", "FALSE", "false"],
        strings_can_be_null=True,
    )
    try:
        with pc.open_csv(
            plan.path,
            read_options=pc.ReadOptions(column_names=plan.names, skip_rows=plan.above, block_size=_BLOCK),
            parse_options=pc.ParseOptions(delimiter=plan.delimiter, newlines_in_values=plan.quoted),
            convert_options=options,
        ) as reader:
            for batch in reader:
                yield _with_commas(batch, kinds)
    except pa.ArrowInvalid as error:
        found = re.search(r"In CSV column #(\d+)", str(error))
        if found is None or "invalid UTF8" in str(error):
            raise _Odd from None
        raise _Misfit(int(found[1])) from None


def _with_commas(batch: pa.RecordBatch, kinds: list[Kind]) -> pa.RecordBatch:
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, kind in enumerate(kinds):
        if kind == "comma":
            plain = pc.replace_substring(pc.replace_substring(batch.column(i), ".", ""), ",", ".")
            try:
                batch = batch.set_column(i, batch.schema.field(i).name, pc.cast(plain, pa.float64()))
            except pa.ArrowInvalid:
                raise _Misfit(i) from None
    return batch


def _by_pandas(plan: _Plan, kinds: list[Kind], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pandas as pd
    import pyarrow as pa

    as_text = {name: "str" for name, kind in zip(plan.names, kinds, strict=True) if kind in ("comma", "text")}
    try:
        with pd.read_csv(
            plan.path,
            sep=plan.delimiter,
            header=None,
            names=plan.names,
            index_col=False,
            skiprows=plan.above,
            skipinitialspace=True,
            skip_blank_lines=len(plan.names) > 1,
            dtype=as_text,
            encoding=plan.encoding if plan.encoding != "utf-8" else "utf-8-sig",
            encoding_errors="replace",
            low_memory=False,
            chunksize=max(1000, _CHUNK_CELLS // len(plan.names)),
        ) as chunks:
            for chunk in chunks:
                if plan.commented:
                    chunk = chunk[~chunk.iloc[:, 0].astype(str).str.startswith("#")]
                yield _with_commas(_batch(chunk, kinds, schema), kinds)
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        raise TableError(f"{plan.path.name}: a line does not fit the header ({first_line(error)}); mend it or quote its fields") from None
    except pa.ArrowException as error:
        raise TableError(f"{plan.path.name}: not readable as a table ({first_line(error)})") from None


def _batch(chunk: pd.DataFrame, kinds: list[Kind], schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    columns: list[Any] = []
    for i, kind in enumerate(kinds):
        values = chunk.iloc[:, i]
        try:
            columns.append(pa.array(values, type=pa.string() if kind == "comma" else schema.field(i).type, from_pandas=True))
        except (pa.ArrowException, ValueError, TypeError):
            raise _Misfit(i) from None
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def _missing() -> list[str]:
    """What pandas takes for a missing value."""
    from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[import-not-found]

    return sorted(STR_NA_VALUES)


def stream_parquet(path: Path, output: Path) -> Streamed | None:
    """Copy a Parquet file of plain columns, a batch at a time; None when it has to be read whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if any(pa.types.is_nested(field.type) for field in schema) or len(set(schema.names)) < len(schema.names):
                return None
            if any(name.startswith("__index_level_") for name in schema.names):
                return None
            with pq.ParquetWriter(output, schema, compression="snappy") as writer:
                for batch in file.iter_batches(batch_size=1 << 16):
                    writer.write_batch(batch)
            return Streamed(file.metadata.num_rows, len(schema.names), [f"{path.stat().st_size:,} bytes were read in a stream."])
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path.name}: not a readable parquet file ({first_line(error)}); is it whole?") from None
