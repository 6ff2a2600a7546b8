"""Folders: partitions, pictures, parts of one table, and tables with keys; no row is multiplied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tools.formats.contract import Choice
from tools.formats.detect import read
from tools.formats.gathering import gathered_tables
from tools.tables import TableError


def test_partitions_are_one_table(tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"year={year}").mkdir()
        pd.DataFrame({"a": [year, year + 1]}).to_parquet(tmp_path / f"year={year}" / "part-0.parquet")
    frame = read(tmp_path).frame
    assert frame.to_dict("list") == {"a": [2023, 2024, 2024, 2025], "year": [2023, 2023, 2024, 2024]}


def test_parts_of_a_table_are_put_under_each_other(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"part{i}.csv").write_text(f"a,b\n{i},x\n")
    (tmp_path / "README.txt").write_text("three parts")
    reading = read(tmp_path)
    assert reading.frame["a"].tolist() == [0, 1, 2]
    assert reading.notes == ["3 files of the same columns were put under each other: 'part0', 'part1', 'part2'."]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    pd.DataFrame({"id": [1, 2, 3], "name": ["a", "b", "c"], "region_id": [7, 8, 7]}).to_csv(tmp_path / "customers.csv", index=False)
    pd.DataFrame({"region_id": [7, 8], "name": ["north", "south"]}).to_csv(tmp_path / "regions.csv", index=False)
    orders = pd.DataFrame({"order": range(10), "customer_id": rng.integers(1, 4, 10), "amount": rng.random(10)})
    orders.to_csv(tmp_path / "orders.csv", index=False)
    return tmp_path


def test_tables_with_keys_are_joined_and_told(shop: Path) -> None:
    reading = read(shop)
    assert len(reading.frame) == 10
    assert {"customers.name", "regions.name"} <= set(reading.frame.columns)
    assert reading.notes[:2] == ["Rows are those of 'orders'.", "'customers' was joined by 'customer_id' = 'id', at most one row for each."]


def test_a_join_that_would_multiply_rows_is_left_out_and_told(shop: Path) -> None:
    reading = read(shop, Choice(table="customers"))
    assert len(reading.frame) == 3
    assert reading.notes[-2] == "Not joined, because no key gives at most one row of them for each row: 'orders'."
    assert reading.notes[-1].startswith("#table=customers&gather=orders joins what its rows come to")
    with pytest.raises(TableError, match=r"no table 'sales'; tables: 'customers', 'orders', 'regions'"):
        read(shop, Choice(table="sales"))


def test_many_rows_for_each_are_gathered_when_that_is_asked_for(shop: Path) -> None:
    orders = pd.read_csv(shop / "orders.csv").assign(paid=["yes", "no"] * 5, when=["2024-01-01", "2024-03-01"] * 5)
    orders[orders["customer_id"] != 3].to_csv(shop / "orders.csv", index=False)
    reading = read(shop, Choice(table="customers", gather="orders"))
    frame, theirs = reading.frame, orders[orders["customer_id"] == 1]
    assert len(frame) == 3
    assert frame["orders.mean(amount)"][0] == pytest.approx(theirs["amount"].mean())
    assert frame["orders.share(paid = yes)"][0] == pytest.approx((theirs["paid"] == "yes").mean())
    assert frame["orders.rows"].tolist() == [len(theirs), (orders["customer_id"] == 2).sum(), 0]
    assert "'orders' was gathered by 'customer_id' = 'id'" in reading.notes[2]
    with pytest.raises(TableError, match="gather='regions' names no table whose rows are many for each row of 'customers'"):
        read(shop, Choice(table="customers", gather="regions"))


@pytest.fixture
def deep(tmp_path: Path) -> dict[str, pd.DataFrame]:
    """Customers of regions, their orders at shops, and the items of the orders."""
    rng = np.random.default_rng(1)
    made = {
        "customers": pd.DataFrame({"id": np.arange(1, 41), "region_id": rng.integers(1, 4, 40), "y": rng.normal(size=40)}),
        "regions": pd.DataFrame({"region_id": [1, 2, 3], "wealth": [1.5, 2.5, 3.5]}),
        "shops": pd.DataFrame({"id": [1, 2, 3, 4, 5], "area": [10, 20, 30, 40, 55]}),
        "orders": pd.DataFrame(
            {
                "id": np.arange(100, 300),
                "customer_id": rng.integers(1, 40, 200),
                "shop_id": rng.integers(1, 6, 200),
                "paid": rng.random(200),
            }
        ),
        "items": pd.DataFrame({"item": np.arange(900), "order_id": rng.integers(100, 300, 900), "price": rng.random(900)}),
        "visits": pd.DataFrame({"visit": np.arange(60), "region_id": rng.integers(1, 4, 60), "minutes": rng.random(60)}),
    }
    for name, table in made.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return made


def test_what_is_gathered_follows_one_key_further(deep: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    reading = read(tmp_path, Choice(table="customers", gather="orders"))
    frame, orders = reading.frame, deep["orders"]
    theirs = orders[orders["customer_id"] == 7]
    spent = [deep["items"].loc[deep["items"]["order_id"] == order, "price"].sum() for order in theirs["id"]]
    assert len(frame) == 40
    assert frame["orders.mean(items.sum(price))"][6] == pytest.approx(np.mean(spent))
    assert frame["orders.max(shops.area)"][6] == deep["shops"].set_index("id")["area"][theirs["shop_id"]].max()
    assert frame["orders.sum(items.rows)"].sum() == 900
    assert frame["orders.rows"][39] == 0, "a customer without an order"
    assert not any(column.startswith("orders.std(items") for column in frame.columns)
    assert not any("(item)" in column or "sum(shop_id)" in column for column in frame.columns), "what only names a row is no number"
    assert any("'orders', which took 'shops', 'items' along, was gathered by 'customer_id' = 'id'" in note for note in reading.notes)
    assert reading.notes[-1].startswith("#table=customers&gather=visits"), "it belongs to the region that a customer has"


def test_several_are_gathered_and_each_by_the_table_that_its_rows_belong_to(deep: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    frame = read(tmp_path, Choice(table="customers", gather="orders,visits")).frame
    minutes = deep["visits"].groupby("region_id")["minutes"].mean()
    assert frame["visits.mean(minutes)"].tolist() == pytest.approx(minutes[frame["region_id"]].tolist())
    found = gathered_tables(frame.columns)
    assert set(found) == {"orders", "visits"}
    assert "orders.mean(items.sum(price))" in found["orders"]
    with pytest.raises(TableError, match="gather='items': its rows belong to 'orders'; gather=orders takes what they come to along"):
        read(tmp_path, Choice(table="customers", gather="items"))
    with pytest.raises(TableError, match="gather='customers' names no table whose rows are many"):
        read(tmp_path, Choice(table="customers", gather="customers"))


def test_no_row_is_seen_through_what_is_gathered_for_another(deep: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    whole = read(tmp_path, Choice(table="customers", gather="orders,visits")).frame
    kept = deep["customers"]["id"] % 2 == 0
    deep["customers"].assign(y=-1.0)[kept].to_csv(tmp_path / "customers.csv", index=False)
    orders = deep["orders"][deep["orders"]["customer_id"] % 2 == 0]
    orders.to_csv(tmp_path / "orders.csv", index=False)
    deep["items"][deep["items"]["order_id"].isin(orders["id"])].to_csv(tmp_path / "items.csv", index=False)
    half = read(tmp_path, Choice(table="customers", gather="orders,visits")).frame
    made = [column for columns in gathered_tables(whole.columns).values() for column in columns]
    pd.testing.assert_frame_equal(half[made], whole.loc[kept, made].reset_index(drop=True))


def test_tables_that_nothing_relates_ask_for_a_choice(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a\n1\n2\n")
    (tmp_path / "two.csv").write_text("b\n3\n4\n")
    with pytest.raises(TableError, match=r"no key relates: 'one', 'two'. Choose one, as in .*#table=one"):
        read(tmp_path)
    assert read(tmp_path, Choice(table="two")).frame["b"].tolist() == [3, 4]


def test_pictures_become_rows_without_their_paths(tmp_path: Path) -> None:
    for label, colour in (("cat", (250, 10, 10)), ("dog", (10, 10, 250))):
        (tmp_path / label).mkdir()
        for i in range(3):
            Image.new("RGB", (20 + i, 10), colour).save(tmp_path / label / f"{i}.png")
    (tmp_path / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    reading = read(tmp_path)
    assert reading.frame["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert reading.frame["red_mean"].tolist()[::3] == pytest.approx([250, 10])
    assert reading.frame.shape[1] == 1 + 3 + 6 + 2 + 64
    assert "'dog/broken.jpg: UnidentifiedImageError'" in reading.notes[1]
    assert not any("path" in column for column in reading.frame.columns)


def test_folders_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"x")
    with pytest.raises(TableError, match=r"holds no table.*Pickles are never opened: 'model.pkl'"):
        read(tmp_path)
