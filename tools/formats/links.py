"""Which tables belong together, by their keys, and what is joined to what: told of names of columns and of shares of values that are found.

Who holds the tables, as frames (related.py) or as files (stored.py), measures the shares.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tools.formats.contract import Choice, told
from tools.tables import TableError

LEAST_FOUND = 0.9
"""Share of a column's values that must be found among the keys of another table."""
SEVERAL = "several files"


class Link(NamedTuple):
    """Rows of one table that each belong to one row of another."""

    column: str
    other: str
    key: str
    found: float


class Join(NamedTuple):
    """A table that gets joined to the rows that are there."""

    other: str
    column: str
    """Of the rows that are there."""
    key: str
    found: float

    @property
    def told(self) -> str:
        missing = f"; {1 - self.found:.1%} of the values have no row there" if self.found < 1 else ""
        return f"{self.other!r} was joined by {self.column!r} = {self.key!r}, at most one row for each{missing}."


class Tables(Protocol):
    """Several tables by their names."""

    def names(self) -> list[str]:
        """In the order of the folder, in which they are joined too."""

    def columns(self, name: str) -> Sequence[str]: ...

    def rows(self, name: str) -> int: ...

    def found(self, name: str, column: str, other: str, key: str) -> float | None:
        """The share of a column's values that are found among the keys of another table; None where the column has no value, or where
        those are no keys: some is missing or stands twice, or they are another kind of value."""


def under_each_other(names: list[str]) -> str:
    """A note of tables that were put under each other."""
    return f"{len(names)} files of the same columns were put under each other: {told(names)}."


def are_one_table(tables: Tables, choice: Choice) -> bool:
    """Whether tables are put under each other: their columns are the same, and nobody asked for one of them."""
    return choice.table is None and choice.gather is None and len({tuple(tables.columns(name)) for name in tables.names()}) == 1


def refuse_unknown(folder: Path, names: list[str], choice: Choice) -> None:
    """Raise `TableError` for a table that was asked for and is not there."""
    if choice.table is not None and choice.table not in names:
        raise TableError(f"{folder.name}: there is no table {choice.table!r}; tables: {told(names, 20)}")


def links_of(tables: Tables) -> dict[str, list[Link]]:
    """From each table to each other the best key, when there is one."""
    links: dict[str, list[Link]] = {}
    for name in sorted(tables.names()):
        links[name] = []
        for other in tables.names():
            candidates = [
                Link(column, other, key, found)
                for column, key in (_pairs(tables.columns(name), other, tables.columns(other)) if other != name else [])
                if (found := tables.found(name, column, other, key)) is not None and found >= LEAST_FOUND
            ]
            if candidates:
                links[name].append(max(candidates, key=lambda link: link.found))
    return links


def _pairs(ours: Sequence[str], other: str, theirs: Sequence[str]) -> list[tuple[str, str]]:
    """Columns that may be a key, by their names: `customer_id` and `customer_id`, or `customer_id` and `id` of `customers`."""
    stem = other.lower().removesuffix("s")
    names = {f"{stem}_id": "id", f"{stem}id": "id", f"{other.lower()}_id": "id", f"id_{stem}": "id"}
    lowered = {column.lower(): column for column in theirs}
    pairs = [(column, lowered[column.lower()]) for column in ours if column.lower() in lowered]
    return pairs + [(column, lowered[names[column.lower()]]) for column in ours if names.get(column.lower()) in lowered]


def main_of(folder: Path, tables: Tables, links: dict[str, list[Link]]) -> str:
    """The table whose rows are learnt from, where nobody said which.

    Raises:
        TableError: when nothing relates the tables.
    """
    names = sorted(tables.names())
    if "train" in names:
        return "train"
    most = max(len(found) for found in links.values())
    if most == 0:
        listed = f"{folder.name}: holds {len(names)} tables that no key relates: {told(names, 20)}"
        raise TableError(f"{listed}. Choose one, as in {folder.name}#table={names[0]}")
    return max((name for name in names if len(links[name]) == most), key=lambda name: (tables.rows(name), name))


def joins_of(main: str, tables: Tables, links: dict[str, list[Link]]) -> list[Join]:
    """The tables of which each row of `main` has at most one row, directly or by another's key, in the order in which they are joined."""
    there, joins, waiting = set(tables.columns(main)), list[Join](), [(main, "")]
    while waiting:
        name, prefix = waiting.pop(0)
        for link in links[name]:
            column = prefix + link.column if prefix + link.column in there else link.column
            if link.other == main or any(join.other == link.other for join in joins) or column not in there:
                continue
            there |= {f"{link.other}.{added}" for added in tables.columns(link.other) if added != link.key}
            joins.append(Join(link.other, column, link.key, link.found))
            waiting.append((link.other, f"{link.other}."))
    return joins


def asked_for(gather: str | None, names: Collection[str]) -> list[str]:
    """Names of tables, of which several stand behind commas."""
    if gather is None or gather in names:
        return [gather] if gather is not None else []
    return list(dict.fromkeys(name.strip() for name in gather.split(",")))


def link_of_gathered(main: str, names: list[str], links: dict[str, list[Link]], name: str, keys: Collection[str]) -> Link:
    """How the rows of a table that is to be gathered belong to rows of `main`, or of a table that was joined to it.

    Args:
        keys: names of the joined tables.

    Raises:
        TableError: when there is no such table, or nothing links its rows to these.
    """
    there = {link.other: link for link in links.get(name, [])}
    link = there.get(main) or next((link for other, link in there.items() if other in keys), None)
    if name not in names or name == main or name in keys:
        listed = told([other for other in names if other != main and other not in keys]) or "none"
        raise TableError(f"gather={name!r} names no table whose rows are many for each row of {main!r}; such may be: {listed}")
    if link is None:
        between = next((other for other in there if any(one.other == main or one.other in keys for one in links[other])), None)
        if between is not None:
            raise TableError(f"gather={name!r}: its rows belong to {between!r}; gather={between} takes what they come to along")
        wanted = f"{main.lower().removesuffix('s')}_id"
        raise TableError(f"gather={name!r}: no column of it holds keys of {main!r}; expected one such as {wanted}")
    return link


def notes_of(
    main: str, names: list[str], links: dict[str, list[Link]], joins: Sequence[Join], gathered: list[str], used: Collection[str]
) -> list[str]:
    """What is told of tables that were joined.

    Args:
        gathered: a sentence on each table that was gathered.
        used: tables that something was taken of.
    """
    joined = {join.other for join in joins}
    left_out = [name for name in names if name not in used]
    notes = [f"Rows are those of {main!r}.", *(join.told for join in joins), *gathered]
    notes += [f"Not joined, because no key gives at most one row of them for each row: {told(left_out)}."] if left_out else []
    if many := [name for name in left_out if any(link.other == main or link.other in joined for link in links[name])]:
        notes.append(f"#table={main}&gather={many[0]} joins what its rows come to; only what is known before the answer may be in them.")
    return notes
