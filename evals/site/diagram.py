"""The critical-difference diagram of Demšar 2006: average ranks on one axis, and bars over systems that are not told apart."""

from __future__ import annotations

from markupsafe import Markup

from evals.figures import Standing
from reports.charts import Axis
from reports.visible import visible

LEFT, RIGHT = 21.0, 79.0
"""Per cent of the width that the axis takes; names stand on either side of it."""
RULER, AXIS, FIRST_BAR, BAR, ROW = 14, 44, 56, 9, 24
"""Pixels from the top: the ruler, the axis, the first bar; and between bars, and between rows of names."""
MOST_CHARS = 26


def diagram(standing: Standing) -> Markup:
    """The diagram as inline SVG, which fits any width; nothing where ranks were not tested.

    The best rank is at the left. A bar joins systems whose ranks differ by less than the critical difference, which the ruler shows.
    """
    test = standing.test
    ranked = [(place.system, place.rank) for place in standing.places if place.rank is not None]
    if test is None or len(ranked) < 2:
        return Markup("")
    axis = Axis(1.0, float(len(ranked)))
    at = {system: _place(axis, rank.value) for system, rank in ranked}
    names = AXIS + 18 + BAR * len(test.groups) + ROW
    half = (len(ranked) + 1) // 2
    height = names + ROW * (half - 1) + 12
    marks = _ruler(axis, test.critical_difference) + _axis(axis)
    for number, group in enumerate(test.groups):
        y = FIRST_BAR + BAR * number
        ends = at[group[0]], at[group[-1]]
        marks += _f('<line class="clique" x1="{}%" x2="{}%" y1="{}" y2="{}"/>', ends[0] - 0.6, ends[1] + 0.6, y, y)
    for number, (system, rank) in enumerate(ranked):
        left = number < half
        y = names + ROW * (number if left else len(ranked) - 1 - number)
        told = f"{visible(system)}: average rank {rank.value:.2f}"
        if rank.low is not None and rank.high is not None:
            told += f", 95 % interval {rank.low:.2f} to {rank.high:.2f}"
        x, edge = at[system], 0 if left else 100
        marks += _f('<line class="stem" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', x, AXIS, y)
        marks += _f('<line class="stem" x1="{}%" x2="{}%" y1="{}" y2="{}"/>', x, edge, y, y)
        label = f"{_cut(system)}  {rank.value:.2f}" if left else f"{rank.value:.2f}  {_cut(system)}"
        marks += _f('<text class="name" x="{}%" y="{}" text-anchor="{}">{}</text>', edge, y - 5, "start" if left else "end", label)
        marks += _f('<circle class="dot" cx="{}%" cy="{}" r="3.5"><title>{}</title></circle>', x, AXIS, told)
    label = f"Average ranks of {len(ranked)} systems over {test.tasks} tasks, critical difference {test.critical_difference:.2f}"
    return _f('<svg class="chart cd ticks" width="100%" height="{}" role="img" aria-label="{}">{}</svg>', height, label, marks)


def _place(axis: Axis, rank: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * (rank - axis.low) / (axis.high - axis.low), 2)


def _ruler(axis: Axis, difference: float) -> Markup:
    """As long as the critical difference, or as the axis with an arrow where it is longer than that."""
    fits = difference <= axis.high - axis.low
    end = _place(axis, axis.low + difference) if fits else RIGHT
    text = f"critical difference {difference:.2f}" + ("" if fits else ", longer than the axis")
    ends = Markup("").join(_f('<line class="rule" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', x, RULER + 2, RULER + 10) for x in (LEFT, end))
    line = _f('<line class="rule" x1="{}%" x2="{}%" y1="{}" y2="{}"/>', LEFT, end, RULER + 6, RULER + 6)
    return _f('<text x="{}%" y="{}">{}</text>', LEFT, RULER - 3, text) + ends + line


def _axis(axis: Axis) -> Markup:
    marks = _f('<line class="rule" x1="{}%" x2="{}%" y1="{}" y2="{}"/>', LEFT, RIGHT, AXIS, AXIS)
    for value in axis.ticks(8):
        if value == round(value):
            marks += _f('<line class="rule" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', _place(axis, value), AXIS - 5, AXIS)
            marks += _f('<text x="{}%" y="{}" text-anchor="middle">{:.0f}</text>', _place(axis, value), AXIS - 8, value)
    return marks


def _cut(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= MOST_CHARS else shown[: MOST_CHARS - 1] + "…"


def _f(template: str, *values: object) -> Markup:
    return Markup(template).format(*values)
