"""One fit of a cross-validation by itself, for a search whose fits are spread over sandboxes, and what it leaves for whoever asked."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat

from tools.device import Device
from tools.workspace import workspace

if TYPE_CHECKING:
    from tools.crossval import Array, Outcome
    from tools.problem import Problem

PREDICTED = "predicted.npy"
"""In the work folder: what the fit predicts for the rows that it did not see, in their order."""
MOST_BYTES = 4 << 30


class FoldFit(BaseModel):
    """What a fit tells of itself; times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fitting: FiniteFloat
    predicting: FiniteFloat
    iterations: int | None
    cut_short: bool
    starved: bool
    device: Device
    off_cuda: str
    latency_ms: FiniteFloat
    size_mb: FiniteFloat


def fit_fold(family: str, params: dict[str, Any], preparation: str, number: int, time_s: float) -> FoldFit:
    """Fit one part of the contract's cross-validation, and leave its predictions in `PREDICTED`.

    Args:
        number: place of the part among `Problem.parts`.
        time_s: seconds after which an iterative family stops adding iterations.
    """
    from tools.crossval import fit_part, setting_for
    from tools.deadline import Deadline
    from tools.families import family as family_for
    from tools.families import load_libraries
    from tools.preparation import load_preparation
    from tools.problem import load_problem

    space = workspace()
    problem = load_problem(space)
    chosen = load_preparation(space, preparation, problem)
    load_libraries([family])
    setting = setting_for(problem, chosen)
    until = Deadline(time_s)
    outcome = fit_part(problem.parts[number], 1.0, params, problem, chosen, setting, family_for(family), until)
    np.save(space.work / PREDICTED, outcome.predicted, allow_pickle=False)
    return FoldFit(
        fitting=outcome.fitting,
        predicting=outcome.predicting,
        **outcome.how._asdict(),
        latency_ms=outcome.latency_ms,
        size_mb=outcome.size_mb,
    )


def read_fold(work: Path) -> Array:
    """The predictions that a sandbox left in its work folder, which are believed to be nothing but numbers.

    Raises:
        ValueError: they are none.
        OSError: there are none, or they are no plain file.
    """
    from tools.files import read_regular

    found = np.load(BytesIO(read_regular(work / PREDICTED, MOST_BYTES, inside=work)), allow_pickle=False)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise ValueError("the predictions of a fold are no finite numbers")
    return found.astype(np.float64)


def outcome_of(told: FoldFit, predicted: Array, problem: Problem, number: int) -> Outcome:
    """A fit that was made elsewhere, as if it had been made here.

    Raises:
        ValueError: it does not predict the rows of its part, in the shape of the problem's predictions.
    """
    from tools.crossval import How, Outcome

    rows = problem.scheme.rows(problem.parts[number])[1]
    expected = (len(rows), *problem.empty_oof().shape[1:])
    if predicted.shape != expected:
        raise ValueError(f"the predictions of fold {number} have the shape {predicted.shape}, expected {expected}")
    how = How(told.iterations, told.cut_short, told.starved, told.device, told.off_cuda)
    return Outcome(rows, predicted, told.fitting, told.predicting, how, told.latency_ms, told.size_mb)
