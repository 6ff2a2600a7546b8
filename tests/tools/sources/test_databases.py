"""SQLite and DuckDB files, and PostgreSQL: read, streamed, and never written to."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.tools.postgres import Cluster, binaries
from tests.tools.sources.conftest import Fetching
from tools.sources import rows
from tools.spec import InputRefused


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER, price, note TEXT)")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", [(1, 2, "a"), (2, 2.5, None), (3, None, "ü")])
        connection.execute('CREATE TABLE "odd ""name" (x)')
        connection.execute("CREATE VIEW dear AS SELECT * FROM orders WHERE price > 2")
    return path


def test_tables_views_and_queries_of_sqlite(shop: Path, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.sources import databases

    monkeypatch.setattr(databases, "ROWS", 1)  # each row a chunk of its own type
    assert [file.name for file in fetching(str(shop)).files] == ["dear.parquet", "odd__name.parquet", "orders.parquet"]
    table = pd.read_parquet(fetching.vault / "source" / "orders.parquet")
    assert table["id"].tolist() == [1, 2, 3]
    assert table["price"].tolist()[:2] == [2.0, 2.5]
    assert (table["note"].isna().tolist(), table["note"][2]) == ([False, True, False], "ü")
    fetching(f"sqlite:///{shop}#query=SELECT id, price > 2 AS dear FROM orders WHERE id < 3 AND note = 'a' -- & = #")
    assert pd.read_parquet(fetching.vault / "source" / "query.parquet").to_dict("list") == {"id": [1], "dear": [0]}
    assert [file.name for file in fetching(f"{shop}#table=orders").files] == ["orders.parquet"]


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM orders", "CREATE TABLE t (x)", "ATTACH '/tmp/x.db' AS other", "PRAGMA query_only = OFF", "SELECT load_extension('x')"],
)
def test_sqlite_is_only_read(shop: Path, fetching: Fetching, query: str) -> None:
    before = shop.read_bytes()
    with pytest.raises(InputRefused, match=r"cannot be read: .*Tables are only read"):
        fetching(f"{shop}#query={query}")
    assert shop.read_bytes() == before


def test_refusals_of_databases(shop: Path, fetching: Fetching, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"has no table 'ordres'; it has dear, odd \"name, orders"):
        fetching(f"{shop}#table=ordres")
    with pytest.raises(InputRefused, match="exclude each other"):
        fetching(f"{shop}#table=orders&query=SELECT 1")
    with pytest.raises(InputRefused, match="two columns called 'id'"):
        fetching(f"{shop}#query=SELECT id, id FROM orders")
    with pytest.raises(InputRefused, match=r"names no file: there is no .*none.db"):
        fetching(f"sqlite:///{tmp_path}/none.db")


def test_duckdb(fetching: Fetching, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: pip install 'mlteam[databases]'")
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS id, DATE '2026-01-01' AS day FROM range(120000)")
    (tmp_path / "secret.csv").write_text("x\n1\n")
    fetching(str(path))
    table = pd.read_parquet(fetching.vault / "source" / "t.parquet")
    assert (len(table), table["id"].sum(), table["day"][0]) == (120_000, 119_999 * 60_000, datetime.date(2026, 1, 1))
    for query in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        "DELETE FROM t",
        f"COPY t TO '{tmp_path}/out.csv'",
        "SET enable_external_access=true",
    ):
        with pytest.raises(InputRefused, match=r"cannot be read|gives no rows"):
            fetching(f"{path}#query={query}")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [([[1], [None], [2.5]], [1.0, None, 2.5]), ([[1], ["x"]], ["1", "x"]), ([[None]], [None]), ([[True], [None]], [True, None])],
)
def test_chunks_of_different_types_become_one(
    fetching: Fetching, tmp_path: Path, chunks: list[list[object]], expected: list[object]
) -> None:
    from tools.sources.cache import Cache
    from tools.sources.contract import Room
    from tools.sources.downloading import Downloads
    from tools.sources.secrets import Secrets

    room = Room(tmp_path, Downloads(Cache(tmp_path), 1, print), Secrets(), lambda **facts: None)
    rows.write_rows(room, "t", ["x"], [[(value,) for value in chunk] for chunk in chunks])
    import pyarrow.parquet as pq

    assert pq.read_table(tmp_path / "t.parquet").column("x").to_pylist() == expected
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    cluster = Cluster(binaries())
    try:
        cluster.start()
        import psycopg

        with psycopg.connect(cluster.address("postgres")) as connection:
            connection.execute("CREATE SEQUENCE numbers")
            connection.execute(
                "CREATE TABLE orders AS SELECT i AS id, i::numeric / 4 AS price, 'n%' || i AS note FROM generate_series(1, 120000) i"
            )
        yield cluster
    finally:
        cluster.stop()


@pytest.mark.postgres
def test_postgresql(postgres: Cluster, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"postgresql://ann:${{SHOP_WORD}}@127.0.0.1:{postgres.port}/postgres"
    monkeypatch.setenv("SHOP_WORD", "s3cret-of-the-shop")
    assert [file.name for file in fetching(f"{address}#table=orders").files] == ["orders.parquet"]
    table = pd.read_parquet(fetching.vault / "source" / "orders.parquet")
    assert (len(table), table["id"].sum(), table["price"].max(), table["note"][0]) == (120_000, 120_001 * 60_000, 30_000.0, "n%1")
    fetching(f"{address}#query=SELECT id FROM orders WHERE note LIKE 'n%7' AND id < 20")
    assert pd.read_parquet(fetching.vault / "source" / "query.parquet")["id"].tolist() == [7, 17]
    with pytest.raises(InputRefused, match="read-only transaction"):
        fetching(f"{address}#query=SELECT nextval('numbers')")
    for query in ("DELETE FROM orders RETURNING id", "DROP TABLE orders", "WITH d AS (DELETE FROM orders RETURNING id) SELECT * FROM d"):
        with pytest.raises(InputRefused, match="cannot be read"):
            fetching(f"{address}#query={query}")
    with pytest.raises(InputRefused, match="is several statements"):
        fetching(f"{address}#query=SELECT 1; COMMIT; SET default_transaction_read_only = off; DROP TABLE orders")
    assert len(fetching(f"{address}#table=orders").files) == 1
    assert b"s3cret" not in fetching.left()
    monkeypatch.setenv("SHOP_WORD", "s3cret-but-wrong")
    with pytest.raises(InputRefused, match=r"cannot be read: .*password authentication failed") as refused:
        fetching(f"{address}#table=orders")
    assert "s3cret" not in str(refused.value)
