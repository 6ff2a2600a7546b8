"""Rows that belong together, and rows that follow one another: what a split must respect.

Proof is in the target: where it is more alike within the values of a key, or from one moment to the next, than chance makes it, rows
dealt at random would let a model look up what it is to predict.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.understanding.findings import Ordering
from tools.understanding.kinds import BEINGS, THINGS, named_like_a_key

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

BEING = re.compile(rf"(^|[\W_])({BEINGS})s?$", re.I)
"""A column that is called so names them. `employee_title` does not, and a `company` or `shop` is as a rule met again."""
ENTITY = re.compile(rf"(^|[\W_])({BEINGS}|{THINGS})s?([\W_]|(id|nr)$)", re.I)
"""What a key is a key of, as in `store_id`."""
FEWEST_GROUPS = 10
PERMUTATIONS, DEVIATIONS, LEAST_EFFECT = 30, 6.0, 0.2
"""Times that the target is shuffled, standard deviations beyond which likeness is no chance, and how much of it matters."""
NAME_ALONE, ALIKE = 0.5, 0.35
RECORDED = 0.75
"""Share of rows that do not go back in time, or not forward, from which a table was written down in its order. In shuffled ones half do."""


def levels(target: pd.Series) -> Array:
    """A target as codes: classes as they are, numbers of many values by fifths; missing ones are a level of their own."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(target) and target.nunique() > 20:
        cut = pd.qcut(target.rank(method="first"), 5, labels=False)
        return cut.fillna(-1).to_numpy().astype(np.int64) + 1
    return pd.factorize(target)[0] + 1


def groups(frame: pd.DataFrame, target: str) -> list[Ordering]:
    """Columns that may say which rows belong together, the surest first."""
    y, n, found = levels(frame[target]), len(frame), []
    for name in map(str, frame.columns):
        values = frame[name]
        keyed, being = named_like_a_key(name), BEING.search(name) is not None
        if name == target or not (keyed or being) or (values.dtype.kind == "f" and not (values.dropna() % 1 == 0).all()):
            continue
        distinct = int(values.astype(str).nunique() if values.dtype == object else values.nunique())
        # Fewer than two rows for most values, or a tenth of the table for one, is no group to hold together.
        if not FEWEST_GROUPS <= distinct <= 0.7 * n:
            continue
        effect, deviations = likeness(np.unique(values.astype(str), return_inverse=True)[1], y)
        alike = effect >= LEAST_EFFECT and deviations >= DEVIATIONS
        # A key of nothing that is known may be one of products or places, which a model meets again.
        known = 0.1 if keyed and ENTITY.search(name) else 0.0 if being else -0.1
        confidence = NAME_ALONE + known + (ALIKE if alike else 0.0)
        reasons = [f"is named like {'a key' if keyed else 'those whom rows are about'}", f"{n / distinct:.1f} rows a value"]
        reasons.append(f"the target is {'more alike' if alike else 'no more alike'} within its values than chance makes it")
        found.append(Ordering(column=name, kind="group", confidence=round(confidence, 2), reasons="; ".join(reasons)))
    return sorted(found, key=lambda one: -one.confidence)


def likeness(groups: Array, y: Array) -> tuple[float, float]:
    """How much more often two rows of a group have the same target than two rows of a table that was shuffled.

    Returns:
        The excess as a part of what is possible, 1 where rows of a group never differ; and in standard deviations of shuffled tables.
    """
    sizes = np.bincount(groups).astype("float64")
    pairs = float((sizes * (sizes - 1)).sum())
    if pairs == 0:
        return 0.0, 0.0

    def same(target: Array) -> float:
        counts = np.unique(groups * (int(target.max()) + 1) + target, return_counts=True)[1].astype("float64")
        return float((counts * (counts - 1)).sum()) / pairs

    chooser = np.random.default_rng(0)
    shuffled = np.array([same(chooser.permutation(y)) for _ in range(PERMUTATIONS)])
    expected, spread = float(shuffled.mean()), float(shuffled.std())
    excess = same(y) - expected
    return excess / max(1e-9, 1 - expected), excess / max(1e-9, spread)


def moments_columns(frame: pd.DataFrame, target: str) -> list[Ordering]:
    """Columns of moments in whose order the target may hang together, the surest first. Those with gaps order nothing.

    Rows that lie in no order of time were shuffled by somebody, who takes them for exchangeable: then it is told, and decides nothing.

    Args:
        frame: rows, or stretches of them, as the table has them.
    """
    from tools.columns import days_come_first, infer_schema, moments

    found = []
    for column in infer_schema(frame, target).columns:
        if column.kind != "datetime" or column.missing > 0 or column.unique < 20:
            continue
        values = frame[column.name]
        when = moments(values, days_come_first(values.astype(str)) if values.dtype == object else False)
        if when.isna().any():
            continue
        order = np.argsort(when.to_numpy(), kind="stable")
        y = levels(frame[target])[order]
        # Neighbours in time as groups of five: what hangs together is alike in them.
        effect, deviations = likeness(np.arange(len(y)) // 5, y)
        alike = effect >= LEAST_EFFECT / 2 and deviations >= DEVIATIONS
        steps = np.diff(when.to_numpy().astype("int64"))
        recorded = max(float((steps >= 0).mean()), float((steps <= 0).mean())) >= RECORDED
        reasons = ["holds moments without a gap", f"the target is {'alike' if alike else 'not alike'} from one moment to the next"]
        reasons.append(f"the rows lie {'in its order' if recorded else 'in no order of it, as if shuffled'}")
        confidence = NAME_ALONE + (ALIKE if alike and recorded else 0.0)
        found.append(Ordering(column=column.name, kind="time", confidence=confidence, reasons="; ".join(reasons)))
    return sorted(found, key=lambda one: -one.confidence)
