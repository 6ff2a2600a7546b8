"""Several tables in memory as one: parts of one table under each other, tables with keys side by side. No row is ever multiplied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tools.formats.contract import Choice, Reading, told
from tools.formats.dialect import Dialect
from tools.formats.gathering import gathered
from tools.formats.links import (
    SEVERAL,
    Join,
    Link,
    are_one_table,
    asked_for,
    joins_of,
    link_of_gathered,
    links_of,
    main_of,
    notes_of,
    refuse_unknown,
    under_each_other,
)


def combine(folder: Path, tables: dict[str, pd.DataFrame], choice: Choice) -> Reading:
    """One table of several, by their names.

    Tables of the same columns are put under each other. Else rows of one table are learnt from (`#table=NAME`, or `train`, or the one
    that has the most keys of others), and tables of which each of its rows has at most one row are joined to it.

    Raises:
        TableError: when nothing relates the tables and none was chosen.
    """
    names, held = sorted(tables), _Held(tables)
    refuse_unknown(folder, names, choice)
    if are_one_table(held, choice):
        frame = pd.concat([tables[name] for name in names], ignore_index=True)
        return Reading(frame, SEVERAL, [under_each_other(names)], [(name, len(tables[name])) for name in names])
    links = links_of(held)
    main = choice.table or main_of(folder, held, links)
    joins = joins_of(main, held, links)
    frame = _joined(tables[main], tables, joins)
    keys = {join.other: join.column for join in joins}
    used, notes = {main, *keys}, list[str]()
    for name in asked_for(choice.gather, tables):
        found = gather(main, tables, links, name, keys)
        whole = frame.merge(found.made, how="left", left_on=found.column, right_index=True, validate="many_to_one")
        assert len(whole) == len(frame), "a join to unique keys keeps the rows"
        frame = whole.assign(**{f"{name}.rows": whole[f"{name}.rows"].fillna(0).astype("int64")})
        notes, used = [*notes, found.told], used | {name, *found.taken}
    notes = notes_of(main, names, links, joins, notes, used)
    return Reading(frame, SEVERAL, notes, dialect=Dialect(table=main, gather=choice.gather))


class _Held:
    """Tables that are in memory."""

    def __init__(self, tables: dict[str, pd.DataFrame]) -> None:
        self._tables = tables

    def names(self) -> list[str]:
        return list(self._tables)

    def columns(self, name: str) -> list[str]:
        return list(self._tables[name].columns)

    def rows(self, name: str) -> int:
        return len(self._tables[name])

    def found(self, name: str, column: str, other: str, key: str) -> float | None:
        keys, values = self._tables[other][key], self._tables[name][column].dropna()
        if pd.api.types.is_float_dtype(keys) and not (keys.dropna() % 1 == 0).all():
            return None
        if keys.isna().any() or keys.duplicated().any() or values.empty:
            return None
        if pd.api.types.is_numeric_dtype(keys) != pd.api.types.is_numeric_dtype(values):
            return None
        return float(values.isin(keys).mean())


class Gathered(NamedTuple):
    """What the rows of a table come to."""

    made: pd.DataFrame
    """A row for each key, which is the index."""
    column: str
    """Of the rows that it is joined to, where those keys stand."""
    taken: list[str]
    """Further tables that it took along."""
    told: str


def gather(main: str, tables: Mapping[str, pd.DataFrame], links: dict[str, list[Link]], name: str, keys: dict[str, str]) -> Gathered:
    """What the rows of another table come to for each row of `main`.

    A value is made of rows that belong to one row of `main`, or to the row of a joined table that it belongs to, and of nothing that
    other rows of `main` hold: whichever rows are learnt from, no other row can be seen through it. Aggregates over the rows of `main`
    themselves are a step of a preparation, which is fitted inside folds.

    Args:
        keys: for each joined table the column that its keys stand in.

    Raises:
        TableError: when there is no such table, or nothing links its rows to these.
    """
    link = link_of_gathered(main, sorted(tables), links, name, keys)
    rows, taken = _widened(name, tables, links, {main, *keys})
    own = set(tables[name].columns)
    made = gathered(name, rows, link.column, deep=[column for column in rows.columns if column not in own])
    column = link.key if link.other == main else keys[link.other]
    along = f", which took {told(taken)} along," if taken else ""
    sentence = f"{name!r}{along} was gathered by {link.column!r} = {column!r}: {made.shape[1]} columns of what its rows come to for each."
    return Gathered(made, column, taken, sentence)


def _widened(
    name: str, tables: Mapping[str, pd.DataFrame], links: dict[str, list[Link]], without: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a table with the columns of tables that each belongs to, and with what the rows of others come to for each.

    One key further and no more: columns of tables that those belong to in their turn are left out.
    """
    rows, taken = tables[name], list[str]()
    count = len(rows)
    for link in links[name]:
        if link.other not in without:
            theirs = tables[link.other].set_index(link.key).add_prefix(f"{link.other}.")
            rows, taken = (
                rows.merge(theirs, how="left", left_on=link.column, right_index=True, validate="many_to_one"),
                [*taken, link.other],
            )
    for other in sorted(set(tables) - without - {name, *taken}):
        if (back := next((each for each in links[other] if each.other == name), None)) is not None:
            made = gathered(other, tables[other], back.column)
            rows, taken = rows.merge(made, how="left", left_on=back.key, right_index=True, validate="many_to_one"), [*taken, other]
            rows[f"{other}.rows"] = rows[f"{other}.rows"].fillna(0)
    assert len(rows) == count, "a join to unique keys keeps the rows"
    return rows, taken


def _joined(frame: pd.DataFrame, tables: dict[str, pd.DataFrame], joins: list[Join]) -> pd.DataFrame:
    """Rows with the columns of tables that each belongs to."""
    for join in joins:
        added = tables[join.other].drop(columns=join.key)
        added = added.rename(columns={c: f"{join.other}.{c}" for c in added.columns})
        added["__key__"] = tables[join.other][join.key]
        rows = len(frame)
        frame = frame.merge(added, how="left", left_on=join.column, right_on="__key__", validate="many_to_one").drop(columns="__key__")
        assert len(frame) == rows, "a join to unique keys keeps the rows"
    return frame
