"""Database files: SQLite and DuckDB, opened to be read and nothing else.

`shop.sqlite`, `shop.duckdb`, or `sqlite:///shop.sqlite`: every table, with `#table=NAME` one, with `#query=SELECT ...` what a query gives.
A statement that would write, or reach another file, is refused by the database itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.sources.contract import Found, Room
from tools.sources.rows import ROWS, write_batches, write_rows
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

MOST_TABLES = 200
ENDINGS = (".sqlite", ".sqlite3", ".duckdb")
"""Of names that promise a database."""
_SQLITE, _DUCKDB = b"SQLite format 3\0", b"DUCK"


class File:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("table", "query")
        path = Path(spelling.rest.removeprefix("//").removeprefix("/") if "://" in spelling.address else spelling.address).expanduser()
        kind = _kind(path)
        if kind is None:
            slashes = f" ({spelling.scheme}:////ABSOLUTE has four slashes)" if spelling.scheme else ""
            what = "is no SQLite or DuckDB file; is it whole?" if path.is_file() else f"names no file: there is no {str(path)!r}."
            raise InputRefused(f"source {spelling.address!r} {what} Check the path{slashes}.")
        (_duckdb if kind == "duckdb" else _sqlite)(path, spelling, room)
        return Found()


def is_database(path: Path) -> bool:
    """Whether a file is one of these, by its first bytes."""
    return _kind(path) is not None


def _kind(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return None
    return "sqlite" if head == _SQLITE else "duckdb" if head[8:12] == _DUCKDB else None


def wanted(spelling: Spelling, tables: list[str]) -> dict[str, str]:
    """The statements to run, by the name of the file that each fills.

    Raises:
        InputRefused: when there is no such table, or none at all.
    """
    query, table = spelling.options.get("query"), spelling.options.get("table")
    if query and table:
        raise InputRefused(f"source {spelling.address!r}: #table= and #query= exclude each other. Leave one out.")
    if query:
        import sqlparse

        if len([part for part in sqlparse.split(query) if part.strip(" ;\n")]) > 1:  # the second could end the transaction that only reads
            raise InputRefused(f"the query of {spelling.address} is several statements; expected one, without a ; behind it.")
        return {"query": query}
    if table and table not in tables:
        raise InputRefused(f"{spelling.address} has no table {table!r}; it has {', '.join(tables[:20]) or 'none'}.")
    if not tables or len(tables) > MOST_TABLES:
        raise InputRefused(f"{spelling.address} has {len(tables):,} tables. Name one with #table=NAME, or ask with #query=SELECT ...")
    names: dict[str, str] = {}
    for each in [table] if table else tables:
        name = re.sub(r"[^\w.-]", "_", each)[:100].lstrip(".") or "table"
        while name in names:
            name += "_"
        quoted = each.replace('"', '""')
        names[name] = f'SELECT * FROM "{quoted}"'
    return names


def _sqlite(path: Path, spelling: Spelling, room: Room) -> None:
    import sqlite3

    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise InputRefused(f"{spelling.address} cannot be opened: {error}.") from None
    forbidden = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        listing = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
        statements = wanted(spelling, [row[0] for row in connection.execute(listing)])
        # Another file attached, or a setting changed, is none of a query's business.
        connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in forbidden else sqlite3.SQLITE_OK)
        for name, statement in statements.items():
            cursor = connection.execute(statement)
            if cursor.description is None:
                raise InputRefused(f"the query of {spelling.address} gives no rows; expected SELECT.")
            write_rows(room, name, [str(column[0]) for column in cursor.description], _fetched(cursor))
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise InputRefused(f"{spelling.address} cannot be read: {error}. Tables are only read; check the query.") from None
    finally:
        connection.close()


def _fetched(cursor: Any) -> Iterator[list[Any]]:
    while rows := cursor.fetchmany(ROWS):
        yield rows


def _duckdb(path: Path, spelling: Spelling, room: Room) -> None:
    try:
        import duckdb
    except ImportError:
        raise InputRefused(f"{spelling.address} is a DuckDB file. Type: pip install 'mlteam[databases]'") from None
    settings: dict[str, Any] = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "lock_configuration": "true",
    }
    try:
        with duckdb.connect(str(path), read_only=True, config=settings) as connection:
            found = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY table_name")
            for name, statement in wanted(spelling, [str(row[0]) for row in found.fetchall()]).items():
                reader = connection.sql(statement)
                if reader is None:
                    raise InputRefused(f"the query of {spelling.address} gives no rows; expected SELECT.")
                write_batches(room, name, reader.to_arrow_reader(ROWS))
    except duckdb.Error as error:
        raise InputRefused(f"{spelling.address} cannot be read: {str(error).splitlines()[0][:300]}. Check the query.") from None
