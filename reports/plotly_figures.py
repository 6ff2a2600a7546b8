"""Plotly figures in the project's theme, as the documents that Plotly's JavaScript takes: checked by Plotly's Python, the same each time.

How a page uses them (`reports.plotly_page` puts them into it)::

    figure = plane([Series("rows", [Mark(1.0, 2.0, "row 1: 2 of 3")], line=False)], Scale("Length, mm"), Scale("Width, mm"))
    chart = Chart("Length and width", "All rows are drawn.", figure, "Width against length of 3 rows")

Any other `plotly.graph_objects.Figure` becomes one by `document`. Colours are named, never written out: `colour(0)` is that of the first
series, others are CSS variables of the page (`"var(--ink)"`), which its script looks up, and again when light turns to dark. What a mark
stands for is its `hovertext`. All texts are plain words: the page's script escapes, wraps and cuts them for Plotly, which takes some HTML
for markup, so a figure has no templates with markup of its own; a new line in a text is one in the chart. Numbers of a trace are held
against the record by their value; coordinates that only place a mark, such as ranks, are named in its `meta`: `PLACED_X`, `PLACED_Y` or
`PLACED`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from reports.figures import share
from reports.visible import visible

Document = dict[str, Any]
"""`data` and `layout` of a figure, of nothing but JSON's types."""

HEIGHT, ROW = 320, 28
"""Pixels: of a chart, and of a line of one with a line for each bar."""
COLOURS = 8
"""Series that have a colour of their own."""
MOST_LETTERS = 80
"""Of a name; the page's script cuts it further where there is no room."""
PLACED_X, PLACED_Y, PLACED = {"placed": "x"}, {"placed": "y"}, {"placed": "xy"}

_AXIS = {
    "automargin": True,
    "exponentformat": "none",
    "gridcolor": "var(--line)",
    "linecolor": "var(--line)",
    "separatethousands": True,
    "tickfont": {"color": "var(--faint)", "size": 11},
    "title": {"font": {"size": 12}, "standoff": 10},
    "zeroline": False,
}


class Mark(NamedTuple):
    """A point in units of the axes, and what is told of it."""

    x: float
    y: float
    told: str = ""
    low: float | None = None
    high: float | None = None
    error: float | None = None
    """Half the length of a bar around `y`, in place of `low` and `high`."""


class Series(NamedTuple):
    """Marks that belong together."""

    name: str
    marks: Sequence[Mark]
    line: bool = True
    dots: bool = True
    band: bool = False
    """Whether `low` and `high` are one band along the line; else each mark has its own bar."""
    steps: bool = False
    like: int | None = None
    """The number of the series beside which this one is drawn: dashed, in its colour, under its name in the legend."""


class Scale(NamedTuple):
    """What an axis is."""

    title: str = ""
    span: tuple[float, float] | None = None
    """Its ends; as the marks have it where None."""
    log: bool = False
    blank: bool = False
    """Whether its numbers mean nothing and are left out."""
    placed: bool = False
    """Whether its coordinates are no figures of the record, see the module."""
    texts: tuple[str, ...] = ()
    """What stands at 0, 1, 2 …, where its coordinates are places of these."""


class Bar(NamedTuple):
    """A line of a bar chart."""

    name: str
    value: float
    shown: str
    """The value as it stands at the end of the bar."""
    told: str
    error: float | None = None


def plane(
    series: Sequence[Series], across: Scale, up: Scale, *, guide: Sequence[tuple[float, float]] = (), height: int = HEIGHT
) -> Document:
    """Points, lines and bands; a legend where there is more than one series.

    Args:
        guide: places that a dotted line goes through, such as the diagonal of chance.
    """
    traces = []
    if guide:
        line = {"color": "var(--faint)", "dash": "dot", "width": 1}
        x, y = zip(*guide, strict=True)
        traces.append(go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, meta=PLACED))
    placed = {(True, True): PLACED, (True, False): PLACED_X, (False, True): PLACED_Y}.get((across.placed, up.placed))
    for number, one in enumerate(series):
        marks = [mark for mark in one.marks if math.isfinite(mark.x) and math.isfinite(mark.y)]
        if one.band and (band := _band(number, marks, placed)) is not None:
            traces.append(band)
        traces.append(_trace(number, one, marks, placed))
    layout = {"xaxis": axis(across), "yaxis": axis(up), "height": height, "showlegend": sum(one.like is None for one in series) > 1}
    return document(go.Figure(traces, layout))


