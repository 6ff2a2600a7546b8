"""Fits that took their kernel with them: on record, so that no later call walks into the same.

The host writes `data/casualties.json`, which the sandbox can only read, after a kernel was lost in a fit. Whoever fits
asks it first: a family that ran out of memory is tried once more on half of its rows, and one that did so twice, crashed
or never came back is left alone for the rest of the run.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.workspace import Workspace

FILE = "casualties.json"
Kind = Literal["memory", "crash", "hang"]
Share = Annotated[float, Field(gt=0, le=1)]
"""Share of the rows that a fit was given."""


class Casualty(BaseModel):
    """One fit that took its kernel with it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    kind: Kind
    cause: str
    """What ended the kernel, in the host's words."""
    tool: str
    share: Share = 1.0


class Casualties(BaseModel):
    """All of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    fits: list[Casualty] = []

    def dropped(self, family: str) -> str | None:
        """Why a family is not fitted any more in this run, or None while it may be."""
        lost = self._of(family)
        for one in lost:
            if one.kind == "crash":
                return f"a fit of it crashed ({one.cause})"
            if one.kind == "hang":
                return f"a fit of it never came back ({one.cause})"
        return f"it ran out of memory twice ({lost[-1].cause})" if len(lost) > 1 else None

    def share(self, family: str) -> float:
        """The largest share of its rows that a family may be fitted on."""
        return min((one.share / 2 for one in self._of(family)), default=1.0)

    def _of(self, family: str) -> list[Casualty]:
        return [one for one in self.fits if one.family == family]


def load_casualties(space: Workspace) -> Casualties:
    """The record of this run; empty while nothing was lost."""
    path = space.data / FILE
    return Casualties.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else Casualties()


def of_the_rows(share: float) -> str:
    """A share in words: `half of the rows`."""
    named = {1.0: "all rows", 0.5: "half of the rows", 0.25: "a quarter of the rows", 0.125: "an eighth of the rows"}
    return named.get(share, f"{share:.2g} of the rows")
