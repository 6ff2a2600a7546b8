"""Fit one rival on one table and write what it predicts. A program of its own, for the rival's environment:

    python quality_rivals.py RIVAL TABLE SECONDS SEED OUT

TABLE is a folder of `quality_data.py`. The rival sees train.csv and test.csv and never the labels. OUT gets predictions.csv, with
the column `prediction` or one `proba_<class>` a class, and info.json: seconds from the first row it was shown to the last it
predicted, and the peak of its memory.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

CORES = int(os.environ.get("OMP_NUM_THREADS", "2"))
Meta = dict[str, Any]
NUMBERS = ("regression", "count")
CLASSES = ("binary", "multiclass", "ordinal")
Fit = Callable[[Meta, pd.DataFrame, pd.DataFrame, float, int], Any]


def autogluon(presets: str) -> Fit:
    def fit(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
        from autogluon.tabular import TabularPredictor

        # It knows neither counts nor the order of classes, so it gets the nearest that it has.
        own = {"rmse": "root_mean_squared_error", "poisson_deviance": "root_mean_squared_error", "qwk": "quadratic_kappa"}
        kind = {"count": "regression", "ordinal": "multiclass"}.get(meta["task"], meta["task"])
        metric = own.get(meta["metric"], meta["metric"])
        with tempfile.TemporaryDirectory() as folder:
            predictor = TabularPredictor(meta["target"], problem_type=kind, eval_metric=metric, path=f"{folder}/models", verbosity=1)
            predictor.fit(train, presets=presets, time_limit=seconds, num_cpus=CORES)
            return predictor.predict(test) if meta["task"] in NUMBERS else predictor.predict_proba(test)

    return fit


def flaml(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from flaml import AutoML

    search = AutoML()
    search.fit(
        train.drop(columns=[meta["target"]]),
        train[meta["target"]],
        task="regression" if meta["task"] in NUMBERS else "classification",
        metric={"poisson_deviance": "rmse", "qwk": "log_loss"}.get(meta["metric"], meta["metric"]),
        time_budget=seconds,
        n_jobs=CORES,
        seed=seed,
        verbose=0,
    )
    if meta["task"] in NUMBERS:
        return search.predict(test)
    return pd.DataFrame(search.predict_proba(test), columns=[str(name) for name in search.classes_])


def catboost(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    X, T = train.drop(columns=[meta["target"]]), test.copy()
    texts = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]
    for table in (X, T):
        table[texts] = table[texts].astype(object).where(table[texts].notna(), "missing").astype(str)
    kind = CatBoostRegressor if meta["task"] in NUMBERS else CatBoostClassifier
    counts = {"loss_function": "Poisson"} if meta["task"] == "count" else {}
    model = kind(**counts, cat_features=texts, thread_count=CORES, random_seed=seed, verbose=0, allow_writing_files=False)
    model.fit(X, train[meta["target"]].astype(float if meta["task"] in NUMBERS else str))
    if meta["task"] in NUMBERS:
        return model.predict(T)
    return pd.DataFrame(model.predict_proba(T), columns=[str(name) for name in model.classes_])


def lightgbm(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    X, T = train.drop(columns=[meta["target"]]), test.copy()
    for name in [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]:
        levels = sorted(X[name].dropna().astype(str).unique())
        for table in (X, T):
            table[name] = pd.Categorical(table[name].astype(str), categories=levels)
    X.columns = T.columns = [f"c{i}" for i in range(X.shape[1])]
    kind = LGBMRegressor if meta["task"] in NUMBERS else LGBMClassifier
    y = train[meta["target"]].astype(float if meta["task"] in NUMBERS else str)
    counts = {"objective": "poisson"} if meta["task"] == "count" else {}
    model = kind(**counts, n_jobs=CORES, random_state=seed, verbose=-1).fit(X, y)
    if meta["task"] in NUMBERS:
        return model.predict(T)
    return pd.DataFrame(model.predict_proba(T), columns=[str(name) for name in model.classes_])


def mljar(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from supervised.automl import AutoML

    metric = {"roc_auc": "auc", "log_loss": "logloss", "rmse": "rmse", "mae": "mae", "r2": "r2", "accuracy": "accuracy"}
    kind = {"regression": "regression", "count": "regression", "binary": "binary_classification"}
    with tempfile.TemporaryDirectory() as folder:
        search = AutoML(
            results_path=folder,
            mode="Compete",
            ml_task=kind.get(meta["task"], "multiclass_classification"),
            eval_metric=metric.get(meta["metric"], "auto"),
            total_time_limit=max(1, round(seconds)),
            n_jobs=CORES,
            random_state=seed,
            verbose=0,
        )
        search.fit(train.drop(columns=[meta["target"]]), train[meta["target"]])
        if meta["task"] in NUMBERS:
            return search.predict(test)
        said = search.predict_all(test)
        return pd.DataFrame({name: said[f"prediction_{name}"] for name in meta["classes"] if f"prediction_{name}" in said})


def h2o(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    import h2o as engine
    from h2o.automl import H2OAutoML

    target = meta["target"]
    engine.init(nthreads=CORES, max_mem_size="4G", log_level="ERRR", port=_free_port())
    try:
        rows = engine.H2OFrame(train)
        if meta["task"] in CLASSES:
            rows[target] = rows[target].asfactor()
        metric = {"roc_auc": "AUC", "log_loss": "logloss", "rmse": "RMSE", "mae": "MAE"}.get(meta["metric"], "AUTO")
        search = H2OAutoML(max_runtime_secs=max(1, round(seconds)), seed=seed + 1, sort_metric=metric)
        search.train(y=target, training_frame=rows)
        said = search.leader.predict(engine.H2OFrame(test)).as_data_frame()
    finally:
        engine.cluster().shutdown()
    if meta["task"] in NUMBERS:
        return said["predict"]
    # Classes that look like numbers get a letter before them, in the order of the factor's levels.
    levels = sorted(str(name) for name in set(train[target].astype(str)))
    found = {name: said[column] for name in levels for column in (name, f"p{name}") if column in said}
    return pd.DataFrame(found)


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def tpot(meta: Meta, train: pd.DataFrame, test: pd.DataFrame, seconds: float, seed: int) -> Any:
    from tpot import TPOTClassifier, TPOTRegressor

    numbers = meta["task"] in NUMBERS
    scorer = {"roc_auc": "roc_auc", "rmse": "neg_root_mean_squared_error", "mae": "neg_mean_absolute_error", "accuracy": "accuracy"}
    chosen = scorer.get(meta["metric"], "neg_root_mean_squared_error" if numbers else "neg_log_loss")
    kind = TPOTRegressor if numbers else TPOTClassifier
    search = kind(
        search_space="linear",
        scorers=[chosen],
        scorers_weights=[1],
        preprocessing=True,
        max_time_mins=seconds / 60,
        max_eval_time_mins=seconds / 60,
        n_jobs=CORES,
        random_state=seed,
        verbose=0,
    )
    y: Any = train[meta["target"]]
    codes = {name: code for code, name in enumerate(sorted(str(name) for name in set(y)))}
    search.fit(train.drop(columns=[meta["target"]]), y.astype(float) if numbers else y.astype(str).map(codes))
    if numbers:
        return search.predict(test)
    return pd.DataFrame(search.predict_proba(test), columns=list(codes))


RIVALS: dict[str, tuple[str, Fit]] = {
    "autogluon_best": ("autogluon.tabular", autogluon("best_quality")),
    "autogluon_medium": ("autogluon.tabular", autogluon("medium_quality")),
    "flaml": ("flaml", flaml),
    "mljar": ("mljar-supervised", mljar),
    "h2o": ("h2o", h2o),
    "tpot": ("tpot", tpot),
    "catboost": ("catboost", catboost),
    "lightgbm": ("lightgbm", lightgbm),
}


def told(predicted: Any, task: str) -> pd.DataFrame:
    """What a rival predicts as the columns that it is scored by."""
    if isinstance(predicted, pd.DataFrame):
        prefix = "q" if task == "quantile" else "proba"
        return pd.DataFrame({f"{prefix}_{name}": list(predicted[name]) for name in predicted.columns})
    return pd.DataFrame({"prediction": list(predicted)})


def main(rivals: dict[str, tuple[str, Fit]]) -> None:
    """Fit the rival that the command line names.

    Args:
        rivals: by name, the package whose version is told, and what fits and predicts: a frame of one column a class or label,
            or one number a row.
    """
    name, table, seconds, seed, out = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])
    package, fit = rivals[name]
    warnings.filterwarnings("ignore")
    meta = json.loads((table / "meta.json").read_text())
    # A lone carriage return within a text ends no row, other than pandas takes it where nobody says so.
    train, test = (pd.read_csv(table / name, lineterminator="\n") for name in ("train.csv", "test.csv"))
    if meta["task"] in CLASSES:
        train[meta["target"]] = train[meta["target"]].astype(str)
    began = time.monotonic()
    predicted = fit(meta, train, test, seconds, seed)
    wall = time.monotonic() - began
    out.mkdir(parents=True, exist_ok=True)
    told(predicted, meta["task"]).to_csv(out / "predictions.csv", index=False)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    (out / "info.json").write_text(json.dumps({"wall_s": wall, "peak_mb": peak, "version": importlib.metadata.version(package)}))


if __name__ == "__main__":
    main(RIVALS)
