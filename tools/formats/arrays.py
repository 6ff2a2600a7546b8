"""One JSON document of any size, record by record: an array of objects, or an object that holds such an array under one of its keys.

The standard decoder reads one value at a time out of as much text as that takes. Whatever else a document may be is left to those who read
it whole, and so is every mistake in it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from tools.formats.contract import HEAD_BYTES, Choice
from tools.formats.encodings import wide_encoding, without_order
from tools.formats.jsons import left_out

_PIECE, _MOST = 1 << 20, 1 << 26
"""Signs that are read at once, and those of the longest value that is read as a piece of a document."""
_BLANKS = " \t\r\n"

Record = dict[str, Any]


class Otherwise(Exception):
    """A document has to be read whole."""


class Place(NamedTuple):
    """Where a document's records are."""

    encoding: str
    named: str
    """The encoding as it is told."""
    key: str | None
    """None where the document is the array."""
    note: str


def place_of(path: Path, choice: Choice) -> Place | None:
    """Where the records of a document are; None where it has to be read whole."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    encoding = choice.encoding or wide_encoding(head) or "utf-8"
    named = choice.encoding or without_order(encoding)
    with contextlib.suppress(Otherwise, UnicodeError, RecursionError), _opened(path, encoding) as text:
        if text.peek() == "[":
            text.take("[")
            return Place(encoding, named, None, "") if text.peek() == "{" and choice.key is None else None
        return _longest(_survey(text), encoding, named, choice)
    return None


def records(path: Path, place: Place) -> Iterator[tuple[Record, int]]:
    """The records of a document, with the signs that each takes.

    Raises:
        Otherwise: when it is not what it seemed to be.
    """
    try:
        with _opened(path, place.encoding) as text:
            if place.key is None:
                yield from _elements(text)
                if text.peek():
                    raise Otherwise
                return
            for key in _keys(text):
                if key == place.key:
                    yield from _elements(text)
                else:
                    text.pass_over()
    except (UnicodeError, RecursionError):
        raise Otherwise from None


class _Held(NamedTuple):
    """An array under a key."""

    length: int
    objects: bool
    """Whether all of its elements are."""


def _survey(text: _Text) -> dict[str, _Held | None]:
    """What the keys of a document hold; None for what is no array."""
    found: dict[str, _Held | None] = {}
    for key in _keys(text):
        if key in found:
            raise Otherwise
        if text.peek() != "[":
            text.pass_over()
            found[key] = None
            continue
        count, objects = 0, True
        for value in _values(text):
            count, objects = count + 1, objects and isinstance(value, dict)
        found[key] = _Held(count, objects)
    return found


def _longest(held: dict[str, _Held | None], encoding: str, named: str, choice: Choice) -> Place | None:
    """The array that reading the document whole would take its records from."""
    tables = {key: one.length for key, one in held.items() if one is not None and one.objects and one.length}
    if choice.key is not None:
        return Place(encoding, named, choice.key, f"Records were taken from {choice.key!r}.") if choice.key in tables else None
    if not tables or {"columns", "data"} <= held.keys():
        return None
    key = max(tables, key=lambda name: tables[name])
    return Place(encoding, named, key, f"Records were taken from {key!r}.{left_out(list(held), key)}")


def _keys(text: _Text) -> Iterator[str]:
    """The keys of the document's object; who asks for the next has passed over the value of the one before."""
    text.take("{")
    while text.peek() != "}":
        key = text.value()
        if not isinstance(key, str):
            raise Otherwise
        text.take(":")
        yield key
        text.comma("}")
    text.take("}")
    if text.peek():
        raise Otherwise


def _values(text: _Text) -> Iterator[Any]:
    text.take("[")
    while text.peek() != "]":
        yield text.value()
        text.comma("]")
    text.take("]")


def _elements(text: _Text) -> Iterator[tuple[Record, int]]:
    before = text.read
    for value in _values(text):
        if not isinstance(value, dict):
            raise Otherwise
        yield value, text.read - before
        before = text.read


class _Text:
    """The text of a file, of which as much is held as the value that is read takes."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._held, self._at, self._before = file, "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    @property
    def read(self) -> int:
        """Signs that are behind."""
        return self._before + self._at

    def peek(self) -> str:
        """The next sign that is no blank; empty at the end."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self, sign: str) -> None:
        if self.peek() != sign:
            raise Otherwise
        self._at += 1

    def comma(self, end: str) -> None:
        """Pass over a comma, which must stand before all but the `end`."""
        if self.peek() != end:
            self.take(",")
            if self.peek() == end:
                raise Otherwise

    def value(self) -> Any:
        self.peek()
        while True:
            with contextlib.suppress(ValueError):
                value, end = self._decode(self._held, self._at)
                if end < len(self._held):  # else a number may go on
                    self._at = end
                    return value
            if len(self._held) - self._at > _MOST or not self._more():
                raise Otherwise

    def pass_over(self) -> None:
        """Pass over a value; of an array one element after another."""
        if self.peek() == "[":
            for _ in _values(self):
                pass
        else:
            self.value()

    def _more(self) -> bool:
        self._held, self._before, self._at = self._held[self._at :], self._before + self._at, 0
        piece = self._file.read(max(_PIECE, len(self._held)))
        self._held += piece
        return bool(piece)


@contextlib.contextmanager
def _opened(path: Path, encoding: str) -> Iterator[_Text]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        yield _Text(file)
