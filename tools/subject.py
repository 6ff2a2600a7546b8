"""The model that is explained, with rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tools.candidates import Candidate
from tools.deadline import Deadline, DeadlineReached
from tools.families import load_libraries
from tools.model import FittedModel, fit_model, members_of
from tools.problem import Problem
from tools.spec import ToolRefused
from tools.workspace import Workspace

Array = np.ndarray[Any, np.dtype[Any]]

FIT_SHARE = 0.5
"""Of the time that fitting the model of a fold may take."""
MOST_ROWS = 2000
"""That a model is explained on."""


@dataclass(frozen=True)
class Subject:
    """The model that is explained, and the rows it is explained on."""

    model: FittedModel
    rows: Array
    """Positions in the training table."""
    unseen: bool
    """Whether it was fitted without them."""


def subject_of(space: Workspace, record: Candidate, problem: Problem, deadline: Deadline) -> Subject:
    """The candidate fitted without the rows of the last fold, where time allows; else the model that `evaluate` left.

    What a model relies on and gets wrong shows on rows that it has not seen: on its own rows, memory looks like importance.

    Raises:
        ToolRefused: when there is neither time for the one nor the other on file.
    """
    parts = members_of(space, record)
    load_libraries([member.family for member, _ in parts])
    needed = sum(max(0.05, member.fit_seconds / max(1, member.n_folds)) for member, _ in parts)
    needed += record.stack.refit_seconds if record.stack else 0.0
    path = space.fitted / record.name / "pipeline.joblib"
    # A forecaster that has learnt all rows forecasts none of them.
    instead = path.is_file() and problem.contract.forecast is None
    if needed <= FIT_SHARE * deadline.remaining():
        # Room for one fit, for a slow one where there is no other model: more seeds would change little of what there is to see.
        room = max(2.0, 2 * needed) if instead else max(10.0, 4 * needed)
        part = deadline.share(min(FIT_SHARE * deadline.remaining(), room))
        try:
            with part.alarm(grace=1.0):
                return _of_a_fold(space, record, problem, part)
        except DeadlineReached:
            needed = max(2 * needed, deadline.elapsed())
    if not instead:
        enough = needed / FIT_SHARE + 2
        raise ToolRefused(f"{record.name!r} takes about {needed:.0f} s to fit; give explain {enough:.0f} s{_or_else(problem)}.")
    import joblib

    rows = np.random.default_rng(problem.contract.seed).permutation(problem.n_rows)[:MOST_ROWS]
    return Subject(joblib.load(path), np.sort(rows), unseen=False)


def _or_else(problem: Problem) -> str:
    return "" if problem.contract.forecast is not None else ", or call evaluate first"


def _of_a_fold(space: Workspace, record: Candidate, problem: Problem, deadline: Deadline) -> Subject:
    fold = problem.fold_ids[-1]
    learn, check = problem.learn(fold), np.flatnonzero(problem.folds == fold)
    part = replace(
        problem, X=problem.X.iloc[learn].reset_index(drop=True), y=problem.y[learn], folds=np.full(len(learn), -1), validation=None
    )
    model = fit_model(space, record, part, deadline, learn=learn)
    if len(check) > MOST_ROWS:
        check = np.sort(np.random.default_rng(problem.contract.seed).permutation(check)[:MOST_ROWS])
    return Subject(model, check, unseen=True)
