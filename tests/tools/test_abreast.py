from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from tests.tools.conftest import Open
from tests.tools.test_crossval import opened, spec
from tools.abreast import abreast, lanes_for
from tools.crossval import evaluate_candidate, setting_for
from tools.deadline import Deadline
from tools.families import family
from tools.families.lightgbm_quantiles import asked
from tools.memory import LIMIT
from tools.refitting import refit


def test_as_many_run_at_a_time_as_there_are_lanes_and_results_keep_their_order() -> None:
    meeting = threading.Barrier(2)

    def job(number: int) -> Callable[[Deadline], int]:
        def run(_: Deadline) -> int:
            meeting.wait(timeout=30)  # nobody passes alone
            return number

        return run

    assert list(abreast([job(n) for n in range(4)], 2, Deadline())) == [0, 1, 2, 3]


def test_with_one_lane_jobs_run_in_the_callers_thread_when_they_are_asked_for() -> None:
    begun: list[int] = []

    def job(number: int) -> Callable[[Deadline], int]:
        def run(_: Deadline) -> int:
            begun.append(number)
            return threading.get_ident()

        return run

    with closing(abreast([job(n) for n in range(3)], 1, Deadline())) as results:
        assert next(results) == threading.get_ident()
        assert begun == [0]


def test_who_stops_early_leaves_nothing_running() -> None:
    begun: list[str] = []
    started, over = threading.Event(), threading.Event()

    def quick(_: Deadline) -> str:
        started.wait(timeout=30)
        return "quick"

    def endless(deadline: Deadline) -> str:
        started.set()
        while not deadline.expired():
            pass
        over.set()
        return "endless"

    def never(_: Deadline) -> str:
        begun.append("never")
        return "never"

    # The first lane is held by a job that waits for the second, so that the third cannot have begun.
    def holding(deadline: Deadline) -> str:
        while not deadline.expired():
            pass
        return "holding"

    with closing(abreast([quick, endless, holding, never], 2, Deadline())) as results:
        assert next(results) == "quick"
    assert over.is_set()
    assert begun == []


def test_a_job_that_fails_ends_the_others() -> None:
    started = threading.Event()

    def fails(_: Deadline) -> None:
        started.wait(timeout=30)
        raise ValueError("no")

    def endless(deadline: Deadline) -> None:
        started.set()
        while not deadline.expired():
            pass

    with pytest.raises(ValueError, match="no"):
        list(abreast([fails, endless], 2, Deadline()))


def test_memory_decides_how_many_fits_lie_in_it_together(open_workspace: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, preparation = opened(open_workspace, "diabetes")
    setting = replace(setting_for(problem, preparation), threads=4)
    assert lanes_for(family("lightgbm"), 300, setting, 3) == 3
    assert lanes_for(family("linear"), 300, setting, 3) == 1
    monkeypatch.setenv(LIMIT, "1")
    assert lanes_for(family("lightgbm"), 300, setting, 3) == 1


@pytest.mark.parametrize(("name", "quick"), [("lightgbm", {}), ("catboost", {"depth": 2}), ("xgboost", {}), ("mlp", {"epochs": 4})])
def test_fits_abreast_give_what_fits_in_a_row_give(
    open_workspace: Open, monkeypatch: pytest.MonkeyPatch, name: str, quick: dict[str, int]
) -> None:
    problem, preparation = opened(open_workspace, "breast_cancer")
    wanted = spec(problem, preparation, name)
    wanted = wanted.model_copy(update={"params": {**wanted.params, **quick}})
    found = []
    for cores in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", cores)
        evaluated = evaluate_candidate(wanted, problem, preparation, Deadline())
        fits = refit(evaluated.candidate, problem, preparation, Deadline())
        found.append((evaluated.oof, [fitted.predict(problem.X) for fitted in fits]))
    (oof, fits), (oof_two, fits_two) = found
    assert np.array_equal(oof, oof_two)
    assert np.array_equal(fits, fits_two)


class Counted:
    """A booster that keeps how many threads it was asked to predict with."""

    params: ClassVar[dict[str, int]] = {"num_threads": 3}

    def __init__(self) -> None:
        self.threads: list[int] = []

    def predict(self, matrix: object, num_iteration: int, num_threads: int) -> np.ndarray:
        self.threads.append(num_threads)
        return np.zeros(1)


def test_a_prediction_beside_fits_takes_no_other_number_of_threads_than_they_do() -> None:
    """LightGBM keeps one number for all of a process: where a prediction changed it, a fit beside it wrote where it must not."""
    booster = Counted()

    def job(deadline: Deadline) -> None:
        asked(booster, np.zeros((1, 1)), 1)

    list(abreast([job, job], 2, Deadline(60)))
    assert booster.threads == [3, 3]
    list(abreast([job], 1, Deadline(60)))
    assert booster.threads == [3, 3, 0]
