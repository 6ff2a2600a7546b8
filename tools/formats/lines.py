"""JSON of any size, a record a line or one array of them, as one Parquet file: so many at a time, in one file or in parts of one table.

What kind a column is stands nowhere in such a file. It is taken from the first lines; where later ones hold another kind or further
columns, all lines are looked through for what they hold, and the rows are written again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tools.formats.arrays import Otherwise, place_of, records
from tools.formats.cells import as_json, as_text, plain
from tools.formats.contract import Choice, told
from tools.formats.dialect import Dialect, agreed
from tools.formats.encodings import decoding_notes
from tools.formats.groups import row_groups
from tools.formats.jsons import MOST_DEPTH
from tools.formats.streaming import Streamed
from tools.tables import TableError

if TYPE_CHECKING:
    import pyarrow as pa

    from tools.tally import Tally

Kind = Literal["nothing", "bool", "int", "float", "text", "mixed", "json"]
"""Of a column: whole numbers, broken ones, numbers beside text, or lists and objects in some cell."""
_HEAD = 1 << 20
_CHUNK_BYTES, _CHUNK_CELLS = 1 << 23, 1_000_000
_BOM = b"\xef\xbb\xbf"

Record = dict[str, Any]


class _Part(NamedTuple):
    """A file, and what gives its records with the room that each takes, from the first as often as one likes."""

    path: Path
    records: Callable[[], Iterator[tuple[Record, int]]]


class _Otherwise(Exception):
    """Rows hold what was not expected of their columns."""


def stream_json(files: Sequence[Path], output: Path, choice: Choice) -> Streamed | None:
    """Convert files whose rows stand under each other; None when one has to be read whole: it holds neither a record on each line nor an
    array of them.

    Raises:
        TableError: for a line that is no record, naming it.
    """
    if choice.key is None and choice.encoding in (None, "utf-8") and all(map(_has_lines, files)):
        found = _streamed([_Part(path, partial(_records_of_lines, path)) for path in files], output)
        return found and found._replace(format="JSON lines", dialect=Dialect(encoding="utf-8"))
    places = [place_of(path, choice) for path in files]
    known = [place for place in places if place is not None]
    if len(known) < len(files):
        return None
    parts = [_Part(path, partial(records, path, place)) for path, place in zip(files, known, strict=True)]
    try:
        found = _streamed(parts, output)
    except Otherwise:
        return None
    notes = [[*decoding_notes(place.named, "", place.named), *([place.note] if place.note else [])] for place in known]
    return found and found._replace(of_files=notes, dialect=agreed([Dialect(encoding=one.named, key=one.key) for one in known]))


def _streamed(files: Sequence[_Part], output: Path) -> Streamed | None:
    kinds: dict[str, Kind] = {}
    _learn(kinds, next(_chunks(files[0])))
    try:
        rows, counts = _written(files, kinds, output)
    except _Otherwise:
        each = []
        for part in files:
            each.append(dict[str, Kind]())
            for chunk in _chunks(part):
                _learn(each[-1], chunk)
                _learn(kinds, chunk)
        if any(set(one) - set(each[0]) or set(each[0]) - set(one) for one in each):
            return None  # several tables, perhaps with keys
        rows, counts = _written(files, {name: kinds[name] for found in each for name in found}, output)
    mixed = [name for name, kind in kinds.items() if kind == "mixed"]
    nested = [name for name, kind in kinds.items() if kind == "json"]
    notes = [f"Lists and objects inside cells were kept as JSON text: {told(nested)}."] if nested else []
    notes += [f"Columns of numbers beside text were read as text: {told(mixed)}."] if mixed else []
    return Streamed(rows, len(kinds), notes, [[] for _ in files], counts)


def _has_lines(path: Path) -> bool:
    """Whether the first two lines are a record each, of UTF-8."""
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(_BOM)
    lines = [line for line in head.split(b"\n") if line.strip()][:2]
    try:
        return len(lines) == 2 and all(isinstance(json.loads(line.decode()), dict) for line in lines)
    except (ValueError, RecursionError):
        return False


def _chunks(part: _Part) -> Iterator[list[Record]]:
    """Records of a file, some at a time."""
    chunk: list[Record] = []
    held = cells = 0
    for record, size in part.records():
        chunk.append(_flat(record))
        held, cells = held + size, cells + len(chunk[-1])
        if held >= _CHUNK_BYTES or cells >= _CHUNK_CELLS:
            yield chunk
            chunk, held, cells = [], 0, 0
    if chunk:
        yield chunk


def _records_of_lines(path: Path) -> Iterator[tuple[Record, int]]:
    """Records of a file with a record on each line, and the bytes that each takes."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            line = line.removeprefix(_BOM) if number == 1 else line
            if not line.strip():
                continue
            try:
                record = json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                raise TableError(f"{path.name}: line {number} is not readable JSON ({error}); mend or remove it") from None
            if not isinstance(record, dict):
                kind = type(record).__name__
                raise TableError(
                    f"{path.name}: line {number} is {kind}, expected an object with a value for each column; mend or remove it"
                )
            yield record, len(line)


