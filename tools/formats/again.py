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

from tools.formats.contract import Choice, told
from tools.formats.detect import find, read
from tools.formats.dialect import Dialect
from tools.formats.parts import stream
from tools.formats.rows import Held, OnFile, Rows
from tools.formats.whole import refuse_too_large
from tools.tables import TableError, checked

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Column

_NAMES = {"\t": "tab", "|": "bar", ",": "comma", ";": "semicolon"}
_PLAIN = {"encoding": "utf-8", "delimiter": ",", "header": "first", "decimal": "."}
"""What is not worth telling."""
_MOST_TOLD = 5
"""Of values that are no numbers."""
_LOOKED_AT = 100_000
"""Rows at once."""


def read_again(path: Path, asked: Mapping[str, str | None], before: Dialect | None, used: list[Column], beside: Path | None = None) -> Rows:
    """Read a file or a folder, whose header may stand alone.

    Args:
        asked: what the user says of its inside, as `Choice` has it.
        before: how the earlier rows were read; None where nobody knows.
        used: columns that are needed, with their kinds.
        beside: a folder for a large table, which lies there as long as its rows are asked for; None to hold it in memory.

    Raises:
        TableError: when it cannot be read, guessed or not.
    """
    choice = Choice.of(asked)
    if before is None or before == Dialect():
        return _read(path, choice, beside)
    known = _options(path, before, choice)
    texts = tuple(before.texts)
    try:
        reading = _read(path, replace(choice, **known, likely=before.encoding, texts=texts), beside)
        why = _misfit(reading, used)
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
    guessed = _read(path, replace(choice, texts=texts), beside)
    if any(guessed.dialect.said.get(name) != value for name, value in known.items()):
        found = {name: value for name, value in guessed.dialect.said.items() if asked.get(name) is None and known.get(name) != value}
        then = f" It was guessed anew: {_said(found)}." if found else " It was guessed anew."
        guessed.notes[:0] = [f"Not read as the data that the model has learnt from ({_said(heeded or known)}): {why}.{then}"]
    return guessed


class Lost:
    """Columns of numbers whose other values count as missing.

    Args:
        used: columns that are needed, with their kinds.
    """

    def __init__(self, used: list[Column]) -> None:
        self._numbers = [column.name for column in used if column.kind == "numeric"]
        self._odd: dict[str, list[str]] = {}
        self._count: dict[str, int] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """Look at further rows."""
        from pandas.api import types

        for name in self._numbers:
            if name in frame.columns and not types.is_numeric_dtype(frame[name].dtype):
                odd = [text for text in frame[name].dropna().astype(str) if not _is_number(text)]
                self._count[name] = self._count.get(name, 0) + len(odd)
                self._odd.setdefault(name, []).extend(odd[:_MOST_TOLD])

    def notes(self) -> list[str]:
        """A sentence on each."""
        told_of = {name: told(self._odd[name][:_MOST_TOLD], among=count) for name, count in self._count.items() if count}
        return [
            f"{name!r} holds numbers; {self._count[name]:,} values that are none count as missing: {odd}." for name, odd in told_of.items()
        ]


def _read(path: Path, choice: Choice, beside: Path | None) -> Rows:
    if beside is not None and (found := stream(path, beside / "rows.parquet", choice)) is not None and found.rows:
        return OnFile(beside / "rows.parquet", found)
    refuse_too_large(path)
    reading = read(path, choice)
    checked(reading.frame, path, header_only=True)
    return Held(reading)


def _options(path: Path, before: Dialect, choice: Choice) -> dict[str, str]:
    """What is on record, means something to this file, and is not decided by the user."""
    if path.is_dir():
        taken = {"sheet", "key", "header", "delimiter", "decimal", "table", "gather"}
    elif path.is_file() and path.stat().st_size:
        taken = {*find(path).takes}
    else:
        taken = set()
    return {name: value for name, value in before.said.items() if name in taken and getattr(choice, name) is None}


def _misfit(rows: Rows, used: list[Column]) -> str:
    """Why a reading is none of rows for these columns; empty where it is one."""
    from pandas.api import types

    if missing := [column.name for column in used if column.name not in rows.names]:
        return f"there is no column {told(missing)}"
    numbers = [column.name for column in used if column.kind == "numeric"]
    first, odd = dict[str, str](), dict[str, str]()
    for frame in rows.frames(numbers, _LOOKED_AT):
        numbers = [name for name in numbers if not types.is_numeric_dtype(frame[name].dtype)]
        for name in numbers:
            strange = frame[name].dropna().astype(str)
            if len(strange) and name not in odd:
                first.setdefault(name, strange.iloc[0])
                odd |= next(({name: text} for text in strange if not _is_number(text)), {})
        if not numbers or numbers[0] in odd:
            break
    strangest = next((name for name in numbers if name in first), None)
    return "" if strangest is None else f"{odd.get(strangest, first[strangest])[:80]!r} in {strangest!r} is no number then"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _said(options: Mapping[str, str]) -> str:
    shown = {name: _NAMES.get(value, value) if name == "delimiter" else repr(value) for name, value in options.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())
