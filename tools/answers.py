"""Predictions as the table that people read: one row a row, `prediction` first, then what stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.model import FittedModel
    from tools.package.inputs import Inputs

    Array = np.ndarray[Any, np.dtype[Any]]

Answer = dict[str, Any]


def answer_table(contract: Contract, predictions: Array, called: Sequence[str] = ()) -> pd.DataFrame:
    """The columns `prediction`, and by what is predicted `proba_<class>` or `q_<level>`.

    Args:
        predictions: probabilities (n, k), quantiles (n, q), or values (n,).
        called: where classes or labels are predicted, those of each row; they follow from a decision that the probabilities do not hold.
    """
    import pandas as pd

    if contract.one_number:
        return pd.DataFrame({"prediction": predictions.astype(int) if contract.predicts == "groups" else predictions})
    answer: Any = predictions[:, contract.median] if contract.predicts == "quantiles" else pd.Series(list(called), dtype=object)
    table = pd.DataFrame({"prediction": answer})
    return pd.concat([table, pd.DataFrame(predictions, columns=contract.prediction_columns)], axis=1)


def answers(model: FittedModel, inputs: Inputs, rows: Sequence[Mapping[str, Any]], decision: Sequence[float] | None = None) -> list[Answer]:
    """The answers of a model to rows of plain values, as dictionaries of what `predicted_table` has in columns.

    Raises:
        TableError: as `predicted_table`.
    """
    plain = model.contract.predicts == "classes" or (model.contract.one_number and model.contract.predicts != "groups")
    found = model.predict_few(rows) if plain else None
    if found is None:
        table = predicted_table(model, inputs.frame([dict(row) for row in rows]), decision)
        names, columns = list(table.columns), [table[name].tolist() for name in table.columns]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    if model.contract.one_number:
        return [{"prediction": value} for value in found.tolist()]
    names, called = ["prediction", *model.contract.prediction_columns], model.called(found, decision)
    return [dict(zip(names, (label, *values), strict=True)) for label, values in zip(called, found.tolist(), strict=True)]


def predicted_table(model: FittedModel, frame: pd.DataFrame, decision: Sequence[float] | None = None) -> pd.DataFrame:
    """The answers of a model to raw rows.

    Args:
        decision: the multipliers that classes are called by; None for the model's own.

    Raises:
        TableError: when columns are missing, or rows lie further ahead than the model was made for.
    """
    model.refuse_beyond(frame)
    predictions = model.predict_table(frame)
    called = model.called(predictions, decision) if model.contract.predicts in ("classes", "labels") else ()
    return answer_table(model.contract, predictions, called)
