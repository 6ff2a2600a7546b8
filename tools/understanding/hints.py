"""Which other problem a table may hold: survival, several labels, a forecast. Said with the options that ask for it, and never chosen:
what a column means only the user knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.understanding.findings import Ordering

if TYPE_CHECKING:
    import pandas as pd

TIMES = re.compile(r"^(time|survival_?time|duration|futime|lifetime|tenure|(time|days|weeks|months|years)_?to_?\w+|os|pfs)(_?\w+)?$", re.I)
EVENTS = re.compile(r"(^|_)(event|died|dead|death|deceased|failed|failure|relapsed?|censor(ed)?|fustat|status)$", re.I)
FEWEST_LABELS = 3
FEWEST_MOMENTS = 8
"""Rows that a series has in the mean."""


def hints(frame: pd.DataFrame, target: str | None, orderings: Sequence[Ordering], *, guessed: str | None = None) -> list[str]:
    """Sentences on what else the table may be asked.

    Args:
        target: the column that is predicted, where the user named one.
        guessed: the column that is likely predicted, where nobody did.
    """
    from pandas.api import types

    told = []
    flags = [name for name in map(str, frame.columns) if _is_flag(frame[name])]
    numbers = [name for name in map(str, frame.columns) if types.is_numeric_dtype(frame[name]) and name not in flags]
    times = [name for name in numbers if TIMES.match(name) and (frame[name].dropna() >= 0).all()]
    events = [name for name in flags if EVENTS.search(name)]
    if times and events and target in (None, times[0], events[0]):
        told.append(
            f"{times[0]!r} and {events[0]!r} look like a time and whether it ended with an event: --task survival --target {times[0]}"
            f" --event {events[0]}, where {events[0]!r} is 1 if it did."
        )
    labels = _labels(flags)
    if len(labels) >= FEWEST_LABELS and (target is None or target in labels):
        told.append(
            f"{len(labels)} columns of 0 and 1 begin alike, as {labels[0]!r} does: --target {','.join(labels)} predicts all of them."
        )
    later = next((one for one in orderings if one.kind == "time" and one.sure), None)
    about = target or guessed
    if later is not None and about in numbers:
        series = _series(frame, later.column)
        in_time = f" --time-column {later.column}" + (f" --series {series}" if series else "")
        told.append(f"{about!r} hangs together in time: --task forecast --target {about}{in_time} predicts what follows.")
    return told


def _series(frame: pd.DataFrame, time: str) -> str | None:
    """The column that tells series apart, where moments come several times and once in each of its values; None where there is none."""
    if not frame[time].duplicated().any():
        return None
    fitting = [
        name
        for name in map(str, frame.columns)
        if name != time and 2 <= frame[name].nunique() <= len(frame) / FEWEST_MOMENTS and not frame[[name, time]].duplicated().any()
    ]
    return min(fitting, key=lambda name: frame[name].nunique(), default=None)


def _is_flag(values: pd.Series) -> bool:
    present = set(values.dropna().unique().tolist()[:3])
    return len(present) == 2 and present <= {0, 1}


def _labels(flags: Sequence[str]) -> list[str]:
    """The largest family of 0/1 columns whose names begin with the same word and a separator, as `label_a` and `label_b` do."""
    families: dict[str, list[str]] = {}
    for name in flags:
        if (found := re.match(r"([A-Za-z]+)[_.\-: ]\w", name)) and re.match(r"label|target|class|tag|y$|is$|has$", found[1], re.I):
            families.setdefault(found[1].lower(), []).append(name)
    return max(families.values(), key=len, default=[])
