"""Columns that give the class away in some rows and say little in the others, so that no score of the whole column stands out.

Two forms are looked for: a word of a text that only rows of one class have, and many rare levels of a category, each too rare to count
by itself, within which rows are of one class. Both are held to what honest columns hardly reach: words of spam that spam alone has are
in a sixth of it, and rows of a family or a site agree often and not always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tools.contract import Column
from tools.problem import Problem
from tools.understanding.repeats import repeated_rows

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

WORDS, CHARS = 2000, 2000
"""The commonest words of a text that are looked at, and how much of it."""
PURE = 0.995
"""Share of the rows with a word that one class must have."""
OF_CLASS, FEWEST_WITH = 0.25, 20
"""Share of a class that a word must be in, and of how many rows at least."""
CHANCE = 1e-6
"""That so many rows are of one class by chance, over all words of a text."""
MOST_CLASSES = 10
RARE, RARE_SHARE = 20, 0.02
"""Rows of a rare level at most, whichever is more: their number, and their share."""
UNANIMOUS, FEWEST_CALLED, CALLED_SHARE = 0.98, 40, 0.1
"""Of rows whose fellows of a rare level are all of one class, not the commonest: the share that must be of it too, how many there must
be, and which share of all rows that are not of the commonest class."""


class Giveaway(NamedTuple):
    """A column, and what of it gives rows away, in a clause."""

    column: str
    told: str


def giveaways(problem: Problem, known: set[str]) -> list[Giveaway]:
    """Columns that give away the class, or whether the event happens, in part of the rows; nothing of other problems.

    Args:
        known: columns that are left out, such as identifiers and those that the split is by.
    """
    if problem.contract.predicts == "classes":
        y, names = problem.y, [f"class {label[:40]!r}" for label in problem.contract.classes]
    elif problem.contract.predicts == "risk":
        y, names = (~np.signbit(problem.y)).astype(np.int64), ["the censored ones", "those with the event"]
    else:
        return []
    # Copies of a row agree with each other in everything.
    rows = np.flatnonzero(~repeated_rows(problem.X))
    columns = [column for column in problem.schema.columns if column.name not in known]
    found = [_of_column(column, problem.X[column.name].iloc[rows], y[rows], names) for column in columns]
    return [Giveaway(column.name, told) for column, told in zip(columns, found, strict=True) if told]


def _of_column(column: Column, values: pd.Series, y: Array, names: list[str]) -> str:
    if column.kind == "text":
        return _by_a_word(values, y, names)
    return _by_rare_levels(values, y) if column.kind == "categorical" else ""


def _by_a_word(values: pd.Series, y: Array, names: list[str]) -> str:
    """The word that tells of the most rows; empty where there is none."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(max_features=WORDS, token_pattern=r"(?u)\b\w+\b", binary=True, dtype=np.int32)
    try:
        has = words.fit_transform(values.fillna("").astype(str).str.slice(0, CHARS))
    except ValueError:  # no text has a word
        return ""
    with_it = np.asarray(has.sum(axis=0)).ravel()
    counts = np.bincount(y, minlength=len(names))
    best = (0, "")
    for code in np.argsort(-counts, kind="stable")[:MOST_CLASSES]:
        right = np.asarray(has[y == code].sum(axis=0)).ravel()
        base = counts[code] / len(y)
        if not 0 < base < 1:
            continue
        enough = (with_it >= FEWEST_WITH) & (right >= OF_CLASS * counts[code]) & (right >= PURE * with_it)
        beyond = with_it * np.log(base) < np.log(CHANCE / max(1, len(with_it)))
        for place in np.flatnonzero(enough & beyond):
            word = words.get_feature_names_out()[place]
            told = f"the word {word[:40]!r} is in {with_it[place]:,} rows, {right[place] / with_it[place]:.1%} of them {names[code]}"
            best = max(best, (int(right[place]), told))
    return best[1]


def _by_rare_levels(values: pd.Series, y: Array) -> str:
    """What rare levels tell of rows that are not of the commonest class, by their fellows; empty where that is not nearly all."""
    import pandas as pd

    levels = pd.factorize(values)[0]
    commonest = int(np.bincount(y).argmax())
    rare = np.bincount(levels[levels >= 0])
    table = pd.DataFrame({"level": levels, "y": y})[levels >= 0]
    size = rare[table["level"]]
    table = table[(size >= 2) & (size <= max(RARE, RARE_SHARE * len(y)))]
    if not len(table):
        return ""
    # Of each row the others of its level: of one class only where the level has no more than one beside the row's own.
    counts = pd.crosstab(table["level"], table["y"])
    others = counts.loc[table["level"]].to_numpy(copy=True)
    place = counts.columns.get_indexer(pd.Index(table["y"]))
    others[np.arange(len(table)), place] -= 1
    agree = others.max(axis=1) == others.sum(axis=1)
    said = counts.columns.to_numpy()[others.argmax(axis=1)]
    called = agree & (said != commonest)
    right = called & (said == table["y"].to_numpy())
    if called.sum() < FEWEST_CALLED or right.sum() < UNANIMOUS * called.sum() or right.sum() < CALLED_SHARE * (y != commonest).sum():
        return ""
    number = table["level"][called].nunique()
    return f"{number:,} rare levels have rows of one class each: of {int(called.sum()):,} rows in them, {right.sum() / called.sum():.1%}"
