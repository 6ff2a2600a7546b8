"""What a candidate relies on, and what the groups and anomalies are that it found."""

from __future__ import annotations

from typing import Literal

from reports.findings import Fact


class ColumnReliance(Fact):
    column: str
    importance: float | None = None
    std_error: float | None = None
    contribution: float | None = None


class Part(Fact):
    column: str
    value: str
    contribution: float


class Example(Fact):
    """One prediction taken apart: base, parts and rest add up to the score."""

    row: int
    why: str
    unseen: bool
    actual: str
    predicted: str
    output: str = ""
    score: float
    base: float
    parts: tuple[Part, ...]
    rest: float


class Rule(Fact):
    conditions: tuple[str, ...]
    group: int
    share: float
    right: float | None


class Without(Fact):
    """What a fit without some columns lost, with its 95 % interval over folds."""

    columns: tuple[str, ...]
    loss: float
    low: float
    high: float
    half: float
    folds: int

    @property
    def named(self) -> str:
        """The columns, those beyond three as a number."""
        return ", ".join(self.columns[:3]) + (f" and {len(self.columns) - 3} more" if len(self.columns) > 3 else "")


class Explanation(Fact):
    """What a candidate relies on, by `explain`."""

    candidate: str
    unseen: bool
    rows: int
    metric: str = ""
    """What importance is a worsening of; empty in older runs, where it is the contract's."""
    reliance: tuple[ColumnReliance, ...] = ()
    not_shown: int = 0
    method: Literal["exact", "sampled"]
    scale: str
    examples: tuple[Example, ...] = ()
    without: tuple[Without, ...] = ()
    ablated: str = ""
    """Who was fitted so."""
    rules: tuple[Rule, ...] = ()
    fidelity: float | None = None
    fidelity_floor: float | None = None
    event: int


class Difference(Fact):
    column: str
    here: str
    elsewhere: str
    size: float


class Group(Fact):
    name: str
    rows: int
    share: float
    differs: tuple[Difference, ...] = ()


class Structure(Fact):
    """What groups or anomalies are, by `examine_structure`."""

    candidate: str
    predicts: Literal["groups", "scores"]
    groups: tuple[Group, ...] = ()
    stability: float
    stability_std: float
    chance: float
    pairs: int
    score: float | None = None
    null_mean: float | None = None
    null_highest: float | None = None
    nulls: int = 0
    verdict: str
    event: int
