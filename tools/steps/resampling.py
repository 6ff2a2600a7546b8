"""Rare classes made more frequent among the rows that a model learns from. Weights of classes are the first thing to try: families
that know them have a configuration with `class_weight`, which leaves the rows as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.steps.base import Array, Step
from tools.steps.error import StepError

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 5


class Resample(Step):
    """`over` repeats rows of rare classes until all are as frequent as the commonest, `under` leaves rows of the others out, `smote`
    makes rows between neighbours of a rare class (Chawla et al. 2002) and `tomek` does so and then leaves out pairs of neighbours of
    different classes; the latter two by imbalanced-learn. Rows that are predicted stay as they are.
    """

    kinds: ClassVar[tuple[str, ...]] = ("numeric", "categorical", "datetime", "text")

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        """No column is made or goes."""

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        return {}

    def fit_resample(self, X: pd.DataFrame, y: Array) -> tuple[pd.DataFrame, Array]:
        """Rows to learn from in the place of these.

        Raises:
            StepError: without classes, for columns that `smote` cannot lie between, or without imbalanced-learn.
        """
        if self.target != "codes" or y.ndim != 1:
            raise StepError("it makes classes equally frequent, and nothing here is predicted in classes")
        self.fit(X)
        counts = np.bincount(y.astype(np.int64))
        if self.way in ("over", "under"):
            rows = self._drawn(y, int(counts.max() if self.way == "over" else counts[counts > 0].min()))
            return X.iloc[rows].reset_index(drop=True), y[rows]
        return self._between(X, y, int(counts[counts > 0].min()))

    def _drawn(self, y: Array, size: int) -> Array:
        rng, parts = np.random.default_rng(self.random_state), []
        for code in np.unique(y):
            rows = np.flatnonzero(y == code)
            parts.append(rng.permutation(rows)[:size] if len(rows) >= size else np.concatenate([rows, rng.choice(rows, size - len(rows))]))
        return np.sort(np.concatenate(parts))

    def _between(self, X: pd.DataFrame, y: Array, rarest: int) -> tuple[pd.DataFrame, Array]:
        import pandas as pd

        try:
            from imblearn.combine import SMOTETomek
            from imblearn.over_sampling import SMOTE, SMOTENC
            from imblearn.under_sampling import TomekLinks
        except ImportError:
            raise StepError("it needs imbalanced-learn: pip install imbalanced-learn, or use resample=over") from None
        strange = [name for name, kind in self.kinds_.items() if kind in ("datetime", "text")]
        gaps = [name for name in X.columns if X[name].isna().any()]
        if strange or gaps:
            cure = "add encode=dates or encode=strings" if strange else "add impute=simple"
            raise StepError(
                f"nothing lies between {'texts or dates' if strange else 'gaps'} ({(strange or gaps)[0]!r}); {cure}, or use resample=over"
            )
        if rarest < 2:
            return X, y
        neighbours = min(NEIGHBOURS, rarest - 1)
        named = [place for place, name in enumerate(X.columns) if self.kinds_[name] == "categorical"]
        if named and len(named) == X.shape[1]:
            raise StepError("nothing lies between categories alone; use resample=over")
        if named and self.way == "tomek":
            raise StepError("pairs of neighbours are told by numbers; add encode=onehot, or use resample=smote")
        options = {"random_state": self.random_state, "k_neighbors": neighbours}
        smote = SMOTENC(categorical_features=named, **options) if named else SMOTE(**options)
        sampler = smote if self.way == "smote" else SMOTETomek(smote=smote, tomek=TomekLinks(sampling_strategy="all"))
        rows, labels = sampler.fit_resample(X if named else X.to_numpy(np.float64), y)
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=list(X.columns))
        return frame.reset_index(drop=True), np.asarray(labels)
