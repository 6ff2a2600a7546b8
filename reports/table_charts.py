"""Charts of the data page that show the table: the target, the columns that tell most of it, gaps, relations, and the course in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from reports.figures import compact, share
from reports.plotly_figures import ROW, Bar, Document, Mark, Scale, Series, bars, colour, document, label, plane, rows_axis
from reports.plotly_page import Chart
from reports.visible import visible
from tools.understanding.findings import Relation, Understanding

if TYPE_CHECKING:
    import pandas as pd

    from tools.contract import Contract

MOST_CLASSES, MOST_GAPS, MOST_RELATED = 12, 20, 16
"""Lines of a chart: classes, columns with gaps, and columns that go together."""
MOST_SHAPES = 4
FINEST = 40
"""Bins of a distribution, and moments of a course, at most."""
MEASURES = {"pearson": "Pearson's correlation", "spearman": "Spearman's correlation", "cramers_v": "Cramér's V"}


def table_charts(X: pd.DataFrame, target: pd.Series | None, contract: Contract, found: Understanding) -> Iterator[Chart]:
    """Charts of training rows; one that says nothing of this table is left out.

    Args:
        X: the columns that models see, as the schema has them: numbers as floats, moments as datetimes.
        target: the same rows' target, None where there is none to be drawn.
    """
    if target is not None:
        yield from _target(target, contract)
    numbers = [one.column for one in found.informative if one.column in X and X[one.column].dtype.kind == "f"]
    for name in numbers[:MOST_SHAPES]:
        if (figure := _distribution(X[name], visible(name))) is not None:
            yield Chart(f"Distribution of {visible(name)[:40]}", _said_of(X[name]), figure, f"Distribution of {visible(name)}")
    yield from _gaps(X)
    yield from _related(found.relations)
    if target is not None and contract.predicts == "values":
        yield from _in_time(X, target.to_numpy(dtype="float64", na_value=np.nan), visible(contract.target))


def _target(target: pd.Series, contract: Contract) -> Iterator[Chart]:
    name = visible(contract.target)
    if contract.predicts == "classes":
        counts = target.dropna().astype(str).value_counts()
        rows, n = int(counts.sum()), len(counts)
        lines = [
            Bar(visible(str(one)), int(count), f"{count:,}", f"{visible(str(one))}: {count:,} rows, {share(count / rows)}")
            for one, count in counts.iloc[:MOST_CLASSES].items()
        ]
        note = f"{n} classes in {rows:,} training rows" + (f"; the {MOST_CLASSES} commonest are drawn." if n > MOST_CLASSES else ".")
        yield Chart(
            "The target", note, bars({name: lines}, Scale("training rows")), f"Training rows of {min(n, MOST_CLASSES)} classes of {name}"
        )
    elif contract.predicts in ("values", "quantiles"):
        values = target.astype("float64")
        if (figure := _distribution(values, name)) is not None:
            yield Chart("The target", _said_of(values), figure, f"Distribution of the target {name}")


def _said_of(values: pd.Series) -> str:
    low, middle, high = (float(one) for one in np.nanquantile(values, [0.05, 0.5, 0.95]))
    return f"Half of {int(values.notna().sum()):,} rows lie up to {compact(middle)}, nine in ten from {compact(low)} to {compact(high)}."


def _distribution(values: pd.Series, name: str) -> Document | None:
    """A histogram with as many bins as the spread of its middle half asks for (Freedman and Diaconis 1981); None for a constant."""
    present = values.dropna().to_numpy(dtype="float64")
    present = present[np.isfinite(present)]
    if not len(present) or present.min() == present.max():
        return None
    edges = np.histogram_bin_edges(present, bins="fd")
    if not 5 <= len(edges) - 1 <= FINEST:
        edges = np.linspace(present.min(), present.max(), int(np.clip(len(edges) - 1, 5, FINEST)) + 1)
    counts, _ = np.histogram(present, edges)
    bar = go.Bar(
        x=list((edges[1:] + edges[:-1]) / 2),
        y=counts.tolist(),
        width=list(np.diff(edges)),
        marker={"color": colour(0), "line": {"color": "var(--card)", "width": 1}},
        hovertext=[f"{compact(low)} to {compact(high)}: {n:,} rows" for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)],
        hoverinfo="text",
    )
    return document(
        go.Figure([bar], {"xaxis": {"title": {"text": label(name)}}, "yaxis": {"title": {"text": "training rows"}}, "showlegend": False})
    )


def _gaps(X: pd.DataFrame) -> Iterator[Chart]:
    missing = X.isna().mean().sort_values(ascending=False)
    missing = missing[missing > 0]
    if missing.empty:
        return
    lines = [
        Bar(visible(str(name)), float(part), share(part), f"{visible(str(name))}: {share(part)} missing") for name, part in missing.items()
    ]
    note = f"{len(lines)} of {X.shape[1]} columns have gaps" + (
        f"; the {MOST_GAPS} with most are drawn." if len(lines) > MOST_GAPS else "."
    )
    shown = lines[:MOST_GAPS]
    yield Chart(
        "Missing values",
        note,
        bars({"missing": shown}, Scale("share of training rows")),
        f"Share of missing values in {len(shown)} columns",
    )


def _related(relations: list[Relation]) -> Iterator[Chart]:
    """Columns that go together, as a square of the strongest; pairs that were not told stay empty."""
    names = list(dict.fromkeys(name for one in sorted(relations, key=lambda one: -abs(one.value)) for name in (one.column, one.other)))
    names = names[:MOST_RELATED]
    if len(names) < 3:
        return
    place = {name: k for k, name in enumerate(names)}
    values: list[list[float | None]] = [[None] * len(names) for _ in names]
    told = [[""] * len(names) for _ in names]
    for one in relations:
        if one.column in place and one.other in place:
            text = f"{visible(one.column)} and {visible(one.other)}: {MEASURES[one.measure]} {one.value:.2f}"
            for row, column in ((place[one.column], place[one.other]), (place[one.other], place[one.column])):
                values[row][column], told[row][column] = one.value, text
    places = list(range(len(names)))
    heat = go.Heatmap(
        x=places,
        y=places,
        z=values,
        zmin=-1,
        zmax=1,
        colorscale=[[0, colour(1)], [0.5, "var(--card)"], [1, colour(0)]],
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertext=told,
        hoverinfo="text",
        colorbar={
            "orientation": "h",
            "thickness": 8,
            "len": 0.5,
            "outlinewidth": 0,
            "tickvals": [-1, 0, 1],
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
        },
        meta={"placed": "xy"},
    )
    # Numbers across, since names have no room there on a phone.
    up = rows_axis([f"{k}  {name}" for k, name in enumerate(names, 1)])
    across = {**up, "range": [-0.5, len(names) - 0.5], "ticktext": [str(k) for k in range(1, len(names) + 1)], "ticklabelstandoff": 0}
    figure = go.Figure([heat], {"xaxis": across, "yaxis": up, "height": 120 + ROW * len(names), "showlegend": False})
    yield Chart(
        "Columns that go together",
        "Correlations of numbers (Pearson or Spearman) and associations of categories (Cramér's V). Pairs that are weak are left empty.",
        document(figure),
        f"Relations between {len(names)} columns",
    )


def _in_time(X: pd.DataFrame, values: np.ndarray[Any, np.dtype[Any]], name: str) -> Iterator[Chart]:
    """The mean of the target in equal stretches of the first column of moments."""
    import pandas as pd

    moments = next((column for column in X.columns if X[column].dtype.kind == "M" and X[column].nunique() > 4), None)
    if moments is None:
        return
    when = pd.to_datetime(X[moments]).reset_index(drop=True)
    known = (when.notna() & np.isfinite(values)).to_numpy()
    stretches = pd.cut(when[known], min(FINEST, when[known].nunique()))
    marks: list[Mark] = []
    texts: list[str] = []
    for _, rows in when[known].groupby(stretches, observed=True):
        mean = float(values[rows.index].mean())
        texts.append(str(rows.min().date()))
        marks.append(Mark(len(marks), mean, f"{rows.min().date()} to {rows.max().date()}: {compact(mean)}, {len(rows):,} rows"))
    every = max(1, len(texts) // 6)
    across = Scale(visible(str(moments)), placed=True, texts=tuple(text if k % every == 0 else "" for k, text in enumerate(texts)))
    title = f"mean of {name[:40]}"
    yield Chart(
        f"{title} in time", "Means in equal stretches of time.", plane([Series(name, marks)], across, Scale(title)), f"{title} in time"
    )
