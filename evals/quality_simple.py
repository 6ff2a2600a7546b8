"""Simple models for the tasks that AutoML libraries do not serve, called as `quality_rivals.py` is:

    python quality_simple.py RIVAL TABLE SECONDS SEED OUT

They run in the project's own environment and take no notice of SECONDS: none of them searches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from evals.quality_rivals import CORES, NUMBERS, Fit, Meta, main
from tools.quantiles import LEVELS

MANY_LEVELS = 100
"""A column of words with more values is read as text."""
MOST_GROUPS = 10


def matrix(train: pd.DataFrame, test: pd.DataFrame) -> tuple[Any, Any]:
    """Both tables as sparse matrices: numbers imputed and scaled, a column a level, the words of texts by TF-IDF."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = [name for name in train.columns if pd.api.types.is_numeric_dtype(train[name])]
    words = [name for name in train.columns if name not in numeric]
    texts = [name for name in words if train[name].nunique() > MANY_LEVELS]
    steps = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numeric),
        ("levels", OneHotEncoder(handle_unknown="ignore"), [name for name in words if name not in texts]),
        *((f"text {name}", TfidfVectorizer(min_df=2), name) for name in texts if _has_words(train[name])),
    ]
    filled = (table.assign(**{name: table[name].fillna("").astype(str) for name in words}) for table in (train, test))
    encoder = ColumnTransformer(steps)
    return encoder.fit_transform(next(filled)), encoder.transform(next(filled))


def _has_words(column: pd.Series) -> bool:
    """Whether any word stands in two rows; in a column of identifiers none does."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        TfidfVectorizer(min_df=2).fit(column.fillna("").astype(str))
    except ValueError:
        return False
    return True


def poisson_glm(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.linear_model import PoissonRegressor

    X, T = matrix(train.drop(columns=[meta["target"]]), test)
    return PoissonRegressor(alpha=1e-3, max_iter=1000).fit(X, train[meta["target"]]).predict(T)


def linear_quantiles(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.linear_model import QuantileRegressor

    return _by_level(meta, train, test, lambda level: QuantileRegressor(quantile=level, alpha=1e-3))


def lightgbm_quantiles(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from lightgbm import LGBMRegressor

    return _by_level(
        meta, train, test, lambda level: LGBMRegressor(objective="quantile", alpha=level, n_jobs=CORES, random_state=seed, verbose=-1)
    )


def _by_level(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, make: Any) -> pd.DataFrame:
    """A model of its own for each level; crossed quantiles are sorted."""
    X, T = matrix(train.drop(columns=[meta["target"]]), test)
    found = np.column_stack([make(level).fit(X, train[meta["target"]]).predict(T) for level in LEVELS])
    return pd.DataFrame(np.sort(found, axis=1), columns=[f"{level:g}" for level in LEVELS])


def logistic(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    X, T = matrix(train.drop(columns=[meta["target"]]), test)
    model = LogisticRegression(max_iter=1000).fit(X, train[meta["target"]])
    return pd.DataFrame(model.predict_proba(T), columns=model.classes_)


def dummy(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """What is known without a look at the columns: the shares of the classes, or the mean."""
    target = train[meta["target"]]
    if meta["task"] in NUMBERS:
        return np.full(len(test), target.astype(float).mean())
    shares = target.value_counts(normalize=True)
    return pd.DataFrame({name: np.full(len(test), share) for name, share in shares.items()})


def linear(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.linear_model import Ridge

    if meta["task"] == "count":
        return poisson_glm(meta, train, test, seconds, seed)
    if meta["task"] != "regression":
        return logistic(meta, train, test, seconds, seed)
    X, T = matrix(train.drop(columns=[meta["target"]]), test)
    return Ridge().fit(X, train[meta["target"]]).predict(T)


def logistic_labels(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return _by_label(meta, train, test, lambda: LogisticRegression(max_iter=1000))


def lightgbm_labels(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return _by_label(meta, train, test, lambda: LGBMClassifier(n_jobs=CORES, random_state=seed, verbose=-1))


def _by_label(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, make: Any) -> pd.DataFrame:
    """A model of its own for each label."""
    labels = meta["target"].split(",")
    X, T = matrix(train.drop(columns=labels), test)
    return pd.DataFrame({label: make().fit(X, train[label]).predict_proba(T)[:, 1] for label in labels})


def cox(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.util import Surv

    X, T = matrix(train.drop(columns=[meta["target"], meta["event"]]), test)
    X, T = (table.toarray() if hasattr(table, "toarray") else table for table in (X, T))
    y = Surv.from_arrays(train[meta["event"]].astype(bool), train[meta["target"]])
    return CoxPHSurvivalAnalysis(alpha=1.0).fit(X, y).predict(T)


def statistical(name: str) -> Fit:
    """A model of statsforecast for every series, by the season of months."""

    def fit(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
        from statsforecast import StatsForecast, models

        called = {"unique_id": meta["series"], "ds": meta["time"], "y": meta["target"]}
        panel = pd.DataFrame({ours: train[theirs] for ours, theirs in called.items()}).assign(ds=lambda t: pd.to_datetime(t["ds"]))
        forecaster = StatsForecast([getattr(models, name)(season_length=12)], freq="MS", n_jobs=1)
        ahead = forecaster.forecast(df=panel, h=meta["horizon"]).reset_index()
        asked = pd.DataFrame({"unique_id": test[meta["series"]], "ds": pd.to_datetime(test[meta["time"]])})
        return asked.merge(ahead, on=["unique_id", "ds"], how="left")[name]

    return fit


def kmeans(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    """The number of groups with the best silhouette on the training rows."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    X, T = matrix(train, test)
    fits = [KMeans(k, n_init=10, random_state=seed).fit(X) for k in range(2, MOST_GROUPS + 1)]
    return max(fits, key=lambda fit: silhouette_score(X, fit.labels_)).predict(T)


def isolation_forest(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from sklearn.ensemble import IsolationForest

    X, T = matrix(train, test)
    return -np.asarray(IsolationForest(random_state=seed, n_jobs=CORES).fit(X).score_samples(T))


RIVALS: dict[str, tuple[str, Fit]] = {
    "dummy": ("scikit-learn", dummy),
    "linear": ("scikit-learn", linear),
    "poisson_glm": ("scikit-learn", poisson_glm),
    "logistic": ("scikit-learn", logistic),
    "linear_quantiles": ("scikit-learn", linear_quantiles),
    "lightgbm_quantiles": ("lightgbm", lightgbm_quantiles),
    "logistic_labels": ("scikit-learn", logistic_labels),
    "lightgbm_labels": ("lightgbm", lightgbm_labels),
    "cox": ("scikit-survival", cox),
    "seasonal_naive": ("statsforecast", statistical("SeasonalNaive")),
    "auto_ets": ("statsforecast", statistical("AutoETS")),
    "auto_arima": ("statsforecast", statistical("AutoARIMA")),
    "kmeans": ("scikit-learn", kmeans),
    "isolation_forest": ("scikit-learn", isolation_forest),
}

if __name__ == "__main__":
    main(RIVALS)
