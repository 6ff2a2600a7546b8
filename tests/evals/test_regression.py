"""What changed from one eval to another: a loss beyond noise is found, noise is not, and failures are never noise where all fail."""

from __future__ import annotations

import numpy as np
import pytest

from evals.attempts import Attempt
from evals.regression import NothingInCommon, Regression, TaskChange, compare
from evals.regression_view import told
from tests.evals.attempted import attempt, grid

NAMES = ("old", "new")


def noisy(rng: np.random.Generator, shift: float = 0.0, *, tasks: int = 8, seeds: int = 3, rows: float | None = 0.02) -> list[Attempt]:
    """Scores around 0.85 with what seeds and rows do to them; the first task is off by `shift`."""
    made = []
    for t in range(tasks):
        for s in range(seeds):
            score = float(0.85 + 0.01 * t - 0.05 + rng.normal(0, 0.004) + (shift if t == 0 else 0.0))
            bounds = {"low": score - 1.96 * rows, "high": score + 1.96 * rows} if rows else {}
            made.append(attempt(f"t{t}", "playbook", score, s, **bounds))
    return made


def both(old: list[Attempt], new: list[Attempt], **more: object) -> Regression:
    return compare(old, new, NAMES, **more)  # type: ignore[arg-type]


def task(found: Regression, name: str) -> TaskChange:
    return next(change for change in found.tasks if change.task == name)


def test_the_same_eval_again_differs_in_nothing() -> None:
    rows = noisy(np.random.default_rng(0))
    found = both(rows, rows)
    assert {change.verdict for change in found.tasks} == {"same"}
    assert all(change.p == 1.0 for change in found.tasks)
    assert (found.worse, found.better, found.pairs) == (0, 0, 24)
    assert found.systems[0].change is not None
    assert found.systems[0].change.value == 0


def test_noise_is_seldom_taken_for_a_change() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(bool(both(noisy(rng, rows=None), noisy(rng, rows=None)).worse) for _ in range(60))
    assert alarms <= 6, "5 % of evals in all, after correction for eight tasks"


@pytest.mark.parametrize(("shift", "verdict"), [(-0.15, "worse"), (0.12, "better")])
def test_a_change_beyond_noise_is_found_on_its_task_alone(shift: float, verdict: str) -> None:
    rng = np.random.default_rng(2)
    found = both(noisy(rng), noisy(rng, shift))
    assert [change.task for change in found.tasks if change.verdict == verdict] == ["t0"]
    assert (found.worse, found.better) == ((1, 0) if verdict == "worse" else (0, 1))
    change = task(found, "t0").change
    assert change is not None
    assert change.low is not None
    assert change.high is not None
    assert change.low < shift < change.high


def test_lower_is_better_where_the_metric_says_so() -> None:
    old, new = (grid({"t": {"a": [v, v + 0.01, v - 0.01]}}, metric="rmse", direction="min") for v in (1.0, 1.5))
    new = [row.model_copy(update={"score": (row.score or 0) + 0.001 * row.seed}) for row in new]
    assert task(both(old, new), "t").verdict == "worse"
    assert task(both(new, old), "t").verdict == "better"


def test_a_small_loss_on_many_tasks_is_found_as_a_whole() -> None:
    rng = np.random.default_rng(3)
    old = noisy(rng, tasks=12)
    new = [row.model_copy(update={"score": (row.score or 0) - 0.012 + 0.002 * rng.normal()}) for row in old]
    found = both(old, new)
    assert {change.verdict for change in found.tasks} == {"same"}
    whole = found.systems[0]
    assert (whole.verdict, whole.tasks, found.worse) == ("worse", 12, 1)
    assert whole.change is not None
    assert whole.change.low is not None
    assert 0 < whole.change.low < whole.change.value < 0.3


def test_few_tasks_are_not_tested_as_a_whole() -> None:
    old = noisy(np.random.default_rng(4), tasks=3)
    found = both(old, [row.model_copy(update={"score": (row.score or 0) - 0.01}) for row in old])
    assert found.systems[0].verdict == "untested"
    assert "fewer than 6 tasks" in found.notes[0]


