"""Metrics of a run are a fold over its events: each is counted once, by what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.events import (
    ApprovalAsked,
    ConstraintAdded,
    Event,
    RunContinued,
    RunForked,
    RunPaused,
    RunResumed,
    TimeAdded,
    ToolCalled,
    TurnStarted,
)
from team.metric_families import METRICS, STATUSES, Distribution
from team.run_metrics import RunMetrics
from tests.team.a_run import ENDED, STARTED, WHOLE, called, logged, model_called, returned


def folded(tmp_path: Path, *events: Event) -> RunMetrics:
    metrics = RunMetrics("a-run")
    for event in logged(tmp_path / "events.jsonl", events):
        metrics(event)
    return metrics


def values(metrics: RunMetrics, name: str) -> dict[tuple[str, ...], float]:
    return next((one.values for one in metrics.samples() if one.metric is METRICS[name]), {})


def value(metrics: RunMetrics, name: str, *labels: str) -> float:
    return values(metrics, name)[labels]


def spread(metrics: RunMetrics, name: str) -> dict[tuple[str, ...], Distribution]:
    return next(one.distributions for one in metrics.samples() if one.metric is METRICS[name])


def test_what_a_run_did_is_counted(tmp_path: Path) -> None:
    found = folded(tmp_path, *WHOLE)
    assert values(found, "turns") == {("engineer", "failed"): 1}
    assert values(found, "model_calls") == {("engineer", "openai", "m", "ok"): 1, ("engineer", "openai", "m", "error"): 1}
    assert values(found, "tokens") == {("engineer", "openai", "m", "input"): 705, ("engineer", "openai", "m", "output"): 30}
    assert value(found, "cached_tokens", "openai", "m", "read") == 1000
    assert value(found, "cost_dollars", "engineer", "openai", "m") == 0.25
    assert value(found, "unpriced_model_calls", "openai", "m") == 1, "a price that is not known is not nought"
    assert value(found, "model_retries", "openai", "m") == 2
    assert value(found, "holdout_score", "roc_auc") == 0.875
    assert value(found, "stage_seconds", "train") == 8.5
    assert value(found, "candidates") == 1
    tools = spread(found, "tool_seconds")
    assert {labels: sum(one.counts) for labels, one in tools.items()} == {
        ("train", "ok"): 1,
        ("train", "died"): 1,
        ("publish", "refused"): 1,
    }
    assert {labels: one.total for labels, one in spread(found, "cell_seconds").items()} == {("ok",): 2.0, ("died",): 40.0}


def test_what_the_machine_gave_and_what_was_foreseen(tmp_path: Path) -> None:
    found = folded(tmp_path, *WHOLE)
    used = [value(found, name, "engineer", "train") for name in ("cpu_seconds", "gpu_seconds", "memory_byte_seconds")]
    assert used == [6.0, 0.5, 2.0 * 2**30]
    assert {labels: one.total for labels, one in spread(found, "work_seconds").items()} == {("fit", "ok"): 1.5, ("fit", "error"): 0.5}
    assert (value(found, "budget_share", "max_cost"), value(found, "forecast_dollars"), value(found, "forecast_seconds")) == (
        0.5,
        0.5,
        90.0,
    )


def test_each_failure_is_of_one_kind(tmp_path: Path) -> None:
    found = {labels[0]: count for labels, count in values(folded(tmp_path, *WHOLE), "failures").items()}
    once = {"kernel_death", "tool_refused", "model_error", "model_repair", "turn_failed", "playbook_fallback", "left_out"}
    assert {kind for kind, count in found.items() if count} == once, "a call that took its kernel along is no failure of a tool too"
    assert all(found[kind] == 1 for kind in once)


def test_kinds_of_failure_are_there_before_one_happens(tmp_path: Path) -> None:
    found = values(folded(tmp_path, STARTED), "failures")
    assert len(found) == 10
    assert set(found.values()) == {0.0}


def test_the_search_is_counted_down(tmp_path: Path) -> None:
    found = folded(tmp_path, STARTED, called("c1"), returned("c1"), TimeAdded(seconds=30, search_s=90.0))
    assert (value(found, "search_seconds"), value(found, "search_seconds_limit"), value(found, "search_seconds_left")) == (2.5, 90.0, 87.5)
    over = folded(tmp_path / "over", STARTED, called("c1"), returned("c1", search_seconds=61.0))
    assert value(over, "search_seconds_left") == 0.0


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((STARTED,), "running"),
        ((STARTED, RunPaused(turn=1, stage="plan")), "paused"),
        ((STARTED, RunPaused(turn=1, stage="plan"), RunContinued(seconds=3.0)), "running"),
        ((STARTED, ENDED), "done"),
        ((STARTED, ENDED.model_copy(update={"status": "failed"}), RunResumed(times=1, turn=1, stage="plan", away_s=9.0)), "running"),
    ],
)
def test_a_run_has_one_status(tmp_path: Path, events: tuple[Event, ...], status: str) -> None:
    found = values(folded(tmp_path, *events), "run_status")
    assert found == {(one,): float(one == status) for one in STATUSES}


def test_what_is_not_known_to_have_ended_can_be_settled(tmp_path: Path) -> None:
    left, done = folded(tmp_path / "left", STARTED), folded(tmp_path / "done", STARTED, ENDED)
    left.settle("stopped")
    done.settle("stopped")
    assert value(left, "run_status", "stopped") == 1
    assert value(done, "run_status", "done") == 1


def test_calls_that_go_on_and_wait(tmp_path: Path) -> None:
    asked = ApprovalAsked(call="c1", tool="publish", role="engineer", stage="release", what="push", outside=True)
    found = folded(tmp_path, STARTED, called("c1", "publish"), asked, called("c2"))
    assert (value(found, "tool_calls_in_progress"), value(found, "approvals_waiting")) == (2, 1)
    cut = folded(tmp_path / "cut", STARTED, called("c1"), asked, RunResumed(times=1, turn=0, stage="plan", away_s=1.0))
    assert (value(cut, "tool_calls_in_progress"), value(cut, "approvals_waiting")) == (0, 0), "the process that made them is gone"
    assert value(cut, "run_resumes") == 1


def test_an_event_that_is_told_again_is_not_counted_again(tmp_path: Path) -> None:
    found = RunMetrics("a-run")
    events = logged(tmp_path / "events.jsonl")
    for event in events:
        found(event)
    before = [(one.metric.name, one.values) for one in found.samples()]
    for event in events:
        if isinstance(event, (TurnStarted, ToolCalled)):
            found(event)
    assert [(one.metric.name, one.values) for one in found.samples()] == before


def test_a_fork_counts_its_own_work_alone(tmp_path: Path) -> None:
    forked = RunForked(parent="a-run", turn=1, changed={"time": 120.0})
    found = folded(tmp_path, *WHOLE[:-1], forked, model_called(input_tokens=1))
    assert value(found, "tokens", "engineer", "openai", "m", "input") == 1
    assert value(found, "search_seconds_left") == 117.5, "its time is what its parent left of its own"
    assert value(found, "failures", "kernel_death") == 0


def test_candidates_that_break_a_later_constraint_count_no_more(tmp_path: Path) -> None:
    added = ConstraintAdded(constraints=[], told=["no linear models"], excluded=["linear-1"])
    assert value(folded(tmp_path, *WHOLE[:-1], added), "candidates") == 0


def test_a_distribution_counts_a_bound_as_below_it() -> None:
    found = Distribution((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 9.0):
        found.observe(seconds)
    assert (found.counts, found.total, found.least, found.most) == ([2, 1, 1], 12.0, 0.5, 9.0)
