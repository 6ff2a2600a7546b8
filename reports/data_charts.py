"""The charts of the data page: the table itself, how the target goes along the columns that tell most of it, and all rows in a plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from reports.facts import RunFacts
from reports.figures import compact
from reports.plotly_figures import COLOURS, Mark, Scale, Series, plane
from reports.plotly_page import Chart
from reports.table_charts import table_charts
from reports.visible import visible
from tools.columns import coerce
from tools.contract import Contract, TableSchema
from tools.understanding.findings import Understanding
from tools.understanding.picture import ROWS, Picture, pictures
from tools.understanding.whole import some_rows

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

MOST_ALONG = 4
"""Columns that the target is drawn along."""
LEAST_TOLD = 0.01
"""Of what there is to know of the target, that a column must tell by itself to be drawn."""
BINS, MOST_LEVELS = 10, 12
FEWEST = 5
"""Rows of a bin, at least."""
NEAR = {
    "UMAP": "Rows that are alike in all columns lie near each other, by UMAP. Distances between groups, and axes, mean nothing.",
    "t-SNE": "Rows that are alike in all columns lie near each other, by t-SNE (UMAP where umap-learn is installed). Distances between"
    " groups, and axes, mean nothing.",
}


def data_charts(facts: RunFacts, found: Understanding, frame: pd.DataFrame, schema: TableSchema) -> list[Chart]:
    """Charts of the training rows; a chart that the table does not allow is left out."""
    contract = facts.contract
    assert contract is not None
    X = coerce(frame, schema.without([column.name for column in schema.columns if column.name not in frame]))
    target = frame[contract.target] if contract.target in frame and contract.predicts != "labels" else None
    return [
        *table_charts(X.drop(columns=contract.target, errors="ignore"), target, contract, found),
        *_along(X, target, contract, found),
        *_maps(X, target, contract, schema, found),
    ]


def _maps(X: pd.DataFrame, target: pd.Series | None, contract: Contract, schema: TableSchema, found: Understanding) -> Iterator[Chart]:
    without = {one.column for one in found.readings if one.kind in ("identifier", "constant")}
    rows = some_rows(len(X), ROWS, contract.seed)
    some = X.iloc[rows].reset_index(drop=True)
    parts = _parts(None if target is None else target.iloc[rows].reset_index(drop=True), contract, len(rows))
    for picture in pictures(some, schema.columns, without, contract.seed):
        yield _map(picture, parts, len(rows))


def _map(picture: Picture, parts: list[tuple[str, Array, list[str]]], n: int) -> Chart:
    x, y = picture.places.T
    series = [
        Series(label, [Mark(float(x[i]), float(y[i]), told[k]) for k, i in enumerate(places)], line=False) for label, places, told in parts
    ]
    if picture.held is not None:
        first, second = picture.held
        note = f"{n:,} training rows, every column counting alike; what is drawn holds {first + second:.0%} of the variance."
        across, up = Scale(f"first component, {first:.0%} of the variance"), Scale(f"second component, {second:.0%}")
        title = "All rows by principal components"
    else:
        title, note = "Rows and their neighbours", f"{n:,} training rows. {NEAR[picture.way]}"
        across = up = Scale(blank=True)
    return Chart(title, note, plane(series, across, up), f"{title}, {n} rows")


def _parts(target: pd.Series | None, contract: Contract, n: int) -> list[tuple[str, Array, list[str]]]:
    """Rows by their target: label, positions, and what is told of each. Classes each, the rarest together; numbers in thirds."""
    if target is None:
        return [("rows", np.arange(n), [""] * n)]
    name = visible(contract.target)[:40]
    known = np.flatnonzero(target.notna().to_numpy())
    texts = [visible(_text(value))[:40] for value in target]
    told = [f"{name}: {text}" for text in texts]
    if contract.predicts == "classes":
        common = list(target.astype(str).value_counts().index)
        shown = common if len(common) <= COLOURS else common[: COLOURS - 1]
        labels = target.astype(str).to_numpy()
        parts = [(visible(label)[:40], np.flatnonzero(labels == label)) for label in sorted(shown)]
        if len(shown) < len(common):
            parts.append((f"{len(common) - len(shown)} others", np.flatnonzero(~np.isin(labels, shown))))
    else:
        values = target.to_numpy(dtype="float64", na_value=np.nan)
        low, high = np.nanquantile(values, [1 / 3, 2 / 3])
        place = np.where(values <= low, 0, np.where(values <= high, 1, 2))
        labels_of = (f"up to {compact(low)}", f"up to {compact(high)}", "above")
        parts = [(label, known[place[known] == k]) for k, label in enumerate(labels_of)]
    return [(label, rows, [told[i] for i in rows]) for label, rows in parts if len(rows)]


def _text(value: Any) -> str:
    return compact(value) if isinstance(value, float) else str(value)


def _along(X: pd.DataFrame, target: pd.Series | None, contract: Contract, found: Understanding) -> Iterator[Chart]:
    """The target along the columns that tell most of it: the mean of a number, the shares of classes."""
    if target is None or contract.predicts not in ("classes", "values", "quantiles"):
        return
    wanted, up = _wanted(target, contract)
    for one in [each for each in found.informative if each.column in X and each.share >= LEAST_TOLD][:MOST_ALONG]:
        bins = _bins(X[one.column])
        if len(bins) < 2:
            continue
        numeric = X[one.column].dtype.kind == "f"
        series = []
        for label, values in wanted:
            marks = []
            for place, (text, middle, rows) in enumerate(bins):
                mean = float(values[rows].mean())
                error = 1.96 * float(values[rows].std()) / np.sqrt(len(rows))
                told = f"{text}: {compact(mean)} ± {compact(error)}, {len(rows):,} rows"
                marks.append(
                    Mark(middle if numeric else place, mean, f"{label}, {told}" if len(wanted) > 1 else told, mean - error, mean + error)
                )
            series.append(Series(label, marks, line=numeric))
        name = visible(one.column)
        note = f"It tells {one.share:.0%} of what there is to know of the target by itself. Bars are 95 % intervals of the mean."
        across = Scale(name) if numeric else Scale(name, (-0.5, len(bins) - 0.5), texts=tuple(text for text, _, _ in bins))
        yield Chart(f"{up} along {name[:40]}", note, plane(series, across, Scale(up)), f"{up} along {name}")


def _wanted(target: pd.Series, contract: Contract) -> tuple[list[tuple[str, Array]], str]:
    """What is averaged, and what it is called."""
    name = visible(contract.target)[:40]
    if contract.predicts != "classes":
        return [(name, target.to_numpy(dtype="float64", na_value=np.nan))], f"mean of {name}"
    labels = target.astype(str).to_numpy()
    if contract.positive is not None:
        return [(name, (labels == contract.positive).astype("float64"))], f"share of {visible(contract.positive)[:40]}"
    common = list(target.astype(str).value_counts().index[:COLOURS])
    return [(visible(label)[:40], (labels == label).astype("float64")) for label in sorted(common)], f"share of {name}"


def _bins(values: pd.Series) -> list[tuple[str, float, Array]]:
    """Label, middle and rows of tenths of a column of numbers, and of the commonest levels of any other."""
    import pandas as pd

    found: list[tuple[str, float, Array]] = []
    if values.dtype.kind == "f" and values.nunique() > 2:
        codes = pd.qcut(values, BINS, labels=False, duplicates="drop").to_numpy(dtype="float64")
        for code in np.unique(codes[~np.isnan(codes)]):
            rows = np.flatnonzero(codes == code)
            within = values.iloc[rows]
            text = f"{compact(float(within.min()))} to {compact(float(within.max()))}"
            found.append((text, float(within.median()), rows))
    elif values.dtype.kind != "M":
        texts = values.astype("str").where(values.notna(), "missing").to_numpy()
        counts = pd.Series(texts).value_counts()
        found = [(visible(str(level))[:40], 0.0, np.flatnonzero(texts == level)) for level in counts.index[:MOST_LEVELS]]
    return [one for one in found if len(one[2]) >= FEWEST]
