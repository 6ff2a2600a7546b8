"""Fewer columns: those that tell something of the target, or components that hold most of the variance."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.steps.base import Array, Step, columns_of, indicators, some_rows

if TYPE_CHECKING:
    import pandas as pd

SEARCHED_ROWS = 3_000
ROUNDS = 12
LEAST_HITS = 10
"""Of the rounds: by chance a column beats all shadows that often once in fifty times (binomial, p < 0.02)."""
HALVES, LEAST_SHARE = 24, 0.6
"""Half samples of stability selection, and the share of them that a column is chosen in (Meinshausen and Bühlmann 2010)."""
VARIANCE = 0.95


class Select(Step):
    """Keeps the columns that tell of the target, judged on the rows of the fit alone.

    `mi`: more mutual information with it than any column has with a shuffled one. `rfe`: recursive elimination with cross-validation
    (scikit-learn's `RFECV`) under a forest. `l1`: a weight in a linear model with a cross-validated L1 penalty. `shadow`: a forest's
    importance above that of all shuffled columns in nearly every round, as Boruta has it (Kursa and Rudnicki 2010). `stability`: a
    weight under L1 in most half samples. At least one column stays.
    """

    kinds: ClassVar[tuple[str, ...]] = ("numeric", "categorical", "datetime", "text")

    @property
    def reads_target(self) -> bool:
        return True

    @property
    def cross_fits(self) -> bool:
        return False  # the target decides which columns stay, not what stands in them

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        from sklearn.exceptions import ConvergenceWarning

        from tools.features import TableEncoder

        assert y is not None
        rows = some_rows(len(X), SEARCHED_ROWS, self.random_state)
        X, y = X.iloc[rows], y[rows]
        linear = self.way in ("l1", "stability")
        n_classes = len(np.unique(y)) if self.target == "codes" else 0
        encoder = TableEncoder(columns_of(X[self.on_]), "dense" if linear else "codes", n_classes=n_classes, seed=self.random_state)
        dense = np.unique(y, return_inverse=True)[1] if n_classes else y
        matrix = np.nan_to_num(encoder.fit_transform(X[self.on_], dense).astype(np.float64), nan=-1.0)
        scorer = {"mi": _informs, "rfe": _eliminated, "l1": _weighed, "shadow": _beats_shadows, "stability": _stable}[self.way]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # weights that are nearly there rank columns as well
            scores = scorer(matrix, dense, self.target, np.random.default_rng(self.random_state))
        best = dict.fromkeys(self.on_, 0.0)
        for block in encoder.blocks_:
            best[block.source] = max(best[block.source], float(scores[block.start : block.stop].max(initial=0.0)))
        kept = [name for name in self.on_ if best[name] >= 1.0] or [max(self.on_, key=lambda name: best[name])]
        self.gone_ = set(self.on_) - set(kept)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        return {}


# Each gives a score for every column of a matrix, of which those at 1 and above stay.


def _informs(matrix: Array, y: Array, target: str, rng: np.random.Generator) -> Array:
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    measure = mutual_info_classif if target == "codes" else mutual_info_regression
    seed = int(rng.integers(2**31))
    by_chance = measure(matrix, rng.permutation(y), random_state=seed).max()
    return np.asarray(measure(matrix, y, random_state=seed) / max(float(by_chance), 1e-9))


def _forest(target: str, rng: np.random.Generator, trees: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    made = ExtraTreesClassifier if target == "codes" else ExtraTreesRegressor
    return made(trees, min_samples_leaf=3, max_depth=12, max_features=0.5, n_jobs=1, random_state=int(rng.integers(2**31)))


def _eliminated(matrix: Array, y: Array, target: str, rng: np.random.Generator) -> Array:
    from sklearn.feature_selection import RFECV
    from sklearn.model_selection import KFold

    parts = KFold(3, shuffle=True, random_state=int(rng.integers(2**31)))
    scoring = "accuracy" if target == "codes" else "neg_mean_squared_error"
    found = RFECV(_forest(target, rng, 40), step=0.25, cv=parts, scoring=scoring, n_jobs=1).fit(matrix, y)
    return 1.0 / np.asarray(found.ranking_, dtype=np.float64)


def _lasso(matrix: Array, truth: Array) -> tuple[Array, float]:
    """Weights of a linear model under the L1 penalty that cross-validation chooses, and that penalty."""
    from sklearn.linear_model import LassoCV

    found = LassoCV(alphas=20, cv=4, max_iter=2000, n_jobs=1).fit(matrix, truth)
    return np.abs(found.coef_), float(found.alpha_)


def _weighed(matrix: Array, y: Array, target: str, rng: np.random.Generator) -> Array:
    weights = [_lasso(matrix, column)[0] for column in _standard(indicators(y, target)).T]
    return np.where(np.max(weights, axis=0) > 1e-6, 1.0, 0.0)


def _stable(matrix: Array, y: Array, target: str, rng: np.random.Generator) -> Array:
    from sklearn.linear_model import Lasso

    best = np.zeros(matrix.shape[1])
    for column in _standard(indicators(y, target)).T:
        penalty, chosen = _lasso(matrix, column)[1], np.zeros(matrix.shape[1])
        for _ in range(HALVES):
            half = rng.permutation(len(y))[: max(2, len(y) // 2)]
            # Half the rows leave more noise, by the root of two, which the penalty must be above as well.
            chosen += np.abs(Lasso(alpha=2**0.5 * penalty, max_iter=2000).fit(matrix[half], column[half]).coef_) > 1e-6
        best = np.maximum(best, chosen / HALVES)
    return best / LEAST_SHARE


def _beats_shadows(matrix: Array, y: Array, target: str, rng: np.random.Generator) -> Array:
    hits = np.zeros(matrix.shape[1])
    for _ in range(ROUNDS):
        shadows = rng.permuted(matrix, axis=0)
        importance = _forest(target, rng, 60).fit(np.hstack([matrix, shadows]), y).feature_importances_
        hits += importance[: matrix.shape[1]] > importance[matrix.shape[1] :].max()
    return hits / LEAST_HITS


def _standard(truth: Array) -> Array:
    spread = truth.std(axis=0)
    return np.asarray((truth - truth.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


class Components(Step):
    """`pca`: as many principal components of the number columns, standardised, as hold 95 % of their variance, in their place."""

    def _plan(self, X: pd.DataFrame, y: Array | None) -> None:
        from sklearn.decomposition import PCA
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.on_ = [name for name in self.on_ if X[name].nunique() > 1]
        self.components_: list[str] = []
        if len(self.on_) < 2:
            return
        self.pipeline_ = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), PCA(VARIANCE, svd_solver="full")
        ).fit(self.matrix(X))
        for place in range(self.pipeline_[-1].n_components_):
            self.components_.append(self.free(f"component {place + 1}"))
            self.made_[self.components_[-1]] = list(self.on_)
        self.gone_ = set(self.on_)

    def _make(self, X: pd.DataFrame, state: Any) -> dict[str, Any]:
        if not self.components_:
            return {}
        values = self.pipeline_.transform(self.matrix(X)) if len(X) else np.empty((0, len(self.components_)))
        return {name: values[:, place] for place, name in enumerate(self.components_)}
