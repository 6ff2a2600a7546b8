"""LightGBM (Ke et al. 2017): leaf-wise boosting with native categories."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools import memory
from tools.families.appetite import Appetite
from tools.families.base import Family, class_weights, refuse_weights, row_weights
from tools.families.blocks import BLOCK_ROWS, Blocks, spilled
from tools.families.boosting import Watch, paced, patience_for
from tools.families.fitted import Contributions, Predictor, Raw
from tools.families.lightgbm_quantiles import asked, grown
from tools.families.matrix import by_source, column_shares, encoder_for, plain, signs
from tools.families.quantile_trees import FEWEST_IN_LEAF
from tools.families.setting import Array, FitContext, Params, Setting
from tools.features import TableEncoder
from tools.few_rows import FewRows, TakesFew

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from tools.families.blocks import Pieces

MOST_ITERATIONS = 5000


@dataclass
class LightGBMModel(TakesFew):
    encoder: TableEncoder
    booster: Any
    iterations: int
    n_classes: int

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        values = asked(self.booster, self.encoder.transform(X), self.iterations)
        return np.column_stack([1 - values, values]) if self.n_classes == 2 else values

    def contributions(self, X: pd.DataFrame) -> Contributions:
        values = asked(self.booster, self.encoder.transform(X), self.iterations, pred_contrib=True)
        outputs = self.n_classes if self.n_classes > 2 else 1
        return by_source(self.encoder, values.reshape(len(X), outputs, -1))


class LightGBM(Family):
    """Gradient-boosted trees of the LightGBM library, deterministic for a seed and a number of threads."""

    name = "lightgbm"
    iterative = True
    abreast = True
    crossable = True
    weight = 1.6
    bags = 4
    weighable = True
    appetite = Appetite(table=1.7, matrix=2.5, classes=3)

    def default(self, setting: Setting) -> list[Params]:
        leaf = FEWEST_IN_LEAF if setting.quantiles else max(3, min(20, setting.n_rows // 60))
        base: Params = {
            "learning_rate": 0.05,
            "num_leaves": 31 if setting.n_rows >= 1500 else 15,
            "min_data_in_leaf": leaf,
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "lambda_l2": 1.0,
            "lambda_l1": 0.0,
            "extra_trees": False,
            "cat_smooth": 10.0,
            "log_target": setting.log_target,
        }
        small = {**base, "extra_trees": True, "num_leaves": 31, "feature_fraction": 0.9}
        large = {**base, "learning_rate": 0.03, "num_leaves": 127, "feature_fraction": 0.9, "min_data_in_leaf": max(2, leaf // 2)}
        shallow = {**base, "num_leaves": 7, "lambda_l2": 5.0, "feature_fraction": 0.5}
        return [base, small, large, shallow] if setting.n_rows >= 1500 else [small, shallow, base]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.25, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 4, 255, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 2, 100, log=True),
            "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
            "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 50.0, log=True),
            "lambda_l1": 0.0,
            "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
            "cat_smooth": trial.suggest_float("cat_smooth", 1.0, 100.0, log=True),
            "log_target": setting.log_target,
        }

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        return paced(params, pace, seconds, setting.n_rows)

    def over_blocks(self, model: Predictor, pieces: Pieces, folder: Path, params: Params, setting: Setting, context: FitContext) -> Raw:
        import lightgbm as lgb

        if not isinstance(model, LightGBMModel):
            return super().over_blocks(model, pieces, folder, params, setting, context)
        encoder = plain(model.encoder)
        blocks = spilled(folder / "rows", pieces, encoder.transform, context.deadline)
        # Its bins stay in memory, a byte for each number, beside gradients of each class.
        needed = len(blocks) * (blocks.width + 16.0 * max(1, setting.n_classes) + 16.0) / 2**20
        if needed > memory.room_mb():
            raise MemoryError(f"its bins would take about {needed:,.0f} MiB, and {memory.room_mb():,.0f} are left")
        params.pop("log_target", None)
        weights = class_weights(params, blocks.y)
        options = {**params, **_fixed(setting, context)}
        if setting.monotone:
            options["monotone_constraints"] = signs(encoder, setting, blocks.width)
        by_row = None if weights is None else weights[blocks.y]
        data_options = {"categorical_feature": encoder.categorical_positions, "params": options, "free_raw_data": True}
        train = lgb.Dataset([_sequence(blocks)], blocks.y, weight=by_row, **data_options)
        watch = Watch(context.deadline)

        def follow(env: Any) -> None:
            if watch.stop(env.iteration + 1, None):
                raise lgb.callback.EarlyStopException(env.iteration, [])

        booster = lgb.train(options, train, num_boost_round=context.iterations or model.iterations, callbacks=[follow])
        iterations = booster.current_iteration()
        importance = column_shares(encoder, booster.feature_importance("gain"))
        fitted = replace(model, booster=booster, iterations=iterations)
        return Raw(fitted, iterations=iterations, cut_short=watch.cut_short, importance=importance, pace=watch.pace)

    def over_workers(self, model: Predictor, cluster: Any, X: Any, y: Any, params: Params, setting: Setting, context: FitContext) -> Raw:
        import lightgbm as lgb

        if not isinstance(model, LightGBMModel):
            return super().over_workers(model, cluster, X, y, params, setting, context)
        refuse_weights(params)
        encoder = plain(model.encoder)
        params.pop("log_target", None)
        options = {**params, **_fixed(setting, context)}
        for name in ("num_threads", "num_class"):  # as many as a worker has, and as there are
            options.pop(name, None)
        if setting.monotone:
            options["monotone_constraints"] = signs(encoder, setting, X.shape[1])
        learner = lgb.DaskLGBMClassifier if setting.n_classes else lgb.DaskLGBMRegressor
        learnt = learner(client=cluster, n_estimators=context.iterations or model.iterations, **options)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Parameter n_jobs will be ignored")  # one that nobody gave
            learnt.fit(X, y, categorical_feature=encoder.categorical_positions or "auto")
        booster = learnt.booster_
        iterations = booster.current_iteration()
        importance = column_shares(encoder, booster.feature_importance("gain"))
        return Raw(replace(model, booster=booster, iterations=iterations), iterations=iterations, importance=importance)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        import lightgbm as lgb

        encoder = encoder_for(setting, "codes")
        matrix = encoder.fit_transform(X, y)
        weights, checked = row_weights(params, y, valid[1] if valid else None)
        options = {**params, **_fixed(setting, context)}
        if setting.monotone:
            options["monotone_constraints"] = signs(encoder, setting, matrix.shape[1])
        data_options = {"categorical_feature": encoder.categorical_positions, "params": options, "free_raw_data": True}
        train = lgb.Dataset(matrix, y, weight=weights, **data_options)
        valid_sets = [lgb.Dataset(encoder.transform(valid[0]), valid[1], weight=checked, reference=train, **data_options)] if valid else []
        watch = Watch(context.deadline, patience=patience_for(params) if valid else 0)

        def follow(env: Any) -> None:
            loss = env.evaluation_result_list[0][2] if env.evaluation_result_list else None
            if watch.stop(env.iteration + 1, loss):
                raise lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])

        rounds = context.iterations or MOST_ITERATIONS
        if setting.quantiles:
            return grown(encoder, options, setting.quantiles, train, valid_sets[0] if valid_sets else None, rounds, watch)
        booster = lgb.train(options, train, num_boost_round=rounds, valid_sets=valid_sets, callbacks=[follow])
        iterations = watch.best_iteration or booster.current_iteration()
        importance = column_shares(encoder, booster.feature_importance("gain", iteration=iterations))
        model = LightGBMModel(encoder, booster, iterations, setting.n_classes)
        return Raw(model, iterations=iterations, cut_short=watch.cut_short, importance=importance, pace=watch.pace)


def _sequence(blocks: Blocks) -> Any:
    """Blocks as LightGBM asks for them: single rows in ascending order to find bins, then stretches."""
    import lightgbm as lgb

    class Sequence(lgb.Sequence):  # type: ignore[misc]
        batch_size = BLOCK_ROWS
        start, held = 0, np.empty((0, blocks.width), dtype=np.float32)

        def __len__(self) -> int:
            return len(blocks)

        def __getitem__(self, index: Any) -> Array:
            if isinstance(index, slice):
                return blocks.rows(index.start or 0, len(blocks) if index.stop is None else index.stop).astype(np.float64)
            row = int(index)
            if not self.start <= row < self.start + len(self.held):
                self.start = row - row % BLOCK_ROWS
                self.held = blocks.rows(self.start, self.start + BLOCK_ROWS)
            return np.asarray(self.held[row - self.start], dtype=np.float64)

    return Sequence()


def _fixed(setting: Setting, context: FitContext) -> Params:
    if setting.n_classes == 0:
        loss = "quantile" if setting.quantiles else "poisson" if setting.poisson_loss else "mae" if setting.absolute_loss else "rmse"
        objective: Params = {"objective": loss, "metric": loss}
    elif setting.n_classes == 2:
        objective = {"objective": "binary", "metric": "binary_logloss"}
    else:
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": setting.n_classes}
    return {
        **objective,
        "bagging_freq": 1,
        "min_data_per_group": max(5, min(100, setting.n_rows // 50)),
        "seed": context.seed,
        "num_threads": setting.threads,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbosity": -1,
    }


FAMILIES = {"lightgbm": LightGBM()}
