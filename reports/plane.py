"""Planes of points, lines and bands as inline SVG, whose marks carry what they stand for.

A chart is complete without a script. Each mark that has something to tell holds it as text in `data-t`; the page's script shows the
one that a pointer or the arrow keys come to, and lets series be switched off. Lines are stretched to the width, dots and text are not.
"""

from __future__ import annotations

import html
import itertools
import math
import re
from collections.abc import Sequence, Set
from typing import NamedTuple

from markupsafe import Markup

from reports.charts import Axis, axis_over

HEIGHT, FOOT, TOP = 250, 22, 8
"""Pixels: of a chart, of the labels under it, and of what is kept free above."""
COLOURS = 8
_TOLD = re.compile(r'(data-t|aria-label)="([^"]*)"')


class Mark(NamedTuple):
    """A point in units of the axes, and what is told of it."""

    x: float
    y: float
    told: str = ""
    low: float | None = None
    high: float | None = None


class Series(NamedTuple):
    """Marks that belong together."""

    label: str
    marks: Sequence[Mark]
    line: bool = True
    dots: bool = True
    band: bool = False
    """Whether `low` and `high` are one band along the line; else each mark has its own bar."""
    steps: bool = False


def plane(
    series: Sequence[Series],
    label: str,
    *,
    across: Axis | None = None,
    up: Axis | None = None,
    across_texts: Sequence[str] | None = None,
    up_texts: Sequence[str] | None = None,
    guide: Sequence[tuple[float, float]] = (),
) -> Markup:
    """A chart of these series.

    Args:
        label: what it shows, for who does not see it.
        guide: places that a dotted line goes through, such as the diagonal of chance.
    """
    marks = [mark for one in series for mark in one.marks if math.isfinite(mark.x) and math.isfinite(mark.y)]
    across = across or axis_over([mark.x for mark in marks])
    up = up or axis_over([value for mark in marks for value in (mark.y, mark.low, mark.high) if value is not None])
    back = _grid(across, up, across_texts or across.tick_texts(), up_texts or up.tick_texts())
    stretched = Markup("")
    if guide:
        stretched += _f('<polyline class="guide" points="{}"/>', _points([(_x(across, x), _y(up, y)) for x, y in guide]))
    front = Markup("")
    for number, one in enumerate(series):
        shown = [mark for mark in one.marks if math.isfinite(mark.x) and math.isfinite(mark.y)]
        kind = f"s{number % COLOURS}"
        stretched += _f('<g class="{}" data-s="{}">{}</g>', kind, number, _lines(one, shown, across, up))
        front += _f('<g class="{}" data-s="{}">{}</g>', kind, number, _dots(one, shown, across, up))
    inner = _f(
        '<svg y="{}" width="100%" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none">{}</svg>',
        TOP,
        HEIGHT - FOOT - TOP,
        stretched,
    )
    return _f(
        '<svg class="chart plane ticks" width="100%" height="{}" role="img" tabindex="0" aria-label="{}">{}{}{}</svg>',
        HEIGHT,
        label,
        back,
        inner,
        front,
    )


def told(drawn: Markup) -> list[str]:
    """What a chart says in words: to who points at a mark, and to who does not see it."""
    return [html.unescape(text) for _, text in _TOLD.findall(drawn)]


def without(drawn: Markup, lost: Set[str]) -> Markup:
    """The chart with these of its words left out."""
    return Markup(_TOLD.sub(lambda one: f'{one[1]}="withheld"' if html.unescape(one[2]) in lost else one[0], drawn))


