"""The steps of a preparation: transformers that take raw rows and are fitted inside each fold, on what its model learns from.

A step is written `step=way`, and `step=way:column,column` where it is for some columns alone. However they are listed, they run in the
order of `WAYS`: what marks gaps before what fills them, what makes columns before what chooses among them, rows last.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.steps.base import Step

WAYS: dict[str, tuple[str, ...]] = {
    "outliers": ("flag", "clip", "transform", "drop"),
    "impute": ("indicator", "interpolate", "simple", "knn", "iterative"),
    "make": ("dates", "ratios", "interactions", "aggregates"),
    "encode": ("onehot", "ordinal", "target", "binary", "hashing", "strings", "gap", "tfidf", "dates"),
    "scale": ("standard", "minmax", "robust", "quantile", "power", "squash"),
    "select": ("mi", "rfe", "l1", "shadow", "stability"),
    "reduce": ("pca",),
    "resample": ("over", "under", "smote", "tomek"),
}
FORM = re.compile(r"\s*([a-z]+)\s*=\s*([a-z0-9]+)\s*(?::\s*(.+?)\s*)?")


def told() -> str:
    """All steps and their ways, as an error names them."""
    return "; ".join(f"{step}={'|'.join(ways)}" for step, ways in WAYS.items())


def is_step(name: str) -> bool:
    """Whether a name is written as a step is, and is none of a package's preparer."""
    return "=" in name


def parsed(spec: str) -> tuple[str, str, tuple[str, ...]]:
    """A step, its way and its columns.

    Raises:
        ValueError: for what is none, with the nearest that is one.
    """
    found = FORM.fullmatch(spec)
    if found is None or found[1] not in WAYS or found[2] not in WAYS[found[1]]:
        near = get_close_matches(spec.strip(), every(), n=1, cutoff=0.5)
        raise ValueError(f"no step {spec!r}{f'; nearest is {near[0]!r}' if near else ''}. Steps: {told()}.")
    columns = tuple(name.strip() for name in found[3].split(",")) if found[3] else ()
    return found[1], found[2], columns


def every() -> list[str]:
    """All steps, without columns."""
    return [f"{step}={way}" for step, ways in WAYS.items() for way in ways]


def in_order(specs: list[str]) -> list[str]:
    """Steps as they run, written alike, each once.

    Raises:
        ValueError: for what is no step.
    """
    places = {spec: place for place, spec in enumerate(every())}
    written = {}
    for spec in specs:
        step, way, columns = parsed(spec)
        written[f"{step}={way}{':' + ','.join(columns) if columns else ''}"] = places[f"{step}={way}"]
    return sorted(written, key=lambda spec: written[spec])


def make_step(spec: str, target: str, seed: int) -> Step:
    """An unfitted step.

    Args:
        target: what `y` will be, see `tools.steps.base.Step`.

    Raises:
        ValueError: for what is no step.
    """
    from tools.steps import encoding, imputing, making, outliers, resampling, scaling, selecting

    step, way, columns = parsed(spec)
    makers: dict[str, type[Step]] = {
        "impute=indicator": imputing.Indicate,
        "impute=interpolate": imputing.Interpolate,
        "impute": imputing.Impute,
        "outliers=drop": outliers.DropOutliers,
        "outliers": outliers.Outliers,
        "make=dates": making.BetweenDates,
        "make=aggregates": making.Aggregates,
        "make": making.Pairs,
        "encode=onehot": encoding.OneHot,
        "encode=ordinal": encoding.Ordinal,
        "encode=target": encoding.TargetMeans,
        "encode=binary": encoding.Bits,
        "encode=hashing": encoding.Bits,
        "encode=dates": encoding.DateParts,
        "encode": encoding.Strings,
        "scale": scaling.Scale,
        "select": selecting.Select,
        "reduce": selecting.Components,
        "resample": resampling.Resample,
    }
    maker = makers.get(f"{step}={way}") or makers[step]
    return maker(way=way, columns=columns, target=target, random_state=seed)