def test_a_task_that_fails_now_is_worse_and_one_that_no_longer_does_better() -> None:
    fine, broken = grid({"t": {"a": [0.9, 0.8]}}), grid({"t": {"a": [None, None]}})
    assert task(both(fine, broken), "t").verdict == "worse"
    assert task(both(broken, fine), "t").verdict == "better"
    partly = both(fine, grid({"t": {"a": [0.9, None]}}))
    assert partly.worse == 0
    assert task(partly, "t").why == "1 of 2 attempts fail, 0 did before"
    assert "1 of 2 attempts fail" in told(partly)
    assert both(broken, broken).tasks[0].verdict == "same"


def test_a_wrong_outcome_where_it_was_right_is_worse() -> None:
    old = [attempt("poison", "a", None, status="refused", right=True)]
    new = [attempt("poison", "a", 0.9, right=False)]
    assert task(both(old, new), "poison").verdict == "worse"
    assert task(both(new, old), "poison").verdict == "better"


def test_one_attempt_without_an_interval_cannot_be_told_from_noise() -> None:
    found = both(grid({"t": {"a": [0.9]}}), grid({"t": {"a": [0.1]}}))
    assert task(found, "t").verdict == "untested"
    assert "more seeds would tell" in told(found)
    # Every seed gave the same, so that there is no more than one attempt's worth of evidence.
    assert task(both(grid({"t": {"a": [0.9] * 3}}), grid({"t": {"a": [0.1] * 3}})), "t").verdict == "untested"


def test_p_values_are_corrected_for_the_number_of_tasks() -> None:
    rng = np.random.default_rng(5)
    found = both(noisy(rng, rows=None), noisy(rng, rows=None))
    smallest = min(found.tasks, key=lambda one: one.p or 1.0)
    assert smallest.p is not None
    assert smallest.p_holm == pytest.approx(min(1.0, 8 * smallest.p))


def test_only_attempts_that_are_alike_are_paired() -> None:
    old = grid({"t": {"a": [0.9, 0.8]}, "u": {"a": [0.9]}, "v": {"a": [0.9]}})
    new = [*grid({"t": {"a": [0.9]}}), *grid({"u": {"a": [3.0]}}, metric="rmse", direction="min"), *grid({"v": {"a": [0.9]}}, rows_test=7)]
    found = both(old, new)
    assert (found.pairs, found.only_old, found.only_new) == (1, 1, 0)
    assert "differ: u, v" in found.notes[0]
    with pytest.raises(NothingInCommon, match=r"one has a on classic within 60 s; one has a on classic within 10 s"):
        both(old, grid({"t": {"a": [0.9]}}, budget_s=10.0))
    with pytest.raises(NothingInCommon, match="none of these systems"):
        both(old, new, systems=("b",))


def test_versions_and_costs_that_differ_are_told() -> None:
    old = [attempt("t", "a", 0.9, versions={"mlteam": "0.1", "x": "1"}, dollars=None)]
    new = [attempt("t", "a", 0.9, versions={"mlteam": "0.2", "x": "1"}, wall_s=60.0)]
    found = both(old, new)
    assert found.versions == {"mlteam": ("0.1", "0.2")}
    text = told(found)
    assert "mlteam 0.1 -> 0.2" in text
    assert "12.0 s -> 1 min" in text
    assert "unknown" in text
    assert Regression.model_validate_json(found.model_dump_json()) == found


def test_attempts_on_other_rows_are_never_set_against_each_other() -> None:
    def rows(score: float, **data: str) -> list[Attempt]:
        return [attempt(name, "playbook", score, data=digest) for name, digest in data.items()]

    found = both(rows(0.9, a="1", b="2"), rows(0.1, a="1", b="3"))
    assert (found.pairs, [change.task for change in found.tasks]) == (1, ["a"])
    assert any("rows of the two evals differ: b" in note for note in found.notes)
    failed = [row.model_copy(update={"status": "failed", "score": None}) for row in rows(0.1, b="3")]
    with pytest.raises(NothingInCommon, match="on the same rows"):
        both(rows(0.9, b="2"), failed)
