"""A package as `mlflow.pyfunc` loads it: frames of raw rows in, frames of answers out. Loading executes what the model's maker put in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class PackagedModel:
    """What `mlflow.pyfunc.load_model` wraps."""

    def __init__(self, folder: Path) -> None:
        from tools.package.manifest import read_manifest
        from tools.package.standalone import load

        self._model = load(folder)
        self._decision = read_manifest(folder).decision

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One answer a row, in their order: the columns that `mlteam predict` writes.

        Raises:
            TableError: when the rows lack columns.
        """
        from tools.answers import predicted_table

        return predicted_table(self._model, rows, self._decision)


def _load_pyfunc(path: str) -> PackagedModel:
    """What MLflow calls, by this name.

    Raises:
        PackageDamaged: when a file is not as it was packaged.
    """
    return PackagedModel(Path(path))
