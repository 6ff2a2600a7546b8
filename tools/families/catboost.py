"""CatBoost (Prokhorenkova et al. 2018): symmetric trees with ordered target statistics for categories."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import sheltered
from tools.families.appetite import Appetite
from tools.families.base import CLASS_WEIGHT, Family
from tools.families.boosting import BOOSTED_ROWS, Watch, affordable, paced, patience_for
from tools.families.fitted import Contributions, Raw
from tools.families.matrix import by_source, column_shares, encoder_for, signs
from tools.families.setting import Array, FitContext, Params, Setting
from tools.features import TableEncoder
from tools.few_rows import FewRows, TakesFew

if TYPE_CHECKING:
    import optuna
    import pandas as pd

MOST_ITERATIONS = 3000
MISSING = "\x00missing"
PROBED = 10
"""Iterations whose pace says how many a fit on a graphics processor has time for: there the library calls nobody between them."""


@dataclass
class CatBoostModel(TakesFew):
    encoder: TableEncoder
    categorical: list[str]
    booster: Any
    n_classes: int
    threads: int

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        pool = _pool(self.encoder.transform(X), self.categorical, X, None)
        with sheltered():
            if self.n_classes:
                return np.asarray(self.booster.predict_proba(pool, thread_count=self.threads))
            return np.asarray(self.booster.predict(pool, thread_count=self.threads))

    def contributions(self, X: pd.DataFrame) -> Contributions:
        pool = _pool(self.encoder.transform(X), self.categorical, X, None)
        with sheltered():
            values = np.asarray(self.booster.get_feature_importance(pool, type="ShapValues", thread_count=self.threads))
        return by_source(self.encoder, values.reshape(len(X), -1, values.shape[-1]), self.categorical)


def _pool(matrix: Array, categorical: list[str], X: pd.DataFrame | FewRows, y: Array | None) -> Any:
    """Numbers by position, then categories as text.

    Args:
        matrix: the other columns as the encoder gives them, shape (n, width).
    """
    from catboost import FeaturesData, Pool

    numeric = np.ascontiguousarray(matrix, dtype=np.float32)
    texts = None
    if categorical:
        if isinstance(X, FewRows):
            filled: Any = {name: [MISSING if value is None else value for value in X[name]] for name in categorical}
        else:
            frame = X[categorical]
            filled = frame.astype(object).where(frame.notna(), MISSING)
        texts = np.array([[str(value).encode("utf-8", "replace") for value in filled[name]] for name in categorical], dtype=object).T
        texts = np.ascontiguousarray(texts.reshape(len(X), len(categorical)))
    with sheltered():  # it reads the labels in Python, and takes an exception there for none
        return Pool(FeaturesData(num_feature_data=numeric, cat_feature_data=texts), label=y)


def learning_rate(setting: Setting) -> float:
    """CatBoost's own default for 1,000 iterations with a validation set, spelt out so that refits keep it.

    The constants are those of the library's `catboost/libs/train_lib/options_helper.cpp`.
    """
    if setting.n_classes == 0:
        slope, shift = 0.157, -4.062
    elif setting.n_classes == 2:
        slope, shift = 0.246, -5.127
    else:
        slope, shift = 0.02, -2.364
    return round(min(0.5, math.exp(slope * math.log(max(setting.n_rows, 2)) + shift)), 4)


class CatBoost(Family):
    """Gradient-boosted symmetric trees of the CatBoost library."""

    name = "catboost"
    iterative = True
    abreast = True
    crossable = True
    weight = 2.2
    bags = 4
    weighable = True
    cuda, cuda_rows = True, BOOSTED_ROWS
    appetite = Appetite(table=1.2, matrix=4.7, category=3.3, classes=3)

    def default(self, setting: Setting) -> list[Params]:
        base: Params = {
            "learning_rate": learning_rate(setting),
            "depth": 6,
            "l2_leaf_reg": 3.0,
            "random_strength": 1.0,
            "subsample": 0.8,
            # One-hot for few levels and no combinations: on mixed tables three times as fast as the library's
            # defaults, and mostly as good.
            "one_hot_max_size": 10,
            "max_ctr_complexity": 1,
            "log_target": setting.log_target,
        }
        deep = {**base, "depth": 8, "l2_leaf_reg": 5.0, "learning_rate": min(0.05, base["learning_rate"])}
        shallow = {**base, "depth": 4, "one_hot_max_size": 2, "max_ctr_complexity": 3}
        if setting.n_rows >= 1500:
            # The library's own: combinations of up to four categories, where there are any to combine.
            combined = {**base, "one_hot_max_size": 2, "max_ctr_complexity": 4}
            return [base, combined, deep] if len(setting.native) > 1 else [base, deep, shallow]
        return [shallow, base, deep] if setting.quantiles else [base, shallow, deep]  # fewer leaves, with more rows in each

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.25, log=True),
            "depth": trial.suggest_int("depth", 3, 9),
            "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 0.3, 30.0, log=True),
            "random_strength": trial.suggest_float("random_strength", 0.1, 10.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "one_hot_max_size": trial.suggest_categorical("one_hot_max_size", [2, 10, 40]),
            "max_ctr_complexity": trial.suggest_int("max_ctr_complexity", 1, 4),
            "log_target": setting.log_target,
        }

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        return paced(params, pace, seconds, setting.n_rows)

    def no_cuda(self, setting: Setting) -> str | None:
        from catboost.utils import get_gpu_device_count

        if setting.monotone:
            return "CatBoost knows no monotone constraints on graphics processors"
        if len(setting.quantiles) > 1:
            return "CatBoost learns several quantiles on processors alone"
        return None if get_gpu_device_count() else "CatBoost finds no NVIDIA driver for the graphics processor"

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        from catboost import CatBoostClassifier, CatBoostError, CatBoostRegressor

        categorical = setting.native
        encoder = encoder_for(setting, "target", besides=categorical)
        # What the encoder gives of the rows that it learns from is cross-fitted; transforming them again would show their own labels.
        train = _pool(encoder.fit_transform(X, y), categorical, X, y)
        eval_pool = _pool(encoder.transform(valid[0]), categorical, valid[0], valid[1]) if valid else None
        watch = Watch(context.deadline, patience=patience_for(params) if valid else 0)

        class Follow:
            def after_iteration(self, info: Any) -> bool:
                loss = next(iter(info.metrics["validation"].values()))[-1] if valid else None
                return not watch.stop(info.iteration, loss)

        kind = CatBoostClassifier if setting.n_classes else CatBoostRegressor
        extra: Params = {"auto_class_weights": "Balanced"} if params.pop(CLASS_WEIGHT, None) == "balanced" else {}
        if setting.monotone:
            # The library numbers the columns of the matrix first, then the categories.
            width = encoder.blocks_[-1].stop if encoder.blocks_ else 0
            extra["monotone_constraints"] = [*signs(encoder, setting, width), *[0] * len(categorical)]
        fixed = _fixed(setting, context)
        stopping: Params = {"callbacks": [Follow()]}
        began = time.monotonic()
        try:
            if setting.device == "cuda":
                stopping = {"early_stopping_rounds": watch.patience} if valid else {}
                with sheltered():
                    kind(**params, **extra, **fixed | {"iterations": PROBED}).fit(train)
                rounds = affordable(fixed["iterations"], (time.monotonic() - began) / PROBED, 0.9 * context.deadline.remaining())
                fixed, began = fixed | {"iterations": rounds}, time.monotonic()
            booster = kind(**params, **extra, **fixed, use_best_model=valid is not None)
            with sheltered():
                booster.fit(train, eval_set=eval_pool, **stopping)
        except CatBoostError as error:
            # All columns constant in these rows: nothing to split on.
            if "All features are either constant or ignored" not in str(error):
                raise
            from tools.families.dummy import Dummy

            return Dummy()._fit(X, y, valid, {}, setting, context)
        importance = _importance(encoder, categorical, booster)
        model = CatBoostModel(encoder, categorical, booster, setting.n_classes, setting.threads)
        trees = int(booster.tree_count_)
        cut_short, pace = watch.cut_short, watch.pace
        if setting.device == "cuda":
            cut_short = trees == fixed["iterations"] < (context.iterations or MOST_ITERATIONS)
            pace = (time.monotonic() - began) / max(1, trees)
        return Raw(model, iterations=trees, cut_short=cut_short, importance=importance, pace=pace)


def _fixed(setting: Setting, context: FitContext) -> Params:
    loss = "Logloss" if setting.n_classes == 2 else "MultiClass"
    if setting.quantiles:
        loss = f"{'MultiQuantile' if len(setting.quantiles) > 1 else 'Quantile'}:alpha={','.join(map(str, setting.quantiles))}"
    elif setting.n_classes == 0:
        loss = "Poisson" if setting.poisson_loss else "MAE" if setting.absolute_loss else "RMSE"
    # Minimal variance sampling is of the processor alone.
    device = {"task_type": "GPU", "devices": "0", "bootstrap_type": "Bernoulli"} if setting.device == "cuda" else {"bootstrap_type": "MVS"}
    return {
        "loss_function": loss,
        "iterations": context.iterations or MOST_ITERATIONS,
        **device,
        "random_seed": context.seed,
        "thread_count": setting.threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }


def _importance(encoder: TableEncoder, categorical: list[str], booster: Any) -> dict[str, float]:
    with sheltered():
        values = np.asarray(booster.get_feature_importance())
    width = len(values) - len(categorical)
    total = float(values.sum())
    if total <= 0:
        return {}
    numeric = column_shares(encoder, values[:width])
    share = float(values[:width].sum()) / total
    found = {name: value * share for name, value in numeric.items()}
    return {**found, **{name: float(value) / total for name, value in zip(categorical, values[width:], strict=True)}}


FAMILIES = {"catboost": CatBoost()}
