"""JSON: an array of records, one record a line, an object that holds the records, or an object of columns; nested at will."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.formats.cells import plain
from tools.formats.contract import Choice, Format, Reading
from tools.formats.dialect import Dialect
from tools.formats.encodings import decoded, decoding_notes
from tools.tables import TableError

MOST_DEPTH = 20


def read_json(path: Path, choice: Choice) -> Reading:
    """Read JSON. An object inside a record becomes columns named `outer.inner`."""
    import pandas as pd

    text, encoding = decoded(path, choice.encoding, choice.likely)
    notes = decoding_notes(encoding, text, encoding if encoding in (choice.encoding, choice.likely) else None)
    document, lines = _parsed(path, text)
    records, where, key = _records(path, document, choice)
    notes += [where] if where else []
    if not records:
        raise TableError(f"{path.name}: the JSON holds no record")
    strange = next((i for i, record in enumerate(records) if not isinstance(record, dict)), None)
    if strange is not None:
        if all(isinstance(record, list) for record in records):
            frame = pd.DataFrame(records[1:], columns=pd.Index(map(str, records[0])))
            notes.append("The first of the JSON arrays was taken for the header.")
        else:
            raise TableError(
                f"{path.name}: record {strange + 1} is {type(records[strange]).__name__}, expected an object with a value for each column"
            )
    else:
        frame = pd.json_normalize(records, sep=".", max_level=MOST_DEPTH)
    frame, changed = plain(frame, path)
    return Reading(frame, "JSON lines" if lines else "JSON", [*notes, *changed], dialect=Dialect(encoding=encoding, key=key))


def _parsed(path: Path, text: str) -> tuple[Any, bool]:
    """The document, or the list of its lines' documents and True."""
    try:
        return json.loads(text), False
    except RecursionError:
        raise TableError(f"{path.name}: the JSON is nested too deeply to be a table") from None
    except ValueError as error:
        whole = error
    records = []
    lines = [line for line in enumerate(text.split("\n"), 1) if line[1].strip()]
    for number, line in lines:
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            if len(records) < 1 or not isinstance(records[0], dict):
                raise TableError(f"{path.name}: not readable JSON ({whole}); is the file whole?") from None
            raise TableError(f"{path.name}: line {number} is not readable JSON ({error}); mend or remove it") from None
    return records, True


def _records(path: Path, document: Any, choice: Choice) -> tuple[list[Any], str, str | None]:
    """The records of a document, where they were found, and under which key."""
    if isinstance(document, list):
        if choice.key is not None:
            raise TableError(f"{path.name}: key={choice.key!r}, but the JSON is an array of records and has no keys. Leave #key= out")
        return document, "", None
    if not isinstance(document, dict):
        raise TableError(f'{path.name}: the JSON is one {type(document).__name__}; expected records, as in [{{"a": 1}}, {{"a": 2}}]')
    if choice.key is not None:
        if not isinstance(document.get(choice.key), list):
            raise TableError(f"{path.name}: key={choice.key!r} holds no array; keys: {', '.join(map(repr, list(document)[:10]))}")
        return document[choice.key], f"Records were taken from {choice.key!r}.", choice.key
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    tables = {name: value for name, value in lists.items() if value and all(isinstance(record, dict) for record in value)}
    header, body = lists.get("columns"), lists.get("data")
    if header and body and all(isinstance(row, list) and len(row) == len(header) for row in body):
        names = [str(name) for name in header]
        if len(set(names)) == len(names):
            return [dict(zip(names, row, strict=True)) for row in body], "Names were taken from 'columns' and rows from 'data'.", None
    if tables:
        name = max(tables, key=lambda name: len(tables[name]))
        return tables[name], f"Records were taken from {name!r}.{left_out(list(document), name)}", name
    if lists and len(lists) == len(document) and len({len(value) for value in lists.values()}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)], "Each key was taken for a column.", None
    inner = list(document.values())
    if inner and all(isinstance(value, dict) for value in inner):
        rows = {key for value in inner for key in value}
        if len(inner) > 1 and all(set(value) == rows for value in inner) and all(key.isdecimal() for key in rows):
            order = sorted(rows, key=int)
            return [{name: document[name][row] for name in document} for row in order], "Each key was taken for a column.", None
        return inner, "Each value of the outer object was taken for a record, and its keys were left out.", None
    return [document], "The document is one record.", None


def left_out(keys: list[str], taken: str) -> str:
    """A sentence on the keys of a document that its records were not taken from; empty where there is none."""
    return f" Other keys, left out: {', '.join(map(repr, [key for key in keys if key != taken][:10]))}." if len(keys) > 1 else ""


def _recognises(head: bytes, path: Path) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:400]
    return start.startswith((b"{", b"[{", b"[[")) or (start.startswith(b"[") and start[1:].lstrip().startswith((b"{", b"[")))


FORMAT = Format("JSON", (".json", ".jsonl", ".ndjson", ".geojson"), _recognises, read_json, ("key", "encoding"))
