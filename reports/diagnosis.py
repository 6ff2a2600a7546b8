"""How a candidate errs, worked out here from its out-of-fold predictions and the labels of the training rows.

Nothing of this is the kernel's word: predictions are read as hostile files are, labels and folds come from `data/`, which no sandbox
can write to. It is the same for the same run, and every number of it belongs to the file that `source` names.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from reports.facts import RunFacts
from reports.figures import NOTHING
from reports.findings import Fact
from team.rows import Rows
from team.rundir import RunDir
from tools.contract import Contract
from tools.coverage import covered
from tools.files import read_regular

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_POINTS = 400
"""Rows that are drawn of a scatter; all are counted."""
GRID = 40
"""Steps of a curve's axis."""
MOST_CLASSES = 6
MOST_WORST, MOST_COLUMNS = 10, 3
MOST_BINS = 10
MOST_QUANTILES = 60
FEWEST_IN_BIN, FEWEST_IN_FOLD = 20, 10
THRESHOLDS = tuple(step / 50 for step in range(1, 50))
LEAST_PROBABILITY = 1e-12
MOST_BYTES = 1 << 30


class Curve(Fact):
    """A curve of one class over all rows, with the lowest and highest of single folds beside it; empty where folds are too small."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    area: float


class Bin(Fact):
    """Rows with about the same probability: what was said, what happened, and the 95 % interval of that (Wilson 1927)."""

    label: str
    said: float
    happened: float
    n: int
    low: float
    high: float


class Step(Fact):
    """Of two classes: what calling the second one from `threshold` on gives."""

    threshold: float
    found: int
    false_alarms: int
    missed: int
    rejected: int


class Point(Fact):
    """A row: where it stands in the training table, its value, and what was predicted; `low` and `high` of its outer quantiles."""

    row: int
    actual: float
    predicted: float
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> float:
        """What the value was more than predicted."""
        return self.actual - self.predicted


class Quantile(Fact):
    """The residual at a share of the rows, in standard deviations from their mean, and what a normal distribution would have."""

    normal: float
    residual: float


class Worst(Fact):
    """A row on which the candidate errs most; `loss` is −log of the probability of the truth, or the absolute error."""

    row: int
    actual: str
    predicted: str
    loss: float
    values: tuple[tuple[str, str], ...] = ()
    """Names and values of the columns that matter most."""


class GroupErrors(Fact):
    """A group of the sensitive column. Shares are 0 to 1; `selected` and `found` are of the second of two classes."""

    name: str
    rows: int
    error: float
    selected: float | None = None
    found: float | None = None


class Diagnosis(Fact):
    """All of that for one candidate. What its task does not have is empty."""

    candidate: str
    source: str
    sha256: str
    rows: int
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows of each class, by the class that is called."""
    shares: tuple[tuple[float, ...], ...] = ()
    """Of each class, 0 to 1."""
    steps: tuple[Step, ...] = ()
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    calibration: tuple[Bin, ...] = ()
    points: tuple[Point, ...] = ()
    quantiles: tuple[Quantile, ...] = ()
    residual_mean: float | None = None
    residual_std: float | None = None
    worst: tuple[Worst, ...] = ()
    error_kind: str = ""
    """What `error` of the groups is."""
    groups: tuple[GroupErrors, ...] = ()

    def on_record(self) -> dict[str, Any]:
        """All that is known here, and what a page works out from it."""
        return {**self.model_dump(mode="json"), "errors": [point.error for point in self.points]}


def diagnose(run: RunDir, facts: RunFacts) -> Diagnosis | None:
    """The diagnosis of the candidate that a report is about; None where its predictions or rows are gone, damaged, or of another task."""
    from tools.predictions import PredictionError, read_predictions

    contract, chosen = facts.contract, facts.selected
    if contract is None or chosen is None or contract.predicts not in ("classes", "values", "quantiles"):
        return None
    path = run.work / "candidates" / chosen.name / "oof.parquet"
    try:
        rows = Rows(run)
        validation = rows.validation()
        partial = bool((validation.folds[0] < 0).any())
        values = read_predictions(path, contract, contract.rows_train * validation.repeats, partial=partial, inside=run.work)
        digest = hashlib.sha256(read_regular(path, MOST_BYTES, run.work)).hexdigest()
    except (PredictionError, OSError, ValueError):
        return None
    first, folds = validation.by_repeat(values)[0], validation.folds[0]
    scored = folds >= 0
    if contract.predicts == "classes":
        from tools.corrections import decided

        tilted = validation.by_repeat(decided(contract, rows.labels(), values, folds)[1])[0]
        parts = _of_classes(contract, rows, first, tilted, folds)
    else:
        parts = _of_values(contract, rows, first, scored)
    parts["worst"] = _with_values(parts["worst"], rows, facts)
    source = str(path.relative_to(run.path))
    return Diagnosis(candidate=chosen.name, source=source, sha256=digest, rows=int(scored.sum()), **parts)


