"""How a candidate errs at values and quantiles: rows that are drawn, residuals and how they are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reports.error_facts import Point, Quantile, Worst
from reports.figures import NOTHING
from reports.group_errors import errors_by_group
from team.rows import Rows
from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_POINTS = 400
"""Rows that are drawn of a scatter; all are counted."""
MOST_WORST = 10
MOST_QUANTILES = 60


def value_errors(contract: Contract, rows: Rows, predicted: Array, scored: Array) -> dict[str, Any]:
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
        "loss_kind": "absolute error",
        "error_kind": "mean absolute error",
        "groups": errors_by_group(contract, rows, scored, np.abs(residual), None),
    }


def _of_target(value: Any) -> str:
    """A value of the target or of a prediction as people write it: large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
