"""Fit a final model again on all rows of a table that memory does not hold, member by member, where its family can.

The encoders stay those that learnt from the sample, and so do the settings. A member whose family cannot, or whose time, disk or memory
does not suffice, stays as it was fitted on the sample, which is told.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools import memory
from tools.beyond import BEYOND_FILE, PIECE_ROWS
from tools.columns import coerce
from tools.deadline import Deadline, DeadlineReached
from tools.degradation import Degradation
from tools.families import family
from tools.families.setting import FitContext
from tools.parquet import by_pieces
from tools.problem import encode_target
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.fitted import Fitted
    from tools.model import FittedMember, FittedModel
    from tools.problem import Problem

Array = np.ndarray[Any, np.dtype[Any]]
TABLES = ("all.parquet", BEYOND_FILE)


@dataclass
class Grown:
    """What came of it."""

    rows: int = 0
    """Of the whole table; 0 where there are none beyond the sample."""
    members: list[str] = field(default_factory=list)
    """Those that were fitted on all of them."""
    left: list[Degradation] = field(default_factory=list)
    """Those that were not, and why."""


def is_sampled(space: Workspace) -> bool:
    """Whether there are rows beyond those in memory."""
    return (space.data / BEYOND_FILE).is_file()


def grow(space: Workspace, model: FittedModel, problem: Problem, deadline: Deadline) -> Grown:
    """Put fits on all rows in the place of the members' fits on the sample, in place.

    Args:
        problem: the sample, holdout included, on which `model` was fitted.
    """
    import pyarrow.parquet as pq

    if not is_sampled(space):
        return Grown()
    grown = Grown(problem.n_rows + int(pq.read_metadata(space.data / BEYOND_FILE).num_rows))
    for i, member in enumerate(model.members):
        share = deadline.share(deadline.remaining() / (len(model.members) - i))
        name = member.candidate.name
        try:
            member.fits = [_fitted(space, member, problem, grown.rows, share)]
        except Exception as error:  # a library may fail in any way, and the model on the sample is there
            told = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
            kept = f"{name} is fitted on a sample of {problem.n_rows:,} of {grown.rows:,} rows: {told}"
            grown.left.append(Degradation(what=name, reason=kept))
        else:
            grown.members.append(name)
    return grown


def _fitted(space: Workspace, member: FittedMember, problem: Problem, rows: int, deadline: Deadline) -> Fitted:
    """A member's fit on all rows.

    Raises:
        Exception: saying why there is none.
    """
    from tools.candidates import CODE
    from tools.crossval import setting_for
    from tools.families.base import CROSSES
    from tools.refitting import refit_iterations

    record, before = member.candidate, member.fits[0]
    if record.family == CODE or member.preparation.preparers:
        raise NotImplementedError("what a role wrote, a package brings or a step makes takes its rows at once")
    if before.classes.size not in (0, before.n_classes):
        raise NotImplementedError("the sample lacks a class")
    setting = replace(setting_for(problem, member.preparation), n_rows=rows)
    params = {name: value for name, value in record.params.items() if name != CROSSES}  # an encoder that is fitted holds none, or refuses
    context = FitContext(deadline=deadline, iterations=refit_iterations(record, problem.contract), seed=setting.seed)
    folder = Path(tempfile.mkdtemp(prefix=".growing-", dir=space.work))
    try:
        memory.give_back()
        pieces = _pieces(space, problem, [column.name for column in member.preparation.columns], before)
        raw = family(record.family).over_blocks(before.predictor, pieces, folder, params, setting, context)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if raw.cut_short:
        raise DeadlineReached("the time is over")
    return replace(before, predictor=raw.predictor, iterations=raw.iterations, importance=raw.importance or before.importance)


def _pieces(space: Workspace, problem: Problem, names: list[str], before: Fitted) -> Iterator[tuple[pd.DataFrame, Array]]:
    """Features and targets of all rows, as the member's own fit was shown them."""

    for table in TABLES:
        with by_pieces(space.data / table) as file:
            for batch in file.iter_batches(batch_size=PIECE_ROWS):
                frame = batch.to_pandas()
                y = encode_target(frame, problem.contract)
                yield coerce(frame, problem.schema)[names], np.log1p(np.maximum(y, 0)) if before.log_target else y
