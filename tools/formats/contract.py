"""What an adapter of a format promises, and what reading gives."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.formats.dialect import Dialect
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd

HEAD_BYTES = 1 << 16
"""So much of a file tells its format."""
OF_ONE_FORMAT = ("sheet", "key", "header", "encoding", "delimiter", "decimal")
"""Options that mean something to some formats."""
NAMED_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "pipe": "|", "blank": "blanks"}
NAMED_DECIMALS = {"comma": ",", "point": ".", "dot": "."}


@dataclass(frozen=True)
class Choice:
    """What the user said of the inside of a source, behind its name: `book.xlsx#sheet=2024`."""

    sheet: str | None = None
    """Of a workbook: a sheet's name, or its number from 1."""
    key: str | None = None
    """Of an HDF5 file: path of a dataset or group; of JSON: the key of an array of records."""
    table: str | None = None
    """Of several files: the name, without its ending, of the one whose rows are learnt from."""
    gather: str | None = None
    """Of several files: names, commas between, of those with many rows for each row learnt from, to be joined as counts and means."""
    header: str | None = None
    """Of text: `none` when the first line is a row, `first` when it is the header whatever it looks like."""
    encoding: str | None = None
    """Of text: its encoding, by a name that Python knows, such as cp1251; as Python spells it once it is taken."""
    delimiter: str | None = None
    """Of text: what parts the fields, a sign or its name, or `blanks`; the sign once it is taken."""
    decimal: str | None = None
    """Of text: the decimal sign, `,` or `.`."""
    likely: str | None = None
    """Of text: an encoding to try before any is guessed. Nobody asks for it: another file of the kind had it."""
    texts: tuple[str, ...] = ()
    """Of text: columns that are no numbers, whatever they look like. Nobody asks for them either."""

    def __post_init__(self) -> None:
        if self.encoding is not None:
            try:
                "a".encode(self.encoding)
                object.__setattr__(self, "encoding", codecs.lookup(self.encoding).name)
            except (LookupError, UnicodeError):
                raise TableError(f"encoding={self.encoding!r} is unknown; expected one such as utf-8, latin-1, cp1251 or gb18030") from None
        if self.header not in (None, "none", "first"):
            raise TableError(f"header={self.header!r} is unknown; expected header=none or header=first")
        if self.delimiter is not None:
            sign = NAMED_DELIMITERS.get(self.delimiter.lower(), self.delimiter)
            if sign != "blanks" and (len(sign) != 1 or not sign.isascii() or sign.isalnum() or sign in "\"\\'\r\n\0.+-"):
                raise TableError(
                    f"delimiter={self.delimiter!r} parts no fields; expected comma, semicolon, tab, bar, blanks, or one sign such as : or ^"
                )
            object.__setattr__(self, "delimiter", "blanks" if sign == " " else sign)
        if self.decimal is not None:
            sign = NAMED_DECIMALS.get(self.decimal.lower(), self.decimal)
            if sign not in (",", "."):
                raise TableError(f"decimal={self.decimal!r} is no decimal sign; expected decimal=comma or decimal=point")
            object.__setattr__(self, "decimal", sign)

    @classmethod
    def of(cls, options: Mapping[str, str | None]) -> Choice:
        """What the options of a source say, by their names.

        Raises:
            TableError: for a value that is none.
        """
        return cls(**dict[str, Any](options))

    def for_format(self, found: Format) -> Choice:
        """The same without the options that mean nothing to a format."""
        idle: dict[str, Any] = {name: None for name in OF_ONE_FORMAT if name not in found.takes}
        return replace(self, **idle)


@dataclass
class Reading:
    """A table as it was read."""

    frame: pd.DataFrame
    """Column names are text, each once; the index counts from 0."""
    format: str
    notes: list[str] = field(default_factory=list)
    """What was guessed, chosen, repaired or left out, a sentence each."""
    pieces: list[tuple[str, int]] = field(default_factory=list)
    """Of files under each other: path below the folder and number of rows, in the order of the table."""
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True)
class Format:
    """An adapter. It trusts nothing in the file, executes nothing of it, and unpickles nothing."""

    name: str
    suffixes: tuple[str, ...]
    """Endings of names that announce it, in small letters with their dot."""
    recognises: Callable[[bytes, Path], bool]
    """Whether the first `HEAD_BYTES` of a file can only be this format."""
    read: Callable[[Path, Choice], Reading]
    """Raises TableError when the file cannot be read, naming what is wrong and what to do."""
    takes: tuple[str, ...] = ()
    """Options of SOURCE that mean something to it."""


def library(module: str, package: str, what: str) -> Any:
    """An optional library, imported.

    Raises:
        TableError: when it is missing, with the command that brings it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise TableError(f"{what} needs the package {package}, which is not installed. Try: pip install {package}") from None


def told(names: list[str], most: int = 5, among: int | None = None) -> str:
    """Some names of a list, for a message.

    Args:
        among: how many there are, where the list has the first of them alone.
    """
    count = len(names) if among is None else among
    more = f" and {count - most} more" if count > most else ""
    return ", ".join(map(repr, names[:most])) + more


def first_line(error: BaseException) -> str:
    """The first line of what a library said, in at most 200 characters, without the folders of paths."""
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"(?<![\w.])/(?:[\w.-]+/)+", "", line)[:200]
