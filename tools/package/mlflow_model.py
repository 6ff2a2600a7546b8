"""A package as an MLflow model: what it takes and gives as MLflow's signature, and an example. Nothing of it is loaded."""

from __future__ import annotations

import warnings
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tools.contract import Contract
from tools.package.inputs import Inputs
from tools.package.manifest import INPUTS_FILE, read_learnt

LOADER = "tools.package.pyfunc"
"""Module that loads the package again, wherever MLflow loads the model."""


def save_pyfunc(place: Path, package: Path, contract: Contract) -> None:
    """Write a package as an MLflow model with signature and input example."""
    inputs: Inputs = read_learnt(package, INPUTS_FILE, Inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own types when it is imported, and of what it would like to know besides
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            str(place),
            loader_module=LOADER,
            data_path=str(package),
            signature=signature_of(inputs, contract),
            input_example=inputs.frame([example_of(inputs)]),
            pip_requirements=[line for line in (package / "requirements.lock").read_text().splitlines() if not line.startswith("#")],
        )


def example_of(inputs: Inputs) -> dict[str, Any]:
    """A row that the model takes, made of ranges and categories: no row of the data leaves with the model."""
    row: dict[str, Any] = {}
    for column in inputs.columns:
        middle = ((column.low or 0.0) + (column.high or 0.0)) / 2
        match column.kind:
            case "numeric":
                row[column.name] = float(round(middle)) if column.whole else middle
            case "boolean":
                row[column.name] = True
            case "datetime":
                row[column.name] = (date(1970, 1, 1) + timedelta(days=round(middle))).isoformat()
            case _:
                row[column.name] = column.categories[0] if column.categories else "text"
    return row


def signature_of(inputs: Inputs, contract: Contract) -> Any:
    """MLflow's signature: the columns of a row, and those of an answer."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kinds = {"numeric": "double", "boolean": "boolean"}
    given = [ColSpec(kinds.get(one.kind, "string"), one.name, required=one.required and not one.nullable) for one in inputs.columns]
    answer = "string" if contract.predicts in ("classes", "labels") else "long" if contract.predicts == "groups" else "double"
    more = [] if contract.one_number else [ColSpec("double", name) for name in contract.prediction_columns]
    return ModelSignature(Schema(given), Schema([ColSpec(answer, "prediction"), *more]))
