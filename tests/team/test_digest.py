"""Facts fit into a length, the longest are cut first, and what is left out is said."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from team.digest import fitted, plain, slim

FACTS: Any = st.dictionaries(
    st.text(max_size=10),
    st.recursive(
        st.none() | st.integers(-(10**9), 10**9) | st.floats() | st.text(max_size=300),
        lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=10), inner, max_size=30),
        max_leaves=30,
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(FACTS, st.sampled_from([400, 1_000, 3_000]))
def test_what_is_fitted_is_json_and_no_longer_than_asked(facts: dict[str, Any], most: int) -> None:
    shown = fitted(facts, most)
    assert shown.keys() == facts.keys()
    text = json.dumps(shown, ensure_ascii=False, allow_nan=False)
    numbers = len(re.findall(r"\d[\d.]*(?:e[-+]?\d+)?", text))
    assert len(text) <= max(most, 60 * len(facts) + 100) + 20 * numbers  # a number counts as one of seven characters, whatever its length


@settings(max_examples=40)
@given(FACTS)
def test_what_fits_is_told_whole(facts: dict[str, Any]) -> None:
    assert fitted(facts, 10**9) == {key: plain(value) for key, value in facts.items()}


def test_the_longest_fact_is_cut_first_and_what_is_spared_last() -> None:
    facts = {"goal": "g" * 300, "table": [{"name": f"c{i}"} for i in range(200)]}
    shown = fitted(facts, 700, spared=("goal",))
    assert shown["goal"] == facts["goal"]
    assert shown["table"][-1] == f"… {200 - len(shown['table']) + 1} more"


def test_what_is_left_out_is_counted() -> None:
    assert slim("x" * 50, 5, 10, 1) == "xxxxxxxxxx… (40 characters left out)"
    assert slim({f"k{i}": i for i in range(9)}, 2, 10, 1) == {"k0": 0, "k1": 1, "k2": 2, "k3": 3, "…": "5 more"}
    assert slim([[1], [2]], 5, 10, 0) == "… (2 entries)"


@pytest.mark.parametrize(("value", "told"), [(0.123456789, 0.12346), (1.5e300, 1.5e300), (float("inf"), "inf"), ({"a": None, "b": []}, {})])
def test_numbers_are_told_in_five_digits_and_nothing_is_not_told(value: Any, told: Any) -> None:
    assert plain(value) == told