def parallel(columns: Sequence[tuple[str, Sequence[float], Sequence[str]]], told: Sequence[str], label: str) -> Markup:
    """Lines across one upright axis a column; the last column is what the others are for, and its value colours a line.

    Args:
        columns: name, places from 0 to 1 of each line, and the texts of bottom and top.
        told: what is told of each line.
    """
    at = [round(4 + 92 * k / max(1, len(columns) - 1), 2) for k in range(len(columns))]
    rise = 100 - 100 * (TOP + 14) / (HEIGHT - FOOT)
    back, stretched, front = Markup(""), Markup(""), Markup("")
    for x, (name, _, ends) in zip(at, columns, strict=True):
        anchor = "start" if x < 10 else "end" if x > 90 else "middle"
        back += _f('<line class="grid" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', x, TOP + 14, HEIGHT - FOOT)
        back += _f('<text class="name" x="{}%" y="{}" text-anchor="{}">{}</text>', x, HEIGHT - 4, anchor, name)
        for text, y in zip(ends, (HEIGHT - FOOT - 3, TOP + 8), strict=True):
            back += _f('<text x="{}%" y="{}" text-anchor="{}">{}</text>', x, y, anchor, text)
    worth = columns[-1][1]
    for number in sorted(range(len(told)), key=lambda k: worth[k]):
        rank = "high" if worth[number] >= 0.9 else "middle" if worth[number] >= 0.5 else "low"
        way = [(x, 100 - rise * places[number]) for x, (_, places, _) in zip(at, columns, strict=True)]
        stretched += _f('<polyline class="way {}" data-k="{}" points="{}"/>', rank, number, _points(way))
        down = round((HEIGHT - FOOT) * (1 - rise / 100 * worth[number]), 1)
        front += _f(
            '<circle class="dot way {}" data-k="{}" data-t="{}" cx="{}%" cy="{}" r="3.5"/>', rank, number, told[number], at[-1], down
        )
    inner = _f('<svg width="100%" height="{}" viewBox="0 0 100 100" preserveAspectRatio="none">{}</svg>', HEIGHT - FOOT, stretched)
    return _f(
        '<svg class="chart plane parallel ticks" width="100%" height="{}" role="img" tabindex="0" aria-label="{}">{}{}{}</svg>',
        HEIGHT,
        label,
        back,
        inner,
        front,
    )


def _lines(one: Series, shown: Sequence[Mark], across: Axis, up: Axis) -> Markup:
    found = Markup("")
    banded = [mark for mark in shown if mark.low is not None and mark.high is not None]
    if one.band and banded:
        there = [(_x(across, m.x), _y(up, m.high or 0.0)) for m in banded]
        back = [(_x(across, m.x), _y(up, m.low or 0.0)) for m in reversed(banded)]
        found += _f('<polygon class="area" points="{}"/>', _points([*there, *back]))
    if one.line and len(shown) > 1:
        places = [(_x(across, mark.x), _y(up, mark.y)) for mark in shown]
        if one.steps:
            places = [places[0], *(p for (_, y), (x, now) in itertools.pairwise(places) for p in ((x, y), (x, now)))]
        found += _f('<polyline class="line" points="{}"/>', _points(places))
    return found


def _dots(one: Series, shown: Sequence[Mark], across: Axis, up: Axis) -> Markup:
    found = Markup("")
    for mark in shown:
        x, y = _x(across, mark.x), _down(up, mark.y)
        if mark.low is not None and mark.high is not None and not one.band:
            found += _f('<line class="bar" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', x, _down(up, mark.low), _down(up, mark.high))
        kind, size = ("dot", 3.5) if one.dots else ("hit", 4)
        if mark.told:
            found += _f('<circle class="{}" data-t="{}" cx="{}%" cy="{}" r="{}"/>', kind, mark.told, x, y, size)
        elif one.dots:
            found += _f('<circle class="dot" cx="{}%" cy="{}" r="{}"/>', x, y, size)
    return found


def _grid(across: Axis, up: Axis, across_texts: Sequence[str], up_texts: Sequence[str]) -> Markup:
    marks = Markup("")
    for value, text in zip(across.ticks(), across_texts, strict=True):
        marks += _f('<line class="grid" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>', across.place(value), TOP, HEIGHT - FOOT)
        marks += _f('<text x="{}%" y="{}" text-anchor="middle">{}</text>', across.place(value), HEIGHT - 6, text)
    for value, text in zip(up.ticks(), up_texts, strict=True):
        marks += _f('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>', _down(up, value))
        marks += _f('<text x="0" y="{}">{}</text>', _down(up, value) - 3, text)
    return marks


def _x(axis: Axis, value: float) -> float:
    return axis.place(value)


def _y(axis: Axis, value: float) -> float:
    return round(100 - axis.place(value), 2)


def _down(axis: Axis, value: float) -> float:
    return round(TOP + (HEIGHT - FOOT - TOP) * (1 - axis.place(value) / 100), 1)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:.6g}" for x, y in places)


def _f(template: str, *values: object) -> Markup:
    return Markup(template).format(*values)
