"""A second layer: one more model, which learns from what the candidates predict out of fold (stacked generalisation, Wolpert 1992).

Where a weighted average can only trust a candidate everywhere alike, a second layer learns which one to trust for which class and
at which level, and one that reads the rows as well, where. It has few rows to learn that from and every reason to overfit, so it must prove
itself: its part in the prediction is chosen like a member's weight, and it is kept only where the whole gains on folds that it never saw
(`tools.ensembling`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.candidates import families_first
from tools.deadline import Deadline, DeadlineReached
from tools.show import progress
from tools.stack import Stack
from tools.stack_fits import SEEDS, Frames, Layer, cross_fitted, log_odds, reading_rows, shrunken
from tools.stack_rows import Forests, readable_columns

if TYPE_CHECKING:
    import pandas as pd

    from tools.candidates import Candidate
    from tools.families.fitted import Fitted
    from tools.preparation import Preparation
    from tools.problem import Problem

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST_ROWS = 500
"""With fewer out-of-fold rows a second layer finds what is not there."""
FEWEST_READ, MOST_READ = 1200, 20_000
"""So it does with fewer than these where it reads the rows themselves; with more, its forests are larger than what they are worth."""
FEWEST_INPUTS, MOST_INPUTS = 3, 12
MOST_COLUMNS = 200
"""What a second layer learns from at most: a column an input and class."""
LEAST_S = 2.0
"""In less time than this none is tried."""
READERS = ("lightgbm", "catboost", "random_forest", "extra_trees")
"""Families that layers are of, and whose like their forests are."""
READING_SHARE = 0.9
"""Share of the time left that a layer which reads the rows may take; the rest is for weighing it."""


@dataclass
class FittedStack:
    """A second layer, fitted on out-of-fold predictions of the training rows."""

    stack: Stack
    fitted: Fitted
    log_target: bool
    besides: tuple[Fitted, ...] = ()
    """The same with other seeds, to be averaged."""
    columns: tuple[str, ...] = ()
    """Of the rows, that it reads."""
    forests: Forests | None = None

    def mixed(self, average: Array, said: dict[str, Array], X: pd.DataFrame | None = None) -> Array:
        """The average of the members with the second layer's part in it.

        Args:
            average: shape (n, k) or (n,).
            said: what each input says of the same rows, in the same shape.
            X: the rows, for a layer that reads them.
        """
        read = log_odds([said[name] for name in self.stack.inputs], self.log_target)
        if self.forests is not None:
            assert X is not None
            read = reading_rows(X[list(self.columns)], read, self.forests.said(X[list(self.columns)]))
        second = np.mean([fitted.predict(read) for fitted in (self.fitted, *self.besides)], axis=0)
        mixed: Array = (1 - self.stack.share) * average + self.stack.share * second
        return mixed


def stackable(problem: Problem) -> bool:
    """Whether a second layer may be tried: it needs probabilities or values for every row, and leaves no promise kept by its inputs."""
    contract, bounds = problem.contract, problem.contract.constraints
    if "second_layer" in bounds.without:
        return False
    plain = contract.predicts in ("classes", "values") and contract.forecast is None
    return plain and problem.n_rows >= FEWEST_ROWS and bool(problem.validated.all()) and not bounds.bounded and not bounds.monotone


def choose_inputs(records: Sequence[Candidate], members: Sequence[str], n_classes: int, refit_s: float | None) -> list[str]:
    """Which candidates a second layer learns from: the members, the best of each other family, since what errs differently tells most, and
    the best others, as many as can be fitted once more in the time.

    Args:
        records: the best first.
        refit_s: most seconds that fitting all of them once may take; None for no limit.
    """
    most = min(MOST_INPUTS, MOST_COLUMNS // max(1, n_classes if n_classes > 2 else 1))
    inside = [r for r in records if r.name in members]
    ordered = inside + families_first([r for r in records if r not in inside], {r.family for r in inside})
    taken: list[str] = []
    seconds = 0.0
    for record in ordered:
        if len(taken) < most and (refit_s is None or seconds + record.refit_seconds <= refit_s):
            taken.append(record.name)
            seconds += record.refit_seconds
    return taken


@dataclass(frozen=True)
class Tried:
    """The best of the second layers that were tried."""

    stack: Stack
    mixed: Array
    """What the whole predicts out of fold."""
    latency_ms: float
    size_mb: float
    """What it adds to the prediction of a single row, and to the model on file."""


def fit_stack(
    said: Array,
    average: Array,
    names: list[str],
    problem: Problem,
    deadline: Deadline,
    preparation: Preparation | None = None,
    barred: Collection[str] = (),
) -> Tried | None:
    """Try second layers, and say which is best; None where none gets a part in the prediction.

    One reads what the inputs say, others the rows as well, as far as time and memory reach. Iterations are counted on other folds than
    the one that they are scored on, and so is a layer's part.

    Args:
        said: out-of-fold predictions of the inputs, (m, repeats · n, k) or (m, repeats · n).
        average: the members' average, crossed, (repeats · n, k) or (repeats · n,).
        names: of the inputs.
        preparation: whose columns may be read; None for none.
        barred: families that no layer may be of.

    Raises:
        DeadlineReached: when the time was over before any had seen every fold.
    """
    from tools.blending import cross_weighed

    sign = 1.0 if problem.contract.direction == "maximize" else -1.0
    best: Tried | None = None
    best_score = -np.inf
    frames: dict[bool, Frames] = {}
    for layer in _layers(problem, preparation, barred):
        reads = layer.preparation is not None
        until = deadline.share(READING_SHARE * deadline.remaining()) if reads else deadline
        try:
            if reads not in frames:
                frames[reads] = Frames.of(layer, said, problem, until.share(until.remaining() / 2))
            made = cross_fitted(layer, frames[reads], problem, until)
        except (DeadlineReached, MemoryError) as error:
            if not reads:
                raise
            progress(skipped=f"second layer of {layer.family} that reads rows", reason=str(error))
            break
        parts, mixed = cross_weighed(np.stack([average, made.oof]), problem, deadline)
        if parts[1] <= 0:
            continue
        _, decided = problem.decide(problem.calibrate(mixed)[1])
        if sign * (value := problem.score(decided)) > best_score:
            best_score = sign * value
            stack = Stack(
                inputs=names,
                family=layer.family,
                params=layer.params,
                share=round(float(parts[1]), 6),
                iterations=made.iterations,
                refit_seconds=round(made.refit_seconds, 3),
                preparation=layer.preparation.name if layer.preparation else None,
            )
            best = Tried(stack, mixed, made.latency_ms, made.size_mb)
    return best


def _layers(problem: Problem, preparation: Preparation | None, barred: Collection[str]) -> list[Layer]:
    """Which second layers are tried, the quickest first.

    None reads rows that go together, by groups or as a sample of more: the trees that have not seen a row have seen its like.
    """
    layers = [shrunken(problem)]
    few = FEWEST_READ <= problem.n_rows <= MOST_READ and problem.contract.sampled_from is None and problem.groups is None
    if preparation is not None and few and readable_columns(preparation) and not {"random_forest", "extra_trees"} & set(barred):
        layers += [Layer.reading(family, problem, preparation) for family in ("lightgbm", "catboost") if family not in barred]
    return [layer for layer in layers if layer.family not in barred]


def refit_stack(
    stack: Stack, said: Array, problem: Problem, preparation: Preparation | None = None, deadline: Deadline | None = None
) -> FittedStack:
    """Fit a second layer on predictions for rows that its inputs had not seen; one that reads rows with further seeds while there is time.

    Args:
        said: of all rows of `problem`, the mean over repeats, (m, n, k) or (m, n).
        preparation: the one that `stack` names.
    """
    deadline = deadline or Deadline()
    layer = Layer(stack.family, dict(stack.params), preparation)
    setting, read, forests = layer.whole(said, problem)
    before = deadline.elapsed()
    fits = [layer.fit(read, problem.y, setting, stack.iterations, setting.seed)]
    took = deadline.elapsed() - before
    while preparation is not None and len(fits) < SEEDS and deadline.remaining() >= 1.5 * took:
        fits.append(layer.fit(read, problem.y, setting, stack.iterations, setting.seed + len(fits)))
    columns = tuple(column.name for column in layer.columns)
    return FittedStack(stack, fits[0], setting.log_target, tuple(fits[1:]), columns, forests)
