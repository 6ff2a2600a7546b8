"""What a search can weigh beside the score: what a candidate costs whoever uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tools.candidates import Candidate
    from tools.contract import Direction

Objective = Literal["score", "latency", "size"]
"""`score`: the contract's metric. `latency`: the candidate's `latency_ms`; it is measured, so that equal seeds may find different things.
`size`: its `size_mb`."""


def directions(objectives: Sequence[str], direction: Direction) -> list[str]:
    """`maximize` or `minimize` for each objective."""
    return [direction if name == "score" else "minimize" for name in objectives]


def values_of(candidate: Candidate, objectives: Sequence[str]) -> tuple[float, ...]:
    """The values of a candidate, one for each objective."""
    known = {"score": candidate.score, "latency": candidate.latency_ms or 0.0, "size": candidate.size_mb or 0.0}
    return tuple(known[name] for name in objectives)
