"""How a candidate errs at several labels a row: each label by itself, called from a probability of one half on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.class_errors import MOST_CLASSES, MOST_WORST, bins_of, curve_of
from reports.error_facts import LabelErrors, Worst
from reports.group_errors import errors_by_group
from team.rows import Rows
from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_LABELS = 12
MOST_NAMED = 4
"""Labels of a row that are named."""


def label_errors(contract: Contract, rows: Rows, proba: Array, decided: Array, folds: Array) -> dict[str, Any]:
    """The parts of a diagnosis: counts, curves and calibration of the commonest labels, and the worst rows.

    Args:
        proba: out of fold, shape (n, labels).
        decided: the same, of which one half and more is called.
        folds: fold of each row, -1 for never validated, shape (n,).
    """
    import numpy as np

    from tools.labels import CALLED
    from tools.metrics.multilabel import scorable
    from tools.row_losses import BRIER, losses_by_contract

    scored = folds >= 0
    y, p, of_fold = rows.labels()[scored].astype(int), proba[scored], folds[scored]
    calls = (decided[scored] >= CALLED).astype(int)
    common = np.argsort(-y.sum(axis=0), kind="stable")[:MOST_LABELS].tolist()
    drawn = [place for place in common if place in set(scorable(y))][:MOST_CLASSES]
    losses, _ = losses_by_contract(contract, y, p)
    at = np.flatnonzero(scored)
    return {
        "labels": tuple(_of_label(contract.classes[place], y[:, place], p[:, place], calls[:, place]) for place in common),
        "labels_in_all": len(contract.classes),
        "roc": tuple(curve_of(contract.classes[place], y[:, place] == 1, p[:, place], of_fold, roc=True) for place in drawn),
        "precision_recall": tuple(curve_of(contract.classes[place], y[:, place] == 1, p[:, place], of_fold, roc=False) for place in drawn),
        "calibration": tuple(one for place in drawn for one in bins_of(contract.classes[place], y[:, place] == 1, p[:, place])),
        "worst": tuple(
            Worst(row=int(at[i]), actual=_named(contract, y[i]), predicted=_named(contract, calls[i]), loss=float(losses[i]))
            for i in np.lexsort((np.arange(len(y)), -losses))[:MOST_WORST]
        ),
        "loss_kind": f"{BRIER}, in the mean over labels",
        "error_kind": "share of labels that are called wrongly",
        "groups": errors_by_group(contract, rows, scored, (calls != y).mean(axis=1), None),
    }


def _of_label(name: str, has: Array, said: Array, called: Array) -> LabelErrors:
    from sklearn.metrics import average_precision_score

    found, alarms = int((called & has).sum()), int((called & (1 - has)).sum())
    with_it, without = int(has.sum()), int((1 - has).sum())
    counts = found, with_it - found, alarms, without - alarms
    shares = [n / max(1, of) for n, of in zip(counts, (with_it, with_it, without, without), strict=True)]
    return LabelErrors(
        label=name,
        **dict(zip(("found", "missed", "false_alarms", "rejected"), counts, strict=True)),
        shares=(shares[0], shares[1], shares[2], shares[3]),
        precision=found / (found + alarms) if found + alarms else None,
        recall=found / with_it if with_it else None,
        f1=2 * found / (found + alarms + with_it) if found + alarms + with_it else None,
        average_precision=float(average_precision_score(has, said)) if with_it and without else None,
        share=with_it / len(has),
    )


def _named(contract: Contract, has: Array) -> str:
    names = [contract.classes[place] for place in has.nonzero()[0]]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more or "none"
