"""Several tables in a stream give what they give when all of them are held in memory."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tools.formats.groups
import tools.formats.parts
import tools.formats.stored
import tools.formats.whole
from tools.conversion import convert
from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.parts import Converted, stream
from tools.tables import TableError


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that a small table has many, and keys in several parts."""
    for name in ("STREAM_FROM", "PACKED_FROM"):
        monkeypatch.setattr(tools.formats.parts, name, 1)
    monkeypatch.setattr(tools.formats.groups, "GROUP_ROWS", 50)
    monkeypatch.setattr(tools.formats.stored, "BATCH_ROWS", 16)
    monkeypatch.setattr(tools.formats.stored, "_MOST_ROWS", 30)
    monkeypatch.setattr(tools.formats.stored, "MOST_KEYS", 30)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def streamed(folder: Path, tmp_path: Path, **choice: str) -> Converted:
    """Stream a folder and hold it against the whole reading."""
    asked = Choice.of(choice)
    found = stream(folder, tmp_path / "streamed.parquet", asked)
    assert found is not None
    reading = read(folder, asked)
    reading.frame.to_parquet(tmp_path / "whole.parquet", index=False)
    frame, whole = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("streamed", "whole"))
    pd.testing.assert_frame_equal(frame, whole, rtol=1e-15)
    assert (found.rows, found.columns) == whole.shape
    assert (found.format, found.pieces, found.dialect) == (reading.format, reading.pieces, reading.dialect)
    assert found.notes[-1].endswith("bytes were read in a stream.")
    assert found.notes[:-1] == reading.notes
    assert not [*tmp_path.glob(".tables-*")], "nothing stays of the tables"
    return found


def shop() -> dict[str, pd.DataFrame]:
    """Orders of customers of regions at shops, with their items; keys of numbers, of text and with gaps."""
    rng = np.random.default_rng(3)
    customers = pd.DataFrame(
        {
            "id": rng.permutation(np.arange(1, 61)),
            "region": rng.choice(["north", "süd", "west"], 60),
            "vip": rng.random(60) > 0.5,
            "age": np.where(rng.random(60) < 0.2, np.nan, rng.integers(18, 90, 60)),
            "since": rng.choice(["2020-01-01", "2021-05-06"], 60),
        }
    )
    orders = pd.DataFrame(
        {
            "id": np.arange(500, 900),
            "customer_id": np.where(rng.random(400) < 0.05, np.nan, rng.integers(1, 62, 400)),
            "shop_id": rng.choice(["A1", "B2", "C3", "D4"], 400),
            "paid": rng.random(400).round(3),
            "how": rng.choice(["cash", "card"], 400),
        }
    )
    return {
        "customers": customers,
        "orders": orders,
        "regions": pd.DataFrame({"region": ["west", "north", "süd"], "wealth": [1.5, 2.5, 3.5]}),
        "shops": pd.DataFrame({"id": ["D4", "A1", "B2", "C3"], "area": [10, 20, 30, 40], "note": ["x", None, "y", "z"]}),
        "items": pd.DataFrame({"item": np.arange(900), "order_id": rng.integers(500, 900, 900), "price": rng.random(900).round(2)}),
    }


@pytest.fixture
def folder(source: Path) -> Path:
    for name, table in shop().items():
        table.to_csv(source / f"{name}.csv", index=False)
    return source


CHOICES: list[dict[str, str]] = [{}, {"table": "orders"}, {"table": "orders", "gather": "items"}]
CHOICES += [{"table": "customers", "gather": "orders"}, {"table": "regions", "gather": "customers"}, {"table": "shops"}]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_tables_with_keys(choice: dict[str, str], folder: Path, tmp_path: Path) -> None:
    streamed(folder, tmp_path, **choice)


def test_rows_get_what_belongs_to_their_own_keys(folder: Path, tmp_path: Path) -> None:
    found = streamed(folder, tmp_path, table="orders")
    frame, tables = pd.read_parquet(tmp_path / "streamed.parquet"), shop()
    ages = tables["customers"].set_index("id")["age"]
    assert frame["customers.age"].tolist() == pytest.approx(tables["orders"]["customer_id"].map(ages).tolist(), nan_ok=True)
    assert frame["regions.wealth"].notna().sum() == frame["customers.region"].notna().sum() < len(frame)
    assert "'customers' was joined by 'customer_id' = 'id', at most one row for each; 1." in found.notes[1]


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".jsonl"])
def test_tables_of_mixed_formats(suffix: str, folder: Path, tmp_path: Path) -> None:
    for name in ("customers", "orders"):
        (folder / f"{name}.csv").unlink()
        table = shop()[name]
        if suffix == ".jsonl":
            table.to_json(folder / f"{name}.jsonl", orient="records", lines=True)
        else:
            typed = {"region": "category", "since": "datetime64[us]", "how": "category"}
            table = table.astype({column: kind for column, kind in typed.items() if column in table})
            table = table.astype({"age": "Int64"}) if name == "customers" else table.astype({"customer_id": "Int64"})
            table.to_parquet(folder / f"{name}.parquet") if suffix == ".parquet" else table.to_feather(folder / f"{name}.feather")
    streamed(folder, tmp_path, table="orders")
    streamed(folder, tmp_path, table="customers", gather="orders")


