"""What a tracker is told about a run: plain values, so that a record can be kept as a file and sent another day."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


Metrics = Annotated[dict[str, float], AfterValidator(_finite)]
"""Metrics by name; those that are no finite number are left out, since JSON has none and trackers cannot order them."""


class CandidateRecord(BaseModel):
    """One candidate of the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    metrics: Metrics
    params: dict[str, str]
    fold_scores: list[float]


class RunRecord(BaseModel):
    """One run and its candidates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    run: str
    """Name of the run directory."""
    began_ms: int
    """When the run began, milliseconds since the epoch. With the name it tells the run from every other one, also from one of
    the same name in another folder or on another machine."""
    ended_ms: int
    """When the record was made, milliseconds since the epoch."""
    params: dict[str, str]
    metrics: Metrics
    tags: dict[str, str]
    candidates: list[CandidateRecord]
