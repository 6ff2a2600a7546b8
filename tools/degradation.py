"""What a call left undone, or did smaller, so that the run can go on: it is told with the result, and the report lists it."""

from __future__ import annotations

from pydantic import BaseModel


class Degradation(BaseModel):
    """One of them."""

    what: str
    """The family, candidate or part concerned."""
    reason: str
    """In a sentence without a full stop: what was met, and what was done instead."""
