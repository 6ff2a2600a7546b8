from __future__ import annotations

from typing import Any

import pytest

from team.solutions import SHOWN_ATTEMPTS, AttemptFact, failed, move_of, scored, shown

FOLDS = [0.02, 0.021, 0.019, 0.02, 0.02]


def attempt(attempts: list[AttemptFact], name: str, parent: str | None = None, gain: float = 0.02, **more: Any) -> AttemptFact:
    arguments = {"name": name, "parent": parent, "idea": "ratios of lengths"}
    return scored(attempts, arguments, 0.9, 0.01, [d - 0.02 + gain for d in FOLDS], gain, more.get("against", "lightgbm-1"), 0.25)


def test_what_takes_the_name_or_names_the_parent_of_a_failure_mends_it() -> None:
    tree = [failed([], {"name": "wide"}, "ValueError: NaN")]
    tree.append(attempt(tree, "deep"))
    assert move_of(tree, "new", None) == ("draft", None)
    assert move_of(tree, "wide", None) == ("debug", "wide")
    assert move_of(tree, "wide-2", "wide") == ("debug", "wide")
    assert move_of(tree, "deeper", "deep") == ("improve", "deep")
    assert move_of(tree, "other", "lightgbm-1") == ("improve", "lightgbm-1")


def test_a_gain_must_be_the_greater_the_more_was_tried() -> None:
    first = attempt([], "first", gain=0.02)
    assert first.real
    assert first.lesson == "+0.02 ± 0.00047 against lightgbm-1: a real gain"
    slight = attempt([], "slight", gain=0.0007)
    later = attempt([first] * 60, "later", gain=0.0007)
    assert slight.real
    assert not later.real
    assert "inside the noise" in later.lesson
    assert attempt([], "bad", gain=-0.02).lesson.endswith("worse")


def test_without_anything_before_it_nothing_is_compared() -> None:
    alone = attempt([], "alone", against=None)
    assert (alone.gain, alone.real, alone.against) == (None, False, None)


def test_a_briefing_has_the_last_attempts_and_the_last_that_helped() -> None:
    tree = [attempt([], "good"), *(failed([], {"name": f"bad-{i}"}, "x" * 999) for i in range(9))]
    told = shown(tree)
    assert [one["name"] for one in told] == ["good", *(f"bad-{i}" for i in range(9 - SHOWN_ATTEMPTS, 9))]
    assert max(len(one["lesson"]) for one in told) <= 200
    assert "score" not in told[-1]


@pytest.mark.parametrize("idea", [None, "", "i" * 1000])
def test_ideas_are_cut(idea: str | None) -> None:
    assert len(failed([], {"name": "a", "idea": idea}, "why").idea) <= 200
