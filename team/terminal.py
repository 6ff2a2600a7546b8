"""Text from data, models and sandboxes for a terminal: it must not move the cursor, ring, write to the clipboard or reorder a line."""

from __future__ import annotations

import json
import re
from typing import Any

_SEQUENCE = r"\x1b\[[0-9;?]*[ -/]*[@-~]"
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_REORDERING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_LINE_SEPARATORS = r"\u2028\u2029"
_UNWANTED = re.compile(f"{_SEQUENCE}|[{_CONTROLS}{_REORDERING}{_LINE_SEPARATORS}]")
_BREAK = re.compile(r"\s*\n\s*")
_RAW_IN_JSON = re.compile(f"[\x7f-\x9f{_REORDERING}{_LINE_SEPARATORS}]")


def clean(text: str) -> str:
    """Text without terminal control sequences and without characters that reorder a line; tabs and line breaks stay."""
    return _UNWANTED.sub("", text)


def one_line(text: str) -> str:
    """The same on one line, so that a text cannot pass for several."""
    return _BREAK.sub(" ", clean(text))


def clean_json(document: str) -> str:
    """A JSON document in which what JSON leaves as it is, and a terminal does not, is escaped."""
    return _RAW_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def print_json(document: Any) -> None:
    """Print a document that was asked for with `--json`."""
    print(clean_json(json.dumps(document, indent=1, ensure_ascii=False)))
