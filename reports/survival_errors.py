"""How a candidate errs at times that may be censored: what became of rows of low and high risk, beside what was said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.class_errors import FEWEST_IN_BIN, MOST_BINS, MOST_WORST
from reports.error_facts import Bin, RiskGroup, Worst
from reports.group_errors import errors_by_group
from team.rows import Rows
from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

GROUPS = ("lowest third", "middle third", "highest third")
"""By risk."""
FEWEST = 30
"""Rows below which thirds say too little."""
STEPS = 40
"""Steps of the axis of time."""


def survival_errors(contract: Contract, rows: Rows, risk: Array, folds: Array) -> dict[str, Any]:
    """The parts of a diagnosis: curves of thirds by risk, calibration at the median time, and the worst rows.

    Args:
        risk: standings out of fold, shape (n,).
        folds: fold of each row, -1 for never validated, shape (n,).
    """
    import numpy as np

    from tools.row_losses import MISORDERED, losses_by_contract

    scored = folds >= 0
    y, said, of_fold = rows.labels()[scored].astype(float), risk[scored], folds[scored]
    losses, _ = losses_by_contract(contract, y, said)
    known = np.isfinite(losses)
    at = np.flatnonzero(scored)
    order = np.lexsort((np.arange(len(y)), -np.where(known, losses, -1.0)))[: min(MOST_WORST, int(known.sum()))]
    return {
        **_beside_what_was_said(y, said, of_fold),
        "worst": tuple(Worst(row=int(at[i]), actual=_of_time(y[i]), predicted=f"risk {said[i]:.2f}", loss=float(losses[i])) for i in order),
        "loss_kind": MISORDERED,
        "error_kind": MISORDERED,
        "groups": errors_by_group(contract, rows, scored, losses, None),
    }


def _beside_what_was_said(y: Array, risk: Array, folds: Array) -> dict[str, Any]:
    """Thirds and calibration; nothing of either where rows or events are too few."""
    import numpy as np

    from tools.curves import cross_fitted, moments_to_score
    from tools.survival import events_of, survival_curve, survival_interval, times_of

    if len(y) < FEWEST:
        return {}
    try:
        last = float(moments_to_score(y)[-1])
        times = np.linspace(0.0, last, STEPS + 1)
        moments, outlive = survival_curve(y)
        seen = times_of(y)[events_of(y)]
        # Half of the rows may never be seen to have the event.
        halved = moments[outlive <= 0.5]
        moment = float(halved[0]) if len(halved) and halved[0] <= last else float(np.median(seen[seen <= last]))
        chances, _ = cross_fitted(y, risk, folds, np.append(times, moment))
    except ValueError:
        return {}
    by_risk = np.argsort(risk, kind="stable")
    groups = []
    for name, inside in zip(GROUPS, np.array_split(by_risk, len(GROUPS)), strict=True):
        observed, low, high = survival_interval(y[inside], times)
        groups.append(
            RiskGroup(
                name=name,
                rows=len(inside),
                events=int(events_of(y[inside]).sum()),
                times=tuple(times.tolist()),
                observed=tuple(observed.tolist()),
                low=tuple(low.tolist()),
                high=tuple(high.tolist()),
                said=tuple(chances[inside, :-1].mean(axis=0).tolist()),
            )
        )
    had = 1 - chances[:, -1]
    bins = []
    for inside in np.array_split(np.argsort(had, kind="stable"), min(MOST_BINS, max(1, len(y) // FEWEST_IN_BIN))):
        outlived, least, most = (float(ends[0]) for ends in survival_interval(y[inside], np.array([moment])))
        bins.append(Bin(label="", said=float(had[inside].mean()), happened=1 - outlived, n=len(inside), low=1 - most, high=1 - least))
    return {"risk_groups": tuple(groups), "moment": moment, "calibration": tuple(bins)}


def _of_time(signed: float) -> str:
    import numpy as np

    return f"{'censored' if np.signbit(signed) else 'event'} at {abs(signed):.6g}"
