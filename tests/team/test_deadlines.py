"""When calls of tools are cut off."""

from __future__ import annotations

import pytest

from team.deadlines import deadline
from tools.spec import registry
from tools.training import FIRST_S, FLOOR_S


@pytest.mark.parametrize(
    ("tool", "values", "least", "most"),
    [
        ("train", {"time_s": 100.0}, 100 + FIRST_S, 110 + FIRST_S),
        ("train_baselines", {"time_s": 3.0}, 3 + FLOOR_S + FIRST_S, 10 + FLOOR_S + FIRST_S),
        ("profile_table", {}, 60, 3600),
    ],
)
def test_what_a_run_cannot_do_without_is_not_cut_off_with_the_search(
    tool: str, values: dict[str, float], least: float, most: float
) -> None:
    """However little time a search has, a model that knows nothing is fitted: on a large table, or a busy machine, that takes longer."""
    assert least <= deadline(registry()[tool], values) <= most
