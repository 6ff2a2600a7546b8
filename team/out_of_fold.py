"""What candidates are worth on the training rows: the host's scores of their out-of-fold predictions.

The folds are the contract's own, made again here; the fold column of a file is not believed. Nor is what a candidate's record says
of how classes are called: that follows from the predictions, see `tools.deciding`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from team.rows import Rows
from team.rundir import RunDir

if TYPE_CHECKING:
    import numpy as np

    from tools.calibration import Calibration
    from tools.deciding import Decided


class OutOfFold:
    """Reads and scores out-of-fold predictions of one run: class probabilities or values, of all repeats one after the other,
    shape (repeats · n, k) or (repeats · n,), NaN in rows that no fold validates."""

    def __init__(self, run: RunDir, rows: Rows) -> None:
        self._run, self._rows = run, rows

    def score(self, predictions: Path) -> Decided:
        """Score a candidate's file: all rows pooled, in the mean over repeats, and fold by fold.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        return self.decide(self.read(predictions))

    def read(self, predictions: Path) -> np.ndarray:
        """A candidate's predictions, checked.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        from tools.predictions import read_predictions

        contract, validation = self._rows.contract, self._rows.validation()
        partial = bool((validation.folds[0] < 0).any())
        return read_predictions(predictions, contract, contract.rows_train * validation.repeats, partial=partial, inside=self._run.work)

    def calibrate(self, values: np.ndarray) -> tuple[Calibration | None, np.ndarray]:
        """The calibration of predictions that were made in quarantine, and these calibrated: see `tools.calibrating.calibrate`."""
        from tools.corrections import calibrated

        return calibrated(self._rows.contract, self._rows.labels(), values, self._rows.validation().folds[0])

    def decide(self, values: np.ndarray) -> Decided:
        """Like `score`, for predictions that were checked already; folds without a score are left out."""
        import numpy as np

        from tools.corrections import decided
        from tools.deciding import Decided
        from tools.metrics import score

        contract, validation, labels = self._rows.contract, self._rows.validation(), self._rows.labels()
        decision, values = decided(contract, labels, values, validation.folds[0])
        pooled, by_fold = [], []
        for repeat, (folds, each) in enumerate(zip(validation.folds, validation.by_repeat(values), strict=True)):
            scored = folds >= 0
            units = self._units(scored)
            pooled.append(score(contract.metric, contract.task, labels[scored], each[scored], units=units))
            found = (self.score_fold(int(fold), each[folds == fold], repeat) for fold in np.unique(folds[scored]))
            by_fold += [value for value in found if value is not None]
        return Decided(float(np.mean(pooled)), by_fold, decision, values)

    def score_fold(self, fold: int, values: np.ndarray, repeat: int = 0) -> float | None:
        """Score checked predictions for the rows of one fold; None where the metric is undefined, as without both classes."""
        from tools.metrics import score

        contract, rows = self._rows.contract, self._rows.validation().folds[repeat] == fold
        try:
            return score(contract.metric, contract.task, self._rows.labels()[rows], values, units=self._units(rows))
        except ValueError:
            return None

    def disparity(self, values: np.ndarray) -> dict[str, float]:
        """How differently predictions treat the groups of the sensitive column; empty where none was named.

        Args:
            values: as they are scored, see `decide`.
        """
        from tools.fairness import disparities, groups_of
        from tools.metrics.decision import decision_of

        contract, validation = self._rows.contract, self._rows.validation()
        name = contract.constraints.sensitive
        if name is None:
            return {}
        scored, together = validation.folds[0] >= 0, self._rows.groups("train")
        groups = groups_of(self._rows.sensitive())
        if name == contract.split.column:  # each of its values is all that belongs together
            together = None
        repeats = [each[scored] for each in validation.by_repeat(values)]
        kept = None if together is None else together[scored]
        return disparities(contract.task, self._rows.labels()[scored], repeats, groups[scored], kept, decision_of(contract))

    def _units(self, rows: np.ndarray) -> np.ndarray | None:
        units = self._rows.units("train")
        return None if units is None else units[rows]
