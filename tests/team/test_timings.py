"""What a sandbox says that it timed is taken as far as it has the right shape and size."""

from __future__ import annotations

from typing import Any

import pytest

from team.timings import Timings
from tools.spans import MOST_SPANS, SPANS_MIME


def span(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"id": f"{number:016x}", "parent": "f" * 16, "kind": "fit", "start": 1.0, "end": 2.0, "facts": {"fold": 1}} | changes


def taken(*spans: Any, left_out: Any = 0) -> Timings:
    timings = Timings()
    timings.take({"data": {SPANS_MIME: {"spans": list(spans), "left_out": left_out}}})
    return timings


def test_good_ones_are_taken_in_their_order() -> None:
    found = taken(span(2), span(1, error="ValueError"), left_out=3)
    assert [one.id for one in found.spans] == [f"{2:016x}", f"{1:016x}"]
    assert (found.spans[1].error, found.left_out) == ("ValueError", 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x" * 16},
        {"id": 7},
        {"parent": "../../etc/passwd"},
        {"kind": "run"},
        {"start": float("nan")},
        {"end": float("inf")},
        {"end": 0.5},
        {"start": -1},
        {"facts": {str(number): 1 for number in range(17)}},
        {"facts": {"k" * 61: 1}},
        {"facts": {"text": "x" * 201}},
        {"facts": {"deep": {"er": 1}}},
        {"facts": {"huge": 10**100}},
        {"facts": {"huge": float("inf")}},
        {"error": "x" * 101},
        {"more": 1},
    ],
)
def test_what_has_another_shape_is_counted_and_left_out(changes: dict[str, Any]) -> None:
    found = taken(span(1, **changes), span(2))
    assert [one.id for one in found.spans] == [f"{2:016x}"]
    assert found.left_out == 1


def test_an_id_counts_once() -> None:
    found = taken(span(1), span(1, kind="trial"))
    assert [one.kind for one in found.spans] == ["fit"]


def test_there_is_a_most() -> None:
    found = taken(*map(span, range(MOST_SPANS + 5)))
    assert (len(found.spans), found.left_out) == (MOST_SPANS, 5)


@pytest.mark.parametrize("output", [{}, {"data": 7}, {"data": {SPANS_MIME: "text"}}, {"data": {SPANS_MIME: {"spans": 7, "left_out": "x"}}}])
def test_outputs_that_are_none_are_passed_over(output: dict[str, Any]) -> None:
    timings = Timings()
    timings.take(output)
    assert (timings.spans, timings.left_out) == ([], 0)
