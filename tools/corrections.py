"""What is corrected of a candidate's out-of-fold predictions under a contract: the same in a kernel and on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from tools.calibration import Calibration
    from tools.contract import Contract


def calibrated(contract: Contract, y: np.ndarray, oof: np.ndarray, folds: np.ndarray) -> tuple[Calibration | None, np.ndarray]:
    """The calibration of a candidate, and its predictions calibrated, each fold's by the others: see `tools.calibrating.calibrate`.

    Args:
        y: codes or values, shape (n,).
        oof: out of fold, of all repeats or one a row, (repeats · n, k) or (repeats · n,).
        folds: fold of each row in the first repeat, -1 for never validated.
    """
    from tools.calibrating import calibrate

    if "calibration" in contract.constraints.without:
        return None, oof
    return calibrate(contract.metric, contract.task, y, oof, folds, contract.seed)


def decided(contract: Contract, y: np.ndarray, oof: np.ndarray, folds: np.ndarray) -> tuple[list[float], np.ndarray]:
    """How a candidate calls classes, and its predictions as they are scored: see `tools.deciding.decide`. Arguments as above."""
    from tools.deciding import decide

    if "decision" in contract.constraints.without:
        return [], oof
    return decide(contract.metric, contract.task, y, oof, folds, contract.seed)
