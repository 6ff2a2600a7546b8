"""The table of what runs took: every way of grouping comes to the same sum, and what is not known is no zero."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.costs import WAYS, costs
from team.cli import main
from team.cost_view import cells, told
from team.events import Event, ModelCalled, ResourcesUsed, RunForked, TurnStarted

ROLES = ("planner", "engineer", "critic")
STAGES = ("plan", "train", "optimise")


def call(
    usd: float | None = 0.01, turn: int = 1, role: str = "planner", at: float = 1e9, model: str = "m", tokens: int = 10
) -> ModelCalled:
    return ModelCalled(
        turn=turn,
        role=role,
        provider="openai",
        model=model,
        input_tokens=tokens,
        output_tokens=2,
        usd=usd,
        seconds=0.5,
        finish_reason="stop",
        at=at,
        cache_read_tokens=tokens // 2,
    )


def used(turn: int = 1, role: str = "planner", stage: str = "plan", at: float = 1e9, gpu: float | None = 0.0) -> ResourcesUsed:
    return ResourcesUsed(turn=turn, role=role, stage=stage, at=at, seconds=36, cpu_seconds=72, gpu_seconds=gpu, memory_gb_seconds=18)


def turns() -> list[Event]:
    return [TurnStarted(turn=turn, role="planner", stage=STAGES[turn % 3], briefing="") for turn in range(1, 7)]


prices = st.one_of(st.none(), st.integers(0, 10**7).map(lambda n: n / 10**6))
when = st.floats(1e9, 1e9 + 10 * 86_400)
some_calls = st.builds(call, prices, st.integers(0, 8), st.sampled_from(["", *ROLES]), when, st.sampled_from("ab"), st.integers(0, 10**6))
some_use = st.builds(used, st.integers(1, 6), st.sampled_from(["", *ROLES]), st.sampled_from(["", *STAGES]), when)
logs = st.lists(st.lists(st.one_of(some_calls, some_use), max_size=25).map(lambda events: [*turns(), *events]), max_size=4)


@given(logs)
def test_every_way_of_grouping_comes_to_the_same_sum(found: list[list[Event]]) -> None:
    runs = [(f"run-{k}", events) for k, events in enumerate(found)]
    tables = {by: costs(runs, by) for by in WAYS}
    total = tables["run"].total
    for by, table in tables.items():
        assert table.total == total
        for name in ("calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "usd_at_least", "unpriced_calls"):
            assert sum(getattr(row, name) for row in table.rows) == getattr(total, name), (by, name)
        for name in ("cpu_hours", "gpu_hours", "memory_gb_hours", "wall_hours"):
            parts = [getattr(row, name) or 0.0 for row in table.rows]
            assert sum(parts) == pytest.approx(0.0 if by == "model" else getattr(total, name) or 0.0), (by, name)
    assert total.usd_at_least == sum(
        (Decimal(str(e.usd)) for events in found for e in events if isinstance(e, ModelCalled) and e.usd is not None), Decimal(0)
    )


def test_a_price_that_is_not_known_is_told() -> None:
    table = costs([("one", [call(None, role="critic"), call(0.25), call(None)])], "role")
    assert {row.name: (row.usd, told(row)) for row in table.rows} == {"critic": (None, "unknown"), "planner": (None, "at least $0.25")}
    assert told(table.total) == "at least $0.25"
    assert told(costs([("free", [call(0)])], "run").total) == "$0.00"


def test_a_machine_that_was_not_measured_has_no_hours() -> None:
    table = costs([("old", [call()]), ("new", [call(), used()]), ("blind", [used(gpu=None)])], "run")
    old, new, blind = table.rows
    assert (old.cpu_hours, old.unmeasured_runs) == (None, 1)
    assert (new.cpu_hours, new.gpu_hours, new.memory_gb_hours, new.wall_hours) == (0.02, 0.0, 0.005, 0.01)
    assert (dict(cells(old))["GPU-h"], dict(cells(new))["GPU-h"], dict(cells(blind))["GPU-h"]) == ("", "0", "unknown")
    assert table.total.unmeasured_runs == 1


def test_a_fork_is_charged_for_what_it_took_itself() -> None:
    before: list[Event] = [call(1.0), used()]
    fork = [*before, RunForked(parent="parent", turn=1, changed={}), call(0.5), used()]
    table = costs([("parent", before), ("fork", fork)], "run")
    assert [row.usd for row in table.rows] == [Decimal("1.0"), Decimal("0.5")]
    assert table.total.cpu_hours == pytest.approx(0.04)


def written(folder: Path, name: str, events: Sequence[Event]) -> Path:
    (folder / name).mkdir(parents=True)
    lines = [event.model_copy(update={"seq": seq}).model_dump_json() for seq, event in enumerate(events)]
    (folder / name / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder / name


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[Any, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["cost", *words])
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def test_the_command_tells_and_leaves_out_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "20260101-000000-a", [*turns(), call(), used()])
    damaged = written(tmp_path, "20260102-000000-b", [call()])
    (damaged / "events.jsonl").write_text("{}\n")
    code, out, err = _said(capsys, "--out", str(tmp_path), "--json", "--by", "stage")
    document = json.loads(out)
    assert code == 0
    assert [row["name"] for row in document["rows"]] == ["train", "plan"]
    assert document["total"]["usd"] == "0.01"
    assert "20260102-000000-b is left out: " in err
    code, out, _ = _said(capsys, "20260101", "20260101-000000-a", "--out", str(tmp_path))
    assert (code, out.split()[0], "$0.0100" in out) == (0, "run", True)
    assert "all" not in out.split(), "one run is its own sum, however often it is named"
    assert _said(capsys, str(damaged))[0] == 1


@pytest.mark.parametrize(("words", "expected"), [(["--by", "week"], "expected role, stage, run, day or model"), (["nothing"], "is no run")])
def test_what_cannot_be_told_is_a_usage_error(words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "20260101-000000-a", [call()])
    code, _, err = _said(capsys, *words, "--out", str(tmp_path))
    assert code == 2
    assert expected in err
