from __future__ import annotations

from typing import Any

import pytest

from tools.grid import MOST_POINTS, derived, given, key


def branching(trial: Any) -> dict[str, Any]:
    """Asks for a rate only where the kind has one."""
    kind = trial.suggest_categorical("kind", ["plain", "drop"])
    params = {"kind": kind, "depth": trial.suggest_int("depth", 1, 100, log=True)}
    if kind == "drop":
        params["rate"] = trial.suggest_float("rate", 0.0, 1.0)
    return params


def wide(trial: Any) -> dict[str, Any]:
    return {f"x{i}": trial.suggest_float(f"x{i}", 0, 1) for i in range(30)}


def test_a_grid_follows_the_branches_of_its_space() -> None:
    points = derived(branching, seed=0)
    plain, drop = ([p for p in points if p["kind"] == kind] for kind in ("plain", "drop"))
    assert (len(plain), len(drop)) == (5, 25)
    assert {frozenset(p) for p in plain} == {frozenset({"kind", "depth"})}
    assert sorted({p["depth"] for p in plain}) == [1, 3, 10, 32, 100], "log scale, from end to end"
    assert sorted({p["rate"] for p in drop}) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len({key(p) for p in points}) == 30


def test_the_number_of_points_is_bounded_and_the_order_is_the_seeds() -> None:
    assert len(derived(branching, seed=0, most=19)) == 12, "three values a number: nine, and three more"
    assert len(derived(wide, seed=0)) == MOST_POINTS
    assert derived(wide, seed=1) == derived(wide, seed=1) != derived(wide, seed=2)


def test_given_values_are_combined_and_the_rest_stays() -> None:
    start = {"kind": "drop", "depth": 7, "rate": 0.1}
    assert given(branching, {"rate": [0.2, 0.4]}, start) == [{**start, "rate": 0.2}, {**start, "rate": 0.4}]
    both = given(branching, {"kind": ["plain", "drop"], "rate": [0.2, 0.4]}, start)
    assert len(both) == 3, "a rate makes no difference where none is asked for"
    beyond = given(branching, {"rate": [0.2]}, {"kind": "drop", "depth": 900})
    assert beyond == [{"kind": "drop", "depth": 1, "rate": 0.2}], "a start outside of the space is no error of the grid"
    with pytest.raises(ValueError, match="625 points, expected 1 to 512"):
        given(branching, {"rate": [i / 25 for i in range(25)], "depth": list(range(1, 26))}, start)
