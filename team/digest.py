"""Facts made small enough for a model's request: what is longest is told at less length first, and nothing silently. Pure.

A digest is valid JSON like what it is made of: of a list the first entries and how many more there are, of a text its beginning.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

LEVELS = ((12, 400, 5), (8, 200, 4), (5, 120, 3), (3, 70, 2), (1, 40, 1))
"""Entries of a list, characters of a text, and depth that are kept, the mildest first."""
DIGITS = 5
"""Significant digits of a number."""
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")
SPARED = 4
"""By what a fact that others rest on counts as shorter than it is, so that it is cut later."""


def fitted(facts: Mapping[str, Any], most: int, spared: tuple[str, ...] = ()) -> dict[str, Any]:
    """The facts in at most `most` characters of JSON, or as near as naming them allows.

    Args:
        spared: keys of facts that are cut last.
    """
    whole = {key: plain(value) for key, value in facts.items()}
    levels = dict.fromkeys(whole, -1)
    shown = dict(whole)
    sizes = {key: _length(key) + _length(value) + 4 for key, value in shown.items()}
    while sum(sizes.values()) > most:
        open_ = [key for key, level in levels.items() if level < len(LEVELS)]
        if not open_:
            break
        key = max(open_, key=lambda k: sizes[k] / (SPARED if k in spared else 1))
        levels[key] += 1
        shown[key] = slim(whole[key], *LEVELS[levels[key]]) if levels[key] < len(LEVELS) else "… (left out)"
        sizes[key] = _length(key) + _length(shown[key]) + 4
    return shown


def slim(value: Any, items: int, chars: int, depth: int) -> Any:
    """A value with the first entries of its lists and objects, the beginnings of its texts, and nothing below `depth`."""
    if isinstance(value, str):
        return value if len(value) <= chars else f"{value[:chars]}… ({len(value) - chars} characters left out)"
    if isinstance(value, dict):
        if depth == 0:
            return f"… ({len(value)} facts)"
        kept = {slim(str(key), items, chars, 1): slim(inner, items, chars, depth - 1) for key, inner in list(value.items())[: 2 * items]}
        return kept | ({"…": f"{len(value) - 2 * items} more"} if len(value) > 2 * items else {})
    if isinstance(value, list):
        if depth == 0 and value and isinstance(value[0], (dict, list)):
            return f"… ({len(value)} entries)"
        kept_items = [slim(inner, items, chars, depth - 1) for inner in value[:items]]
        return kept_items + ([f"… {len(value) - items} more"] if len(value) > items else [])
    return value


def plain(value: Any) -> Any:
    """A value without what says nothing: nulls, empty lists and objects, and digits beyond the fifth."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.{DIGITS}g}")
        return rounded if math.isfinite(rounded) else str(value)
    if isinstance(value, Mapping):
        return {str(key): inner for key, raw in value.items() if (inner := plain(raw)) not in (None, [], {})}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def of_profile(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What of a profile decides how to prepare and what to train: kinds, gaps, strength, warnings; not every column."""
    columns = profile["profiles"]
    kinds: dict[str, int] = {}
    for column in columns:
        kinds[column["kind"]] = kinds.get(column["kind"], 0) + 1
    gaps = sorted((c for c in columns if c["missing"]), key=lambda c: -c["missing"])
    return {
        "rows": profile["rows"],
        "columns": profile["columns"],
        "kinds": kinds,
        "target": profile.get("target_distribution"),
        "failed_gates": failed_gates(profile),
        "warnings": [warning["message"] for warning in profile["warnings"]],
        "missing": {c["column"]: c["missing"] for c in gaps[:5]},
        "strongest": strongest(profile),
    }


def failed_gates(profile: Mapping[str, Any]) -> dict[str, str]:
    """The gates for leaks that the table does not pass, or that could not be run, with their evidence."""
    return {gate["gate"]: gate["evidence"] for gate in profile.get("gates", []) if gate["verdict"] in ("fail", "not run")}


def strongest(profile: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The five columns that tell most about the target alone."""
    told = sorted((c for c in profile["profiles"] if c["association"] is not None), key=lambda c: -c["association"])
    return [{"column": c["column"], "association": round(c["association"], 3)} for c in told[:5]]


def _length(value: Any) -> int:
    # Every number counts alike: seconds differ from run to run, and where facts are cut must not, or no run could be replayed.
    return len(_NUMBER.sub("0.12345", json.dumps(value, ensure_ascii=False)))