def _of_classes(contract: Contract, rows: Rows, proba: Array, tilted: Array, folds: Array) -> dict[str, Any]:
    """`tilted` are the probabilities by which classes are called, see `tools.deciding`."""
    import numpy as np

    from tools.metrics.decision import called

    scored, k = folds >= 0, len(contract.classes)
    calls = called(contract, tilted[scored])
    y, p, of_fold = rows.labels()[scored].astype(int), proba[scored], folds[scored]
    matrix = np.bincount(y * k + calls, minlength=k * k).reshape(k, k)
    told = np.maximum(p[np.arange(len(y)), y], LEAST_PROBABILITY)
    order = np.lexsort((np.arange(len(y)), told))[:MOST_WORST]
    at = np.flatnonzero(scored)
    shown = _shown_classes(contract, y)
    worst = [
        Worst(
            row=int(at[i]),
            actual=contract.classes[y[i]],
            predicted=f"{contract.classes[calls[i]]} ({p[i, calls[i]]:.2f})",
            loss=float(-np.log(told[i])),
        )
        for i in order
    ]
    return {
        "classes": tuple(contract.classes),
        "confusion": tuple(tuple(int(n) for n in row) for row in matrix),
        "shares": tuple(tuple((row / max(1, row.sum())).tolist()) for row in matrix),
        "steps": _steps(y, p[:, 1]) if k == 2 else (),
        "roc": tuple(_curve(contract.classes[code], y == code, p[:, code], of_fold, roc=True) for code in shown),
        "precision_recall": tuple(_curve(contract.classes[code], y == code, p[:, code], of_fold, roc=False) for code in shown),
        "calibration": tuple(one for code in shown for one in _bins(contract.classes[code], y == code, p[:, code])),
        "worst": tuple(worst),
        "error_kind": "share of wrong calls",
        "groups": _groups(contract, rows, scored, calls != y, (calls == 1, y == 1) if contract.task == "binary" else None),
    }


def _of_values(contract: Contract, rows: Rows, predicted: Array, scored: Array) -> dict[str, Any]:
    import numpy as np
    from scipy.stats import norm

    y = rows.labels()[scored].astype(float)
    band = predicted[scored] if contract.predicts == "quantiles" else None
    middle = predicted[scored] if band is None else band[:, contract.median]
    at, residual = np.flatnonzero(scored), y - middle
    picked = np.unique(np.linspace(0, len(y) - 1, min(MOST_POINTS, len(y))).round().astype(int))
    order = np.lexsort((np.arange(len(y)), -np.abs(residual)))[:MOST_WORST]
    spread = float(residual.std())
    shares = (np.arange(min(MOST_QUANTILES, len(y))) + 0.5) / min(MOST_QUANTILES, len(y))
    scaled = np.quantile((residual - residual.mean()) / spread, shares) if spread > 0 else np.array([])
    return {
        "points": tuple(
            Point(
                row=int(at[i]),
                actual=float(y[i]),
                predicted=float(middle[i]),
                low=None if band is None else float(band[i, 0]),
                high=None if band is None else float(band[i, -1]),
            )
            for i in picked
        ),
        "quantiles": tuple(Quantile(normal=float(a), residual=float(b)) for a, b in zip(norm.ppf(shares), scaled, strict=False)),
        "residual_mean": float(residual.mean()) if abs(residual.mean()) > NOTHING * spread else 0.0,
        "residual_std": spread,
        "worst": tuple(
            Worst(row=int(at[i]), actual=_of_target(y[i]), predicted=_of_target(middle[i]), loss=float(abs(residual[i]))) for i in order
        ),
        "error_kind": "mean absolute error",
        "groups": _groups(contract, rows, scored, np.abs(residual), None),
    }