def bars(groups: Mapping[str, Sequence[Bar]], across: Scale) -> Document:
    """Horizontal bars, the first at the top, with what each is worth at its end; several groups stand beside each other.

    Args:
        groups: by what the legend calls them, all with the same names in the same order.
    """
    names = [bar.name for bar in next(iter(groups.values()))]
    traces = [
        go.Bar(
            orientation="h",
            name=label(name),
            x=[bar.value for bar in rows],
            y=list(range(len(rows))),
            text=[label(bar.shown) for bar in rows],
            textposition="outside" if all(bar.error is None for bar in rows) else "none",
            textfont={"color": "var(--ink)"},
            cliponaxis=False,
            hovertext=[visible(bar.told) for bar in rows],
            hoverinfo="text",
            error_x={"array": [bar.error for bar in rows], "color": "var(--ink)", "thickness": 1.5, "width": 3}
            if any(bar.error is not None for bar in rows)
            else None,
            marker={"color": colour(number)},
            meta=PLACED_Y,
        )
        for number, (name, rows) in enumerate(groups.items())
    ]
    below = max([bar.value for rows in groups.values() for bar in rows if math.isfinite(bar.value)], default=0.0)
    above = min([bar.value for rows in groups.values() for bar in rows if math.isfinite(bar.value)], default=0.0)
    letters = max([len(bar.shown) for rows in groups.values() for bar in rows], default=0)
    room = (0.06 + 0.03 * letters) * (max(below, 0.0) - min(above, 0.0)) or 1.0
    span = (min(above, 0.0) - (1.5 * room if above < 0 else 0.0), max(below, 0.0) + room) if across.span is None else across.span
    layout = {
        "xaxis": axis(across._replace(span=span)),
        "yaxis": rows_axis(names),
        "height": 86 + ROW * len(names) * (1 if len(groups) == 1 else 1 + 0.4 * len(groups)),
        "showlegend": len(groups) > 1,
        "legend": {"traceorder": "normal"},
        "bargap": 0.35,
    }
    return document(go.Figure(traces, layout))


def axis(scale: Scale) -> dict[str, Any]:
    """An axis of a layout."""
    found: dict[str, Any] = {"title": {"text": label(scale.title)}} if scale.title else {}
    if scale.log:
        found |= {"type": "log", "dtick": "D2"}
    if scale.span is not None:
        found["range"] = [math.log10(end) for end in scale.span] if scale.log else list(scale.span)
    if scale.blank:
        found |= {"showticklabels": False}
    if scale.texts:
        found |= {"tickmode": "array", "tickvals": list(range(len(scale.texts))), "ticktext": [label(text) for text in scale.texts]}
    return found


def shares_heatmap(
    shares: Sequence[Sequence[float]], counts: Sequence[Sequence[int]], told: Sequence[Sequence[str]], *, written: bool = True
) -> go.Heatmap:
    """Cells as dark as their shares, 0 to 1; where `written`, counts and shares stand in them.

    Args:
        told: what a reader is told of each cell.
    """
    return go.Heatmap(
        x=list(range(len(shares[0]) if shares else 0)),
        y=list(range(len(shares))),
        z=[list(row) for row in shares],
        zmin=0,
        zmax=1,
        text=[[f"{n:,}\n{share(part)}" for n, part in zip(*row, strict=True)] for row in zip(counts, shares, strict=True)]
        if written
        else None,
        texttemplate="%{text}" if written else None,
        textfont={"color": "var(--ink)", "size": 13},
        hovertext=[list(row) for row in told],
        hoverinfo="text",
        colorscale=[[0, "var(--card)"], [1, "var(--heat)"]],
        showscale=False,
        xgap=3,
        ygap=3,
        meta={"placed": "xy"},
    )


