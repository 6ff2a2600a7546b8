"""What a tracker is told about a run: plain values, so that a record can be kept as a file and sent another day."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

Status = Literal["running", "finished", "failed", "killed"]


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


Metrics = Annotated[dict[str, float], AfterValidator(_finite)]
"""Metrics by name; those that are no finite number are left out, since JSON has none and trackers cannot order them."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Point(_Part):
    """One value of a metric that changes as the run goes on."""

    name: str
    value: float
    step: int
    at_ms: int
    """When it was known, milliseconds since the epoch."""


def _plottable(points: list[Point]) -> list[Point]:
    return [point for point in points if math.isfinite(point.value)]


class DatasetRecord(_Part):
    """Which data the run learnt from. No row of it."""

    name: str
    digest: str
    """SHA-256 of the bytes that were fetched."""
    source: str
    rows: int
    """Rows to learn from and rows held back, together."""
    columns: dict[str, str]
    """Features and target, each with its kind."""
    target: str | None


class CandidateRecord(_Part):
    """One candidate of the run."""

    name: str
    metrics: Metrics
    params: dict[str, str]
    fold_scores: list[float]
    """The contract's metric on each fold, in their order; of repeats one after another."""

    @property
    def digest(self) -> str:
        """Equal for equal candidates, and for no others."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class RunRecord(_Part):
    """One run and its candidates."""

    experiment: str
    run: str
    """Name of the run directory."""
    status: Status = "finished"
    began_ms: int
    """When the run began, milliseconds since the epoch. With the name it tells the run from every other one, also from one of
    the same name in another folder or on another machine."""
    ended_ms: int
    """When the record was made, milliseconds since the epoch."""
    params: dict[str, str]
    metrics: Metrics
    tags: dict[str, str]
    candidates: list[CandidateRecord]
    points: Annotated[list[Point], AfterValidator(_plottable)] = []
    """In the order in which they came to be: later records of the run begin with those of earlier ones."""
    dataset: DatasetRecord | None = None

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def key(self) -> tuple[str, int]:
        """What tells the run from every other one."""
        return self.run, self.began_ms
