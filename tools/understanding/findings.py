"""What is found out about a table, as facts. Imports nothing heavy: results of tools are declared with it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

Kind = Literal["numeric", "categorical", "ordered", "boolean", "datetime", "text", "identifier", "constant", "list", "geographic"]
"""What the values of a column mean. Models go by the fewer kinds of `tools.contract.ColumnKind`."""
GateName = Literal[
    "duplicates across the split",
    "group or time overlap",
    "single feature",
    "known only after the outcome",
    "shuffled target",
    "identifier that carries order",
]
Verdict = Literal["pass", "fail", "not applicable", "not run"]


class Reading(BaseModel):
    """What a column is taken for, how surely (0 to 1), and why."""

    column: str
    kind: Kind
    confidence: float
    reasons: str


class Moments(BaseModel):
    """A column of numbers: moments, percentiles, and the distribution that lies nearest.

    `skew` and `kurtosis` are those of Fisher; a normal distribution has 0 in both.
    """

    column: str
    mean: float
    std: float
    skew: float
    kurtosis: float
    p1: float
    p5: float
    p25: float
    p75: float
    p95: float
    p99: float
    shape: str
    """The nearest of normal, lognormal, exponential and uniform."""
    distance: float
    """Largest distance between its distribution function and that of the values (Kolmogorov and Smirnov)."""
    fits: bool
    """Whether that is within chance at a level of 5 %, by limits for fitted parameters (Lilliefors 1967, 1969)."""


class Relation(BaseModel):
    """Two columns that go together; `value` is correlation (Pearson, Spearman) or association (Cramér's V, without its bias)."""

    column: str
    other: str
    measure: Literal["pearson", "spearman", "cramers_v"]
    value: float


class Informative(BaseModel):
    """What a column alone tells of the target, in bits, by tables of at most ten bins each, without the bias of few rows (Miller 1955)."""

    column: str
    bits: float
    share: float
    """Of the target's own entropy, 0 to 1."""


class Inflation(BaseModel):
    """Variance inflation: how far the other numbers explain a column, 1 for not at all."""

    column: str
    vif: float


class MissingPattern(BaseModel):
    """Columns that are missing together, and the share of rows in which exactly these are."""

    columns: list[str]
    share: float


class Missingness(BaseModel):
    """Where values are missing, and whether that may be chance."""

    columns: int
    complete_rows: float
    """Share of the rows without a gap."""
    patterns: list[MissingPattern]
    tested: int
    """Columns in the test, 0 where there was none."""
    statistic: float | None = None
    degrees: int | None = None
    p_value: float | None = None
    """Of Little's test (1988) that values are missing completely at random."""
    related: list[str] = []
    """Columns whose gaps go with the target, by a rank test corrected for the number of columns."""
    verdict: Literal["complete", "may be random", "not random", "not tested"]


class Outlying(BaseModel):
    """Shares of a column's values beyond the fences of three rules."""

    column: str
    iqr: float
    """Beyond 1.5 interquartile ranges from the quartiles (Tukey)."""
    mad: float
    """Modified z-score above 3.5 (Iglewicz and Hoaglin)."""
    z: float
    """More than three standard deviations from the mean."""


class Outliers(BaseModel):
    """Values and rows far from the others."""

    columns: list[Outlying]
    mahalanobis: float | None
    """Share of rows beyond the 99.9 % point of the squared distance over all numbers; a normal table has 0.001."""
    isolation: float | None
    """Share of rows that an isolation forest scores above 0.65."""


class Repeats(BaseModel):
    """Rows that come again, as shares of the rows that were looked at."""

    exact: float
    """Rows that repeat another, target included and identifiers of rows left out."""
    contradicting: float
    """Rows whose columns another row has with another target."""
    near: float | None
    """Rows whose columns differ from another's by less than a thousandth of their spread, and are not all equal."""
    rows: int


class Drift(BaseModel):
    """How well a model tells training rows from sealed ones (adversarial validation)."""

    auc: float
    """0.5 where it cannot."""
    limit: float
    """What it would exceed if the two were not alike."""
    columns: list[str]
    """What it goes by, the strongest first, where it can."""
    rows: int
    verdict: Literal["alike", "apart", "apart in time"]


class Dependence(BaseModel):
    """Whether the target of a row tells that of the next one."""

    by: str
    """The time column that orders the rows; empty for the order of the table."""
    lag1: float
    """Autocorrelation at a lag of one row."""
    p_value: float
    """Of the test of Ljung and Box over ten lags."""
    dependent: bool


class Personal(BaseModel):
    """A column that holds personal data. No value is told."""

    column: str
    kind: str
    share: float
    """Of its values."""
    confidence: float
    why: str


class Gate(BaseModel):
    """One of the checks for leaks that every run makes."""

    gate: GateName
    verdict: Verdict
    evidence: str
    columns: list[str] = []


SURE = 0.8
"""Confidence from which a split follows what was found."""


class Ordering(BaseModel):
    """A column that says which rows belong together (`group`), or which come first (`time`)."""

    column: str
    kind: Literal["group", "time"]
    confidence: float
    reasons: str

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


class Grade(BaseModel):
    """One line of the scorecard, 0 to 100."""

    aspect: str
    grade: int
    why: str


class Understanding(BaseModel):
    """All that is found out about a training table beside its columns' own profiles. What could not be made is None or empty."""

    gates: list[Gate] = []
    """Failed ones first."""
    insights: list[str] = []
    scorecard: list[Grade] = []
    readings: list[Reading] = []
    moments: list[Moments] = []
    relations: list[Relation] = []
    informative: list[Informative] = []
    inflation: list[Inflation] = []
    missingness: Missingness | None = None
    outliers: Outliers | None = None
    repeats: Repeats | None = None
    drift: Drift | None = None
    dependence: Dependence | None = None
    personal: list[Personal] = []
