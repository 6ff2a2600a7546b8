"""Metrics of classes and their probabilities."""

from __future__ import annotations

from itertools import combinations
from math import inf
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric
from tools.metrics.multilabel import label_losses, scorable

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

ECE_BINS = 15
"""Equal-width bins of the calibration error, as Guo et al. 2017 (On Calibration of Modern Neural Networks) have them."""


def _roc_auc(y: Array, proba: Array) -> float:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if y.ndim == 2:
        return float(np.mean([roc_auc_score(y[:, place], proba[:, place]) for place in scorable(y)]))
    if proba.shape[1] == 2:
        return float(roc_auc_score(y == 1, proba[:, 1]))
    return float(np.mean([roc_auc_score(y == code, proba[:, code]) for code in np.unique(y)]))


def _roc_auc_ovo(y: Array, proba: Array) -> float:
    """Hand and Till's M (2001): of each pair of classes the mean of both areas, over the pairs among the classes of `y`."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    areas = []
    for a, b in combinations(np.unique(y), 2):
        rows = (y == a) | (y == b)
        areas += [roc_auc_score(y[rows] == code, proba[rows, code]) for code in (a, b)]
    return float(np.mean(areas))


def _average_precision(y: Array, proba: Array) -> float:
    import numpy as np
    from sklearn.metrics import average_precision_score

    if y.ndim == 2:
        return float(np.mean([average_precision_score(y[:, place], proba[:, place]) for place in scorable(y)]))
    if proba.shape[1] == 2:
        return float(average_precision_score(y == 1, proba[:, 1]))
    return float(np.mean([average_precision_score(y == code, proba[:, code]) for code in np.unique(y)]))


def _log_loss(y: Array, proba: Array) -> float:
    from sklearn.metrics import log_loss

    if y.ndim == 2:
        return float(label_losses(y, proba).mean())
    return float(log_loss(y, proba, labels=range(proba.shape[1])))


def brier_losses(y: Array, proba: Array) -> Array:
    """Brier's loss of each row, shape (n,): of two classes the squared error of the positive probability, 0 to 1; of more
    the sum of the squared errors over the classes, 0 to 2 (Brier 1950)."""
    import numpy as np

    if proba.shape[1] == 2:
        return (proba[:, 1] - (y == 1)) ** 2
    return ((proba - np.eye(proba.shape[1])[y]) ** 2).sum(axis=1)


def _brier(y: Array, proba: Array) -> float:
    if y.ndim == 2:
        return float(((proba - y) ** 2).mean())
    return float(brier_losses(y, proba).mean())


def calibration_gaps(y: Array, proba: Array) -> tuple[Array, Array]:
    """Of each row its bin, 0 to ECE_BINS - 1, and how far what was said lies above what happened, shape (n,) each.

    Of two classes the positive probability is held against the positive rows, so that a rare class counts; of more the
    probability of the most probable class against whether that is the true one. A probability on an edge belongs to the
    bin below it.
    """
    import numpy as np

    if proba.shape[1] == 2:
        said, happened = proba[:, 1], y == 1
    else:
        said, happened = proba.max(axis=1), y == proba.argmax(axis=1)
    edges = np.linspace(0, 1, ECE_BINS + 1)
    return np.searchsorted(edges[1:-1], said), said - happened


def _ece(y: Array, proba: Array) -> float:
    import numpy as np

    bins, gaps = calibration_gaps(y, proba)
    return float(np.abs(np.bincount(bins, weights=gaps, minlength=ECE_BINS)).sum() / len(y))


def _accuracy(y: Array, labels: Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(y, labels))


def _balanced_accuracy(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    # The mean recall over the classes that occur in y; scikit-learn's own function warns about the others.
    return float(recall_score(y, labels, average="macro", labels=sorted(set(y.tolist())), zero_division=0))


def _f1(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, pos_label=1, zero_division=0))


def _f1_micro(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, average="micro", zero_division=0)) if y.ndim == 2 else _accuracy(y, labels)


def _f1_macro(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, average="macro", zero_division=0))


def _f1_weighted(y: Array, labels: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, labels, average="weighted", zero_division=0))


def _precision(y: Array, labels: Array) -> float:
    from sklearn.metrics import precision_score

    return float(precision_score(y, labels, pos_label=1, zero_division=0))


def _precision_macro(y: Array, labels: Array) -> float:
    from sklearn.metrics import precision_score

    return float(precision_score(y, labels, average="macro", zero_division=0))


def _precision_weighted(y: Array, labels: Array) -> float:
    from sklearn.metrics import precision_score

    return float(precision_score(y, labels, average="weighted", zero_division=0))


def _precision_micro(y: Array, labels: Array) -> float:
    from sklearn.metrics import precision_score

    return float(precision_score(y, labels, average="micro", zero_division=0)) if y.ndim == 2 else _accuracy(y, labels)


def _recall(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(y, labels, pos_label=1, zero_division=0))


def _recall_macro(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(y, labels, average="macro", zero_division=0))


def _recall_micro(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(y, labels, average="micro", zero_division=0)) if y.ndim == 2 else _accuracy(y, labels)


def _recall_weighted(y: Array, labels: Array) -> float:
    from sklearn.metrics import recall_score

    return float(recall_score(y, labels, average="weighted", zero_division=0)) if y.ndim == 2 else _accuracy(y, labels)


def _mcc(y: Array, labels: Array) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(y, labels))


def _kappa(y: Array, labels: Array) -> float:
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(y, labels))


_BINARY: tuple[Task, ...] = ("binary",)
_MULTI: tuple[Task, ...] = ("multiclass", "ordinal")
_BOTH: tuple[Task, ...] = ("binary", *_MULTI)
_RANKED: tuple[Task, ...] = (*_BOTH, "anomaly", "multilabel")
_LABELS: tuple[Task, ...] = (*_BOTH, "multilabel")
_SHARE = (0.0, 1.0)

CLASSIFICATION = (
    Metric(
        "roc_auc",
        _RANKED,
        "maximize",
        "proba",
        "Area under the ROC curve; mean of one-vs-rest over the classes or labels",
        _roc_auc,
        _SHARE,
        compares_rows=True,
    ),
    Metric(
        "roc_auc_ovo",
        _MULTI,
        "maximize",
        "proba",
        "Area under the ROC curve, mean over pairs of classes",
        _roc_auc_ovo,
        _SHARE,
        compares_rows=True,
    ),
    Metric(
        "average_precision",
        _RANKED,
        "maximize",
        "proba",
        "Area under the precision-recall curve; mean of one-vs-rest over the classes or labels",
        _average_precision,
        _SHARE,
        compares_rows=True,
    ),
    Metric("log_loss", _LABELS, "minimize", "proba", "Mean negative log-likelihood of the class, or of each label", _log_loss, (0.0, inf)),
    Metric(
        "brier",
        _LABELS,
        "minimize",
        "proba",
        "Mean squared error of the positive probability, or of each label's; of more classes summed over them, 0 to 2",
        _brier,
        (0.0, 2.0),
    ),
    Metric(
        "ece",
        _BOTH,
        "minimize",
        "proba",
        f"Expected calibration error over {ECE_BINS} equal-width bins: mean distance of what is said from what happens",
        _ece,
        _SHARE,
    ),
    Metric("accuracy", _LABELS, "maximize", "label", "Share of rows whose class, or whole set of labels, is right", _accuracy, _SHARE),
    Metric("balanced_accuracy", _BOTH, "maximize", "label", "Mean recall over the classes", _balanced_accuracy, _SHARE),
    Metric("f1", _BINARY, "maximize", "label", "Harmonic mean of precision and recall of the positive class", _f1, _SHARE),
    Metric("precision", _BINARY, "maximize", "label", "Share of positive calls that are right", _precision, _SHARE),
    Metric("recall", _BINARY, "maximize", "label", "Share of positives that are found", _recall, _SHARE),
    Metric("mcc", _BOTH, "maximize", "label", "Matthews correlation coefficient, -1 to 1", _mcc, (-1.0, 1.0)),
    Metric("kappa", _BOTH, "maximize", "label", "Cohen's kappa: agreement beyond chance, -1 to 1", _kappa, (-1.0, 1.0)),
    *(
        Metric(name, _LABELS, "maximize", "label", what, function, _SHARE)
        for name, what, function in (
            ("f1_macro", "Mean of the classes' or labels' F1", _f1_macro),
            ("f1_weighted", "Mean of the classes' or labels' F1, weighted by their rows", _f1_weighted),
            ("precision_macro", "Mean of the classes' or labels' precision", _precision_macro),
            ("precision_weighted", "Mean of the classes' or labels' precision, weighted by their rows", _precision_weighted),
            ("recall_macro", "Mean recall of the classes that occur or are called, or of the labels", _recall_macro),
        )
    ),
    # Where every row has one class and gets one call, each wrong call is one false positive and one false negative.
    *(
        Metric(name, _LABELS, "maximize", "label", f"{what}; with one class a row, the accuracy", function, _SHARE, same_as="accuracy")
        for name, what, function in (
            ("f1_micro", "F1 over the calls of all classes or labels", _f1_micro),
            ("precision_micro", "Precision over the calls of all classes or labels", _precision_micro),
            ("recall_micro", "Recall over the rows of all classes or labels", _recall_micro),
            ("recall_weighted", "Mean of the classes' or labels' recall, weighted by their rows", _recall_weighted),
        )
    ),
)
