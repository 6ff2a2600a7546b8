"""ARFF, the format of Weka and OpenML (https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/), dense and sparse."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading
from tools.formats.dialect import Dialect
from tools.formats.encodings import decoded
from tools.tables import TableError

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.*)""", re.I)
_NUMERIC = ("numeric", "real", "integer")


def read_arff(path: Path, choice: Choice) -> Reading:
    """Read a relation. Numeric attributes become numbers, nominal ones text of their values; `?` is missing.

    Raises:
        TableError: naming the line that is not as the header says.
    """
    import pandas as pd

    text, encoding = decoded(path, choice.encoding, choice.likely)
    names, kinds, start = _header(path, text)
    columns: list[list[Any]] = [[] for _ in names]
    for number, line in enumerate(io.StringIO(text), 1):
        line = line.strip()
        if number <= start or not line or line.startswith("%"):
            continue
        for position, (kind, cell) in enumerate(zip(kinds, _cells(path, number, line, kinds), strict=True)):
            columns[position].append(_value(path, number, names[position], kind, cell))
    frame = pd.DataFrame({i: pd.Series(column, dtype="float64" if kinds[i] == "numeric" else object) for i, column in enumerate(columns)})
    frame = frame.set_axis(names, axis=1)
    for name, kind in zip(names, kinds, strict=True):
        if kind == "numeric" and frame[name].notna().all() and (frame[name] % 1 == 0).all():
            frame[name] = frame[name].astype("int64")
        elif kind == "date":
            frame[name] = pd.to_datetime(frame[name], errors="coerce")
    frame, notes = plain(frame, path)
    return Reading(frame, "ARFF", notes, dialect=Dialect(encoding=encoding))


def _header(path: Path, text: str) -> tuple[list[str], list[Any], int]:
    """Names, kinds (`numeric`, `text`, `date`, or the list of nominal values) and the number of the line `@data`."""
    names: list[str] = []
    kinds: list[Any] = []
    for number, line in enumerate(io.StringIO(text), 1):
        line = line.strip()
        if line.lower().startswith("@data"):
            if not names:
                raise TableError(f"{path.name}: line {number}: @data before any @attribute")
            if len(set(names)) < len(names):
                raise TableError(
                    f"{path.name}: attributes named twice: {', '.join(sorted({n for n in names if names.count(n) > 1}))}; rename them"
                )
            return names, kinds, number
        if line.lower().startswith("@attribute"):
            found = _ATTRIBUTE.match(line)
            if found is None or not found[2]:
                raise TableError(f"{path.name}: line {number}: expected @attribute NAME KIND")
            kind = found[2].strip().lower()
            names.append(_unquoted(found[1]))
            if kind.startswith("{"):
                kinds.append(_split(found[2].strip().strip("{}")))
            elif kind.split()[0] in _NUMERIC:
                kinds.append("numeric")
            elif kind.split()[0] in ("string", "date"):
                kinds.append("text" if kind.startswith("string") else "date")
            else:
                raise TableError(f"{path.name}: line {number}: attribute {names[-1]!r} is of kind {found[2][:40]!r}, which is not read")
    raise TableError(f"{path.name}: there is no line @data; is the file whole?")


def _cells(path: Path, number: int, line: str, kinds: list[Any]) -> list[str | None]:
    if line.startswith("{"):  # sparse: what is not named is zero, or the first of the nominal values
        cells: list[str | None] = [kind[0] if isinstance(kind, list) else "0" if kind == "numeric" else "" for kind in kinds]
        for pair in _split(line.strip("{}")):
            at, _, value = pair.strip().partition(" ")
            if not at.isdecimal() or int(at) >= len(kinds):
                raise TableError(f"{path.name}: line {number}: {pair[:40]!r} names no attribute; expected its number, from 0, and a value")
            cells[int(at)] = _unquoted(value.strip())
        return cells
    cells = [*_split(line)]
    if len(cells) != len(kinds):
        raise TableError(f"{path.name}: line {number} has {len(cells)} values; expected {len(kinds)}, one for each attribute")
    return cells


def _value(path: Path, number: int, name: str, kind: Any, cell: str | None) -> Any:
    if cell is None or cell == "?":
        return None
    if kind != "numeric":
        return cell
    try:
        return float(cell)
    except ValueError:
        raise TableError(f"{path.name}: line {number}: {cell[:40]!r} is no number, and {name!r} is numeric") from None


def _split(text: str) -> list[str]:
    quote = "'" if "'" in text and '"' not in text else '"'
    return [_unquoted(cell) for cell in next(csv.reader([text], quotechar=quote, escapechar="\\", skipinitialspace=True), [])]


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def _recognises(head: bytes, path: Path) -> bool:
    lines = [line.strip().lower() for line in head[:20_000].splitlines() if line.strip() and not line.strip().startswith(b"%")]
    return bool(lines) and lines[0].startswith(b"@relation")


FORMAT = Format("ARFF", (".arff",), _recognises, read_arff, ("encoding",))