def _flat(record: Record) -> Record:
    """A record whose inner objects are columns `outer.inner`, after its plain ones, as pandas puts them."""
    if not any(isinstance(value, dict) for value in record.values()):
        return record
    found = {name: value for name, value in record.items() if not isinstance(value, dict)}
    for name, value in record.items():
        if isinstance(value, dict):
            _flatten(found, f"{name}.", value, 1)
    return found


def _flatten(found: Record, prefix: str, record: Record, depth: int) -> None:
    for name, value in record.items():
        if isinstance(value, dict) and depth < MOST_DEPTH:
            _flatten(found, f"{prefix}{name}.", value, depth + 1)
        else:
            found[prefix + name] = value


def _learn(kinds: dict[str, Kind], chunk: list[Record]) -> None:
    """Let kinds hold what further records hold."""
    for name, values in _columns(chunk).items():
        kinds[name] = _wider(kinds.get(name, "nothing"), _kind_of(values))


def _columns(chunk: list[Record]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for record in chunk for name in record)
    return {name: [record.get(name) for record in chunk] for name in names}


def _kind_of(values: list[Any]) -> Kind:
    import pyarrow as pa

    try:
        kind = pa.array(values, from_pandas=True).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return "json" if any(isinstance(value, (list, dict)) for value in values) else "mixed"
    types = pa.types
    if types.is_nested(kind):
        return "json"
    known: dict[Kind, bool] = {
        "nothing": types.is_null(kind),
        "bool": types.is_boolean(kind),
        "int": types.is_integer(kind),
        "float": types.is_floating(kind),
    }
    return next((name for name, fits in known.items() if fits), "text")


def _wider(one: Kind, other: Kind) -> Kind:
    if one == other or other == "nothing":
        return one
    if one == "nothing":
        return other
    both = {one, other}
    return "json" if "json" in both else "float" if both == {"int", "float"} else "mixed"


def _written(files: Sequence[_Part], kinds: dict[str, Kind], output: Path) -> tuple[list[int], dict[str, Tally]]:
    """Write all rows; returns how many each file has, and what its columns hold.

    Raises:
        _Otherwise: when a column is of another kind, or not among these.
        TableError: for too many columns.
    """
    import pandas as pd
    import pyarrow as pa

    plain(pd.DataFrame(columns=pd.Index([*kinds])), files[0].path)
    schema = pa.schema([(name, _type(kind)) for name, kind in kinds.items()])
    rows = [0] * len(files)
    with row_groups(output, schema) as groups:
        for i, part in enumerate(files):
            seen = set[str]()
            for chunk in _chunks(part):
                columns = _columns(chunk)
                if columns.keys() - kinds.keys():
                    raise _Otherwise
                missing = [None] * len(chunk)
                arrays = [_array(columns.get(name, missing), kind) for name, kind in kinds.items()]
                groups.add(pa.RecordBatch.from_arrays(arrays, schema=schema))
                rows[i] += len(chunk)
                seen |= columns.keys()
            if len(files) > 1 and len(seen) < len(kinds):
                raise _Otherwise
    return rows, groups.counts()


def _type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    known = {"nothing": pa.null(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    return known.get(kind, pa.string())


def _array(values: list[Any], kind: Kind) -> pa.Array:
    import pyarrow as pa

    if kind in ("mixed", "json"):
        made = as_text if kind == "mixed" else as_json
        return pa.array([None if value is None or value != value else made(value) for value in values], pa.string())
    if _wider(kind, _kind_of(values)) != kind:
        raise _Otherwise
    if kind == "float":
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, _type(kind), from_pandas=True)
