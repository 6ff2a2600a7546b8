"""Cells that hold more than one value, and columns of mixed kinds, as plain columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.formats.contract import told
from tools.formats.text import refuse_duplicates
from tools.tables import MOST_COLUMNS, TableError

if TYPE_CHECKING:
    import pandas as pd


def plain(frame: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """A frame of plain columns with names of text, and notes of what was changed for it.

    Lists and objects inside a cell become JSON text; a column of numbers beside text, or of whole numbers that no 64 bits hold, becomes
    text.

    Raises:
        TableError: for two columns of one name, or more than `MOST_COLUMNS`.
    """
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1).reset_index(drop=True)
    if frame.shape[1] > MOST_COLUMNS:
        raise TableError(
            f"{path.name}: {frame.shape[1]:,} columns; at most {MOST_COLUMNS:,} are read. Leave columns out, or turn the table around"
        )
    refuse_duplicates(path, list(frame.columns))
    nested, mixed, changed = [], [], {}
    for name in frame.columns:
        values = frame[name]
        if values.dtype != object:
            continue
        present = values.dropna()
        if any(map(_is_nested, present)):
            changed[name] = values.map(as_json, na_action="ignore")
            nested.append(name)
            continue
        kinds = {_kind(value) for value in present}
        if len(kinds) > 1 or any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in present):
            changed[name] = values.map(as_text, na_action="ignore").astype("str")
            mixed.append(name)
        elif kinds == {"bytes"}:
            changed[name] = values.map(lambda value: value.decode("utf-8", errors="replace"), na_action="ignore").astype("str")
        else:
            better = values.infer_objects()
            if better.dtype != object:
                changed[name] = better
    notes = [f"Lists and objects inside cells were kept as JSON text: {told(nested)}."] if nested else []
    notes += [f"Columns of numbers beside text were read as text: {told(mixed)}."] if mixed else []
    return frame.assign(**changed) if changed else frame, notes


def _is_nested(value: Any) -> bool:
    return isinstance(value, (list, dict, tuple, set)) or getattr(value, "ndim", 0) > 0


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def as_text(value: Any) -> str:
    """A value of a column that becomes text."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def as_json(value: Any) -> str:
    """A value of a column some of whose values hold several."""
    return json.dumps(
        value, ensure_ascii=False, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other), sort_keys=True
    )
