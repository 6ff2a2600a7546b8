"""How a fitted model reads its columns, as ONNX: the number matrices of `tools.features` and `tools.vectorizing`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.package.interchange import NotPossible
from tools.package.onnx_graph import UNKNOWN, Graph

if TYPE_CHECKING:
    from tools.features import TableEncoder

ERA_DAYS, SHIFT = 146_097.0, 719_468.0
"""Days of 400 years, and from the first of March of year 0 to 1970."""


def matrix_of(graph: Graph, encoder: TableEncoder, name: str) -> tuple[str, int]:
    """The matrix of a `TableEncoder`, float32, and its width.

    Raises:
        NotPossible: where it reads free text.
    """
    from tools.features import ONE_HOT_UP_TO

    if encoder.texts:
        raise NotPossible(f"member {name!r} reads the text of column {encoder.texts[0]!r}, whose n-grams ONNX cannot count as it does")
    if encoder.crosses and encoder.crosses.pairs:
        raise NotPossible(f"member {name!r} reads pairs of columns, such as {' and '.join(map(repr, encoder.crosses.pairs[0][:2]))}")
    parts, width = [], 0

    def add(part: str, columns: int) -> None:
        nonlocal width
        parts.append(part)
        width += columns

    for column in encoder.categorical:
        levels = encoder.levels_[column]
        few = len(levels) <= ONE_HOT_UP_TO
        if encoder.style == "codes" or (not few and column not in encoder.wide_):
            codes = {level: [float(code)] for level, code in levels.items()}
            add(graph.looked_up(graph.input(column, "STRING"), codes, [np.nan]), 1)
        elif few and levels:
            marks = dict(zip(levels, np.eye(len(levels)), strict=True))
            add(graph.looked_up(graph.input(column, "STRING"), marks, np.zeros(len(levels))), len(levels))
    for place, column in enumerate(encoder.wide_):
        means, other = _means(encoder, place)
        add(graph.looked_up(graph.input(column, "STRING"), means, other), len(other))
    for column in encoder.numeric:
        add(graph.input(column, "DOUBLE"), 1)
    for column in encoder.dates:
        dated = date_parts(graph, graph.input(column, "DOUBLE"))[: 1 if "date_parts" in encoder.without else None]
        for part in dated:
            add(part, 1)
    if not parts:
        raise NotPossible(f"member {name!r} reads no column, so nothing tells how many rows there are")
    matrix = graph.joined(parts)
    if encoder.style == "dense":
        matrix, width = _scaled(graph, encoder.scaler_, matrix)
    return graph.cast(matrix, "FLOAT"), width


def _means(encoder: TableEncoder, place: int) -> tuple[dict[str, Any], Any]:
    """What scikit-learn's `TargetEncoder` makes of each level of a wide category, and of what is missing or was not seen."""
    levels = encoder.levels_[encoder.wide_[place]]
    codes = np.full((len(levels) + 1, len(encoder.wide_)), -1.0)
    codes[: len(levels), place] = list(levels.values())
    each = encoder.target_width_ // len(encoder.wide_)
    found = np.asarray(encoder.target_.transform(codes))[:, place * each : (place + 1) * each]
    return dict(zip(levels, found[:-1], strict=True)), found[-1]


def _scaled(graph: Graph, scaler: Any, matrix: str) -> tuple[str, int]:
    """A `DenseScaler`: imputed, centred, scaled, squashed, and marked where something was missing."""
    missing = graph.op("IsNaN", matrix)
    filled = graph.op("Where", missing, graph.constant(scaler.median_[None]), matrix)
    scaled = graph.op("Div", graph.op("Sub", filled, graph.constant(scaler.median_)), graph.constant(scaler.scale_))
    squashed = squash(graph, scaled, scaler.limit)
    width = len(scaler.median_) + len(scaler.marked_)
    return graph.joined([squashed, *_marks(graph, missing, scaler.marked_)]), width


def _marks(graph: Graph, missing: str, places: Any) -> list[str]:
    marked = graph.constant(places, np.int64)
    return [graph.op("Gather", graph.cast(missing, "DOUBLE"), marked, axis=1)] if len(places) else []


def squash(graph: Graph, values: str, limit: float) -> str:
    """Values held softly within a limit (Holzmüller et al. 2024)."""
    bounded = graph.op("Div", values, graph.constant(float(limit)))
    root = graph.op("Sqrt", graph.op("Add", graph.op("Mul", bounded, bounded), graph.constant(1.0)))
    return graph.op("Div", values, root)


