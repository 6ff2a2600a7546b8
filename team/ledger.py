"""The ledger: one line for every time that a file was scored against the holdout's labels."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Look(BaseModel):
    """One line of the ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: float
    """Seconds since the epoch."""
    candidate: str
    score: float
    low: float
    high: float
    level: float
    n: int
    """Number of holdout rows."""
    final: bool
    run: str | None = None
    """The run that looked, for a look that a fork inherited; None for this one."""
    decision: list[float] = []
    """The multipliers that classes were called by; empty for the most probable class."""


class Ledger:
    """Looks in the order in which they were taken, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def looks(self) -> list[Look]:
        return [Look.model_validate_json(line) for line in self._path.read_text().splitlines()] if self._path.exists() else []

    @property
    def final(self) -> Look | None:
        """The look that gave the final score, after which there is none."""
        return next((look for look in self.looks if look.final), None)

    def enter(self, look: Look) -> None:
        """Write a look down and force it to the disk, before anybody is told of it."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(look.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
