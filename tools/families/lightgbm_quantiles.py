"""LightGBM for several quantiles: a booster a level, grown side by side so that all of them stop at one number of iterations, which
is where their mean loss is lowest. A refit needs that number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.abreast import beside_others
from tools.families.boosting import Watch
from tools.families.fitted import Contributions, Raw
from tools.families.matrix import by_source, column_shares
from tools.families.setting import Array, Params
from tools.features import TableEncoder

if TYPE_CHECKING:
    import pandas as pd


def asked(booster: Any, matrix: Array, iterations: int, **options: Any) -> Array:
    """What a booster predicts, with as many threads as it was fitted with where other fits run beside it.

    The library keeps one number of threads for the whole process, which every call sets anew: a prediction that asks for none while another
    thread fits has that fit write beyond what it has room for, and the process is gone.
    """
    threads = booster.params.get("num_threads", 0) if beside_others() else 0
    return np.asarray(booster.predict(matrix, num_iteration=iterations, num_threads=threads, **options))


@dataclass
class LightGBMQuantiles:
    encoder: TableEncoder
    boosters: list[Any]
    iterations: int

    def predict(self, X: pd.DataFrame) -> Array:
        matrix = self.encoder.transform(X)
        return np.column_stack([asked(booster, matrix, self.iterations) for booster in self.boosters])

    def contributions(self, X: pd.DataFrame) -> Contributions:
        matrix = self.encoder.transform(X)
        found = [asked(booster, matrix, self.iterations, pred_contrib=True) for booster in self.boosters]
        return by_source(self.encoder, np.stack(found, axis=1))


def grown(encoder: TableEncoder, options: Params, levels: Sequence[float], train: Any, valid: Any | None, rounds: int, watch: Watch) -> Raw:
    """Boosters of all levels on one data set.

    Args:
        options: of the library, without a level.
        train, valid: `lightgbm.Dataset`; validation rows for early stopping, or None.
        rounds: iterations at most.
    """
    import lightgbm as lgb

    boosters = [lgb.Booster({**options, "alpha": level}, train) for level in levels]
    if valid is not None:
        for booster in boosters:
            booster.add_valid(valid, "valid")
    made = 0
    while made < rounds:
        ended = [booster.update() for booster in boosters]
        made += 1
        loss = None if valid is None else float(np.mean([booster.eval_valid()[0][2] for booster in boosters]))
        if watch.stop(made, loss) or all(ended):
            break
    iterations = watch.best_iteration or made
    gains = np.sum([booster.feature_importance("gain", iteration=iterations) for booster in boosters], axis=0)
    for booster in boosters:
        booster.free_dataset()
    model = LightGBMQuantiles(encoder, boosters, iterations)
    return Raw(model, iterations=iterations, cut_short=watch.cut_short, importance=column_shares(encoder, gains), pace=watch.pace)
