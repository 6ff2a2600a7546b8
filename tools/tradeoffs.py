"""What a better score costs: the Pareto front of candidates over score, latency, size, readability and fairness, its knee, and advice."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from tools.candidates import ENSEMBLE
from tools.constraints import INTERPRETABLE

ALIKE = 1.1
"""Latencies and sizes within this factor are the same: a measurement on a busy machine is no sharper."""


class Option(BaseModel):
    """A candidate as something to choose."""

    model_config = ConfigDict(frozen=True)

    name: str
    family: str
    score: float
    std_error: float
    latency_ms: float
    """For a single row."""
    size_mb: float
    disparity: float | None = None
    """How much worse the worst-off group fares than the best-off one, see `tools.fairness`; None where nobody asked."""

    @property
    def readable(self) -> bool:
        return self.family in INTERPRETABLE


class TradeOffs(BaseModel):
    """The candidates that nothing beats on every count, and which of them to take."""

    model_config = ConfigDict(frozen=True)

    front: tuple[Option, ...]
    """The best score first."""
    beaten: tuple[Option, ...]
    knee: str
    """Where a little more score begins to cost much more time."""
    recommended: str
    reasons: tuple[str, ...]


def weigh(options: Sequence[Option], *, maximize: bool) -> TradeOffs | None:
    """The front, its knee and a recommendation; None without options.

    The recommendation is the cheapest candidate whose score lies within one standard error of the best (the one-standard-error
    rule of Breiman et al. 1984, section 3.4.3, with milliseconds for the size of a tree), among equals the fairest, then the readable.
    """
    if not options:
        return None
    sign = 1.0 if maximize else -1.0
    # A blend of one candidate is that candidate, and stands behind it.
    ranked = sorted(options, key=lambda o: (-sign * o.score, o.family == ENSEMBLE, o.name))
    front = [o for o in ranked if not any(_dominates(other, o, sign) for other in ranked)]
    beaten = [o for o in ranked if o not in front]
    best = ranked[0]
    enough = [o for o in front if sign * (best.score - o.score) <= best.std_error]
    chosen = min(enough, key=lambda o: (_step(o.latency_ms), o.disparity or 0.0, not o.readable, _step(o.size_mb), ranked.index(o)))
    return TradeOffs(
        front=tuple(front),
        beaten=tuple(beaten),
        knee=knee(front, maximize=maximize),
        recommended=chosen.name,
        reasons=tuple(_reasons(chosen, best, sign)),
    )


def _step(value: float) -> int:
    """Measures on a scale on which alike ones are equal."""
    return round(math.log(max(value, 1e-9), ALIKE))


def _counts(option: Option, sign: float) -> tuple[float, ...]:
    """What more is better of."""
    fair = 0.0 if option.disparity is None else -round(option.disparity, 3)
    return (sign * option.score, -_step(option.latency_ms), -_step(option.size_mb), float(option.readable), fair)


def _dominates(one: Option, other: Option, sign: float) -> bool:
    a, b = _counts(one, sign), _counts(other, sign)
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


def knee(front: Sequence[Option], *, maximize: bool) -> str:
    """The candidate that lies furthest above the line between the two ends of the front of score and latency.

    Both are brought to 0 to 1 first, latency by its logarithm (the distance to the chord: Das 1999, On characterizing the "knee" of
    the Pareto curve based on Normal-Boundary Intersection). With fewer than three points in that plane it is the best score, and so it is
    where none lies above the line: more time pays the more, the more of it there is.
    """
    sign = 1.0 if maximize else -1.0
    plane: list[Option] = []
    for option in sorted(front, key=lambda o: (o.latency_ms, -sign * o.score)):
        if not plane or sign * option.score > sign * plane[-1].score:
            plane.append(option)
    if len(plane) < 3:
        return max(front, key=lambda o: sign * o.score).name
    first, last = plane[0], plane[-1]
    wide = math.log(max(last.latency_ms, 1e-9)) - math.log(max(first.latency_ms, 1e-9))
    high = sign * (last.score - first.score)

    def above(option: Option) -> float:
        x = (math.log(max(option.latency_ms, 1e-9)) - math.log(max(first.latency_ms, 1e-9))) / max(wide, 1e-12)
        return sign * (option.score - first.score) / high - x

    return max(reversed(plane), key=above).name


def _reasons(chosen: Option, best: Option, sign: float) -> list[str]:
    if chosen.name == best.name:
        told = ["it has the best score, and nothing within one standard error of it is quicker"]
    else:
        behind = sign * (best.score - chosen.score)
        told = [f"its score is {behind:.3g} behind the best, less than the standard error of {best.std_error:.3g}"]
        for what, mine, theirs in (("a row takes", chosen.latency_ms, best.latency_ms), ("the file takes", chosen.size_mb, best.size_mb)):
            if _step(mine) < _step(theirs):
                told.append(f"{what} {_times(theirs / max(mine, 1e-9))} less than with {best.name}")
    if chosen.readable:
        told.append("a person can read it")
    if chosen.disparity is not None and best.disparity is not None and chosen.disparity < best.disparity - 0.001:
        told.append("it treats the groups more alike")
    return told


def _times(factor: float) -> str:
    return f"{factor:.2g} times" if factor < 10 else f"{factor:,.0f} times"
