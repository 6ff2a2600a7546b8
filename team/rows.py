"""What the host knows of a run's rows without a label of the holdout: read from `data/`, which the sandbox cannot write to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from team.rundir import RunDir
from tools.contract import Contract

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.folds import Validation

Table = Literal["train", "holdout"]
SENSITIVE_FILE = "sensitive.parquet"
"""In the vault: the sensitive column of the training rows, where it is no feature."""


class Rows:
    """Labels and folds of the training rows, and what makes rows of either table belong together."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._training: tuple[np.ndarray, Validation] | None = None
        self._units: dict[Table, np.ndarray] = {}

    @property
    def contract(self) -> Contract:
        """The sealed contract.

        Raises:
            FileNotFoundError: before it is sealed.
        """
        return Contract.model_validate_json(self._run.contract.read_text(encoding="utf-8"))

    def labels(self) -> np.ndarray:
        """Codes or values of the target of all training rows, shape (n,)."""
        return self._train()[0]

    def validation(self) -> Validation:
        """The contract's cross-validation of the training rows, made again here."""
        return self._train()[1]

    def groups(self, table: Table) -> np.ndarray | None:
        """What makes rows belong together, as text, shape (n,): the group column that split them, or the series; else None."""
        contract = self.contract
        split, forecast = contract.split, contract.forecast
        if forecast is not None:
            return forecast.series_of(self.columns(table, forecast.series)).astype(str) if forecast.series else None
        if split.kind != "group":
            return None
        column = self.columns(table, [str(split.column)]).iloc[:, 0]
        return column.astype(str).to_numpy(dtype=object).astype(str)

    def units(self, table: Table) -> np.ndarray | None:
        """The unit that metrics in units count each row's error in, shape (n,), or the levels of its quantiles, shape (n, q); None
        where the contract keeps none."""
        from tools.problem import levels_of_rows

        contract, forecast = self.contract, self.contract.forecast
        if forecast is None:
            return levels_of_rows(contract, contract.rows_train if table == "train" else contract.rows_holdout)
        if table not in self._units:
            self._units[table] = forecast.units_of(self.columns(table, forecast.keys))
        return self._units[table]

    def columns(self, table: Table, names: list[str]) -> pd.DataFrame:
        """Columns of a table, as they were read."""
        import pandas as pd

        return pd.read_parquet(self._run.data / f"{table}.parquet", columns=names)

    def sensitive(self) -> pd.Series:
        """The contract's sensitive column of the training rows, as it was read; the sandbox is not shown one that is no feature."""
        import pandas as pd

        name, kept = str(self.contract.constraints.sensitive), self._run.vault / SENSITIVE_FILE
        return (pd.read_parquet(kept) if kept.exists() else self.columns("train", [name]))[name]

    def _train(self) -> tuple[np.ndarray, Validation]:
        if self._training is None:
            import pandas as pd

            from tools.folds import make_validation
            from tools.problem import encode_target

            contract = self.contract
            train = pd.read_parquet(self._run.data / "train.parquet")
            self._training = encode_target(train, contract), make_validation(train, contract)
        return self._training
