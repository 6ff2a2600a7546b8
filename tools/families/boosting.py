"""What the boosting families share: when to stop, and how fast to learn in the time there is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tools.deadline import Deadline
from tools.families.setting import Params

FASTEST_RATE = 0.2
BOOSTED_ROWS = 50_000
"""Rows from which a graphics processor is taken by itself: with fewer, what it takes to start one histogram weighs more than its bins.
The libraries' documents speak of large tables alone, and where the line lies on which hardware was not measured."""
FEWEST_ITERATIONS = 15
"""So many are made though the time is over: what a fit took before its first iteration must not leave a model of one tree."""


def enough_learning(n_rows: int) -> float:
    """Learning rate times iterations at which boosting has usually converged: few rows are soon exhausted."""
    return min(40.0, 4.0 + n_rows / 1000)


def patience_for(params: Params) -> int:
    """Iterations without improvement after which to stop: more where each of them learns less."""
    return int(min(200.0, max(30.0, 4 / float(params["learning_rate"]))))


@dataclass
class Watch:
    """Follows a boosting run: the best iteration so far, whether to stop, seconds per iteration.

    Args:
        patience: iterations without improvement after which to stop; 0 never stops.
    """

    deadline: Deadline
    patience: int = 0
    best: float = float("inf")
    best_iteration: int = 0
    """Number of iterations of the best model, 0 before the first."""
    cut_short: bool = False
    times: list[float] = field(default_factory=list)

    def stop(self, iteration: int, loss: float | None) -> bool:
        """Whether to stop after `iteration` iterations, the last of which left the validation loss `loss`."""
        self.times.append(time.monotonic())
        if loss is not None and loss < self.best:
            self.best, self.best_iteration = loss, iteration
        if loss is not None and self.patience and iteration - self.best_iteration >= self.patience:
            return True
        if self.deadline.expired() and (iteration >= FEWEST_ITERATIONS or self.deadline.ended):
            self.cut_short = True
            return True
        return False

    @property
    def pace(self) -> float | None:
        return pace_of(self.times)


def pace_of(times: list[float]) -> float | None:
    """Seconds per iteration, the first not counted, since it holds the set-up; None for fewer than three.

    Args:
        times: when each iteration ended, in seconds of any one clock.
    """
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 2 else None


def affordable(rounds: int, pace: float, seconds: float) -> int:
    """Iterations out of `rounds` that a fit which cannot be stopped has time for, `FEWEST_ITERATIONS` at least.

    Args:
        pace: seconds per iteration.
        seconds: for the fit; infinite for no bound.
    """
    return min(rounds, max(FEWEST_ITERATIONS, int(min(rounds, seconds / max(pace, 1e-9)))))


def paced(params: Params, pace: float, seconds: float, n_rows: int) -> Params:
    """The same configuration with a learning rate that can converge within `seconds` a fit.

    Args:
        pace: seconds per iteration.
        seconds: for one fit.
    """
    rate = float(params["learning_rate"])
    possible = max(1.0, seconds / max(pace, 1e-9))
    needed = min(FASTEST_RATE, enough_learning(n_rows) / possible)
    return params if needed <= rate else {**params, "learning_rate": round(needed, 4)}
