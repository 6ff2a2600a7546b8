"""Values as weak models write them: JSON and Python literals mixed, trailing commas, doubled braces, line breaks in texts.

A strict reading comes first, so that well-formed JSON means what JSON says. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

DEEPEST = 40
"""Nested lists and objects; what is deeper is no argument of a tool."""
TOO_DEEP = f"it is nested deeper than {DEEPEST} levels"
LONGEST_NUMBER = 40
"""Characters."""

_STRICT = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"(?:\s|//[^\n]*|#[^\n]*)*")
_NUMBER = re.compile(r"[-+]?(?:\d[\d_]*)?\.?\d+(?:[eE][-+]?\d+)?|[-+]?\d+\.")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_CLOSERS = {"{": "}", "[": "]", "(": ")"}


class Unreadable(ValueError):
    """The text at this place is no value."""


class TooDeep(Unreadable):
    """It is nested deeper than any argument."""


@dataclass(frozen=True)
class Value:
    """A value, where it ends, and whether closing brackets had to be added at the end of the text."""

    value: Any
    end: int
    closed: bool = True


def read_value(text: str, at: int = 0, *, complete: bool = True) -> Value:
    """The value that begins at `at`.

    Args:
        complete: whether the text ends where its writer meant it to; then brackets that are missing at its very end are added.

    Raises:
        Unreadable: when there is none, saying what was met.
    """
    try:
        value, end = _STRICT.raw_decode(text, at)
    except RecursionError:
        raise TooDeep(TOO_DEEP) from None
    except ValueError:
        return _Reader(text, complete).read(at)
    # `1,000` and `7.` are read the lenient way; an object or a list of JSON is what it is.
    return Value(value, end) if isinstance(value, (dict, list, str)) else _Reader(text, complete).read(at)


class _Reader:
    def __init__(self, text: str, complete: bool) -> None:
        self._text, self._complete = text, complete
        self._closed = True

    def read(self, at: int) -> Value:
        value, end = self._value(at, 0)
        return Value(value, end, self._closed)

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _peek(self, at: int) -> str:
        return self._text[at : at + 1]

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        if depth > DEEPEST:
            raise TooDeep(TOO_DEEP)
        at = self._skip(at)
        mark = self._peek(at)
        if mark == "{":
            return self._object(at, depth)
        if mark in ("[", "("):
            return self._list(at, depth)
        if mark in _QUOTES:
            return self._string(at)
        if (number := _NUMBER.match(self._text, at)) is not None:
            return _as_number(number[0]), number.end()
        word = _WORD.match(self._text, at)
        if word is not None and word[0].lower() in _WORDS:
            return _WORDS[word[0].lower()], word.end()
        if not mark:
            raise Unreadable("it breaks off")
        raise Unreadable(f"{self._text[at : at + 20]!r} is no value")

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        if depth > DEEPEST:
            raise TooDeep(TOO_DEEP)
        at = self._skip(at + 1)
        if self._peek(at) == "{":  # doubled braces, as templates write them
            inner, at = self._object(at, depth + 1)
            return inner, self._close(at, "}")
        found: dict[str, Any] = {}
        while self._peek(at) not in ("}", ""):
            key, at = self._key(at)
            at = self._skip(at)
            if self._peek(at) not in (":", "="):
                raise Unreadable(f"a colon is missing after {key!r}")
            found[key], at = self._value(at + 1, depth + 1)
            at = self._next(at, "}")
        return found, self._close(at, "}")

    def _key(self, at: int) -> tuple[str, int]:
        if self._peek(at) in _QUOTES:
            return self._string(at)
        word = _WORD.match(self._text, at)
        if word is None:
            raise Unreadable(f"{self._text[at : at + 20]!r} is no name of an argument")
        return word[0], word.end()

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        closer = _CLOSERS[self._peek(at)]
        at = self._skip(at + 1)
        found: list[Any] = []
        while self._peek(at) not in (closer, ""):
            value, at = self._value(at, depth + 1)
            found.append(value)
            at = self._next(at, closer)
        return found, self._close(at, closer)

    def _next(self, at: int, closer: str) -> int:
        """Behind the comma, which may also stand before the closing bracket."""
        at = self._skip(at)
        if self._peek(at) == ",":
            return self._skip(at + 1)
        if self._peek(at) not in (closer, ""):
            raise Unreadable(f"a comma is missing before {self._text[at : at + 20]!r}")
        return at

    def _close(self, at: int, closer: str) -> int:
        at = self._skip(at)
        if self._peek(at) == closer:
            return at + 1
        if at >= len(self._text) and self._complete:
            self._closed = False
            return at
        raise Unreadable(f"a closing {closer} is missing")

    def _string(self, at: int) -> tuple[str, int]:
        opener = self._peek(at)
        closer = _QUOTES[opener]
        if opener in "\"'" and self._text.startswith(opener * 3, at):
            closer = opener * 3
        at += len(closer)
        parts: list[str] = []
        while not self._text.startswith(closer, at):
            if at >= len(self._text):
                raise Unreadable("a text has no end")
            if self._text[at] == "\\":
                part, at = self._escape(at + 1)
                parts.append(part)
            else:
                parts.append(self._text[at])
                at += 1
        # Two escapes that are halves of one character become it.
        joined = "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return joined, at + len(closer)

    def _escape(self, at: int) -> tuple[str, int]:
        mark = self._peek(at)
        width = {"u": 4, "x": 2, "U": 8}.get(mark, 0)
        if width:
            digits = self._text[at + 1 : at + 1 + width]
            try:
                return chr(int(digits, 16)), at + 1 + width
            except ValueError:
                return f"\\{mark}", at + 1
        if mark in "\"'`\\/":
            return mark, at + 1
        return _ESCAPES.get(mark, f"\\{mark}"), at + 1


def _as_number(text: str) -> int | float:
    if len(text) > LONGEST_NUMBER:
        raise Unreadable(f"a number of {len(text)} characters is none")
    plain = text.replace("_", "")
    try:
        return int(plain)
    except ValueError:
        return float(plain)
