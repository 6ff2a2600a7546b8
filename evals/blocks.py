"""The attempts on a task by seed and fold, and what each is worth there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from evals.attempts import Attempt, differ
from evals.ranking import ranks, same

DUMMY = "dummy"
"""The system whose score is the 0 of normalised scores."""
WORST = -1.0
"""Normalised scores end here, so that one task on which a system is absurdly bad does not outweigh all others."""

Array = np.ndarray[Any, np.dtype[Any]]


class Block(NamedTuple):
    """The attempts of all systems with one seed on one fold of a task."""

    place: tuple[int, int]
    by_system: dict[str, Attempt]


class TaskBlocks:
    """One task's attempts by block, and what each is worth."""

    def __init__(self, name: str, attempts: Sequence[Attempt], systems: Sequence[str]) -> None:
        self.name, self.attempts, self.systems = name, attempts, systems
        self.outcomes = any(attempt.right is not None for attempt in attempts)
        blocks: dict[tuple[int, int], dict[str, Attempt]] = {}
        for attempt in (attempt for attempt in attempts if attempt.system in systems):
            blocks.setdefault((attempt.seed, attempt.fold), {})[attempt.system] = attempt
        self.blocks = [Block(place, blocks[place]) for place in sorted(blocks)]
        # An attempt that was lost before anything was scored may not know its metric.
        scored = [attempt for attempt in attempts if attempt.score is not None] or [a for a in attempts if a.metric] or attempts
        self.metrics = sorted({(attempt.metric, attempt.direction) for attempt in scored})
        comparable = self.outcomes or len(self.metrics) == 1
        whole = [block for block in self.blocks if len(block.by_system) == len(systems)] if comparable else []
        self.unlike = [block for block in whole if differ(block.by_system.values())]
        """Seeds and folds on which systems had different rows, as where a suite was changed between two calls."""
        self.shared = [block for block in whole if block not in self.unlike]

    def worth(self, attempt: Attempt) -> float | None:
        """Higher is better; None where it failed."""
        if self.outcomes:
            return 1.0 if attempt.right else 0.0
        score = counted(attempt)
        return None if score is None else score if attempt.direction == "max" else -score

    def worths(self, system: str) -> list[float | None]:
        """On the shared seeds and folds."""
        return [self.worth(block.by_system[system]) for block in self.shared]

    def ranks(self) -> Array:
        """Of each system on each shared seed and fold, shape (blocks, systems)."""
        return np.array([ranks([self.worth(block.by_system[system]) for system in self.systems]) for block in self.shared])

    def normalised(self) -> dict[str, list[float]] | None:
        """Of each system on each shared seed and fold; None where no system is better than the dummy."""
        worths = {system: self.worths(system) for system in self.systems}
        if self.outcomes:
            return {system: [value or 0.0 for value in mine] for system, mine in worths.items()}
        means = {s: float(np.mean(there)) for s, mine in worths.items() if (there := [value for value in mine if value is not None])}
        if not means:
            return None
        floor, best = means.get(DUMMY, min(means.values())), max(means.values())
        if best <= floor or same(best, floor):
            return None
        return {
            system: [0.0 if value is None else max(WORST, (value - floor) / (best - floor)) for value in mine]
            for system, mine in worths.items()
        }


def counted(attempt: Attempt) -> float | None:
    """The score of an attempt that ended well; None for any other."""
    return attempt.score if attempt.status == "ok" and attempt.score is not None and math.isfinite(attempt.score) else None


def ending(status: str) -> str:
    """How attempts that failed ended, in words: predictions that the grader took fail where their task asks for something else."""
    return "not right" if status == "ok" else status.replace("_", " ")


def rightly(share: float, attempts: int) -> str:
    """What of the attempts on a task that is judged by the outcome had the right one: `right`, `not right`, `2 of 3 right`."""
    right = round(share * attempts)
    if right in (0, attempts):
        return "right" if right else "not right"
    return f"{right} of {attempts} right"


def well(attempt: Attempt) -> bool:
    """Whether an attempt has what its task asks for: the right outcome, or else a score that counts."""
    return attempt.right if attempt.right is not None else counted(attempt) is not None