def test_tables_of_the_same_columns_in_several_formats(source: Path, tmp_path: Path) -> None:
    rows = shop()["orders"]
    rows[:100].to_csv(source / "a.csv", index=False)
    rows[100:300].to_parquet(source / "b.parquet", index=False)
    (source / "c.json").write_text(json.dumps({"columns": list(rows), "data": json.loads(rows[300:].to_json(orient="values"))}))
    found = streamed(source, tmp_path)
    assert found.pieces == [("a.csv", 100), ("b.parquet", 200), ("c.json", 100)]


def test_training_rows_beside_others_of_the_same_kind(source: Path, tmp_path: Path) -> None:
    rows = shop()["orders"]
    rows[:200].to_csv(source / "train.csv", index=False)
    rows[200:].drop(columns="paid").to_csv(source / "test.csv", index=False)
    assert "Not joined, because no key gives at most one row of them for each row: 'test'." in streamed(source, tmp_path).notes


def test_what_is_wrong_is_told_as_when_all_is_held(folder: Path, tmp_path: Path) -> None:
    def told(**choice: str) -> str:
        messages = []
        for call in (lambda: stream(folder, tmp_path / "t.parquet", Choice.of(choice)), lambda: read(folder, Choice.of(choice))):
            with pytest.raises(TableError) as refused:
                call()
            messages.append(str(refused.value))
        assert messages[0] == messages[1]
        return messages[0]

    assert "there is no table 'sales'" in told(table="sales")
    assert "gather='regions' names no table" in told(table="orders", gather="regions")
    assert "gather='items': its rows belong to 'orders'" in told(table="customers", gather="items")
    (folder / "orders.csv").write_text("id,customer_id\n1,2,3\n4,5,6\n7,8\n9\n")
    assert "orders.csv" in told()
    for path in folder.iterdir():
        path.unlink()
    (folder / "one.csv").write_text("a\n1\n2\n")
    (folder / "two.csv").write_text("b\n3\n4\n")
    assert "holds 2 tables that no key relates: 'one', 'two'" in told()


def test_a_key_that_is_not_one(source: Path, tmp_path: Path) -> None:
    pd.DataFrame({"k": range(80), "v": range(80)}).to_csv(source / "main.csv", index=False)
    for name, keys in {"twice": [*range(80), 79], "lacks": [*range(80), None], "broken": [0.5, *range(1, 80)]}.items():
        pd.DataFrame({"k": keys, "w": 1}).to_csv(source / f"{name}.csv", index=False)
    pd.DataFrame({"k": [f"{i}" for i in range(79)] + ["x"], "w": 1}).to_csv(source / "words.csv", index=False)
    pd.DataFrame({"k": range(100), "w": 1.5}).to_csv(source / "good.csv", index=False)
    found = streamed(source, tmp_path, table="main")
    assert found.notes[2] == "Not joined, because no key gives at most one row of them for each row: 'broken', 'lacks', 'twice', 'words'."


def test_a_database_with_keys(tmp_path: Path) -> None:
    from tools.sources import fetch

    with sqlite3.connect(tmp_path / "shop.sqlite") as database:
        for name, table in shop().items():
            table.to_sql(name, database, index=False)
    database.close()
    vault = tmp_path / "vault"
    vault.mkdir()
    fetch(str(tmp_path / "shop.sqlite"), vault, lambda **facts: None)
    from tools.sources.contract import files_folder

    streamed(files_folder(vault), tmp_path, table="orders", gather="items")


def test_tables_too_large_to_hold_beside_are_refused_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit that a sandbox is told; what this process uses already leaves no room below it.
    monkeypatch.setenv("MLTEAM_MEMORY_MB", "1")
    monkeypatch.setattr(tools.formats.whole, "_SMALL", 1)
    with pytest.raises(TableError, match=r"^in: its 5 tables have to be read whole, .* as MLTEAM_SANDBOX__MEMORY_MB=[0-9]+ does"):
        convert(folder, tmp_path / "t.parquet", {"table": "orders"})


PEAK = """
import pathlib, sys
import pandas, pyarrow.compute, pyarrow.csv, pyarrow.parquet
from tools.conversion import convert
def resident(which):
    return int(next(line for line in open("/proc/self/status") if line.startswith(which)).split()[1]) << 10
before = resident("VmRSS")
told = convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), {})
print(told.rows, told.columns, resident("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_memory_does_not_grow_with_the_main_table(source: Path, tmp_path: Path) -> None:
    rows, texts = 200_000, [f"{i:04000}" for i in range(1000)]
    orders = pa.table({"n": np.arange(rows), "customer_id": np.arange(rows) % 900, "text": pa.array(texts * (rows // 1000))})
    pq.write_table(orders, source / "orders.parquet", row_group_size=10_000)
    pd.DataFrame({"id": range(1000), "age": range(1000), "word": "w"}).to_csv(source / "customers.csv", index=False)
    command = [sys.executable, "-c", PEAK, str(source), str(tmp_path / "t.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *shape, peak = map(int, done.stdout.split())
    assert shape == [rows, 5]
    assert peak < 0.6 * orders.nbytes
