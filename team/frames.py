"""What a run predicted, as pandas frames: of the holdout once it has been scored, and of training rows out of fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from team.errors import UsageError
from team.rundir import RunDir
from team.vault import Vault
from tools.answers import answer_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.contract import Contract


def holdout_predictions(run: RunDir) -> pd.DataFrame:
    """The predictions that gave the final score, one row a holdout row, in the order of `holdout_rows`.

    Columns: `truth` where the task has one (and `event`, of survival), `prediction`, and `proba_<class>` or `q_<level>`.

    Raises:
        UsageError: before the final score, when the labels are sealed.
        MlteamError: when what was kept is damaged.
    """
    vault = Vault(run)
    if not vault.closed:
        raise UsageError(
            f"run {run.name!r} has no final score yet, so its holdout is sealed. `out_of_fold()` has predictions of training rows."
        )
    final = vault.scored()
    return _table(vault.contract, final.labels, final.predicted, final.predictions)


def holdout_rows(run: RunDir) -> pd.DataFrame:
    """The features of the holdout rows, as every candidate was given them; numbered from 0."""
    import pandas as pd

    _sealed(run)
    return pd.read_parquet(run.data / "holdout.parquet")


def out_of_fold(run: RunDir, candidate: str | None, names: list[str]) -> pd.DataFrame:
    """What a candidate predicted for training rows by models that had not learnt from them, in the order of `data/train.parquet`.

    Columns: `fold`, then those of `holdout_predictions`; the index is the number of the training row. Rows that no fold validates are left
    out. Of repeats, `fold` is that of the first and predictions are the mean.

    Args:
        candidate: its name; None for the best.
        names: those there are, the best first.

    Raises:
        UsageError: there is no such candidate, or its predictions are gone.
    """
    import numpy as np

    from tools.predictions import PredictionError

    _sealed(run)
    name = candidate if candidate is not None else next(iter(names), "")
    if name not in names:
        raise UsageError(f"run {run.name!r} has no candidate {name!r}; expected one of: {', '.join(names) or 'none yet'}.")
    vault = Vault(run)
    validation = vault.rows.validation()
    try:
        values = vault.out_of_fold.read(run.work / "candidates" / name / "oof.parquet")
    except PredictionError as error:
        raise UsageError(f"the out-of-fold predictions of {name!r} cannot be read: {error}.") from None
    folds = validation.folds[0]
    rows = np.flatnonzero(folds >= 0)
    decided = validation.averaged(vault.out_of_fold.decide(values).values)
    table = _table(vault.contract, vault.rows.labels()[rows], validation.averaged(values)[rows], decided[rows])
    table.insert(0, "fold", folds[rows])
    return table.set_axis(rows)


def _sealed(run: RunDir) -> None:
    if not run.contract.exists():
        raise UsageError(f"run {run.name!r} has not split its data yet. `mlteam show {run.path}` says how far it came.")


def _table(contract: Contract, labels: np.ndarray, predicted: np.ndarray, decided: np.ndarray) -> pd.DataFrame:
    """`predicted` are probabilities as they were handed over, `decided` those by which classes are called."""
    from tools.labels import told
    from tools.metrics.decision import called

    names: list[str] = []
    if contract.predicts == "labels":
        names = told(decided, contract.classes)
    if contract.predicts == "classes":
        names = [contract.classes[code] for code in called(contract, decided)]
    table = answer_table(contract, predicted, names)
    for place, (name, column) in enumerate(_truth(contract, labels).items()):
        table.insert(place, name, column)
    return table


def _truth(contract: Contract, labels: np.ndarray) -> dict[str, Any]:
    import pandas as pd

    from tools.labels import told
    from tools.survival import events_of, times_of

    match contract.predicts:
        case "classes":
            return {"truth": pd.Series([contract.classes[code] for code in labels], dtype=object)}
        case "labels":
            return {"truth": told(labels, contract.classes)}
        case "risk":
            return {"truth": times_of(labels), "event": events_of(labels)}
        case "values" | "quantiles":
            return {"truth": labels}
        case _:  # groups have none, and that of scores is not the user's to compare row by row
            return {}
