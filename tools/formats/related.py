"""Several tables as one: parts of one table under each other, tables with keys side by side. No row is ever multiplied."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tools.formats.contract import Choice, Reading, told
from tools.formats.dialect import Dialect
from tools.formats.gathering import gathered
from tools.tables import TableError

LEAST_FOUND = 0.9
"""Share of a column's values that must be found among the keys of another table."""


SEVERAL = "several files"


def under_each_other(names: list[str]) -> str:
    """A note of tables that were put under each other."""
    return f"{len(names)} files of the same columns were put under each other: {told(names)}."


class Link(NamedTuple):
    """Rows of one table that each belong to one row of another."""

    column: str
    other: str
    key: str
    found: float


def combine(folder: Path, tables: dict[str, pd.DataFrame], choice: Choice) -> Reading:
    """One table of several, by their names.

    Tables of the same columns are put under each other. Else rows of one table are learnt from (`#table=NAME`, or `train`, or the one
    that has the most keys of others), and tables of which each of its rows has at most one row are joined to it.

    Raises:
        TableError: when nothing relates the tables and none was chosen.
    """
    names = sorted(tables)
    if choice.table is not None and choice.table not in tables:
        raise TableError(f"{folder.name}: there is no table {choice.table!r}; tables: {told(names, 20)}")
    if choice.table is None and choice.gather is None and len({tuple(table.columns) for table in tables.values()}) == 1:
        frame = pd.concat([tables[name] for name in names], ignore_index=True)
        return Reading(frame, SEVERAL, [under_each_other(names)], [(name, len(tables[name])) for name in names])
    links = {name: _links(name, tables) for name in names}
    main = choice.table or _main(folder, tables, links)
    frame, notes, keys = _joined(main, tables, links)
    used = {main, *keys}
    for name in _asked(choice.gather, tables):
        frame, taken, told_of = _gathered(frame, main, tables, links, name, keys)
        notes, used = [*notes, told_of], used | {name, *taken}
    left_out = [name for name in names if name not in used]
    notes = [f"Rows are those of {main!r}.", *notes]
    notes += [f"Not joined, because no key gives at most one row of them for each row: {told(left_out)}."] if left_out else []
    if many := [name for name in left_out if any(link.other == main or link.other in keys for link in links[name])]:
        notes.append(f"#table={main}&gather={many[0]} joins what its rows come to; only what is known before the answer may be in them.")
    return Reading(frame, SEVERAL, notes, dialect=Dialect(table=main, gather=choice.gather))


def _main(folder: Path, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]]) -> str:
    if "train" in tables:
        return "train"
    most = max(len(found) for found in links.values())
    if most == 0:
        listed = f"{folder.name}: holds {len(tables)} tables that no key relates: {told(sorted(tables), 20)}"
        raise TableError(f"{listed}. Choose one, as in {folder.name}#table={min(tables)}")
    return max((name for name in tables if len(links[name]) == most), key=lambda name: (len(tables[name]), name))


def _links(name: str, tables: dict[str, pd.DataFrame]) -> list[Link]:
    """To each other table the best key, when there is one."""
    found = []
    for other, theirs in tables.items():
        if other == name:
            continue
        candidates = [
            link for column, key in _pairs(tables[name], other, theirs) if (link := _link(tables[name], column, other, theirs, key))
        ]
        if candidates:
            found.append(max(candidates, key=lambda link: link.found))
    return found


def _pairs(ours: pd.DataFrame, other: str, theirs: pd.DataFrame) -> list[tuple[str, str]]:
    """Columns that may be a key, by their names: `customer_id` and `customer_id`, or `customer_id` and `id` of `customers`."""
    stem = other.lower().removesuffix("s")
    names = {f"{stem}_id": "id", f"{stem}id": "id", f"{other.lower()}_id": "id", f"id_{stem}": "id"}
    lowered = {column.lower(): column for column in theirs.columns}
    pairs = [(column, lowered[column.lower()]) for column in ours.columns if column.lower() in lowered]
    return pairs + [(column, lowered[names[column.lower()]]) for column in ours.columns if names.get(column.lower()) in lowered]


