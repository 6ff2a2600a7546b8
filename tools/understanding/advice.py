"""Why a problem is of its type and judged by its metric, and what else either could be. Advice alone: the contract is as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.contract import Contract
from tools.word_orders import scale_of

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "roc_auc": "it judges how rows are ranked, whatever the threshold and however rare the positive class",
    "log_loss": "it judges the probabilities of all classes, not only which is the largest",
    "qwk": "it counts by how many classes a call is off",
    "rmse": "it is in the target's own unit, and large errors weigh more",
    "poisson_deviance": "it judges expected counts, small ones as well as large ones",
    "pinball": "it judges each quantile by what it costs to be over and under it",
    "average_precision": "it judges for each label how rows are ranked, however few have it",
    "mase": "it compares the error with that of repeating the last season",
    "c_index": "it judges who has the event sooner, with censored rows counted as far as they are known",
    "silhouette": "it judges how much nearer rows are to their own group than to the next",
    "agreement": "it judges whether detectors that work in other ways find the same rows odd",
}
"""Of metrics that a task takes by itself, why it does."""
RARE, HEAVY, SKEWED = 0.05, 10.0, 2.0
"""Share of a class, kurtosis and skew from which another metric or task is worth a thought."""


def task_reason(target: pd.Series, contract: Contract, *, named: bool) -> str:
    """Why the problem is of its type."""
    if named:
        return f"{contract.task} is the problem type that was asked for"
    from pandas.api import types

    values = target.dropna()
    distinct = int(values.nunique())
    if types.is_bool_dtype(values) or not types.is_numeric_dtype(values):
        return f"the target holds {distinct} words, so the problem is {contract.task}"
    if distinct == 2:
        return "the target holds two numbers, so the problem is binary"
    if contract.task == "multiclass":
        return f"the target holds {distinct} whole numbers, each of them common, so they are taken for classes"
    return f"the target holds {distinct:,} different numbers, so the problem is {contract.task}"


def metric_reason(contract: Contract, *, named: bool) -> str:
    """Why the problem is judged by its metric."""
    if named:
        return f"{contract.metric} is the metric that was asked for"
    return f"{contract.metric} is recommended: {METRICS.get(contract.metric, 'it is the usual one of this problem type')}"


def alternatives(target: pd.Series, contract: Contract) -> list[str]:
    """What else the problem could be, or be judged by, in sentences with the option that makes it so."""
    from scipy.stats import kurtosis, skew

    told = []
    values = target.dropna()
    if contract.task == "binary":
        share = float((values.astype(str) == str(contract.positive)).mean())
        if 0 < share < RARE and contract.metric == "roc_auc":
            told.append(f"With {share:.1%} positives --metric average_precision would be stricter.")
    if contract.task == "multiclass":
        spelt = {label.strip().lower(): label for label in contract.classes}
        if order := scale_of(set(spelt)):
            classes = ",".join(spelt[word] for word in order)
            told.append(f"The classes are words of a scale: --task ordinal --classes {classes} would use their order.")
    if contract.task == "regression" and len(values) >= 30:
        numbers = values.to_numpy(dtype="float64")
        if numbers.std() > 0 and float(kurtosis(numbers)) > HEAVY and contract.metric == "rmse":
            told.append("A few values of the target lie far out and decide the rmse: --metric mae bends less to them.")
        if numbers.std() > 0 and abs(float(skew(numbers))) > SKEWED:
            told.append("The target is skewed: --quantiles 0.1,0.5,0.9 tells its spread as well.")
    return told