def rows_axis(names: Sequence[str]) -> dict[str, Any]:
    """An upright axis of lines with these names, the first at the top; equal names stay lines of their own."""
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": [label(name) for name in names]}
    return {
        **ticks,
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "ticklabelstandoff": 4,
        "tickfont": {"color": "var(--ink)", "size": 12},
    }


def colour(number: int) -> str:
    """That of a series."""
    return f"var(--s{number % COLOURS})"


def label(text: str) -> str:
    """A name or title, without characters that nobody sees."""
    shown = " ".join(visible(text).split())
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"


def document(figure: go.Figure) -> Document:
    """The figure without Plotly's own theme, with lists and numbers that JSON has."""
    found = figure.to_plotly_json()
    found["layout"].pop("template", None)
    return {"data": [_json(trace) for trace in found["data"]], "layout": _json(found["layout"])}


def theme() -> dict[str, Any]:
    """The template of the layouts of a page."""
    ground, clear = "var(--card)", "rgba(0,0,0,0)"
    layout = {
        "colorway": [colour(number) for number in range(COLOURS)],
        "font": {"color": "var(--soft)", "size": 12},
        "paper_bgcolor": ground,
        "plot_bgcolor": ground,
        "hovermode": "closest",
        "hoverlabel": {
            "align": "left",
            "bgcolor": "var(--ink)",
            "bordercolor": "var(--ink)",
            "font": {"color": "var(--paper)", "size": 13},
        },
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "font": {"color": "var(--ink)"}},
        "margin": {"l": 10, "r": 16, "t": 30, "b": 10},
        "modebar": {"bgcolor": clear, "color": "var(--faint)", "activecolor": "var(--accent)"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
    found: dict[str, Any] = _json(go.layout.Template(layout=layout).to_plotly_json())
    return found


def _band(number: int, marks: Sequence[Mark], placed: Mapping[str, str] | None) -> go.Scatter | None:
    held = [(mark.x, mark.low, mark.high) for mark in marks if mark.low is not None and mark.high is not None]
    if not held:
        return None
    x, low, high = zip(*held, strict=True)
    return go.Scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        fill="toself",
        fillcolor=colour(number),
        opacity=0.16,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=str(number),
        meta=placed,
    )


def _trace(number: int, one: Series, marks: Sequence[Mark], placed: Mapping[str, str] | None) -> go.Scatter:
    number = number if one.like is None else one.like
    bounded = not one.band and any(mark.low is not None or mark.error is not None for mark in marks)
    return go.Scatter(
        x=[mark.x for mark in marks],
        y=[mark.y for mark in marks],
        name=label(one.name),
        mode="+".join(["lines"] * one.line + ["markers"] * one.dots) or "none",
        hovertext=[visible(mark.told) for mark in marks] if any(mark.told for mark in marks) else None,
        hoverinfo="text" if any(mark.told for mark in marks) else "skip",
        line={"color": colour(number), "width": 2, "shape": "hv" if one.steps else "linear", "dash": None if one.like is None else "dash"}
        if one.line
        else None,
        marker={"color": colour(number), "size": 7, "opacity": 0.7} if one.dots else None,
        error_y=_error_bars(number, marks) if bounded else None,
        legendgroup=str(number),
        showlegend=None if one.like is None else False,
        meta=placed,
    )


def _error_bars(number: int, marks: Sequence[Mark]) -> dict[str, Any]:
    style = {"type": "data", "color": colour(number), "thickness": 1.5, "width": 0}
    if any(mark.error is not None for mark in marks):
        return {**style, "array": [mark.error for mark in marks]}
    up = [None if mark.high is None else mark.high - mark.y for mark in marks]
    down = [None if mark.low is None else mark.y - mark.low for mark in marks]
    return {**style, "symmetric": False, "array": up, "arrayminus": down}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _json(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_json(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
