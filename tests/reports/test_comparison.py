"""What differs between runs, as rows and texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.comparison import ABSENT, cost_rows, differing, incomparable, label, value_text, work_rows
from reports.side import Side, read_side
from team.events import FellBack, RunEnded
from tests.reports.written import Written, finished


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[Side]:
    out = tmp_path_factory.mktemp("runs")
    with Written(out) as w:
        w.start()
        w.enter("plan")
        w.add(FellBack(stage="plan", role="planner", reason="no answer"))
        w.add(RunEnded(status="failed", reason="it broke", seconds=1.0))
    return [read_side(finished(out).path, "A"), read_side(w.run.path, "B")]


def test_labels_go_on_after_z() -> None:
    assert [label(k) for k in (0, 25, 26, 52)] == ["A", "Z", "A2", "A3"]


def test_only_what_differs_is_a_row() -> None:
    rows = differing([{"a": 1, "b": 2, "c": None}, {"a": 1, "b": 3, "d": 4}])
    assert [(row.name, row.values) for row in rows] == [("b", (2, 3)), ("d", (None, 4))]


def test_values_are_short_texts() -> None:
    assert [value_text(value) for value in (None, True, 0.1234567, 31, "x", [1, "ü"])] == [ABSENT, "true", "0.1235", "31", "x", '[1, "ü"]']
    assert len(value_text("x" * 1000)) == 200


def test_a_stage_that_one_run_never_reached_is_a_row(sides: list[Side]) -> None:
    rows = dict(work_rows(sides))
    assert rows["stage train"] == ["once", "not entered"]
    assert "stage plan" not in rows
    assert rows["calls of tune"] == ["1", "0"]
    assert rows["fallbacks"] == [ABSENT, "no answer"]
    assert rows["families"] == ["dummy, linear, lightgbm", ABSENT]


def test_cost_stands_side_by_side(sides: list[Side]) -> None:
    rows = dict(cost_rows(sides))
    assert rows["search"] == ["4.0 s", "0.00 s"]
    assert rows["model calls"] == ["5", "0"]


def test_without_a_contract_nothing_is_comparable(sides: list[Side]) -> None:
    assert incomparable(sides) == ("no contract was sealed in B",)
    assert incomparable([sides[0], sides[0]]) == ()


def test_every_difference_of_the_contract_is_told(tmp_path: Path, sides: list[Side]) -> None:
    run = finished(tmp_path)
    contract = sides[0].contract
    assert contract is not None
    split = contract.split.model_copy(update={"seed": 3, "kind": "group", "column": "Island"})
    other = contract.model_copy(update={"target": "Mass\u202e", "rows_train": 265, "split": split})
    run.contract.write_text(other.model_dump_json())
    assert incomparable([sides[0], read_side(run.path, "B")]) == (
        "target: Sex in A; Mass in B",
        "split: stratified in A; group in B",
        "column of the split: None in A; Island in B",
        "seed of the split: 0 in A; 3 in B",
        "rows: 266 and 67 held out in A; 265 and 67 held out in B",
    )
