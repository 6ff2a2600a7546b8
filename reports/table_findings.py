"""What tools found out about the table: its columns, how they were prepared, and where each prepared one comes from."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from reports.findings import Fact
from tools.understanding.findings import Understanding


class TargetShare(Fact):
    """A class with its share of the rows, or a quantile of a numeric target with its value."""

    label: str
    value: float


class ProfiledColumn(Fact):
    column: str
    kind: str
    missing: float
    """Share, 0 to 1."""
    unique: int
    low: str = ""
    middle: str = ""
    high: str = ""
    top: str = ""
    association: float | None = None
    """How well the column alone predicts the target: ROC AUC for classes, R² for numbers."""


class DataWarning(Fact):
    kind: str
    columns: tuple[str, ...] = ()
    message: str


class Profile(Fact):
    """The training table as `profile_table` saw it."""

    rows: int
    columns: int
    target_distribution: tuple[TargetShare, ...] = ()
    profiles: tuple[ProfiledColumn, ...] = ()
    not_shown: int = 0
    warnings: tuple[DataWarning, ...] = ()
    sampled_rows: int = 0
    understanding: Understanding = Understanding()
    """Gates, grades and statistics; empty in older runs."""
    event: int

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, result: dict[str, Any]) -> dict[str, Any]:
        """The tool's result has these facts beside its own."""
        found = {name: result[name] for name in Understanding.model_fields if name in result}
        return {**result, "understanding": found} if "understanding" not in result else result


class Dropped(Fact):
    column: str
    reason: str


class Preparation(Fact):
    """Which columns models see."""

    name: str
    columns_in: int
    columns_used: int
    features_out: int
    dropped: tuple[Dropped, ...] = ()
    steps: tuple[str, ...] = ()
    """Fitted inside each fold, in the order in which they run."""
    event: int


class MadeColumn(Fact):
    """A column that a step made or changed."""

    column: str
    step: int
    sources: tuple[str, ...]


class Lineage(Fact):
    """Every prepared column, back to the raw ones; see `tools.lineage`."""

    raw: tuple[str, ...]
    steps: tuple[str, ...]
    made: tuple[MadeColumn, ...]
    prepared: dict[str, tuple[str, ...]]


class TriedStep(Fact):
    step: str
    score: float | None
    gain: float
    std_error: float
    margin: float
    kept: bool
    why: str = ""


class StepsTried(Fact):
    """Steps of a preparation that were tried, and which of them gained more than chance."""

    steps: tuple[str, ...]
    tried: tuple[TriedStep, ...]
    not_tried: tuple[str, ...] = ()
    family: str
    metric: str
    before: float | None
    event: int
