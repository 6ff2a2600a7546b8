from __future__ import annotations

import pytest

from tools.word_orders import are_ranges, natural_order, scale_of

ORDERED = [
    ["low", "medium", "high"],
    ["Low", "Medium", "High", "Critical"],
    ["Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree"],
    ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    ["HS-grad", "Some-college", "Bachelors", "Masters", "Doctorate"],
    ["1st", "2nd", "3rd"],
    ["Stage I", "Stage II", "Stage IV"],
    ["low risk", "mid risk", "high risk"],
    ["March", "April", "Sept", "Dec"],
    ["<18", "18-25", "26-40", "41-60", "60+"],
    ["0", "1", "2-10", "11-100", "Over 100"],
    ["$0-$10k", "$10k-$20k", "$20k+"],
    ["[0, 10)", "[10, 20)", "[20, 100)"],
    ["under 5", "5-20", "20-100", "100 or more"],
    ["grade 3", "grade 4", "grade 12"],
]


@pytest.mark.parametrize("levels", ORDERED, ids=lambda levels: levels[0])
def test_words_and_numbers_have_the_order_that_everybody_knows(levels: list[str]) -> None:
    assert natural_order(sorted(levels)) == levels
    assert natural_order(levels[::-1]) == levels


@pytest.mark.parametrize(
    "levels", [["red", "green"], ["k17", "k3"], ["low", "high", "purple"], ["high", "higher", "upper"], ["i", "v", "x"]]
)
def test_what_has_no_order_gets_none(levels: list[str]) -> None:
    assert natural_order(levels) is None
    assert scale_of(levels) is None


def test_two_words_are_no_scale_and_bare_numbers_no_ranges() -> None:
    assert scale_of(["low", "high"]) is None
    assert natural_order(["low", "high"]) == ["low", "high"]
    assert not are_ranges(["1", "2", "3"])
    assert not are_ranges(["12-34-5", "a-b", "1-2"])
