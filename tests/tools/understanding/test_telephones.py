from __future__ import annotations

import random

import pandas as pd
import phonenumbers
import pytest

from evals.personal_bench import phone
from tools.understanding.personal import personal
from tools.understanding.telephones import at_home, grouped


def numbers(region: str, written: int) -> list[str]:
    draw, rng = phone(region, written), random.Random(0)
    return [draw(rng) for _ in range(30)]


@pytest.mark.parametrize("region", ["US", "GB", "DE", "FR", "IN", "BR", "JP", "RU"])
def test_numbers_are_known_as_a_region_writes_them(region: str) -> None:
    home = numbers(region, phonenumbers.PhoneNumberFormat.NATIONAL)
    bare = ["".join(sign for sign in number if sign.isdigit()) for number in home]
    abroad = numbers(region, phonenumbers.PhoneNumberFormat.E164)
    notes = [f"ring {number} at noon" for number in abroad] + ["wait"] * 200
    frame = pd.DataFrame({"x": home, "phone": bare, "a": abroad})
    assert {one.column: one.kind for one in personal(frame)} == dict.fromkeys(frame, "phone")
    (found,) = personal(pd.DataFrame({"x": notes}))
    assert (found.kind, round(found.share, 2)) == ("phone", 0.13)


@pytest.mark.parametrize(
    "shape", ["37-063-{:04}", "2024-{:04}-0234", "123-4{:02}-789", "{:02}-8933-7258", "20240131 12{:04}", "{:02}.123.456"]
)
def test_parts_orders_and_times_are_numbered_otherwise(shape: str) -> None:
    texts = [shape.format(number * 7 % 97) for number in range(40)]
    assert not at_home(texts)
    assert personal(pd.DataFrame({"x": texts})) == []


def test_numbers_that_nobody_was_given_are_known_by_the_shape_of_north_america() -> None:
    texts = [f"(555) 2{i:02}-{i * 37:04}" for i in range(40)]
    assert [one.kind for one in personal(pd.DataFrame({"x": texts}))] == ["phone"]


def test_grouped_digits_are_told_from_dates_and_amounts() -> None:
    assert [likely for *_, likely in grouped("on 2024-01-31 12 and 31.12.2024 and 12.345.678 or 020 7946 0958")] == [
        False,
        False,
        False,
        True,
    ]
