"""What the host computes on the holdout after the final score. None of it is a look: the rows are those of the score, and nothing is
left to choose by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from team.rundir import RunDir, write_atomic
from team.vault import Vault
from tools.holdout_score import OtherScores

if TYPE_CHECKING:
    from tools.conformal import Conformal
    from tools.coverage import Coverage
    from tools.curves import Curves


def measure_intervals(run: RunDir, vault: Vault) -> list[Coverage]:
    """Learn intervals from the out-of-fold predictions of the candidate that has the final score, keep them for its package, and
    measure on the holdout what they hold. Of predicted quantiles nothing is learnt: what is measured lies between pairs of them.

    Returns:
        One coverage a level; nothing where no values are predicted, or the out-of-fold predictions are not there any more.

    Raises:
        MlteamError: before the final score is in the ledger.
    """
    from tools.conformal import calibrate, measure
    from tools.predictions import PredictionError
    from tools.quantiles import measure_pairs

    final, contract, validation = vault.scored(), vault.contract, vault.rows.validation()
    if contract.quantiles:  # which are ends of intervals themselves
        return measure_pairs(final.labels, final.predictions, contract.quantiles, final.groups)
    if contract.predicts != "values":
        return []
    try:
        # Of one repeat: the mean over repeats errs less than the single model that the intervals are for.
        values = validation.by_repeat(vault.out_of_fold.read(run.work / "candidates" / final.candidate / "oof.parquet"))[0]
    except PredictionError:
        return []
    folds = validation.folds[0]
    rows = folds >= 0
    found = calibrate(final.candidate, vault.rows.labels()[rows], values[rows], folds[rows], whole=contract.task == "count")
    write_atomic(run.vault / "intervals.json", found.model_dump_json())
    return measure(found, final.labels, final.predictions, groups=final.groups)


def kept_intervals(run: RunDir) -> Conformal | None:
    """What `measure_intervals` learnt; None where it did not."""
    from tools.conformal import Conformal

    path = run.vault / "intervals.json"
    return Conformal.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None


def measure_curves(run: RunDir, vault: Vault) -> OtherScores:
    """Learn survival curves from the out-of-fold risks of the candidate that has the final score, keep them for its package, and score
    them on the holdout.

    Returns:
        The integrated Brier score, and that of one curve for all rows; nothing where no risk is predicted, the out-of-fold predictions
        are not there any more, or events are too few.

    Raises:
        MlteamError: before the final score is in the ledger.
    """
    import numpy as np

    from tools.curves import IBS, ONE_CURVE, brier_interval, learn, moments_to_score
    from tools.predictions import PredictionError

    final, contract, validation = vault.scored(), vault.contract, vault.rows.validation()
    if contract.predicts != "risk":
        return OtherScores({}, {})
    rows, known = validation.folds[0] >= 0, vault.rows.labels()
    try:
        risk = validation.by_repeat(vault.out_of_fold.read(run.work / "candidates" / final.candidate / "oof.parquet"))[0]
        curves, alike = learn(final.candidate, known[rows], risk[rows]), learn("", known, np.full(len(known), 0.5))
        write_atomic(run.vault / "curves.json", curves.model_dump_json())
        at = moments_to_score(known)
        found = {
            name: brier_interval(final.labels, each.survival(final.predictions, at), at, known, final.groups, seed=contract.seed)
            for name, each in ((IBS, curves), (ONE_CURVE, alike))
        }
    except (PredictionError, ValueError):
        return OtherScores({}, {})
    return OtherScores.of(found)


def kept_curves(run: RunDir) -> Curves | None:
    """What `measure_curves` learnt; None where it did not."""
    from tools.curves import Curves

    path = run.vault / "curves.json"
    return Curves.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None


def other_scores(vault: Vault) -> OtherScores:
    """Other metrics of the predictions that gave the final score, those that are defined, with intervals as evaluations have them.

    Raises:
        MlteamError: before the final score is in the ledger, or when its predictions were not kept.
    """
    from tools.told_metrics import told_intervals, told_names

    contract, final = vault.contract, vault.scored()
    # What decided has been scored; R² is needed for the adjusted one.
    names = [name for name in told_names(contract, final.labels) if name != contract.metric or name == "r2"]
    found = told_intervals(contract, names, final.labels, final.predicted, final.predictions, final.units, final.groups)
    found.pop(contract.metric, None)
    return OtherScores.of(found)
