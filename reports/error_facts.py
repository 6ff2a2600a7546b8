"""What a diagnosis holds: how a candidate errs, as plain facts that pages draw and tell."""

from __future__ import annotations

from typing import Any

from reports.findings import Fact


class Curve(Fact):
    """A curve of one class over all rows, with the lowest and highest of single folds beside it; empty where folds are too small."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    area: float


class Bin(Fact):
    """Rows with about the same probability: what was said, what happened, and the 95 % interval of that (Wilson 1927)."""

    label: str
    said: float
    happened: float
    n: int
    low: float
    high: float


class Step(Fact):
    """Of two classes: what calling the second one from `threshold` on gives."""

    threshold: float
    found: int
    false_alarms: int
    missed: int
    rejected: int


class Point(Fact):
    """A row: where it stands in the training table, its value, and what was predicted; `low` and `high` of its outer quantiles."""

    row: int
    actual: float
    predicted: float
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> float:
        """What the value was more than predicted."""
        return self.actual - self.predicted


class Quantile(Fact):
    """The residual at a share of the rows, in standard deviations from their mean, and what a normal distribution would have."""

    normal: float
    residual: float


class LabelErrors(Fact):
    """A label of several: how many rows have it, what calling it from a probability of one half on gives, and how well rows are ranked."""

    label: str
    found: int
    missed: int
    false_alarms: int
    rejected: int
    shares: tuple[float, float, float, float]
    """The first two of the rows with the label, the others of those without, 0 to 1; 0 where there is no such row."""
    precision: float | None
    """None where it is never called."""
    recall: float | None
    """None where no row has it."""
    f1: float | None
    average_precision: float | None
    """None where no row or every row has it."""
    share: float
    """Of all rows, 0 to 1: the average precision of guessing."""


class RiskGroup(Fact):
    """Rows of about the same risk: the share of them without the event by each time, as it was and as it was said beforehand."""

    name: str
    rows: int
    events: int
    times: tuple[float, ...]
    """In the unit of the target."""
    observed: tuple[float, ...]
    """By Kaplan and Meier (1958)."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Ends of its 95 % interval (Rothman 1978)."""
    said: tuple[float, ...]
    """In the mean of the rows, by curves that other folds taught; see `tools.curves`."""


class Worst(Fact):
    """A row on which the candidate errs most; what `loss` is stands in `Diagnosis.loss_kind`."""

    row: int
    actual: str
    predicted: str
    loss: float
    values: tuple[tuple[str, str], ...] = ()
    """Names and values of the columns that matter most."""


class GroupErrors(Fact):
    """A group of the sensitive column. Shares are 0 to 1; `selected` and `found` are of the second of two classes."""

    name: str
    rows: int
    error: float
    selected: float | None = None
    found: float | None = None


class Diagnosis(Fact):
    """All of that for one candidate. What its task does not have is empty."""

    candidate: str
    source: str
    sha256: str
    rows: int
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows of each class, by the class that is called."""
    shares: tuple[tuple[float, ...], ...] = ()
    """Of each class, 0 to 1."""
    steps: tuple[Step, ...] = ()
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: tuple[Bin, ...] = ()
    points: tuple[Point, ...] = ()
    quantiles: tuple[Quantile, ...] = ()
    residual_mean: float | None = None
    residual_std: float | None = None
    labels: tuple[LabelErrors, ...] = ()
    """The commonest ones."""
    labels_in_all: int = 0
    risk_groups: tuple[RiskGroup, ...] = ()
    moment: float | None = None
    """The time of the bins of `calibration` where times are predicted: half of the rows have had the event by it, or half of the events
    that were seen."""
    worst: tuple[Worst, ...] = ()
    loss_kind: str = ""
    """What `loss` of the worst rows is."""
    error_kind: str = ""
    """What `error` of the groups is."""
    groups: tuple[GroupErrors, ...] = ()

    def on_record(self) -> dict[str, Any]:
        """All that is known here, and what a page works out from it."""
        return {**self.model_dump(mode="json"), "errors": [point.error for point in self.points]}
