"""Several tables as one: parts of one table under each other, tables with keys side by side. No row is ever multiplied."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from tools.formats.contract import Choice, Reading, told
from tools.formats.gathering import gathered
from tools.tables import TableError

LEAST_FOUND = 0.9
"""Share of a column's values that must be found among the keys of another table."""


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
        notes = [f"{len(names)} files of the same columns were put under each other: {told(names)}."]
        return Reading(frame, "several files", notes, [(name, len(tables[name])) for name in names])
    links = {name: _links(name, tables) for name in names}
    main = choice.table or _main(folder, tables, links)
    frame, notes, joined = _joined(main, tables, links)
    if choice.gather is not None:
        frame, told_of = _gathered(frame, main, tables, links, choice.gather, joined)
        notes, joined = [*notes, told_of], joined | {choice.gather}
    left_out = [name for name in names if name not in joined]
    notes = [f"Rows are those of {main!r}.", *notes]
    notes += [f"Not joined, because no key gives at most one row of them for each row: {told(left_out)}."] if left_out else []
    if many := [name for name in left_out if any(link.other == main for link in links[name])]:
        notes.append(f"#table={main}&gather={many[0]} joins what its rows come to; only what is known before the answer may be in them.")
    return Reading(frame, "several files", notes)


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


def _gathered(
    frame: pd.DataFrame, main: str, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]], name: str, joined: set[str]
) -> tuple[pd.DataFrame, str]:
    """The rows of `main` with what the rows of another table come to for each.

    Raises:
        TableError: when there is no such table, or nothing links its rows to these.
    """
    if name not in tables or name in joined:
        others = [other for other in sorted(tables) if other not in joined]
        listed = told(others) or "none"
        raise TableError(f"gather={name!r} names no table whose rows are many for each row of {main!r}; such may be: {listed}")
    link = next((link for link in links[name] if link.other == main), None)
    if link is None:
        wanted = f"{main.lower().removesuffix('s')}_id"
        raise TableError(f"gather={name!r}: no column of it holds keys of {main!r}; expected one such as {wanted}")
    made = gathered(name, tables[name], link.column)
    whole = frame.merge(made, how="left", left_on=link.key, right_index=True, validate="many_to_one")
    assert len(whole) == len(frame), "a join to unique keys keeps the rows"
    whole[f"{name}.rows"] = whole[f"{name}.rows"].fillna(0)
    return whole, f"{name!r} was gathered by {link.column!r} = {link.key!r}: {made.shape[1]} columns of what its rows come to for each."


def _joined(main: str, tables: dict[str, pd.DataFrame], links: dict[str, list[Link]]) -> tuple[pd.DataFrame, list[str], set[str]]:
    frame, notes, joined, waiting = tables[main], [], {main}, [(main, "")]
    while waiting:
        name, prefix = waiting.pop(0)
        for link in links[name]:
            column = prefix + link.column if prefix + link.column in frame.columns else link.column
            if link.other in joined or column not in frame.columns:
                continue
            added = tables[link.other].drop(columns=link.key)
            added = added.rename(columns={c: f"{link.other}.{c}" for c in added.columns})
            added["__key__"] = tables[link.other][link.key]
            rows = len(frame)
            frame = frame.merge(added, how="left", left_on=column, right_on="__key__", validate="many_to_one").drop(columns="__key__")
            assert len(frame) == rows, "a join to unique keys keeps the rows"
            joined.add(link.other)
            waiting.append((link.other, f"{link.other}."))
            missing = f"; {1 - link.found:.1%} of the values have no row there" if link.found < 1 else ""
            notes.append(f"{link.other!r} was joined by {column!r} = {link.key!r}, at most one row for each{missing}.")
    return frame, notes, joined
