"""Many rows of one table for each row of another, as columns: counts, means, ranges and levels, as deep feature synthesis makes them
(Kanter and Veeramachaneni 2015). What the many rows were given by tables of their own is made of columns of this kind once more."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from tools.understanding.kinds import named_like_a_key, read_column

MOST_NUMBERS, MOST_CATEGORIES = 12, 6
FEW_LEVELS = 8
"""Levels of a category that get a share of their own."""
WAYS = ("mean", "min", "max", "sum", "std")
DEEP_WAYS = ("mean", "max", "sum")
"""Of numbers that came from a further table: they are many, and least, largest and spread of aggregates say little more."""
_MADE = re.compile(rf"(.+?)\.(?:rows|(?:{'|'.join(WAYS)}|first|last|days|different|share)\(.+\))", re.S)


def gathered(name: str, rows: pd.DataFrame, key: str, deep: Iterable[str] = ()) -> pd.DataFrame:
    """A row for each value of `key`, which is the index, and columns called `name.way(column)`.

    Numbers: mean, least, largest, sum and spread; categories: how many different, and the share of each of few; dates: the first, the
    last, and the days between; and the number of rows. Numbers that only name something count as categories, or where none comes twice
    as nothing.

    Args:
        deep: columns that `rows` got from further tables; of their numbers mean, largest and sum.
    """
    groups, further = rows.groupby(key, sort=True), set(deep)
    parts: list[pd.Series] = [groups.size().rename(f"{name}.rows")]
    others = [column for column in rows.columns if column != key]
    numbers = [c for c in others if pd.api.types.is_numeric_dtype(rows[c]) and not pd.api.types.is_bool_dtype(rows[c])]
    names = {c for c in numbers if c not in further and _only_names(c, rows[c])}
    numbers = [c for c in numbers if c not in names]
    others = [c for c in others if c not in names or rows[c].duplicated().any()]
    dates = [c for c in others if pd.api.types.is_datetime64_any_dtype(rows[c])]
    for own in (True, False):
        for column in [c for c in numbers if (c not in further) is own][:MOST_NUMBERS]:
            parts += [groups[column].agg(way).rename(f"{name}.{way}({column})") for way in (WAYS if own else DEEP_WAYS)]
    for column in dates[:MOST_CATEGORIES]:
        first, last = groups[column].min(), groups[column].max()
        parts += [first.rename(f"{name}.first({column})"), last.rename(f"{name}.last({column})")]
        parts.append(((last - first).dt.total_seconds() / 86_400).rename(f"{name}.days({column})"))
    for column in [c for c in others if c not in numbers and c not in dates][:MOST_CATEGORIES]:
        texts = rows[column].astype("str").where(rows[column].notna())
        parts.append(texts.groupby(rows[key], sort=True).nunique().rename(f"{name}.different({column})"))
        levels = texts.value_counts()
        if len(levels) <= FEW_LEVELS:
            for level in sorted(levels.index):
                share = (texts == level).groupby(rows[key], sort=True).mean()
                parts.append(share.rename(f"{name}.share({column} = {level})"))
    return pd.concat(parts, axis=1)


def _only_names(column: str, values: pd.Series) -> bool:
    """Whether numbers name something, such as a shop, rather than measure it."""
    return named_like_a_key(column) or read_column(column, values, "numeric").kind == "identifier"


def gathered_tables(columns: Iterable[str]) -> dict[str, list[str]]:
    """Of the columns of a table, those that `gathered` made, by the name of the table that they were made of."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if made := _MADE.fullmatch(column):
            found.setdefault(made[1], []).append(column)
    return {name: made for name, made in found.items() if len(made) > 1 and f"{name}.rows" in made}
