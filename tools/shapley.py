"""Shapley values of a fitted model: exact where its trees compute them, sampled permutations for everything else.

Boosters give theirs natively (Lundberg et al. 2020), on the raw scale that they learn on. Blends and other models are explained on the
scale of their predictions, by switching columns from a background row to the explained row one after another in random order
(Strumbelj and Kononenko 2014). Whatever the order, the steps add up to the difference of the two predictions, so that sampled values
add up exactly as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.candidates import CODE
from tools.families.fitted import Contributions, Fitted
from tools.model import FittedMember, FittedModel

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]
Predict = Callable[["pd.DataFrame"], Array]


@dataclass(frozen=True)
class Sampled:
    """Contributions with the standard error of each, in the same shape."""

    contributions: Contributions
    std_error: Array


def exact(model: FittedModel, X: pd.DataFrame) -> Contributions | None:
    """Contributions on the raw scale of a model whose trees compute them; None where no such sum gives the prediction.

    Fits with several seeds are averaged. Members are too, where their raw scale is the prediction's own: probabilities of several
    members do not add up on the scale of log-odds, and what a second layer makes of them is no sum.

    Args:
        X: rows in the schema's dtypes.
    """
    if model.stack is not None:
        return None
    if len(model.members) > 1 and (model.contract.predicts != "values" or any(_logarithmic(member) for member in model.members)):
        return None
    total: dict[str, Array] = {}
    base: Array | None = None
    for member in model.members:
        rows = X[[column.name for column in member.preparation.columns if column.name in X]]
        for fitted in member.fits:
            part = fitted.contributions(rows) if isinstance(fitted, Fitted) else None
            if part is None:
                return None
            weight = member.weight / len(member.fits)
            for place, name in enumerate(part.columns):
                total[name] = total.get(name, 0.0) + weight * part.values[:, place]
            base = weight * part.base + (0.0 if base is None else base)
    if base is None or not total:
        return None
    return Contributions(list(total), np.stack(list(total.values()), axis=1), base)


def _logarithmic(member: FittedMember) -> bool:
    return member.candidate.family == CODE or any(fitted.log_target or fitted.log_rate for fitted in member.fits)


def raw_scale(model: FittedModel) -> str:
    """What the raw scale of `exact` is."""
    if model.contract.predicts == "risk":
        return "log hazard"
    if model.contract.predicts == "values":
        fits = model.members[0].fits
        if any(fitted.log_rate for fitted in fits):
            return f"log of the expected {model.contract.target}"
        return f"log(1 + {model.contract.target})" if _logarithmic(model.members[0]) else model.contract.target
    return "log-odds" if model.contract.task == "binary" else "score before the softmax"


def sampled(
    predict: Predict, X: pd.DataFrame, background: pd.DataFrame, players: dict[str, list[str]], rounds: int, rng: np.random.Generator
) -> Sampled:
    """Shapley values by sampled permutations, each taken forwards and backwards (Mitchell et al. 2022), against background rows.

    All rows of `X` share permutations and background rows, so their base is the same: the mean prediction of those background rows.

    Args:
        predict: gives (n,) or (n, k) for a table like X.
        X: rows to explain.
        background: rows that stand for "not known".
        players: columns that are switched together, by the name they are told under; all columns that matter must be among them.
        rounds: pairs of permutations, each with a background row of its own.
    """
    import pandas as pd

    n, p = len(X), len(players)
    both = pd.concat([X, background], ignore_index=True)
    starts = n + rng.permutation(np.resize(rng.permutation(len(background)), rounds))
    orders = np.stack([rng.permutation(p) for _ in range(rounds)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    starts = np.concatenate([starts, starts])
    # Step s of order o has switched the first s players: shape (orders, steps, players).
    rank = np.argsort(orders, axis=1)
    switched = rank[:, None, :] < np.arange(p + 1)[None, :, None]
    source = np.where(switched[:, :, None, :], np.arange(n)[None, None, :, None], starts[:, None, None, None])
    flat = source.reshape(-1, p)
    columns = {name: both[name].take(flat[:, place]).array for place, names in enumerate(players.values()) for name in names}
    outputs = predict(pd.DataFrame(columns)).reshape(2 * rounds, p + 1, n, -1)
    steps = np.diff(outputs, axis=1)
    values = np.take_along_axis(steps, rank[:, :, None, None], axis=1)
    pairs = (values[:rounds] + values[rounds:]) / 2
    error = pairs.std(axis=0, ddof=1) / np.sqrt(rounds) if rounds > 1 else np.full(pairs.shape[1:], np.nan)
    mean, base = pairs.mean(axis=0), outputs[:rounds, 0, 0].mean(axis=0)
    return Sampled(Contributions(list(players), mean.transpose(1, 0, 2), base), error.transpose(1, 0, 2))
