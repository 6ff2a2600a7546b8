"""What a candidate loses when columns are taken away and it is fitted again on the same folds, in the same configuration.

Shuffling a column (`tools.importance`) asks what a fitted model owes to it. A fit without it asks what the column is needed for: where
others say the same, that is less. So columns that go together are taken away together as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.candidates import CODE, ENSEMBLE, Candidate, CandidateSpec
from tools.constraints import FLOORS
from tools.crossval import evaluate_candidate
from tools.deadline import Deadline, DeadlineReached
from tools.explaining import Without
from tools.features import numbers
from tools.folds import Validation, rows_ratio
from tools.gain import judge_gain
from tools.problem import Problem

if TYPE_CHECKING:
    from tools.preparation import Preparation

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 6
"""Fits: of the most important columns, and of those that go with them."""
TOGETHER = 0.8
"""Spearman correlation from which numbers go together."""
MOST_COMPARED, COMPARED_ROWS = 100, 1000
"""Columns and rows that correlations are taken of."""
FEWEST_FOLDS = 3
LEVEL = 0.95
ROOM = 1.2
"""Over the time of the fits before."""


def fits_without(record: Candidate, preparation: Preparation, problem: Problem, ranked: list[str], deadline: Deadline) -> list[Without]:
    """Fit a candidate again without each of the most important columns, and without those that go together, while there is time.

    The differences are paired over the folds of one repeat. Their standard error is that of Nadeau and Bengio (2003), the interval by
    Student's t. Nothing is fitted where a column cannot simply be left out: moments of a forecast, columns that steps make of others;
    and where there is nothing to pair: code of a role, blends, and fits that were cut short.

    Args:
        ranked: columns, the most important first.

    Returns:
        One each, in that order; empty where there is no time for a single one.
    """
    from scipy.stats import t as student

    full = _of_one_repeat(record, problem)
    if full is None or preparation.preparers or len(preparation.columns) < 2:
        return []
    alone = _one_repeat(problem)
    sign = 1.0 if problem.contract.direction == "maximize" else -1.0
    ratio = rows_ratio(problem.folds, problem.contract, problem.scheme.moments)
    expected = record.fit_seconds / record.repeats
    found: list[Without] = []
    for columns in _taken_away(preparation, problem, ranked):
        if ROOM * expected > deadline.remaining():
            break
        begun = deadline.elapsed()
        spec = CandidateSpec(**{**record.spec.model_dump(), "name": "without"})
        left = preparation.model_copy(update={"columns": [c for c in preparation.columns if c.name not in columns]})
        try:
            with deadline.alarm(grace=1.0):
                fitted = evaluate_candidate(spec, alone, left, deadline, pace=False).candidate
        except DeadlineReached:
            break
        expected = deadline.elapsed() - begun
        if fitted.cut_short or len(fitted.fold_scores) != len(full):
            break
        lost = [sign * (before - after) for before, after in zip(full, fitted.fold_scores, strict=True)]
        judged = judge_gain(float(np.mean(lost)), lost, ratio, 1)
        half = float(student.isf((1 - LEVEL) / 2, len(lost) - 1)) * judged.std_error
        found.append(
            Without(
                columns=columns,
                loss=_rounded(judged.gain),
                low=_rounded(judged.gain - half),
                high=_rounded(judged.gain + half),
                half=_rounded(half),
                folds=len(lost),
            )
        )
    return found


def _of_one_repeat(record: Candidate, problem: Problem) -> list[float] | None:
    """The candidate's scores by fold in the first repeat; None where other fits cannot be paired with them."""
    contract = problem.contract
    unpaired = contract.forecast is not None or contract.predicts in ("groups", "scores") or contract.leave_one_out
    if unpaired or record.family in (CODE, ENSEMBLE, *FLOORS) or record.cut_short or len(record.fold_scores) % record.repeats:
        return None
    scores = record.fold_scores[: len(record.fold_scores) // record.repeats]
    return scores if len(scores) == len(problem.fold_ids) >= FEWEST_FOLDS else None


def _one_repeat(problem: Problem) -> Problem:
    contract = problem.contract.model_copy(update={"repeats": 1})
    return replace(problem, contract=contract, validation=Validation(contract, (problem.folds,), problem.scheme.moments))


def _taken_away(preparation: Preparation, problem: Problem, ranked: list[str]) -> list[list[str]]:
    """Each important column, and after it what goes with it, once; never all columns."""
    used = [column.name for column in preparation.columns]
    together = _together(preparation, problem)
    found: list[list[str]] = []
    for name in (name for name in ranked if name in used):
        group = [other for other in used if other == name or other in together.get(name, ())]
        found += [[name], group]
    once = dict.fromkeys(tuple(columns) for columns in found if len(columns) < len(used))
    return [list(columns) for columns in once][:MOST]


def _together(preparation: Preparation, problem: Problem) -> dict[str, set[str]]:
    """Of each number the others that rise or fall with it."""
    import pandas as pd

    names = [column.name for column in preparation.columns if column.kind == "numeric" and column.unique > 2][:MOST_COMPARED]
    if len(names) < 2:
        return {}
    rows = np.random.default_rng(problem.contract.seed).permutation(problem.n_rows)[:COMPARED_ROWS]
    table = pd.DataFrame({name: numbers(problem.X[name].iloc[rows]) for name in names})
    strength = table.rank().corr().abs().to_numpy()
    return {name: {other for j, other in enumerate(names) if j != i and strength[i, j] >= TOGETHER} for i, name in enumerate(names)}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
