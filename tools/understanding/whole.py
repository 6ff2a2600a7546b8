"""Everything that is found out about a training table, part by part: one that cannot be made takes no other along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tools.columns import coerce
from tools.contract import Column
from tools.extras import Extras
from tools.features import numbers
from tools.problem import Problem
from tools.understanding import scorecard, statistics
from tools.understanding.drift import dependence, drift
from tools.understanding.findings import Understanding
from tools.understanding.gates import run_gates
from tools.understanding.kinds import read_column
from tools.understanding.missingness import missingness
from tools.understanding.personal import personal
from tools.understanding.repeats import repeated_rows, repeats
from tools.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

COLUMNS_TOLD = 40


def understand(
    space: Workspace,
    problem: Problem,
    part: Problem,
    raw: pd.DataFrame,
    associations: dict[str, float],
    limit: tuple[str, float],
    associate: Callable[[Column, pd.Series], float | None],
    extras: Extras,
) -> Understanding:
    """What is to be known of a table.

    Args:
        problem: all training rows, which are looked at for repeats on both sides of the split.
        part: a sample of them, for everything else.
        raw: the rows of the sample as they stand in the table.
        associations: how well each column alone predicts the target.
        limit: what that is measured by, and from where on it is too good.
        associate: measures the same of other values in the place of a column's.
    """
    columns = part.schema.columns
    # A row that comes twice says nothing more of what a column is, and makes a number of rows look like no number of theirs.
    single = raw[~repeated_rows(part.X)]
    readings = [read_column(column.name, single[column.name], column.kind) for column in columns]
    keys = {one.column for one in readings if one.kind == "identifier"}
    holdout = _holdout(space, part)
    missing = extras.make("the patterns of missing values", lambda: missingness(part))
    repeated = extras.make("the repeated rows", lambda: repeats(part, keys))
    drifted = extras.make("the comparison of training and sealed rows", lambda: drift(part, holdout, keys))
    dependent = extras.make("the dependence of rows on each other", lambda: dependence(part))
    people = extras.make("the scan for personal data", lambda: personal(raw))
    gates = run_gates(problem, part, holdout, associations, limit, readings, dependent, associate, extras)
    related = extras.make("the relations between columns", lambda: statistics.relations(part)) or []
    grades = extras.make("the scorecard", lambda: scorecard.scorecard(part, raw, missing, repeated, gates, drifted, people))
    moments = [
        found
        for name in part.schema.of_kind("numeric")[:COLUMNS_TOLD]
        if (found := statistics.moments_of(name, numbers(part.X[name]))) is not None
    ]
    return Understanding(
        gates=gates,
        insights=scorecard.insights(missing, repeated, drifted, dependent, related, gates, people),
        scorecard=grades or [],
        readings=sorted(readings, key=lambda one: one.confidence)[:COLUMNS_TOLD] if len(readings) > COLUMNS_TOLD else readings,
        moments=moments,
        relations=related,
        informative=extras.make("the information of columns", lambda: statistics.informative(part)) or [],
        inflation=extras.make("the variance inflation", lambda: statistics.inflation(part)) or [],
        missingness=missing,
        outliers=extras.make("the outliers", lambda: statistics.outliers(part)),
        repeats=repeated,
        drift=drifted,
        dependence=dependent,
        personal=(people or [])[:COLUMNS_TOLD],
    )


def _holdout(space: Workspace, problem: Problem) -> pd.DataFrame:
    """The sealed rows in the schema, without what nobody knows of them."""
    frame = space.table("holdout")
    hidden = [column.name for column in problem.schema.columns if column.name not in frame]
    return coerce(frame, problem.schema.without(hidden))


def some_rows(rows: int, most: int, seed: int) -> np.ndarray:
    """At most so many positions of a table, ascending, the same for the same table."""
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)) if rows > most else np.arange(rows)
