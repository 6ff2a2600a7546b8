"""Number columns on a common scale, or in a shape that is closer to a normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.steps.base import Array, Step

if TYPE_CHECKING:
    import pandas as pd


class Scale(Step):
    """`standard`, `minmax`, `robust` (median and quartiles), `quantile` (normal scores), `power` (Yeo and Johnson 2000) or `squash`
    (skrub's `SquashingScaler`), all of them scikit-learn's or skrub's own."""

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        self.on_ = [name for name in self.on_ if X[name].nunique() > 1]
        self.made_ = {name: [name] for name in self.on_}

    def _state(self, X: pd.DataFrame, y: Array | None) -> Any:
        from sklearn import preprocessing
        from skrub import SquashingScaler

        makers = {
            "standard": preprocessing.StandardScaler,
            "minmax": lambda: preprocessing.MinMaxScaler(clip=True),
            "robust": preprocessing.RobustScaler,
            "quantile": lambda: preprocessing.QuantileTransformer(
                n_quantiles=min(1000, len(X)), output_distribution="normal", random_state=self.random_state
            ),
            "power": preprocessing.PowerTransformer,
            "squash": SquashingScaler,
        }
        return makers[self.way]().fit(self.matrix(X)) if self.on_ else None

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        if state is None or not len(X):
            return {name: X[name].to_numpy() for name in self.on_}
        with np.errstate(over="ignore"):  # of a number beyond all that were fitted, no power need be finite
            scaled = np.asarray(state.transform(self.matrix(X)), dtype=np.float64)
        return {name: scaled[:, place] for place, name in enumerate(self.on_)}
