"""The record of a second layer over the candidates of an ensemble; see `tools.stacking` for what makes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Stack(BaseModel):
    """The second layer of an ensemble: one more model, and its part in the prediction."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: list[str]
    """Candidates whose predictions it learns from, in the order of its columns."""
    family: str
    params: dict[str, Any]
    share: float
    """Its part in the prediction, above 0; the members' average has the rest."""
    iterations: int | None = None
    refit_seconds: float = 0.0
    """About how long fitting it once on all rows takes."""
    preparation: str | None = None
    """Whose columns it reads beside what the inputs say; None for one that reads nothing else."""
