"""Charts within a page: Plotly's JavaScript once, each figure as JSON that ends no element, and all that it says in words beside it.

A page takes it in four places. Its template has `{% import "parts.html" as parts %}` and `{{ parts.figure(chart) }}` for each chart; its
style sheets are `pages.stylesheet("report.css", "plots.css")`; before its script it puts `library(charts)`, and its script is that of
`pages.script(charts)`, whose `script_sources` its Content-Security-Policy names. A page without a chart carries no Plotly. `claims` is
what a chart says, for the ledger; `without` leaves out of it what is on no record.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from reports.plotly_figures import HEIGHT, Document, theme

MOST_VALUES = 60
"""Lines of the table beside a chart; of more marks every so many are told, and all of them by the chart."""
WITHHELD = "withheld"
_COORDINATES = ("x", "y", "z", "values")


class Chart(NamedTuple):
    """A figure of a page."""

    title: str
    note: str
    figure: Document
    label: str
    """What it shows, for who does not see it."""
    event: int | None = None
    steps: str = ""
    """Of a confusion matrix of two classes: what each threshold gives, as `templates/report.js` takes it."""
    called: float = 0.5
    """The threshold that was scored."""

    @property
    def height(self) -> int:
        """Pixels, kept free until it is drawn."""
        return int(self.figure["layout"].get("height", HEIGHT))

    @property
    def told(self) -> list[tuple[str, str]]:
        """Of each mark the series and what is told."""
        traces = [(trace.get("name", ""), _flat(trace.get("hovertext") or trace.get("customdata"))) for trace in self.figure["data"]]
        return [(name, text) for name, texts in traces for text in texts if isinstance(text, str) and text]

    @property
    def values(self) -> list[tuple[str, str]]:
        """What the table beside the chart tells."""
        found = self.told
        return found[:: -(-len(found) // MOST_VALUES)] if found else []


def figure_json(chart: Chart) -> Markup:
    """The figure as JSON, keys sorted; what could end or open an element, and what is no ASCII, is escaped."""
    return _json(chart.figure)


def claims(chart: Chart) -> list[str]:
    """All words and numbers of a chart: those it shows, those it tells a pointer, and the label for who does not see it."""
    return [chart.label, *_words(chart.figure), *(_figure(value) for trace in chart.figure["data"] for value, _ in _numbers(trace))]


def without(chart: Chart, lost: Set[str]) -> Chart:
    """The chart without these of its words, and without the marks that stand for these of its numbers."""
    if not lost:
        return chart
    data = [_cleared(_replaced(trace, lost), lost) for trace in chart.figure["data"]]
    figure = {"data": data, "layout": _replaced(chart.figure["layout"], lost)}
    return chart._replace(figure=figure, label=WITHHELD if chart.label in lost else chart.label)


def library(charts: Sequence[Chart]) -> Markup:
    """Plotly and the theme as data of the page, which its script unpacks; nothing for no chart."""
    if not charts:
        return Markup("")
    packed, _ = _plotly()
    return Markup(
        '<script type="application/json" id="plot-theme">{}</script>\n<script type="application/gzip" id="plotly">{}</script>'
    ).format(_json(theme()), Markup(packed))


def sources(charts: Sequence[Chart]) -> list[str]:
    """What a Content-Security-Policy must allow for these charts: Plotly by its hash, nothing for no chart.

    Parallel coordinates are drawn through WebGL by regl, which compiles functions out of fixed parts of its own.
    """
    compiled = any(trace["type"] == "parcoords" for chart in charts for trace in chart.figure["data"])
    return [f"'sha256-{_plotly()[1]}'"] * bool(charts) + ["'unsafe-eval'"] * compiled


@functools.cache
def _plotly() -> tuple[str, str]:
    """The script that the Python package brings, packed by gzip, in base64; and its hash."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs().encode("utf-8")
    packed = gzip.compress(script, 9, mtime=0)
    return base64.b64encode(packed).decode("ascii"), base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")


def _json(value: Any) -> Markup:
    def dumps(what: Any, **how: Any) -> str:
        return json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False, **how)

    return htmlsafe_json_dumps(value, dumps)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    elif value is not None:
        yield value


def _words(value: Any) -> list[str]:
    """Every text of a figure. Those that name a setting of Plotly's state no number."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _words(one)]


def _numbers(trace: dict[str, Any]) -> Iterator[tuple[float, int]]:
    """What a trace draws, with the place of the mark: coordinates, and the ends of its bars; but what only places a mark."""
    placed = (trace.get("meta") or {}).get("placed", "")
    for key in _COORDINATES:
        if key not in placed:
            for place, value in enumerate(trace.get(key) or ()):
                yield from ((number, place) for number in _flat(value) if isinstance(number, (int, float)))
    for dimension in trace.get("dimensions", ()):
        if "tickvals" not in dimension:  # else its values are places of texts
            yield from ((number, place) for place, number in enumerate(dimension["values"]) if number is not None)
    for key in ("x", "y"):
        bars = trace.get(f"error_{key}") or {}
        for side, ends in ((1, bars.get("array")), (-1, bars.get("arrayminus"))):
            for place, (middle, length) in enumerate(zip(trace.get(key) or (), ends or (), strict=False)):
                if middle is not None and length is not None:
                    yield (length if bars.get("symmetric", True) else middle + side * length), place


def _figure(value: float) -> str:
    """A number as the ledger reads it."""
    return f"{value:.6g}"


def _replaced(value: Any, lost: Set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, lost) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, lost) for inner in value]
    return WITHHELD if isinstance(value, str) and value in lost else value


def _cleared(trace: dict[str, Any], lost: Set[str]) -> dict[str, Any]:
    gone = {place for value, place in _numbers(trace) if _figure(value) in lost}
    if not gone:
        return trace
    lists = {key: trace[key] for key in (*_COORDINATES, "hovertext", "customdata", "text") if isinstance(trace.get(key), list)}
    found = {**trace, **_emptied(lists, gone)}
    for key in {"error_x", "error_y"} & found.keys():
        found[key] = _emptied(found[key], gone)
    if "dimensions" in found:
        found["dimensions"] = [_emptied(dimension, gone) if "tickvals" not in dimension else dimension for dimension in found["dimensions"]]
    return found


def _emptied(part: dict[str, Any], gone: Set[int]) -> dict[str, Any]:
    """A part of a trace with nothing at these places of its lists."""
    return {
        name: [None if place in gone else one for place, one in enumerate(value)] if isinstance(value, list) else value
        for name, value in part.items()
    }
