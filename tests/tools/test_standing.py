from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.standing import Standing

NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=30)


@given(NUMBERS, NUMBERS)
def test_larger_numbers_never_stand_lower_and_none_arrives(known: list[int], asked: list[int]) -> None:
    ordered = np.sort(np.array(asked, dtype=float))
    found = Standing.among(np.array(known, dtype=float))(ordered)
    assert (np.diff(found) >= 0).all()
    assert ((found > 0) & (found < 1)).all()


def test_known_numbers_stand_at_their_middle_rank_and_unknown_ones_keep_their_order() -> None:
    standing = Standing.among(np.array([1.0, 2.0, 2.0, 4.0]))
    assert standing(np.array([1.0, 2.0, 4.0])).tolist() == [0.125, 0.5, 0.875]
    beyond = standing(np.array([-9.0, 0.0, 5.0, 99.0]))
    assert 0 < beyond[0] < beyond[1] < 0.125
    assert 0.875 < beyond[2] < beyond[3] < 1


def test_one_number_stands_in_the_middle() -> None:
    assert Standing.among(np.zeros(5))(np.zeros(2)) == pytest.approx([0.5, 0.5])
