"""How a candidate errs at classes: what they are called, curves over all thresholds, and what probabilities are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.error_facts import Bin, Curve, Step, Worst
from reports.group_errors import errors_by_group
from team.rows import Rows
from tools.contract import Contract
from tools.coverage import covered

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

GRID = 40
"""Steps of a curve's axis."""
MOST_CLASSES = 6
MOST_WORST = 10
MOST_BINS = 10
FEWEST_IN_BIN, FEWEST_IN_FOLD = 20, 10
THRESHOLDS = tuple(step / 50 for step in range(1, 50))
LEAST_PROBABILITY = 1e-12


def class_errors(contract: Contract, rows: Rows, proba: Array, tilted: Array, folds: Array) -> dict[str, Any]:
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
        "roc": tuple(curve_of(contract.classes[code], y == code, p[:, code], of_fold, roc=True) for code in shown),
        "precision_recall": tuple(curve_of(contract.classes[code], y == code, p[:, code], of_fold, roc=False) for code in shown),
        "calibration": tuple(one for code in shown for one in bins_of(contract.classes[code], y == code, p[:, code])),
        "worst": tuple(worst),
        "loss_kind": "−log of the probability of the truth",
        "error_kind": "share of wrong calls",
        "groups": errors_by_group(contract, rows, scored, calls != y, (calls == 1, y == 1) if contract.task == "binary" else None),
    }


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


def curve_of(label: str, happened: Array, said: Array, folds: Array, *, roc: bool) -> Curve:
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
    # In steps, as the average precision has it: a straight line between two thresholds promises more than any of them gives (Davis and
    # Goadrich 2006), most where many rows have one probability. The last point is scikit-learn's own, of no threshold.
    rising, reached = recall[:-1][::-1], precision[:-1][::-1]
    at = reached[np.searchsorted(rising, x)]
    return at


def bins_of(label: str, happened: Array, said: Array) -> list[Bin]:
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
