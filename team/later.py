"""What of a record this version can read that a later one wrote: the events and fields that it knows. The rest is counted and told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from team.events import EVENT, SCHEMA_VERSION
from tools.contract import Contract

SHOWN = 5
"""Names of unknown kinds or fields that are told."""


class Known(NamedTuple):
    """The readable part of a later version's log."""

    lines: list[bytes]
    told: str
    """What is left out, in words."""


def later_version(path: Path) -> int | None:
    """The version of a log's events where that is later than this one's; None for any other log."""
    found = [version for line in _lines(path) if isinstance(version := _document(line).get("schema_version"), int)]
    return max(found) if found and max(found) > SCHEMA_VERSION else None


def read_known(path: Path, version: int) -> Known:
    """The events of a log as far as this version knows them, without fields that it does not know."""
    lines: list[bytes] = []
    kinds, fields, lost = Counter[str](), Counter[str](), 0
    for line in _lines(path):
        document = _document(line)
        left = known_fields(document, EVENT.validate_python)
        if left is not None:
            fields.update(left)
            lines.append(json.dumps(document, ensure_ascii=False).encode())
        elif _is_kind(document):
            lost += 1
        else:
            kinds[str(document.get("kind", "none"))[:60]] += 1
    parts = [
        f"{_counted(kinds.total(), 'event')} of a kind that it does not know ({_names(kinds)})" if kinds else "",
        f"{_counted(fields.total(), 'field')} that it does not know ({_names(fields)})" if fields else "",
        f"{_counted(lost, 'event')} that it reads otherwise" if lost else "",
    ]
    left_out = ", ".join(filter(None, parts)) or "nothing"
    return Known(
        lines,
        f"{path.name} was written by a later mlteam (events of version {version}; this one reads up to {SCHEMA_VERSION});"
        f" what this one does not know is left out: {left_out}",
    )


def known_contract(path: Path) -> Contract | None:
    """A contract without fields that this version does not know; None where it cannot be read without them."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return None if known_fields(document, Contract.model_validate) is None else Contract.model_validate(document)


def known_fields(document: Any, validate: Callable[[Any], BaseModel]) -> list[str] | None:
    """Take out of a document what its model does not know.

    Returns:
        The names of the fields that were taken out; None where something else is wrong with it as well.
    """
    gone: list[str] = []
    while True:
        try:
            validate(document)
        except ValidationError as error:
            unknown = [one["loc"] for one in error.errors() if one["type"] == "extra_forbidden"]
            if not unknown or not all(_take_out(document, place) for place in unknown):
                return None
            gone += [str(place[-1]) for place in unknown]
        else:
            return gone


def _take_out(document: Any, place: tuple[int | str, ...]) -> bool:
    """Remove one field; what pydantic says of a union's members on the way is passed over."""
    *way, name = place
    for step in way:
        if isinstance(document, dict):
            document = document.get(step, document)
        elif isinstance(document, list) and isinstance(step, int):
            document = document[step]
    return isinstance(document, dict) and document.pop(str(name), document) is not document


def _is_kind(document: dict[str, Any]) -> bool:
    """Whether this version has events of the document's kind."""
    try:
        EVENT.validate_python({"kind": document.get("kind")})
    except ValidationError as error:
        return not any(one["type"].startswith("union_tag") for one in error.errors())
    return True


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _names(counted: Counter[str]) -> str:
    return ", ".join([*(repr(name) for name, _ in counted.most_common(SHOWN)), *(["…"] if len(counted) > SHOWN else [])])


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _document(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
