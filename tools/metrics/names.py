"""Other names of metrics: those of scikit-learn's functions and scorers, of other libraries, and of papers."""

from __future__ import annotations

import re

_NAMES = {
    "accuracy": "acc accuracy_score",
    "average_precision": "pr_auc prauc auc_pr aucpr auprc ap average_precision_score precision_recall_auc",
    "balanced_accuracy": "balanced balanced_acc bacc balanced_accuracy_score",
    "brier": "brier_score brier_score_loss",
    "c_index": "concordance concordance_index harrell_c cindex",
    "ece": "expected_calibration_error calibration_error",
    "f1": "f1_score",
    "hamming_loss": "hamming",
    "huber": "huber_loss",
    "kappa": "cohen_kappa cohens_kappa cohen_kappa_score",
    "log_loss": "logloss cross_entropy crossentropy binary_crossentropy nll negative_log_likelihood",
    "mae": "mean_absolute_error absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mase": "mean_absolute_scaled_error",
    "mcc": "matthews matthews_corrcoef matthews_correlation",
    "median_ae": "median_absolute_error medae",
    "pinball": "pinball_loss quantile_loss mean_pinball_loss",
    "poisson_deviance": "mean_poisson_deviance",
    "precision": "precision_score ppv",
    "qwk": "quadratic_kappa quadratic_weighted_kappa weighted_kappa",
    "r2": "r2_score r_squared rsquared",
    "recall": "recall_score sensitivity tpr true_positive_rate",
    "rmse": "root_mean_squared_error root_mean_square_error",
    "rmsle": "root_mean_squared_log_error",
    "roc_auc": "auc auroc roc roc_auc_score roc_auc_ovr area_under_the_curve",
    "silhouette": "silhouette_score",
    "smape": "symmetric_mean_absolute_percentage_error",
    "wape": "wmape weighted_absolute_percentage_error",
}
_CALLED = {other: name for name, others in _NAMES.items() for other in others.split()}


def usual_name(said: str) -> str:
    """The name by which the built-in metrics have what was said, in whatever letters; what is none of them comes back as it is.

    scikit-learn's `neg_` says that a scorer's sign is turned. Directions are known here, so it is the same metric without.
    """
    name = re.sub(r"[\s-]+", "_", said.strip().lower()).removeprefix("neg_")
    return _CALLED.get(name, name)
