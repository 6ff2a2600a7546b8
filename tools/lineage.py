"""Where prepared columns come from: each traces to raw columns and to the steps between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tools.preparation import OWN

if TYPE_CHECKING:
    from tools.preparation import Preparer


class Made(BaseModel):
    """A column that a step made or changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    step: int
    """Place of the step, from 0."""
    sources: list[str]
    """Columns as they were before that step."""


class Lineage(BaseModel):
    """Every prepared column, back to the raw ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    raw: list[str]
    steps: list[str]
    made: list[Made]
    """By step; a column that no step names passes it unchanged."""
    prepared: dict[str, list[str]]
    """Each column that models see, with the raw columns that it is made of."""


def roots(steps: Sequence[tuple[Preparer, Any]], raw: list[str]) -> dict[str, list[str]] | None:
    """The raw columns behind each column that fitted steps end in; None where one is a package's, which does not tell."""
    found = {name: [name] for name in raw}
    for used, transformer in steps:
        if used.package != OWN:
            return None
        found = {
            made: list(dict.fromkeys(root for source in sources for root in found[source]))
            for made, sources in transformer.sources_.items()
        }
    return found


def lineage_of(steps: Sequence[tuple[Preparer, Any]], raw: list[str]) -> Lineage | None:
    """The lineage of what fitted steps make; None where one is a package's, which does not tell."""
    prepared = roots(steps, raw)
    if prepared is None:
        return None
    made = [
        Made(column=column, step=place, sources=sources)
        for place, (_, transformer) in enumerate(steps)
        for column, sources in transformer.made_.items()
    ]
    return Lineage(raw=raw, steps=[used.name for used, _ in steps], made=made, prepared=prepared)
