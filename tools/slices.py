"""Kernel tool: parts of the table on which a candidate errs more than elsewhere, found on one half of the rows and tested on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import load_candidate, load_repeats
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

if TYPE_CHECKING:
    import numpy as np

    from tools.problem import Problem
    from tools.slicing import Half, Hypothesis

LEVEL = 0.05
"""Chance of naming any slice at all where the candidate errs alike everywhere, at most."""
MOST_TESTED = 12
"""Slices that go from the one half to the other."""
FEWEST_ROWS = 100


class Slice(BaseModel):
    """Rows that share one or two conditions. Figures are from the half of the rows that had no part in finding it."""

    conditions: list[str]
    """As a person would write them: `age > 41.2`, `plan = 'basic'`, `income is missing`. All of them hold."""
    columns: list[str]
    rows: int
    """In both halves together."""
    share: float
    """Of all validated rows, 0 to 1."""
    loss: float
    """Mean loss of a row in the slice."""
    loss_elsewhere: float
    low: float
    high: float
    """95 % interval of the difference between the two."""
    p_value: float
    """That the slice is no worse than the rest, after Holm's correction over all slices that were tested."""
    score: float | None
    """The contract's metric on the slice; None where it is undefined there."""


class SlicesResult(BaseModel):
    """Where a candidate fails most."""

    candidate: str
    loss: str
    """What a row's loss is."""
    rows: int
    """Validated rows, of which one half was searched and the other tested."""
    rows_tested: int
    loss_overall: float
    """Mean loss of the tested half."""
    metric: str
    score_overall: float | None
    """The contract's metric on the tested half."""
    looked_at: int
    """Slices of one and two conditions that the search weighed on its half."""
    tested: int
    """Of them, how many were tested on the other half; the correction counts these."""
    level: float
    slices: list[Slice]
    """Those that passed, the largest difference first."""
    complete: bool
    """Whether pairs of conditions were all weighed before the time was over."""
    seconds: float


@tool(where="kernel", timeout_s=120)
def find_slices(
    candidate: Annotated[str, "Candidate whose out-of-fold predictions are examined."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(3600)] = 5.0,
) -> SlicesResult:
    """Find the slices of the table where a candidate errs most, and test them on rows that had no part in finding them."""
    from tools.deadline import Deadline
    from tools.problem import load_problem
    from tools.row_losses import capped, mean_losses
    from tools.slicing import conditions, halves, search, verify

    deadline = Deadline(time_s)
    space = workspace()
    load_candidate(space, candidate)
    problem = load_problem(space)
    if problem.contract.predicts in ("groups", "scores"):
        raise ToolRefused("there is no target here that rows could be judged by; examine_structure says what was found.")
    predictions = load_repeats(space, candidate, problem)
    oof = problem.decide(predictions)[1]
    rows = int(problem.validated.sum())
    if rows < FEWEST_ROWS:
        raise ToolRefused(
            f"{rows} validated rows are too few to find slices on one half and test them on the other ({FEWEST_ROWS} needed)."
        )
    losses, kind = capped(*mean_losses(problem, predictions, oof))
    found, tested = halves(problem, losses, _groups(problem))
    if min(len(found.rows), len(tested.rows)) < FEWEST_ROWS // 4:
        raise ToolRefused(
            f"the groups of {problem.contract.split.column!r} are too large to be dealt into two halves"
            f" ({len(found.rows)} and {len(tested.rows)} rows): no slice can be found on one and tested on the other."
        )
    weighed = search(found, conditions(problem, found.rows), problem.X, MOST_TESTED, deadline)
    verdicts = verify(tested, weighed.chosen, problem.X)
    slices = [_told(problem, oof, tested, verdict) for verdict in verdicts if verdict.p_value <= LEVEL]
    slices.sort(key=lambda one: one.loss_elsewhere - one.loss)
    return SlicesResult(
        candidate=candidate,
        loss=kind,
        rows=rows,
        rows_tested=len(tested.rows),
        loss_overall=_rounded(tested.losses.mean()),
        metric=problem.contract.metric,
        score_overall=_score(problem, oof, tested.rows),
        looked_at=weighed.looked_at,
        tested=len(verdicts),
        level=LEVEL,
        slices=slices,
        complete=weighed.complete,
        seconds=round(deadline.elapsed(), 2),
    )


def _groups(problem: Problem) -> np.ndarray | None:
    """Which rows belong together, under a split that keeps them so."""
    import pandas as pd

    return None if problem.groups is None else pd.factorize(problem.groups)[0]


def _told(problem: Problem, oof: np.ndarray, half: Half, verdict: Hypothesis) -> Slice:
    inside = verdict.holds(problem)
    validated = problem.validated
    return Slice(
        conditions=[condition.text for condition in verdict.conditions],
        columns=[condition.column for condition in verdict.conditions],
        rows=int((inside & validated).sum()),
        share=_rounded((inside & validated).sum() / validated.sum()),
        loss=_rounded(verdict.inside),
        loss_elsewhere=_rounded(verdict.outside),
        low=_rounded(verdict.low),
        high=_rounded(verdict.high),
        p_value=_rounded(verdict.p_value),
        score=_score(problem, oof, half.rows[inside[half.rows]]),
    )


def _score(problem: Problem, oof: np.ndarray, rows: np.ndarray) -> float | None:
    """The contract's metric on some rows, in the mean over repeats; None where it is undefined there."""
    import numpy as np

    try:
        return _rounded(float(np.mean([problem.score(each, rows) for each in problem.scheme.by_repeat(oof)])))
    except ValueError:
        return None


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
