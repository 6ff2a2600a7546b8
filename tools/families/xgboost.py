"""XGBoost (Chen and Guestrin 2016): histogram boosting with native categories; of risks by the partial likelihood of Cox (1972)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.deadline import sheltered
from tools.families.appetite import Appetite
from tools.families.base import Family, class_weights, encoding_target, refuse_weights, row_weights
from tools.families.blocks import Blocks, spilled
from tools.families.boosting import BOOSTED_ROWS, Watch, paced, patience_for
from tools.families.fitted import Contributions, Predictor, Raw
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
class XGBoostModel(TakesFew):
    encoder: TableEncoder
    booster: Any
    iterations: int
    n_classes: int
    margin: bool = False
    """Whether it tells the sum of its trees, as of log hazards, whose exponentials may overflow."""

    def predict(self, X: pd.DataFrame | FewRows) -> Array:
        found = self.booster.predict(self._matrix(X), iteration_range=(0, self.iterations), output_margin=self.margin)
        values = np.asarray(found, dtype=np.float64 if self.margin else None)
        return np.column_stack([1 - values, values]) if self.n_classes == 2 else values

    def contributions(self, X: pd.DataFrame) -> Contributions:
        values = np.asarray(self.booster.predict(self._matrix(X), iteration_range=(0, self.iterations), pred_contribs=True))
        return by_source(self.encoder, values.reshape(len(X), -1, values.shape[-1]))

    def _matrix(self, X: pd.DataFrame | FewRows) -> Any:
        import xgboost as xgb

        return xgb.DMatrix(self.encoder.transform(X), feature_types=_types(self.encoder), enable_categorical=True)


class XGBoost(Family):
    """Gradient-boosted trees of the XGBoost library."""

    name = "xgboost"
    iterative = True
    abreast = True
    crossable = True
    weight = 1.2
    bags = 4
    weighable = True
    cuda, cuda_rows = True, BOOSTED_ROWS
    appetite = Appetite(table=1.8, matrix=2.2, classes=3)

    def default(self, setting: Setting) -> list[Params]:
        base: Params = {
            "learning_rate": 0.05,
            "grow_policy": "depthwise",
            "max_depth": 6 if setting.n_rows >= 1500 else 4,
            "min_child_weight": float(FEWEST_IN_LEAF) if setting.quantiles else 2.0,
            "subsample": 0.8,
            "colsample_bytree": 0.7,
            "reg_lambda": 2.0,
            "log_target": setting.log_target,
        }
        deep = {
            **base,
            "max_depth": 9,
            "colsample_bytree": 0.5,
            "min_child_weight": base["min_child_weight"] / 2,
            "reg_lambda": 5.0,
            "learning_rate": 0.03,
        }
        return [base, deep]

    def space(self, trial: optuna.Trial, setting: Setting) -> Params:
        # By level to a depth, or by the leaf that gains most to a number of leaves: each has a size of its own.
        if trial.suggest_categorical("grow_policy", ["depthwise", "lossguide"]) == "depthwise":
            shape: Params = {"grow_policy": "depthwise", "max_depth": trial.suggest_int("max_depth", 2, 11)}
        else:
            shape = {"grow_policy": "lossguide", "max_depth": 0, "max_leaves": trial.suggest_int("max_leaves", 4, 255, log=True)}
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.25, log=True),
            **shape,
            "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 50.0, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
            "reg_lambda": trial.suggest_float("reg_lambda", 0.01, 50.0, log=True),
            "log_target": setting.log_target,
        }

    def paced(self, params: Params, pace: float, seconds: float, setting: Setting) -> Params:
        return paced(params, pace, seconds, setting.n_rows)

    def no_cuda(self, setting: Setting) -> str | None:
        import xgboost as xgb

        built = bool(xgb.build_info().get("USE_CUDA"))
        return None if built else "the installed XGBoost is a build without CUDA (`pip uninstall xgboost-cpu`, `pip install xgboost`)"

    def over_blocks(self, model: Predictor, pieces: Pieces, folder: Path, params: Params, setting: Setting, context: FitContext) -> Raw:
        import xgboost as xgb

        if not isinstance(model, XGBoostModel) or setting.predicts == "risk":
            return super().over_blocks(model, pieces, folder, params, setting, context)
        encoder = plain(model.encoder)
        blocks = spilled(folder / "rows", pieces, encoder.transform, context.deadline)
        params.pop("log_target", None)
        weights = class_weights(params, blocks.y)
        with sheltered():
            train = xgb.ExtMemQuantileDMatrix(
                _iterator(blocks, weights, encoder, folder / "pages"), enable_categorical=True, nthread=setting.threads
            )
        watch = Watch(context.deadline)

        class Follow(xgb.callback.TrainingCallback):  # type: ignore[misc]
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                return watch.stop(epoch + 1, None)

        options = {**params, **_fixed(setting, context)}
        if setting.monotone:
            options["monotone_constraints"] = tuple(signs(encoder, setting, blocks.width))
        rounds = context.iterations or model.iterations
        with sheltered():
            booster = xgb.train(options, train, num_boost_round=rounds, callbacks=[Follow()], verbose_eval=False)
        fitted = replace(model, booster=booster, iterations=booster.num_boosted_rounds())
        return Raw(fitted, iterations=fitted.iterations, cut_short=watch.cut_short, pace=watch.pace)

    def over_workers(self, model: Predictor, cluster: Any, X: Any, y: Any, params: Params, setting: Setting, context: FitContext) -> Raw:
        from xgboost import dask as over_dask

        if not isinstance(model, XGBoostModel) or setting.predicts == "risk":
            return super().over_workers(model, cluster, X, y, params, setting, context)
        refuse_weights(params)
        encoder = plain(model.encoder)
        params.pop("log_target", None)
        options = {**params, **_fixed(setting, context)}
        options.pop("nthread")  # as many as a worker has
        if setting.monotone:
            options["monotone_constraints"] = tuple(signs(encoder, setting, X.shape[1]))
        train = over_dask.DaskQuantileDMatrix(cluster, X, y, feature_types=_types(encoder), enable_categorical=True)
        found = over_dask.train(cluster, options, train, num_boost_round=context.iterations or model.iterations)
        booster = found["booster"]
        fitted = replace(model, booster=booster, iterations=booster.num_boosted_rounds())
        return Raw(fitted, iterations=fitted.iterations)

    def _fit(
        self, X: pd.DataFrame, y: Array, valid: tuple[pd.DataFrame, Array] | None, params: Params, setting: Setting, context: FitContext
    ) -> Raw:
        import xgboost as xgb

        encoder = encoder_for(setting, "codes")
        matrix = encoder.fit_transform(X, encoding_target(y, setting))
        shape = {"feature_types": _types(encoder), "enable_categorical": True, "nthread": setting.threads}
        check = encoder.transform(valid[0]) if valid else None
        weights, checked = row_weights(params, y, valid[1] if valid else None)
        with sheltered():
            train = xgb.QuantileDMatrix(matrix, _labels(y, setting), weight=weights, **shape)
            evals = [(xgb.QuantileDMatrix(check, _labels(valid[1], setting), weight=checked, ref=train, **shape), "valid")] if valid else []
        watch = Watch(context.deadline, patience=patience_for(params) if valid else 0)

        class Follow(xgb.callback.TrainingCallback):  # type: ignore[misc]
            def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
                loss = next(iter(evals_log["valid"].values()))[-1] if evals_log else None
                return watch.stop(epoch + 1, loss)

        options = {**params, **_fixed(setting, context)}
        if setting.monotone:
            options["monotone_constraints"] = tuple(signs(encoder, setting, matrix.shape[1]))
        rounds = context.iterations or MOST_ITERATIONS
        with sheltered():
            booster = xgb.train(options, train, num_boost_round=rounds, evals=evals, callbacks=[Follow()], verbose_eval=False)
        if setting.device == "cuda":
            booster.set_param({"device": "cpu"})  # the model predicts wherever it is taken
        iterations = watch.best_iteration or booster.num_boosted_rounds()
        gains = booster.get_score(importance_type="total_gain")
        importance = np.array([gains.get(f"f{i}", 0.0) for i in range(matrix.shape[1])])
        model = XGBoostModel(encoder, booster, iterations, setting.n_classes, margin=setting.predicts == "risk")
        return Raw(model, iterations=iterations, cut_short=watch.cut_short, importance=column_shares(encoder, importance), pace=watch.pace)


def _iterator(blocks: Blocks, weights: Array | None, encoder: TableEncoder, cache: Path) -> Any:
    """Blocks as XGBoost asks for them, once for the quantiles and once for the pages that it keeps beside `cache`."""
    import xgboost as xgb

    class Iterator(xgb.DataIter):  # type: ignore[misc]
        def __init__(self) -> None:
            self.stretches = blocks.stretches()
            super().__init__(cache_prefix=str(cache))

        def next(self, input_data: Any) -> bool:
            found = next(self.stretches, None)
            if found is None:
                return False
            X, y = found
            weighed = {} if weights is None else {"weight": weights[y]}
            input_data(data=X, label=y, feature_types=_types(encoder), **weighed)
            return True

        def reset(self) -> None:
            self.stretches = blocks.stretches()

    return Iterator()


def _types(encoder: TableEncoder) -> list[str]:
    width = encoder.blocks_[-1].stop if encoder.blocks_ else 1
    return ["c" if i in encoder.categorical_positions else "q" for i in range(width)]


def _labels(y: Array, setting: Setting) -> Array:
    """The target as the library wants it: of signed times, none that is 0, whose sign it would not see."""
    return np.copysign(np.maximum(np.abs(y), 1e-6), y) if setting.predicts == "risk" else y


def _fixed(setting: Setting, context: FitContext) -> Params:
    if setting.predicts == "risk":
        return _common({"objective": "survival:cox", "eval_metric": "cox-nloglik"}, setting, context)
    if setting.n_classes == 0:
        objective: Params = {"objective": "reg:squarederror", "eval_metric": "rmse"}
        if setting.quantiles:
            objective = {"objective": "reg:quantileerror", "quantile_alpha": list(setting.quantiles), "eval_metric": "quantile"}
        elif setting.absolute_loss:
            objective = {"objective": "reg:absoluteerror", "eval_metric": "mae"}
        elif setting.poisson_loss:
            objective = {"objective": "count:poisson", "eval_metric": "poisson-nloglik"}
    elif setting.n_classes == 2:
        objective = {"objective": "binary:logistic", "eval_metric": "logloss"}
    else:
        objective = {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": setting.n_classes}
    return _common(objective, setting, context)


def _common(objective: Params, setting: Setting, context: FitContext) -> Params:
    device = "cuda" if setting.device == "cuda" else "cpu"
    return {**objective, "tree_method": "hist", "device": device, "seed": context.seed, "nthread": setting.threads, "verbosity": 0}


FAMILIES = {"xgboost": XGBoost()}
