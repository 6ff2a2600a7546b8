"""Trade-offs: who is on the front, where its knee is, and who is recommended; and differences between groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import write_workspace
from tools.candidates import Candidate
from tools.constraints import Constraints
from tools.contract import Split
from tools.fairness import disparities, groups_of
from tools.objectives import values_of
from tools.problem import load_problem
from tools.tradeoffs import Option, weigh


def option(name: str, score: float, latency: float, size: float = 1.0, family: str = "lightgbm", **more: float) -> Option:
    return Option(name=name, family=family, score=score, std_error=0.01, latency_ms=latency, size_mb=size, **more)


def test_a_blend_of_one_candidate_stands_behind_it() -> None:
    found = weigh([option("ensemble", 0.9, 1.0, family="ensemble"), option("m", 0.9, 1.0), option("a", 0.8, 0.5)], maximize=True)
    assert found is not None
    assert (found.front[0].name, found.recommended, found.knee) == ("m", "m", "m")


def test_who_is_beaten_on_every_count_is_off_the_front() -> None:
    found = weigh([option("a", 0.9, 1.0), option("b", 0.89, 2.0), option("c", 0.8, 0.1), option("d", 0.7, 9.0, size=0.1)], maximize=True)
    assert found is not None
    assert [o.name for o in found.front] == ["a", "c", "d"]
    assert [o.name for o in found.beaten] == ["b"]


def test_a_readable_and_a_fair_model_stay_on_the_front() -> None:
    found = weigh([option("a", 0.9, 1.0), option("tree", 0.8, 1.0, family="tree")], maximize=True)
    assert found is not None
    assert len(found.front) == 2
    found = weigh([option("a", 0.9, 1.0, disparity=0.3), option("b", 0.8, 1.0, disparity=0.1)], maximize=True)
    assert found is not None
    assert len(found.front) == 2


def test_the_knee_is_where_more_score_begins_to_cost_much() -> None:
    points = [option("quick", 0.70, 0.1), option("bend", 0.88, 0.3), option("slow", 0.90, 30.0)]
    for sign in (1, -1):
        found = weigh([p.model_copy(update={"score": sign * p.score}) for p in points], maximize=sign == 1)
        assert found is not None
        assert found.knee == "bend"


def test_where_more_time_pays_ever_more_the_knee_is_the_best_score() -> None:
    points = [option("quick", 0.70, 0.1), option("between", 0.71, 1.0), option("slow", 0.95, 10.0)]
    found = weigh(points, maximize=True)
    assert found is not None
    assert (len(found.front), found.knee) == (3, "slow")


def test_the_cheapest_within_a_standard_error_is_recommended_with_reasons() -> None:
    found = weigh(
        [option("blend", 0.900, 20.0, size=10), option("linear", 0.895, 2.0, family="linear"), option("x", 0.85, 1.0)], maximize=True
    )
    assert found is not None
    assert found.recommended == "linear"
    assert found.reasons[0] == "its score is 0.005 behind the best, less than the standard error of 0.01"
    assert "a row takes 10 times less than with blend" in found.reasons
    assert "a person can read it" in found.reasons
    alone = weigh([option("blend", 0.9, 20.0)], maximize=True)
    assert alone is not None
    assert alone.recommended == alone.knee == "blend"
    assert weigh([], maximize=True) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=12))
def test_every_beaten_candidate_is_beaten_by_one_of_the_front(rows: list[tuple[float, float, float]]) -> None:
    found = weigh([option(f"m{i}", *row) for i, row in enumerate(rows)], maximize=True)
    assert found is not None
    assert found.front[0].score == max(row[0] for row in rows)
    assert {found.knee, found.recommended} <= {o.name for o in found.front}
    for beaten in found.beaten:
        assert any(o.score >= beaten.score for o in found.front)


def test_differences_between_groups_of_two_classes() -> None:
    groups = np.repeat(["a", "b", "few"], [100, 100, 10])
    y = np.tile([0, 1], 105)
    called = np.where(groups == "a", y, 0)
    called[groups == "few"] = 1
    found = disparities("binary", y, [np.eye(2)[called]], groups)
    assert found == {"error": 0.5, "selection_rate": 0.5, "tpr": 1.0}
    assert disparities("binary", y, [np.eye(2)[called]], np.repeat("one", 210)) == {}


def test_differences_are_those_of_single_models_in_the_mean_over_repeats() -> None:
    """Each repeat calls other halves of group b wrongly; their mean prediction would call all of it rightly, or none."""
    groups, y = np.repeat(["a", "b"], 100), np.ones(200, dtype=int)
    first, second = np.full((200, 2), [0.0, 1.0]), np.full((200, 2), [0.0, 1.0])
    first[100:150], second[150:] = [0.6, 0.4], [0.6, 0.4]
    found = disparities("binary", y, [first, second], groups)
    assert found == {"error": 0.5, "selection_rate": 0.5, "tpr": 0.5}
    assert disparities("binary", y, [(first + second) / 2], groups)["error"] == 0.0


def test_rows_of_four_patients_are_no_group() -> None:
    groups, y, called = np.repeat(["a", "b"], 100), np.ones(200, dtype=int), np.repeat([1, 0], 100)
    patients = np.where(groups == "a", np.arange(200) % 10, 20 + np.arange(200) % 4)
    assert disparities("binary", y, [np.eye(2)[called]], groups, patients) == {}
    assert disparities("binary", y, [np.eye(2)[called]], groups, np.where(patients < 20, patients, np.arange(200)))["error"] == 1.0


def test_a_search_weighs_the_differences_that_a_report_tells(tmp_path: Path) -> None:
    """Rows of two patients are no group for either; a grade is wrong where the one that is called is, not the most probable one."""
    rng, n = np.random.default_rng(0), 480
    frame = pd.DataFrame({"site": rng.choice(["a", "b"], n), "x": rng.normal(size=n), "grade": rng.choice(["low", "mid", "high"], n)})
    patients = np.where(frame["site"] == "a", np.arange(n) % 40, 40 + np.arange(n) % 2)
    split = Split(kind="group", column="patient", holdout_fraction=0.25, seed=0)
    options: dict[str, Any] = {"order": ["low", "mid", "high"], "constraints": Constraints(sensitive="site")}
    proba = np.tile([0.4, 0.25, 0.35], (n, 1))  # most probably low; by the expected place, mid
    for table, expected in ((frame.assign(patient=patients), 0.0), (frame.assign(patient=np.arange(n) // 2), None)):
        space = write_workspace(tmp_path / str(expected), table, "grade", "ordinal", split=split, **options)
        problem = load_problem(space)
        record = Candidate(
            name="m", family="tree", params={}, preparation="default", metric="qwk", score=0.5, std_error=0.1, fold_scores=[0.5], n_folds=3,
            fit_seconds=1.0, predict_ms_per_row=1.0,
        )  # fmt: skip
        (found,) = values_of(record, ["fairness"], problem, proba[: problem.n_rows])
        wrong = [float((problem.y[problem.X["site"] == site] != 1).mean()) for site in ("a", "b")]
        assert found == pytest.approx(abs(wrong[0] - wrong[1]) if expected is None else expected, abs=1e-5)


def test_differences_of_numbers_are_shares_of_the_error() -> None:
    y, groups = np.zeros(200), np.repeat(["a", "b"], 100)
    assert disparities("regression", y, [np.where(groups == "a", 1.0, 3.0)], groups) == {"error": pytest.approx(1.0)}


def test_many_numbers_become_quarters_and_missing_ones_a_group() -> None:
    found = groups_of(pd.Series([*map(float, range(100)), np.nan]))
    assert len(set(found)) == 5
    assert found[-1] == "missing"
    assert set(groups_of(pd.Series(["m", "f", None]))) == {"m", "f", "missing"}
