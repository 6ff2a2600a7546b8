"""What a search can weigh beside the score: what a candidate costs whoever uses it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tools.contract import Direction
    from tools.crossval import Evaluated
    from tools.families.fitted import Fitted

Objective = Literal["score", "latency", "size"]
"""`score`: the contract's metric. `latency`: milliseconds to predict a row, in the mean over the rows of the folds; it is measured, so
that equal seeds may find different things. `size`: KiB of a fold's model as it is saved, in the mean."""


class Scales:
    """Weighs the models of one candidate's folds while they are there."""

    def __init__(self) -> None:
        self._bytes: list[int] = []

    def weigh(self, fitted: Fitted) -> None:
        import joblib

        sink = _Counting()
        joblib.dump(fitted, sink)
        self._bytes.append(sink.count)

    @property
    def kib(self) -> float:
        return sum(self._bytes) / len(self._bytes) / 1024


class _Counting(io.RawIOBase):
    """A file that keeps nothing but its length."""

    count = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.count += size
        return size


def directions(objectives: Sequence[str], direction: Direction) -> list[str]:
    """`maximize` or `minimize` for each objective."""
    return [direction if name == "score" else "minimize" for name in objectives]


def values_of(evaluated: Evaluated, objectives: Sequence[str], scales: Scales) -> tuple[float, ...]:
    """The values of a candidate, one for each objective."""
    candidate = evaluated.candidate
    known = {"score": lambda: candidate.score, "latency": lambda: candidate.predict_ms_per_row, "size": lambda: scales.kib}
    return tuple(known[name]() for name in objectives)