def _link(ours: pd.DataFrame, column: str, other: str, theirs: pd.DataFrame, key: str) -> Link | None:
    keys, values = theirs[key], ours[column].dropna()
    if pd.api.types.is_float_dtype(keys) and not (keys.dropna() % 1 == 0).all():
        return None
    if keys.isna().any() or keys.duplicated().any() or values.empty:
        return None
    if pd.api.types.is_numeric_dtype(keys) != pd.api.types.is_numeric_dtype(values):
        return None
    found = float(values.isin(keys).mean())
    return Link(column, other, key, found) if found >= LEAST_FOUND else None


def _asked(gather: str | None, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Names of tables, of which several stand behind commas."""
    if gather is None or gather in tables:
        return [gather] if gather is not None else []
    return list(dict.fromkeys(name.strip() for name in gather.split(",")))


def _gathered(
    frame: pd.DataFrame, main: str, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]], name: str, keys: dict[str, str]
) -> tuple[pd.DataFrame, list[str], str]:
    """The rows of `main` with what the rows of another table come to for each, which tables those took along, and a sentence on it.

    A value is made of rows that belong to one row of `main`, or to the row of a joined table that it belongs to, and of nothing that
    other rows of `main` hold: whichever rows are learnt from, no other row can be seen through it. Aggregates over the rows of `main`
    themselves are a step of a preparation, which is fitted inside folds.

    Args:
        keys: for each joined table the column of `frame` that its keys stand in.

    Raises:
        TableError: when there is no such table, or nothing links its rows to these.
    """
    there = {link.other: link for link in links.get(name, [])}
    link = there.get(main) or next((link for other, link in there.items() if other in keys), None)
    if name not in tables or name == main or name in keys:
        listed = told([other for other in sorted(tables) if other != main and other not in keys]) or "none"
        raise TableError(f"gather={name!r} names no table whose rows are many for each row of {main!r}; such may be: {listed}")
    if link is None:
        between = next((other for other in there if any(one.other == main or one.other in keys for one in links[other])), None)
        if between is not None:
            raise TableError(f"gather={name!r}: its rows belong to {between!r}; gather={between} takes what they come to along")
        wanted = f"{main.lower().removesuffix('s')}_id"
        raise TableError(f"gather={name!r}: no column of it holds keys of {main!r}; expected one such as {wanted}")
    rows, taken = _widened(name, tables, links, {main, *keys})
    made = gathered(name, rows, link.column, deep=[column for column in rows.columns if column not in tables[name].columns])
    column = link.key if link.other == main else keys[link.other]
    whole = frame.merge(made, how="left", left_on=column, right_index=True, validate="many_to_one")
    assert len(whole) == len(frame), "a join to unique keys keeps the rows"
    whole[f"{name}.rows"] = whole[f"{name}.rows"].fillna(0)
    along = f", which took {told(taken)} along," if taken else ""
    return (
        whole,
        taken,
        f"{name!r}{along} was gathered by {link.column!r} = {column!r}: {made.shape[1]} columns of what its rows come to for each.",
    )


def _widened(name: str, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]], without: set[str]) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a table with the columns of tables that each belongs to, and with what the rows of others come to for each.

    One key further and no more: columns of tables that those belong to in their turn are left out.
    """
    rows, taken = tables[name], list[str]()
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
    assert len(rows) == len(tables[name]), "a join to unique keys keeps the rows"
    return rows, taken


def _joined(main: str, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]]) -> tuple[pd.DataFrame, list[str], dict[str, str]]:
    """The rows of `main` with the columns of tables that each belongs to, what to say of it, and for each of those tables the column
    that its keys stand in."""
    frame, notes, joined, waiting = tables[main], [], dict[str, str](), [(main, "")]
    while waiting:
        name, prefix = waiting.pop(0)
        for link in links[name]:
            column = prefix + link.column if prefix + link.column in frame.columns else link.column
            if link.other == main or link.other in joined or column not in frame.columns:
                continue
            added = tables[link.other].drop(columns=link.key)
            added = added.rename(columns={c: f"{link.other}.{c}" for c in added.columns})
            added["__key__"] = tables[link.other][link.key]
            rows = len(frame)
            frame = frame.merge(added, how="left", left_on=column, right_on="__key__", validate="many_to_one").drop(columns="__key__")
            assert len(frame) == rows, "a join to unique keys keeps the rows"
            joined[link.other] = column
            waiting.append((link.other, f"{link.other}."))
            missing = f"; {1 - link.found:.1%} of the values have no row there" if link.found < 1 else ""
            notes.append(f"{link.other!r} was joined by {column!r} = {link.key!r}, at most one row for each{missing}.")
    return frame, notes, joined