def _of_target(value: Any) -> str:
    """A value of the target or of a prediction as people write it: large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _shown_classes(contract: Contract, y: Array) -> list[int]:
    """The second of two classes, else the commonest."""
    import numpy as np

    if len(contract.classes) == 2:
        return [1] if 0 < int((y == 1).sum()) < len(y) else []
    counts = np.bincount(y, minlength=len(contract.classes))
    return sorted(int(code) for code in np.argsort(-counts, kind="stable")[:MOST_CLASSES] if 0 < counts[code] < len(y))


def _steps(y: Array, p: Array) -> tuple[Step, ...]:
    told = []
    for threshold in THRESHOLDS:
        called = p > threshold
        found, alarms = int((called & (y == 1)).sum()), int((called & (y == 0)).sum())
        told.append(
            Step(
                threshold=threshold,
                found=found,
                false_alarms=alarms,
                missed=int((y == 1).sum()) - found,
                rejected=int((y == 0).sum()) - alarms,
            )
        )
    return tuple(told)


def _curve(label: str, happened: Array, said: Array, folds: Array, *, roc: bool) -> Curve:
    import numpy as np
    from sklearn.metrics import average_precision_score, roc_auc_score

    x = np.linspace(0, 1, GRID + 1)
    large = [folds == fold for fold in np.unique(folds)]
    large = [inside for inside in large if min(happened[inside].sum(), (~happened[inside]).sum()) >= FEWEST_IN_FOLD]
    by_fold = [_over(x, happened[inside], said[inside], roc=roc) for inside in large] if len(large) > 2 else []
    area = roc_auc_score(happened, said) if roc else average_precision_score(happened, said)
    return Curve(
        label=label,
        x=tuple(x.tolist()),
        y=tuple(_over(x, happened, said, roc=roc).tolist()),
        low=tuple(np.min(by_fold, axis=0).tolist()) if by_fold else (),
        high=tuple(np.max(by_fold, axis=0).tolist()) if by_fold else (),
        area=float(area),
    )


def _over(x: Array, happened: Array, said: Array, *, roc: bool) -> Array:
    """Share that is found by share of false alarms, or precision by share that is found, at the places `x`."""
    import numpy as np
    from sklearn.metrics import precision_recall_curve, roc_curve

    if roc:
        false, true, _ = roc_curve(happened, said)
        at: Array = np.interp(x, false, true)
        return at
    precision, recall, _ = precision_recall_curve(happened, said)
    at = np.interp(x, recall[::-1], precision[::-1])
    return at


def _bins(label: str, happened: Array, said: Array) -> list[Bin]:
    """Bins of equal size by probability."""
    import numpy as np

    order = np.argsort(said, kind="stable")
    told = []
    for part in np.array_split(order, min(MOST_BINS, max(1, len(said) // FEWEST_IN_BIN))):
        if not len(part):
            continue
        share = covered(0.95, int(happened[part].sum()), len(part), 0.0)
        told.append(Bin(label=label, said=float(said[part].mean()), happened=share.share, n=len(part), low=share.low, high=share.high))
    return told


def _groups(contract: Contract, rows: Rows, scored: Array, wrong: Array, binary: tuple[Array, Array] | None) -> tuple[GroupErrors, ...]:
    """Errors by group of the sensitive column, the largest group first; groups that are too small for a rate are left out."""
    import numpy as np

    from tools.fairness import FEWEST, groups_of

    if contract.constraints.sensitive is None:
        return ()
    groups = groups_of(rows.sensitive())[scored]
    told = []
    for name in np.unique(groups):
        inside = groups == name
        if inside.sum() < FEWEST:
            continue
        selected = found = None
        if binary is not None:
            calls, positive = binary
            selected = float(calls[inside].mean())
            found = float(calls[inside & positive].mean()) if (inside & positive).sum() >= FEWEST else None
        told.append(GroupErrors(name=str(name), rows=int(inside.sum()), error=float(wrong[inside].mean()), selected=selected, found=found))
    return tuple(sorted(told, key=lambda one: (-one.rows, one.name)))


def _with_values(worst: tuple[Worst, ...], rows: Rows, facts: RunFacts) -> tuple[Worst, ...]:
    """The rows with their values of the columns that matter most."""
    known = set(facts.contract.features) if facts.contract else set()
    names = [i.column for i in facts.evaluation.importance if i.column in known][:MOST_COLUMNS] if facts.evaluation else []
    if not names:
        return worst
    table = rows.columns("train", names)
    return tuple(one.model_copy(update={"values": tuple((name, _value(table[name].iloc[one.row])) for name in names)}) for one in worst)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
