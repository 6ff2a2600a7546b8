"""Grids: every combination of a few values of each parameter, taken from a search space or given.

A space is a function of a trial, and what it asks for may depend on what it was given before. So a grid is walked: the space
is asked again and again, each time with the next combination of answers, until none is left.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Point = dict[str, Any]
"""Answers to what the space asks for, by name."""
Draw = Callable[[Any], Any]

MOST_POINTS = 512
LEVELS = (5, 4, 3, 2)
"""Values of a number: as many as keep the grid within its bound."""


def derived(draw: Draw, seed: int, most: int = MOST_POINTS) -> list[Point]:
    """A grid over a whole space, in an order that covers it from the beginning; at most `most` points.

    Numbers take values from end to end, evenly or on the logarithmic scale as the space has them; categories all of theirs. A space
    that has more than `most` combinations with two values a number gives as many of them, drawn at random.
    """
    rng = np.random.default_rng(seed)
    points = next((found for levels in LEVELS if (found := _walked(draw, levels, most)) is not None), None)
    if points is None:
        return _some(draw, rng, most)
    return [points[i] for i in rng.permutation(len(points))]


def given(draw: Draw, values: Mapping[str, list[Any]], start: Mapping[str, Any]) -> list[Point]:
    """Every combination of given values; parameters that are not among them stay as in `start`.

    Raises:
        ValueError: when the space never asks for a name, does not hold a value, or there are more than 512 combinations.
    """
    count = int(np.prod([len(options) for options in values.values()])) if values else 0
    if not 0 < count <= MOST_POINTS:
        raise ValueError(f"the grid has {count} points, expected 1 to {MOST_POINTS}")
    points: dict[str, Point] = {}
    asked: set[str] = set()
    for combination in itertools.product(*values.values()):
        wanted = dict(zip(values, combination, strict=True))
        walk = _Walk(2, [], fixed=wanted, preferred=start)
        draw(walk)
        asked |= set(walk.answers)
        # What this branch of the space does not ask for makes no difference.
        points.setdefault(key(walk.answers), walk.answers)
    if strange := [name for name in values if name not in asked]:
        raise ValueError(f"no parameter {', '.join(map(repr, strange))} is searched; there are {', '.join(sorted(asked))}")
    return list(points.values())


def key(point: Mapping[str, Any]) -> str:
    """What two points share when they are one."""
    return json.dumps(point, sort_keys=True)


def _walked(draw: Draw, levels: int, most: int) -> list[Point] | None:
    """All combinations; None when there are more than `most`."""
    points: list[Point] = []
    path: list[int] | None = []
    while path is not None:
        walk = _Walk(levels, path)
        draw(walk)
        points.append(walk.answers)
        if len(points) > most:
            return None
        path = walk.following()
    return points


def _some(draw: Draw, rng: np.random.Generator, most: int) -> list[Point]:
    points: dict[str, Point] = {}
    for _ in range(4 * most):
        walk = _Walk(2, [], rng=rng)
        draw(walk)
        points.setdefault(key(walk.answers), walk.answers)
        if len(points) == most:
            break
    return list(points.values())


class _Walk:
    """Takes an Optuna trial's place and answers from a grid.

    Args:
        levels: values of a number.
        path: which option each question is answered with, in their order; the first one beyond it.
        fixed: answers by name, which go before; an answer that the space does not hold is refused.
        preferred: answers that are taken where the space holds them.
        rng: draws the options instead.
    """

    def __init__(
        self,
        levels: int,
        path: list[int],
        *,
        fixed: Mapping[str, Any] | None = None,
        preferred: Mapping[str, Any] | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.answers: Point = {}
        self._levels, self._path, self._rng = levels, path, rng
        self._fixed, self._preferred = fixed or {}, preferred or {}
        self._taken: list[tuple[int, int]] = []

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        values = np.geomspace(low, high, self._levels) if log else np.linspace(low, high, self._levels)
        if step:
            values = low + np.round((values - low) / step) * step
        options = sorted({min(max(float(f"{value:.6g}"), low), high) for value in values})
        return float(self._answer(name, options, lambda value: low <= value <= high, f"{low:g} to {high:g}"))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        values = np.geomspace(low, high, self._levels) if log else np.linspace(low, high, self._levels)
        options = sorted({int(low + round((value - low) / step) * step) for value in values})
        expected = f"whole numbers from {low} to {high}"
        return int(self._answer(name, options, lambda value: low <= value <= high and value == int(value), expected))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        options = list(choices)
        return self._answer(name, options, lambda value: value in options, f"one of {options}")

    def following(self) -> list[int] | None:
        """The path of the next combination; None after the last."""
        taken = self._taken
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken = taken[:-1]
        return [*(option for option, _ in taken[:-1]), taken[-1][0] + 1] if taken else None

    def _answer(self, name: str, options: list[Any], holds: Callable[[Any], bool], expected: str) -> Any:
        if name in self.answers:
            return self.answers[name]
        if name in self._fixed:
            value = self._fixed[name]
            if not _held(value, holds):
                raise ValueError(f"{name}={value!r}: expected {expected}")
        elif name in self._preferred and _held(self._preferred[name], holds):
            value = self._preferred[name]
        else:
            depth = len(self._taken)
            option = int(self._rng.integers(len(options))) if self._rng else self._path[depth] if depth < len(self._path) else 0
            self._taken.append((option, len(options)))
            value = options[option]
        self.answers[name] = value
        return value


def _held(value: Any, holds: Callable[[Any], bool]) -> bool:
    try:
        return holds(value)
    except (TypeError, ValueError):  # a text where numbers are compared
        return False
