"""Metrics of numbers.

MASE (Hyndman and Koehler 2006) counts each error in a unit, the error of a seasonal naive forecast within the training rows of its
series, which the contract keeps; `tools.metrics.scoring.shaped` divides by it, so that what is left to do here is a mean.

What is no metric here, and why: an adjusted R² ranks the models of one table as R² does, since rows and columns are the table's, so it is
told beside R² (`adjusted`) and nothing is chosen by it. A
quantile is part of the name (`pinball_10`), since the contract holds one word for the metric; the median's is half of `mae`.
Several quantiles at once are a task of their own, see `tools.metrics.quantile`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric
from tools.metrics.quantile import MEANS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

HUBER_DELTA = 1.0
"""Where Huber's loss turns from squares to a straight line, in units of the target."""
QUANTILES = {"pinball_10": 0.1, "pinball_90": 0.9}
"""Quantile that each pinball loss asks for."""
ADJUSTED = "adjusted_r2"
"""What `adjusted` is called beside the metrics."""


def row_losses(name: str, y: Array, values: Array) -> Array | None:
    """What a metric averages over rows, shape (n,); None for one that is no such mean. `rmse` and `rmsle` are roots of it."""
    import numpy as np

    error = y - values
    if name == "rmse":
        return error**2
    if name in ("mae", "mase", *MEANS):
        return np.abs(error)
    if name == "mape":
        return np.abs(error) / np.maximum(np.abs(y), np.finfo(np.float64).eps)
    if name == "smape":
        scale = np.abs(y) + np.abs(values)
        return np.divide(2 * np.abs(error), scale, out=np.zeros_like(scale), where=scale > 0)
    if name == "rmsle":
        return (np.log1p(y) - np.log1p(np.clip(values, 0, None))) ** 2
    if name == "huber":
        size = np.abs(error)
        return np.where(size <= HUBER_DELTA, 0.5 * error**2, HUBER_DELTA * (size - 0.5 * HUBER_DELTA))
    if name == "poisson_deviance":
        return poisson_deviances(y, values)
    if name in QUANTILES:
        return np.maximum(QUANTILES[name] * error, (QUANTILES[name] - 1) * error)
    return None


def poisson_deviances(y: Array, values: Array) -> Array:
    """Twice what each row's log-likelihood lacks of the best there is, shape (n,) (McCullagh and Nelder 1989, section 2.3)."""
    import numpy as np
    from scipy.special import xlogy

    rates = np.maximum(values, np.finfo(np.float64).eps)
    deviances: Array = 2 * (xlogy(y, y / rates) - y + rates)
    return deviances


def adjusted(r2: float, rows: int, columns: int) -> float | None:
    """R² less what as many columns explain of so many rows by chance (Wherry 1931); None where there are no more rows than columns.

    It was made for the rows of a fit. Of rows that the model has not seen nothing needs to be taken off, and it is too low.
    """
    left = rows - columns - 1
    return 1 - (1 - r2) * (rows - 1) / left if left > 0 else None


def _mean(name: str) -> Any:
    def metric(y: Array, values: Array) -> float:
        losses = row_losses(name, y, values)
        assert losses is not None, name
        return float(losses.mean())

    return metric


def _rmse(y: Array, values: Array) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(y, values))


def _rmsle(y: Array, values: Array) -> float:
    from sklearn.metrics import root_mean_squared_log_error

    return float(root_mean_squared_log_error(y, values.clip(min=0)))


def _r2(y: Array, values: Array) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(y, values))


def _median_ae(y: Array, values: Array) -> float:
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(y, values))


def _wape(y: Array, values: Array) -> float:
    import numpy as np

    return float(np.abs(y - values).sum() / np.abs(y).sum())


_TASK: tuple[Task, ...] = ("regression", "count")
_COUNT: tuple[Task, ...] = ("count",)
_FORECAST: tuple[Task, ...] = ("forecast",)
_ALL: tuple[Task, ...] = (*_TASK, *_FORECAST)
_POSITIVE = (0.0, inf)

REGRESSION = (
    Metric(
        "poisson_deviance",
        _COUNT,
        "minimize",
        "value",
        "Mean Poisson deviance of counts; predictions of 0 and less count as the smallest step above it",
        _mean("poisson_deviance"),
        _POSITIVE,
    ),
    Metric("rmse", _ALL, "minimize", "value", "Root of the mean squared error, in units of the target", _rmse, _POSITIVE),
    Metric(
        "mae",
        (*_ALL, "quantile"),
        "minimize",
        "value",
        "Mean absolute error (of quantiles, the median's), in units of the target",
        _mean("mae"),
        _POSITIVE,
    ),
    Metric("r2", _TASK, "maximize", "value", "Share of the target's variance explained", _r2, (-inf, 1.0)),
    Metric("mape", _ALL, "minimize", "value", "Mean absolute error as a share of the true value", _mean("mape"), _POSITIVE),
    Metric(
        "smape",
        _ALL,
        "minimize",
        "value",
        "Mean absolute error as a share of the mean of true and predicted value, 0 to 2",
        _mean("smape"),
        (0.0, 2.0),
    ),
    Metric("rmsle", _TASK, "minimize", "value", "RMSE of log(1 + value); predictions below 0 count as 0", _rmsle, _POSITIVE),
    Metric(
        "huber",
        _TASK,
        "minimize",
        "value",
        f"Mean of half the squared error up to {HUBER_DELTA:g} unit of the target, and of the distance beyond",
        _mean("huber"),
        _POSITIVE,
    ),
    *(
        Metric(name, _TASK, "minimize", "value", f"Pinball loss of the predicted {quantile:.0%} quantile", _mean(name), _POSITIVE)
        for name, quantile in QUANTILES.items()
    ),
    Metric(
        "mase",
        _FORECAST,
        "minimize",
        "value",
        "Mean absolute error in units of the seasonal naive forecast's within the training rows of the series",
        _mean("mase"),
        _POSITIVE,
        in_units=True,
    ),
    Metric("wape", _FORECAST, "minimize", "value", "Sum of the absolute errors as a share of the sum of the true values", _wape, _POSITIVE),
    Metric("median_ae", _ALL, "minimize", "value", "Median absolute error, in units of the target", _median_ae, _POSITIVE),
)
