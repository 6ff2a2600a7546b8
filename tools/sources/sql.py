"""Tables of a database server: `postgresql://ann:${PASSWORD}@host/shop#query=SELECT ...` or `#table=NAME`, by SQLAlchemy.

The transaction is read-only, so a statement that would write is refused by the server; rows come through a cursor of the server's, some
thousands at a time.
"""

from __future__ import annotations

from typing import Any

from tools.sources.contract import Found, Room
from tools.sources.databases import wanted
from tools.sources.rows import ROWS, write_rows
from tools.sources.secrets import conceal, hidden
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

CONNECT_TIMEOUT_S = 15


class Sql:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        import sqlalchemy as sa

        spelling.refuse_options("table", "query")
        try:
            import psycopg  # noqa: F401  # which SQLAlchemy imports by name
        except ImportError:
            raise InputRefused(f"{spelling.scheme}:// needs psycopg. Type: pip install 'mlteam[databases]'") from None
        plain = "postgresql+psycopg:" + spelling.rest
        try:
            address = sa.make_url(room.secrets.filled(plain))
        except (sa.exc.ArgumentError, ValueError):
            raise InputRefused(f"source {spelling.address!r} is no address of a database; expected postgresql://USER@HOST/NAME.") from None
        if address.password is None and (found := room.secrets.get("PGPASSWORD")):
            address = address.set(password=found)
        conceal(str(address.password or ""))
        engine = sa.create_engine(
            address,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": "-c default_transaction_read_only=on"},
            hide_parameters=True,
            poolclass=sa.pool.NullPool,
        )
        try:
            with engine.connect().execution_options(postgresql_readonly=True, stream_results=True, max_row_buffer=ROWS) as connection:
                statements = wanted(spelling, _tables(connection))
                for name, statement in statements.items():
                    result = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
                    if not result.returns_rows:
                        raise InputRefused(f"the query of {spelling.address} gives no rows; expected SELECT.")
                    write_rows(room, name, list(result.keys()), result.partitions(ROWS))
        except sa.exc.SQLAlchemyError as error:
            said = hidden(" ".join(str(getattr(error, "orig", None) or error).split())[:300])
            raise InputRefused(f"{spelling.address} cannot be read: {said}. Check the address, the password and the query.") from None
        finally:
            engine.dispose()
        return Found()


def _tables(connection: Any) -> list[str]:
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    return sorted([*inspector.get_table_names(), *inspector.get_view_names()])
