"""The figures of a standing, and those of its parts: what the pages, `standings.json` and a comparison of two evals are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
RIGHT = "right outcome"
"""The metric of tasks that are about the outcome."""


class Figure(BaseModel):
    """Base of what a standing is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(Figure):
    """A mean, and the 95 % interval around it where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


class Cost(Figure):
    """Means over attempts, failed ones too; None where an attempt's is not known."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Of the attempt that took most."""
    tokens: float | None
    dollars: float | None


class Cell(Figure):
    """One system on one task."""

    task: str
    system: str
    attempts: int
    failed: int
    """Attempts without a score that counts."""
    score: Spread | None
    """In the metric's own direction, over the attempts that did not fail; None where all did."""
    rank: float | None
    """Mean over the seeds and folds that all systems share; None where they share none."""
    normalised: Spread | None
    """0 as good as the dummy, 1 as good as the best system; failed attempts count 0."""
    cost: Cost


class TaskLine(Figure):
    """A task, with its systems from the best to the worst."""

    name: str
    metric: str
    direction: str
    rows_train: int
    rows_test: int
    cells: tuple[Cell, ...]
    shared: bool
    """Whether ranks are taken over it."""


class Place(Figure):
    """One system over all tasks."""

    system: str
    rank: Spread | None
    normalised: Spread | None
    best: int
    """Tasks on which no other has a better rank."""
    attempts: int
    failed: int
    right: int | None
    """Attempts whose outcome is the one that the task expects; None where no task expects one."""
    cost: Cost


class Duel(Figure):
    """Two systems on the seeds and folds of shared tasks."""

    first: str
    second: str
    wins: int
    """Attempts in which the first has the better score, or the second failed alone."""
    ties: int
    losses: int
    share: Spread
    """Of wins, ties half, each task counting alike; the interval is over tasks and, within them, seeds and folds."""
    apart: bool | None
    """Whether Nemenyi's test tells the two apart; None where it was not made."""


class RankTest(Figure):
    """Friedman's test over tasks and Nemenyi's critical difference."""

    tasks: int
    chi2: float
    f: float | None
    """None where it is infinite: all tasks rank the systems alike."""
    p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    """Systems that are not told apart, the best first."""


class Standing(Figure):
    """All that the attempts of one suite under one budget say. Keys are stable under one `schema_version`."""

    schema_version: int = SCHEMA_VERSION
    suite: str
    budget_s: float
    attempts: int
    failed: int
    seeds: int
    finished: str
    """When the last attempt ended."""
    tasks: tuple[TaskLine, ...]
    places: tuple[Place, ...]
    """The best average rank first."""
    duels: tuple[Duel, ...]
    test: RankTest | None
    notes: tuple[str, ...]
    """What limits the comparison."""

    @property
    def systems(self) -> tuple[str, ...]:
        return tuple(place.system for place in self.places)

    @property
    def ranked(self) -> tuple[str, ...]:
        return tuple(place.system for place in self.places if place.rank is not None)
