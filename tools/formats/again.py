"""Read rows the way that earlier rows of the same kind were read, where that fits them, and say which way it was.

A single row tells less of its dialect than the table that a model was fitted on: `1.234` is a thousand more in one than in the other.
What was found then is tried first. It fits where every column that the model uses is there and none that held numbers holds text; else
the dialect is guessed anew. What the user asks for holds in either case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tools.formats.contract import Choice, Reading, told
from tools.formats.detect import find, read
from tools.formats.dialect import Dialect
from tools.tables import TableError, checked

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Column

_NAMES = {"\t": "tab", "|": "bar", ",": "comma", ";": "semicolon"}
_PLAIN = {"encoding": "utf-8", "delimiter": ",", "header": "first", "decimal": "."}
"""What is not worth telling."""


def read_again(path: Path, asked: Mapping[str, str | None], before: Dialect | None, used: list[Column]) -> Reading:
    """Read a file or a folder, whose header may stand alone.

    Args:
        asked: what the user says of its inside, as `Choice` has it.
        before: how the earlier rows were read; None where nobody knows.
        used: columns that are needed, with their kinds.

    Raises:
        TableError: when it cannot be read, guessed or not.
    """
    choice = Choice.of(asked)
    if before is None or before == Dialect():
        return _read(path, choice)
    known = _options(path, before, choice)
    texts = tuple(before.texts)
    try:
        reading = _read(path, replace(choice, **known, likely=before.encoding, texts=texts))
        why = _misfit(reading.frame, used)
        if not why and known.get("decimal") == "," != reading.dialect.decimal:
            why = "its numbers have decimal points"
    except TableError as error:
        reading, why = None, str(error).removeprefix(f"{path.name}: ")
    heeded = {name: value for name, value in known.items() if _PLAIN.get(name) != value}
    if reading is not None and not why:
        if before.encoding == reading.dialect.encoding not in (None, "utf-8", choice.encoding):
            heeded = {"encoding": str(before.encoding), **heeded}
        reading.notes[:0] = [f"Read as the data that the model has learnt from: {_said(heeded)}."] if heeded else []
        return reading
    guessed = _read(path, replace(choice, texts=texts))
    if any(guessed.dialect.said.get(name) != value for name, value in known.items()):
        found = {name: value for name, value in guessed.dialect.said.items() if asked.get(name) is None and known.get(name) != value}
        then = f" It was guessed anew: {_said(found)}." if found else " It was guessed anew."
        guessed.notes[:0] = [f"Not read as the data that the model has learnt from ({_said(heeded or known)}): {why}.{then}"]
    return guessed


def lost(frame: pd.DataFrame, used: list[Column]) -> list[str]:
    """A sentence on each column of numbers whose other values count as missing."""
    from pandas.api import types

    notes = []
    for column in used:
        if column.kind == "numeric" and column.name in frame.columns and not types.is_numeric_dtype(frame[column.name].dtype):
            odd = [text for text in frame[column.name].dropna().astype(str) if not _is_number(text)]
            notes += [f"{column.name!r} holds numbers; {len(odd):,} values that are none count as missing: {told(odd)}."] if odd else []
    return notes


def _read(path: Path, choice: Choice) -> Reading:
    reading = read(path, choice)
    checked(reading.frame, path, header_only=True)
    return reading


def _options(path: Path, before: Dialect, choice: Choice) -> dict[str, str]:
    """What is on record, means something to this file, and is not decided by the user."""
    if path.is_dir():
        taken = {"sheet", "key", "header", "delimiter", "decimal", "table", "gather"}
    elif path.is_file() and path.stat().st_size:
        taken = {*find(path).takes}
    else:
        taken = set()
    return {name: value for name, value in before.said.items() if name in taken and getattr(choice, name) is None}


def _misfit(frame: pd.DataFrame, used: list[Column]) -> str:
    """Why a reading is none of rows for these columns; empty where it is one."""
    from pandas.api import types

    if missing := [column.name for column in used if column.name not in frame.columns]:
        return f"there is no column {told(missing)}"
    for column in used:
        values = frame[column.name]
        if column.kind == "numeric" and not types.is_numeric_dtype(values.dtype) and values.notna().any():
            strange = values[values.notna()].astype(str)
            odd = [text for text in strange if not _is_number(text)]
            return f"{(odd or [strange.iloc[0]])[0][:80]!r} in {column.name!r} is no number then"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _said(options: Mapping[str, str]) -> str:
    shown = {name: _NAMES.get(value, value) if name == "delimiter" else repr(value) for name, value in options.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())
