"""What attempts say: ranks with failures and ties, scores with their error, duels, normalised scores, and what cannot be said."""

from __future__ import annotations

import numpy as np
import pytest

from evals.figures import RIGHT, Standing
from evals.intervals import mean_of, standard_error
from evals.resampling import Resampling
from evals.standings import standings
from tests.evals.attempted import attempt, field, grid


def one(attempts: list) -> Standing:
    (found,) = standings(attempts)
    return found


def ranks_of(standing: Standing) -> dict[str, float]:
    return {place.system: place.rank.value for place in standing.places if place.rank}


def test_a_clear_field_is_told_apart() -> None:
    found = one(field(8))
    assert found.systems == ("strong", "weak", "dummy")
    assert ranks_of(found) == {"strong": 1.0, "weak": 2.0, "dummy": 3.0}
    assert found.test is not None
    assert found.test.f is None, "all tasks rank them alike"
    assert found.test.groups == (("strong", "weak"), ("weak", "dummy"))
    assert [place.best for place in found.places] == [8, 0, 0]
    first = found.duels[0]
    assert (first.first, first.second, first.wins, first.ties, first.losses) == ("strong", "weak", 24, 0, 0)
    assert (first.share.value, first.share.low, first.share.high, first.apart) == (1.0, 1.0, 1.0, False)
    assert [duel.apart for duel in found.duels] == [False, True, False]
    strong, weak, dummy = (place.normalised for place in found.places)
    assert strong is not None
    assert weak is not None
    assert (strong.value, dummy.value if dummy else None) == (pytest.approx(1.0), 0.0)
    assert strong.value > weak.value > 0.85
    assert found.notes == ()


def test_lower_is_better_where_the_metric_says_so() -> None:
    found = one(grid({f"t{k}": {"a": [1.0], "b": [2.0]} for k in range(3)}, metric="rmse", direction="min"))
    assert ranks_of(found) == {"a": 1.0, "b": 2.0}
    assert [cell.system for cell in found.tasks[0].cells] == ["a", "b"]
    assert found.tasks[0].cells[0].score is not None
    assert found.tasks[0].cells[0].score.value == 1.0


def test_what_failed_is_last_and_counts_as_the_dummy() -> None:
    scores = {"t": {"good": [0.9, 0.9], "shaky": [0.95, None], "dummy": [0.5, 0.5]}}
    found = one(grid(scores))
    assert ranks_of(found) == {"good": 1.5, "shaky": 2.0, "dummy": 2.5}
    cell = next(cell for cell in found.tasks[0].cells if cell.system == "shaky")
    assert (cell.attempts, cell.failed) == (2, 1)
    assert cell.score is not None
    assert cell.score.value == pytest.approx(0.95), "the mean of those that did not fail"
    assert cell.normalised is not None
    assert cell.normalised.value == pytest.approx(0.5)


@pytest.mark.parametrize("status", ["over_budget", "invalid", "crashed", "timeout", "out_of_memory", "refused"])
def test_a_score_counts_only_where_the_attempt_ended_well(status: str) -> None:
    rows = [attempt("t", "a", 0.9), attempt("t", "b", 0.99, status=status, reason="why")]
    assert ranks_of(one(rows)) == {"a": 1.0, "b": 2.0}
    assert one(rows).failed == 1


def test_tasks_about_the_outcome_are_judged_by_it() -> None:
    rows = [
        attempt("poison", "careful", None, status="refused", reason="no column 'y'", right=True),
        attempt("poison", "bold", 0.99, right=False),
        attempt("poison", "broken", None, status="crashed", right=False),
    ]
    found = one(rows)
    assert ranks_of(found) == {"careful": 1.0, "bold": 2.5, "broken": 2.5}
    assert found.tasks[0].metric == RIGHT
    assert {place.system: (place.right, place.failed) for place in found.places} == {"careful": (1, 0), "bold": (0, 1), "broken": (0, 1)}
    assert {place.system: place.normalised.value for place in found.places if place.normalised} == {"careful": 1, "bold": 0, "broken": 0}


def test_systems_are_ranked_on_what_all_of_them_attempted() -> None:
    rows = field(3)
    rows += [attempt("extra", "strong", 0.9), attempt("task00", "strong", 0.1, seed=9)]
    found = one(rows)
    assert ranks_of(found) == {"strong": 1.0, "weak": 2.0, "dummy": 3.0}
    assert [task.shared for task in found.tasks] == [False, True, True, True]
    assert any("not every system has an attempt with the same seed: extra" in note for note in found.notes)
    assert any("which are not all there are: task00" in note for note in found.notes)
    alone = one([attempt("a", "x", 0.9), attempt("b", "y", 0.9)])
    assert [place.rank for place in alone.places] == [None, None]
    assert alone.test is None
    assert alone.duels == ()


def test_a_system_that_has_hardly_begun_is_not_ranked_and_costs_the_others_nothing() -> None:
    found = one([*field(4), attempt("task00", "late", 0.99), attempt("task00", "late", None, seed=1)])
    assert ranks_of(found) == {"strong": 1.0, "weak": 2.0, "dummy": 3.0}
    assert found.systems[-1] == "late"
    assert (found.places[-1].rank, found.places[-1].failed, found.places[-1].attempts) == (None, 1, 2)
    assert found.test is not None
    assert found.test.tasks == 4
    cell = next(cell for cell in found.tasks[0].cells if cell.system == "late")
    assert cell.score is not None
    assert (cell.score.value, cell.rank) == (0.99, None)
    assert "fewer than half the attempts of the system that has most: late" in found.notes[0]