def date_parts(graph: Graph, days: str) -> list[str]:
    """`tools.features.date_parts` of days since 1970 (n, 1): days, year, month, day, weekday, day of year, hour.

    The calendar is Hinnant's `civil_from_days` ("chrono-compatible low-level date algorithms"), in float64, which holds such days exactly.
    """

    def floor(value: str, by: float = 1.0) -> str:
        return graph.op("Floor", value if by == 1 else graph.op("Div", value, graph.constant(by)))

    def plus(a: str, b: str | float) -> str:
        return graph.op("Add", a, b if isinstance(b, str) else graph.constant(b))

    def minus(a: str, b: str) -> str:
        return graph.op("Sub", a, b)

    def times(a: str, b: float) -> str:
        return graph.op("Mul", a, graph.constant(b))

    def modulo(a: str, b: float) -> str:
        return minus(a, times(floor(a, b), b))

    day = floor(days)
    shifted = plus(day, SHIFT)
    era = floor(shifted, ERA_DAYS)
    of_era = minus(shifted, times(era, ERA_DAYS))
    leaps = minus(plus(minus(of_era, floor(of_era, 1460.0)), floor(of_era, 36_524.0)), floor(of_era, 146_096.0))
    year_of_era = floor(leaps, 365.0)
    of_year = minus(of_era, minus(plus(times(year_of_era, 365.0), floor(year_of_era, 4.0)), floor(year_of_era, 100.0)))
    march = floor(plus(times(of_year, 5.0), 2.0), 153.0)
    day_of_month = plus(minus(of_year, floor(plus(times(march, 153.0), 2.0), 5.0)), 1.0)
    early = graph.op("Less", march, graph.constant(10.0))
    month = graph.op("Where", early, plus(march, 3.0), plus(march, -9.0))
    turned = graph.cast(graph.op("Not", early), "DOUBLE")
    year = plus(plus(year_of_era, times(era, 400.0)), turned)
    before = plus(year, -1.0)  # the first of January lies in the year of March before it
    leap_days = plus(minus(floor(before, 4.0), floor(before, 100.0)), floor(before, 400.0))
    new_year = plus(plus(times(before, 365.0), leap_days), 306.0 - SHIFT)
    day_of_year = plus(minus(day, new_year), 1.0)
    minutes = floor(plus(times(minus(days, day), 1440.0), 1e-5))
    return [days, year, month, day_of_month, modulo(plus(day, 3.0), 7.0), day_of_year, times(minutes, 1 / 60)]


def vectorized(graph: Graph, vectorizer: Any, name: str) -> str:
    """The matrix of `tools.vectorizing`, float64: numbers and few categories, squashed, imputed and marked.

    Raises:
        NotPossible: where it reads texts, dates or categories of many levels.
    """
    columns, scaler, impute = (step for _, step in vectorizer.steps)
    parts, width = [], 0
    for part, transformer, used in columns.transformers_:
        if part == "numbers" and len(used):
            known = transformer.known_
            parts += [graph.input(column, "DOUBLE") for column in known]
            width += len(known)
        elif part == "others" and transformer != "drop" and len(used):
            for column in used:
                table, other = _levels(transformer, column, name)
                if len(other):
                    parts.append(graph.looked_up(graph.input(column, "STRING"), table, other))
                    width += len(other)
    if not parts:
        raise NotPossible(f"member {name!r} reads no column, so nothing tells how many rows there are")
    squashed = _squashed(graph, scaler, graph.joined(parts), width)
    missing = graph.op("IsNaN", squashed)
    filled = graph.op("Where", missing, graph.constant(impute.statistics_[None, :]), squashed)
    return graph.joined([filled, *_marks(graph, missing, impute.indicator_.features_)])


def _levels(vectorizer: Any, column: str, name: str) -> tuple[dict[str, Any], Any]:
    """What a fitted table vectorizer makes of each category of a column, and of what is missing or was not seen.

    It looks at every column by itself, so its own answers to all that a column may hold are the whole of it.
    """
    import pandas as pd

    vectorizer = getattr(vectorizer, "vectorizer", vectorizer)  # within `ByValue`, which packages of older versions do without
    encoder = next((step for step in vectorizer.all_processing_steps_[column] if type(step).__name__ == "OneHotEncoder"), None)
    outputs = vectorizer.input_to_outputs_[column]
    if encoder is None and outputs:
        raise NotPossible(f"member {name!r} reads column {column!r} as text or as a date, by a vectorizer that is not in ONNX here")
    levels = [str(level) for level in encoder.categories_[0] if isinstance(level, str)] if encoder is not None else []
    values = pd.Series([*levels, None, UNKNOWN], dtype=object)
    empty = pd.Series([None] * len(values), dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of every value that it has not seen
        frame = pd.DataFrame({one: values if one == column else empty for one in vectorizer.feature_names_in_})
        found = np.asarray(vectorizer.transform(frame)[outputs], dtype=np.float64) if outputs else np.empty((len(values), 0))
    return {**dict(zip(levels, found, strict=False)), "": found[-2]}, found[-1]


def _squashed(graph: Graph, scaler: Any, matrix: str, width: int) -> str:
    """skrub's `SquashingScaler`: robustly scaled, by the range where quartiles agree, 0 where nothing varies; then squashed."""
    center, scale = np.zeros(width), np.zeros(width)
    if scaler.robust_cols_.any():
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        scale[scaler.robust_cols_] = 1 / scaler.robust_scaler_.scale_
    if scaler.minmax_cols_.any():
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        scale[scaler.minmax_cols_] = scaler.minmax_scaler_.scale_
    scaled = graph.op("Mul", graph.op("Sub", matrix, graph.constant(center)), graph.constant(scale))
    return squash(graph, scaled, float(scaler.max_absolute_value))
