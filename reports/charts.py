"""Small charts as inline SVG.

Marks are placed in per cent of the width and text stays outside, so a chart fits a phone and a desk alike without
scaling its type. Colours come from the page's style sheet by class. Nothing but numbers goes into the markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_MARGIN = 2.5
"""Per cent kept free on either side, so that marks at the ends are whole."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`, both finite, `low < high`."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Per cent of the width, values beyond the axis at its end."""
        inside = min(self.high, max(self.low, value))
        return round(_MARGIN + (100 - 2 * _MARGIN) * (inside - self.low) / (self.high - self.low), 2)

    def beyond(self, value: float) -> int:
        """-1 left of the axis, 1 right of it, else 0."""
        return -1 if value < self.low else 1 if value > self.high else 0

    def ticks(self, most: int = 5) -> list[float]:
        """Round numbers on the axis, at most `most` and one."""
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * k for k in (1, 2, 2.5, 5, 10) if power * k >= raw)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]

    def tick_texts(self) -> list[str]:
        """The round numbers as text, with as many decimals as tell them apart."""
        places = self.ticks()
        step = places[1] - places[0] if len(places) > 1 else max(abs(places[0]), 1e-9) if places else 1.0
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if any(abs(round(value, decimals) - value) > step / 100 for value in places):
            decimals += 1
        return [f"{value:,.{decimals}f}" for value in places]


def axis_over(values: Sequence[float]) -> Axis:
    """An axis that holds all finite `values` with a little room."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    # Scores that are equal but for rounding are one score: ticks between them would all be the same number.
    spread = high - low if high - low > 1e-9 * max(abs(high), abs(low)) else 0.0
    room = 0.04 * spread or 0.01 * abs(high) or 1.0
    return Axis(low - room, high + room)


def focused_axis(values: Sequence[float], *, whole: Sequence[float]) -> Axis:
    """An axis over the bulk of `values`, by Tukey's fences, and all of `whole`; the rest lies beyond its ends."""
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite:
        return axis_over(whole)
    first, third = finite[len(finite) // 4], finite[(3 * len(finite)) // 4]
    fence = 1.5 * (third - first)
    bulk = [value for value in finite if first - fence <= value <= third + fence]
    return axis_over([*bulk, *whole])


def interval(axis: Axis, score: float, low: float, high: float, kind: str) -> Markup:
    """A score with an interval around it; `kind` is the style class: `holdout`, `cv` or `baseline`."""
    if axis.beyond(score):
        return _svg(26, _grid(axis, 26) + _arrow(axis.beyond(score), 13), kind)
    left, right = axis.place(low), axis.place(high)
    band = _f('<line class="band" x1="{}%" x2="{}%" y1="13" y2="13"/>', left, right) if right > left else Markup("")
    return _svg(26, _grid(axis, 26) + band + _f('<circle class="point" cx="{}%" cy="13" r="5"/>', axis.place(score)), kind)


def folds(axis: Axis, score: float, std_error: float, fold_scores: Sequence[float], *, best: bool) -> Markup:
    """A candidate's fold scores as dots, its score with one standard error to either side."""
    marks = _grid(axis, 34)
    shown = [value for value in fold_scores if math.isfinite(value)]
    for side in sorted({axis.beyond(value) for value in [*shown, score]} - {0}):
        marks += _arrow(side, 17)
    for value in shown:
        if not axis.beyond(value):
            marks += _f('<circle class="fold" cx="{}%" cy="17" r="2.5"/>', axis.place(value))
    if not axis.beyond(score):
        marks += _f('<line class="band" x1="{}%" x2="{}%" y1="17" y2="17"/>', axis.place(score - std_error), axis.place(score + std_error))
        marks += _f('<line class="tick" x1="{0}%" x2="{0}%" y1="10" y2="24"/>', axis.place(score))
    return _svg(34, marks, "folds best" if best else "folds")


def bar(fraction: float) -> Markup:
    """A bar of `fraction` (0 to 1) of the width."""
    fraction = min(1.0, max(0.0, fraction))
    marks = _f('<rect class="track" x="0" y="3" width="100%" height="8" rx="4"/>')
    if fraction > 0:
        marks += _f('<rect class="fill" x="0" y="3" width="{}%" height="8" rx="4"/>', round(max(0.8, 100 * fraction), 2))
    return _svg(14, marks, "bar")


def ticks(axis: Axis, texts: Sequence[str]) -> Markup:
    """The labels under charts that share `axis`."""
    marks = Markup("")
    for value, text in zip(axis.ticks(), texts, strict=True):
        marks += _f('<text x="{}%" y="11" text-anchor="middle">{}</text>', axis.place(value), text)
    return _svg(15, marks, "ticks")


def _grid(axis: Axis, height: int) -> Markup:
    lines = Markup("")
    for value in axis.ticks():
        lines += _f('<line class="grid" x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>', axis.place(value), height)
    return lines


def _arrow(side: int, middle: int) -> Markup:
    """A mark at the end of the axis for what lies beyond it."""
    path = "M8,-5 L2,0 L8,5" if side < 0 else "M-8,-5 L-2,0 L-8,5"
    return _f('<svg class="beyond" x="{}" y="{}"><path d="{}"/></svg>', "0" if side < 0 else "100%", middle, path)


def _svg(height: int, marks: Markup, kind: str) -> Markup:
    return _f('<svg class="chart {}" width="100%" height="{}" aria-hidden="true">{}</svg>', kind, height, marks)


def _f(template: str, *values: object) -> Markup:
    return Markup(template).format(*values)
