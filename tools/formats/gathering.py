"""Many rows of one table for each row of another, as columns: counts, means, ranges and levels, as deep feature synthesis makes them
(Kanter and Veeramachaneni 2015), one table deep."""

from __future__ import annotations

import pandas as pd

MOST_NUMBERS, MOST_CATEGORIES = 12, 6
FEW_LEVELS = 8
"""Levels of a category that get a share of their own."""
WAYS = ("mean", "min", "max", "sum", "std")


def gathered(name: str, rows: pd.DataFrame, key: str) -> pd.DataFrame:
    """A row for each value of `key`, which is the index, and columns called `name.way(column)`.

    Numbers: mean, least, largest, sum and spread; categories: how many different, and the share of each of few; dates: the first, the
    last, and the days between; and the number of rows.
    """
    groups = rows.groupby(key, sort=True)
    parts: list[pd.Series] = [groups.size().rename(f"{name}.rows")]
    others = [column for column in rows.columns if column != key]
    numbers = [c for c in others if pd.api.types.is_numeric_dtype(rows[c]) and not pd.api.types.is_bool_dtype(rows[c])]
    dates = [c for c in others if pd.api.types.is_datetime64_any_dtype(rows[c])]
    for column in numbers[:MOST_NUMBERS]:
        parts += [groups[column].agg(way).rename(f"{name}.{way}({column})") for way in WAYS]
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
