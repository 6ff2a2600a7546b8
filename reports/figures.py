"""Figures as documents print them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from tools.contract import Contract, Task

METRIC_TITLES = {
    "c_index": "Concordance",
    "c_index_ipcw": "Concordance, censoring weighed",
    "silhouette": "Silhouette",
    "davies_bouldin": "Davies-Bouldin",
    "calinski_harabasz": "Calinski-Harabasz",
    "agreement": "Agreement of detectors",
    "roc_auc": "ROC AUC",
    "roc_auc_ovo": "ROC AUC, one against one",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Calibration error",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "f1_micro": "F1, micro",
    "f1_macro": "F1, macro",
    "f1_weighted": "F1, weighted",
    "kappa": "Cohen's kappa",
    "precision": "Precision",
    "precision_micro": "Precision, micro",
    "precision_macro": "Precision, macro",
    "precision_weighted": "Precision, weighted",
    "recall": "Recall",
    "recall_micro": "Recall, micro",
    "recall_macro": "Recall, macro",
    "recall_weighted": "Recall, weighted",
    "mcc": "Matthews correlation",
    "qwk": "Quadratic weighted kappa",
    "ordinal_mae": "Mean distance in classes",
    "rps": "Ranked probability score",
    "hamming_loss": "Hamming loss",
    "poisson_deviance": "Poisson deviance",
    "rmse": "RMSE",
    "rmsle": "RMSLE",
    "mae": "MAE",
    "mape": "MAPE",
    "smape": "sMAPE",
    "huber": "Huber loss",
    "pinball": "Pinball loss",
    "crps": "CRPS",
    "pinball_10": "Pinball loss, 10 %",
    "pinball_90": "Pinball loss, 90 %",
    "mase": "MASE",
    "wape": "WAPE",
    "median_ae": "Median absolute error",
    "r2": "R²",
}


BESIDE_METRICS = {
    "ibs": "Integrated Brier score",
    "ibs_one_curve": "Integrated Brier score of one curve for all",
    "adjusted_r2": "Adjusted R²",
}
"""What is told beside the metrics and chosen by nobody."""
SMALL = 1e-3
NOTHING = 1e-9
"""A scale below it is that of nothing, and gets no decimals of its own."""


def metric_title(name: str) -> str:
    """A metric's name as people write it; an unknown one as it is."""
    return METRIC_TITLES.get(name) or BESIDE_METRICS.get(name, name.replace("_", " "))


_PERSONS = ("Cohen", "Matthews", "Brier", "Poisson", "Huber", "Davies", "Calinski")


def metric_said(name: str) -> str:
    """A metric's name within a sentence: `ROC AUC`, `log loss`. One whose title would read like a figure stays as it is."""
    title = metric_title(name)
    if re.search(r"(?<!\w)\d", title):
        return name
    return title if title.startswith(_PERSONS) or not title[1:2].islower() else title[0].lower() + title[1:]


def importance_said(kind: str, metric: str | None) -> str:
    """What the importance of a column is measured in, with the metric as people call it."""
    return kind.replace(metric, metric_said(metric)) if metric else kind


def title_in(name: str, contract: Contract | None) -> str:
    """A metric's title in a task: of several labels, accuracy is the share of rows whose labels are all right."""
    return "All labels right" if name == "accuracy" and contract and contract.predicts == "labels" else metric_title(name)


def source_name(source: str) -> str:
    """What a source is called, without the folders or the host that it lies in, and without a sum behind it."""
    plain = re.sub(r"#(sha256|md5)=.*$", "", source).removeprefix("frame:").rstrip("/")
    return plain.rpartition("/")[2] or plain or source


TASK_TITLES: dict[Task, str] = {
    "binary": "Binary classification",
    "multiclass": "Classification into {} classes",
    "regression": "Regression",
    "count": "Regression of counts",
    "quantile": "Quantile regression",
    "multilabel": "Several labels: {} of them",
    "ordinal": "Classification into {} ordered classes",
    "forecast": "Forecast",
    "survival": "Survival analysis",
    "cluster": "Groups of rows",
    "anomaly": "Anomaly scores",
}


def task_title(contract: Contract) -> str:
    """What a run's problem is, as people call it."""
    title = TASK_TITLES[contract.task].format(len(contract.classes))
    if contract.quantiles:
        return f"{title} at {', '.join(f'{level:g}' for level in contract.quantiles)}"
    return f"{title}, {contract.forecast.horizon} steps ahead," if contract.forecast else title


def compact(value: float) -> str:
    """Four significant digits; thousands separated from 10,000 on; whole numbers whole."""
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def score_format(scale: float) -> Callable[[float], str]:
    """A formatter that gives every score of a table the decimals that four significant digits of `scale` need."""
    magnitude = math.floor(math.log10(abs(scale))) if abs(scale) >= NOTHING and math.isfinite(scale) else 0
    decimals = min(10, max(0, 3 - magnitude))
    return lambda value: f"{value:,.{decimals}f}"


def row_format(score: float, beside: Sequence[float]) -> Callable[[float], str]:
    """`score_format` for a row of scores: one that is next to nothing has no more decimals than those beside it need, six at most."""
    return score_format(max(abs(score), min(SMALL, max(map(abs, beside), default=0.0))))


def signed(value: float, figure: Callable[[float], str]) -> str:
    """A difference as `figure` prints it, with its sign; `0` where nothing but zeros would be left."""
    text = figure(abs(value))
    if not text.strip("0.,"):
        return "0"
    return ("+" if value > 0 else "−") + text


def p_value(p: float | None) -> str:
    """Three decimals, `<0.001` below them, nothing where there is none."""
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """`0.05 s`, `14.8 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def share(value: float) -> str:
    """A share as per cent: `0 %` is none at all, `<1 %` a few."""
    if 0 < value < 0.01:
        return "<1 %"
    if 0.99 < value < 1:
        return ">99 %"
    return f"{value:.0%}".replace("%", " %")


def file_size(count: int) -> str:
    """Bytes with a decimal unit."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def dollars(usd: float | None) -> str:
    if usd is None:
        return "price unknown"
    return f"${usd:.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}"
