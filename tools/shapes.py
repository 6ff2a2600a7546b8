"""A tool's arguments in one line, and arguments that mean what the schema asks for though they are written otherwise."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "object"}
LONGEST_LITERAL = 20_000
"""Characters of a text that is looked at as a list or an object."""


def shape(name: str, schema: Mapping[str, Any]) -> str:
    """The call that is expected, such as `train(families: [text], time_s?: number)`; what is optional has a question mark."""
    required = schema.get("required", ())
    parts = [f"{key}{'' if key in required else '?'}: {_kind(value)}" for key, value in schema.get("properties", {}).items()]
    return f"{name}({', '.join(parts)})"


def _kind(schema: Mapping[str, Any]) -> str:
    if options := schema.get("enum"):
        return "|".join(str(option) for option in options)
    if schema.get("type") == "array":
        return f"[{_kind(schema.get('items', {}))}]"
    return _TYPES.get(str(schema.get("type")), "value")


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """` (did you mean 'steps'?)` for a name that is close to a known one, else nothing. Names that begin alike come first."""
    near = sorted(get_close_matches(name, known, n=3, cutoff=0.6), key=lambda found: found[:3] != name[:3])
    return f" (did you mean {near[0]!r}?)" if near else ""


def mended(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with what can mean one thing only: null where a default stands is left out, and an empty text where the default is
    null; a list inside a text is a list.

    Everything else stays as it is, for the validation to refuse.
    """
    properties, required = schema.get("properties", {}), schema.get("required", ())
    nothing = {key: (None, "") if properties[key].get("default", "") is None else (None,) for key in properties if key not in required}
    kept = {key: value for key, value in arguments.items() if not any(value is none or value == none for none in nothing.get(key, ()))}
    return {key: _unpacked(value, properties.get(key, {})) for key, value in kept.items()}


def _unpacked(value: Any, schema: Mapping[str, Any]) -> Any:
    wanted = {"array": list, "object": dict}.get(str(schema.get("type")))
    if wanted is None or not isinstance(value, str) or value.strip()[:1] not in ("[", "{") or len(value) > LONGEST_LITERAL:
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, wanted):
            return found
    return value