def test_a_task_whose_attempts_have_different_metrics_is_not_ranked() -> None:
    found = one([attempt("t", "a", 0.9), attempt("t", "b", 3.0, metric="rmse", direction="min")])
    assert not found.tasks[0].shared
    assert all(cell.score is None for cell in found.tasks[0].cells)
    assert "different metrics: t" in found.notes[0]


def test_systems_that_had_different_rows_are_not_ranked_against_one_another() -> None:
    rows = [attempt("t", name, score, seed, data=f"{seed}") for name, score in (("a", 0.9), ("b", 0.8)) for seed in (0, 1)]
    assert one(rows).tasks[0].shared
    changed = [row.model_copy(update={"data": "other"}) if (row.system, row.seed) == ("b", 1) else row for row in rows]
    found = one(changed)
    assert found.duels[0].wins == 1, "seed 0 is still shared"
    assert "Left out of ranks, where systems had different rows, as of another version of the suite: t." in found.notes
    unknown = [row.model_copy(update={"data": ""}) if row.system == "b" else row for row in rows]
    assert one(unknown).duels[0].wins == 2, "rows of an older version do not say"


def test_poor_input_is_told_and_breaks_nothing() -> None:
    assert standings([]) == []
    single = one(grid({"t": {"only": [0.9, 0.8]}}))
    assert "one system only" in single.notes[0]
    one_task = one(grid({"t": {"a": [0.9], "b": [0.8]}}))
    assert any("one task only" in note for note in one_task.notes)
    assert one_task.places[0].rank is not None
    assert one_task.places[0].rank.low is None, "one value has no spread"
    failed = one(grid({"s": {"a": [None], "b": [None]}, "t": {"a": [None], "b": [None]}}))
    assert ranks_of(failed) == {"a": 1.5, "b": 1.5}
    assert (failed.failed, failed.attempts) == (4, 4)
    assert failed.places[0].normalised is None
    assert any("can tell no two of 2 systems apart" in note for note in failed.notes)


def test_each_budget_and_suite_has_a_standing() -> None:
    rows = [*grid({"t": {"a": [0.9]}}), *grid({"t": {"a": [0.8]}}, budget_s=10.0), *grid({"t": {"a": [0.8]}}, suite="another")]
    assert [(found.suite, found.budget_s) for found in standings(rows)] == [("another", 60.0), ("classic", 10.0), ("classic", 60.0)]


def test_costs_are_means_and_unknown_where_one_is_unknown() -> None:
    rows = [attempt("t", "a", 0.9, dollars=1.0, tokens_in=10, tokens_out=5), attempt("t", "a", None, seed=1, dollars=None, wall_s=100.0)]
    cost = one(rows).places[0].cost
    assert (cost.dollars, cost.tokens, cost.wall_s) == (None, None, pytest.approx(56.0))


def test_a_clearly_worse_score_does_not_outweigh_all_others() -> None:
    found = one(grid({"t": {"good": [0.9], "absurd": [-1e6], "dummy": [0.0]}}, metric="r2"))
    scaled = {place.system: place.normalised.value for place in found.places if place.normalised}
    assert scaled == {"good": 1.0, "absurd": -1.0, "dummy": 0.0}


def test_the_error_of_a_mean_holds_rows_and_seeds() -> None:
    assert mean_of([0.8], [None], rows_differ=False).bounds() is None
    rows_only = mean_of([0.8], [standard_error(0.75, 0.85)], rows_differ=False)
    assert rows_only.bounds() == pytest.approx((0.75, 0.85))
    # Seeds share the test rows: with many that agree, the error of the rows is left.
    many = mean_of([0.8 + 1e-6 * (-1) ** k for k in range(50)], [0.02] * 50, rows_differ=False)
    assert many.error == pytest.approx(0.02, rel=1e-3)
    # Without intervals it is Student's t over seeds.
    plain = mean_of([0.7, 0.8, 0.9], [None] * 3, rows_differ=False)
    assert plain.bounds() == pytest.approx((0.8 - 4.3027 * 0.1 / 3**0.5, 0.8 + 4.3027 * 0.1 / 3**0.5), abs=1e-4)
    folds = mean_of([0.7, 0.8, 0.9], [0.5] * 3, rows_differ=True)
    assert folds.error == plain.error, "the spread of folds holds that of their rows"
    assert mean_of([0.0, 0.0], [None, None], rows_differ=False).p == 1.0


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for k in range(100):
        truth = rng.normal(0, 1, 30)  # of datasets drawn from many, around 0
        values = [list(rng.normal(mean, 0.5, 3)) for mean in truth]
        low, high = Resampling([3] * 30, 300, seed=k).interval(values) or (0.0, 0.0)
        held += low <= 0 <= high
    assert 0.88 <= held / 100 <= 0.99


def test_datasets_of_different_sizes_count_alike() -> None:
    drawn = Resampling([1, 5]).means([[1.0], [0.0] * 5])
    assert {*np.round(drawn, 9)} == {0.0, 0.5, 1.0}
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)
