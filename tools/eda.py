"""Kernel tools: look at a table, and profile it for modelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.contract import ColumnKind
from tools.degradation import Degradation
from tools.extras import Extras
from tools.spec import ToolRefused, tool
from tools.understanding.findings import Understanding
from tools.workspace import workspace

if TYPE_CHECKING:
    import pandas as pd

CELL_WIDTH = 40
MOST_COLUMNS = 40


class InspectedColumn(BaseModel):
    """A column and its first cells."""

    column: str
    dtype: str
    missing: int
    cells: list[str]


class TableInspection(BaseModel):
    """The first rows of a table, column by column."""

    table: str
    rows: int
    columns: int
    shown: list[InspectedColumn]
    not_shown: int
    """Number of columns beyond those shown."""


class ColumnProfile(BaseModel):
    """What is known of one column."""

    column: str
    kind: ColumnKind
    missing: float
    """Share, 0 to 1."""
    unique: int
    low: str
    middle: str
    high: str
    """Minimum, median and maximum of numbers and dates; empty for others."""
    top: str
    """The commonest values with their shares, for categories."""
    association: float | None
    """How well this column alone predicts the target: ROC AUC (mean one-vs-rest) for classes, R² for numbers, concordance for
    survival, of a small cross-validated tree on at most 5,000 rows, or of a text's words in a linear model; None where it could not be
    computed."""


class Warned(BaseModel):
    """Something about the table that deserves a decision."""

    kind: Literal[
        "constant",
        "all_missing",
        "identifier",
        "duplicate_rows",
        "high_cardinality",
        "possible_leak",
        "imbalance",
        "twin_columns",
        "infinite",
        "few_rows",
        "few_events",
        "other_task",
    ]
    columns: list[str]
    message: str


class TargetShare(BaseModel):
    """A class with its rows, a quantile of a numeric target with its value, or a time with the share that outlives it."""

    label: str
    value: float


class TableFacts(BaseModel):
    """A labelled table, column by column."""

    table: str
    rows: int
    columns: int
    target: str
    task: str
    target_distribution: list[TargetShare]
    """Share of each class (the 20 commonest), quantiles of a numeric target, or shares that outlive some times."""
    profiles: list[ColumnProfile]
    """The columns with the strongest association first, at most 40."""
    not_shown: int
    warnings: list[Warned]
    plots: list[str]
    sampled_rows: int
    """Rows that associations and duplicates were computed on."""
    seconds: float
    degraded: list[Degradation] = []
    """What is missing here because it could not be made."""


class TableProfile(Understanding, TableFacts):
    """A labelled table, described for the choice of preparation and models, with the gates that look for leaks."""


@tool(where="kernel", timeout_s=60)
def inspect_table(
    table: Annotated[str, "Table to show: train, or holdout (without its target)."] = "train",
    rows: Annotated[int, "Number of rows.", Ge(1), Le(20)] = 5,
) -> TableInspection:
    """Show the first rows of a table with the type of each column."""
    frame = workspace().table(table)
    names = list(frame.columns)
    shown = [
        InspectedColumn(
            column=_cut(name),
            dtype=str(frame[name].dtype),
            missing=int(frame[name].isna().sum()),
            cells=[_cut(value) for value in frame[name].head(rows)],
        )
        for name in names[:MOST_COLUMNS]
    ]
    return TableInspection(table=table, rows=len(frame), columns=len(names), shown=shown, not_shown=max(0, len(names) - MOST_COLUMNS))


@tool(where="kernel", timeout_s=300)
def profile_table(
    table: Annotated[str, "Labelled table to profile."] = "train",
) -> TableProfile:
    """Describe every column, its association with the target, what looks wrong, and run the gates that look for leaks."""
    import time

    from tools import profiling
    from tools.association import Associate, associations
    from tools.problem import load_problem
    from tools.understanding.whole import some_rows, understand

    started = time.monotonic()
    space = workspace()
    if table == "holdout":
        raise ToolRefused("the holdout has no target here; profile 'train', or inspect_table('holdout').")
    problem = load_problem(space, table)
    rows = some_rows(problem.n_rows, profiling.SAMPLE_ROWS, problem.contract.seed)
    sample = profiling.sample(problem, rows)
    alone = associations(sample)
    profiles = [profiling.describe(column, problem, alone.get(column.name)) for column in problem.schema.columns]
    extras = Extras()
    raw = space.table(table).iloc[rows].reset_index(drop=True)
    raw.columns = [str(name) for name in raw.columns]
    judged = alone | profiling.copies(sample)
    associate = Associate(sample.of_label(0) if problem.contract.predicts == "labels" else sample)
    more = understand(space, problem, sample, raw, judged, profiling.too_good(problem), associate, extras)
    profiles.sort(key=lambda p: -(p.association if p.association is not None else -1.0))
    return TableProfile(
        table=table,
        rows=problem.n_rows,
        columns=len(problem.schema.columns),
        target=problem.contract.target,
        task=problem.contract.task,
        target_distribution=profiling.target_distribution(problem),
        profiles=profiles[:MOST_COLUMNS],
        not_shown=max(0, len(profiles) - MOST_COLUMNS),
        warnings=profiling.warnings(problem, sample, judged),
        plots=extras.make("the plots of the profile", lambda: profiling.plot(space, problem)) or [],
        sampled_rows=sample.n_rows,
        seconds=round(time.monotonic() - started, 2),
        degraded=extras.left_out,
        **dict(more),
    )


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "…"


def top_values(values: pd.Series, rows: int) -> str:
    """The four commonest values with their shares."""
    counts = values.value_counts().head(4)
    return ", ".join(f"{_cut(value)} {count / max(1, rows):.0%}" for value, count in counts.items())
