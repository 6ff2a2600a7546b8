"""Metrics where no column is predicted: groups against the points they were made of, scores against a panel of detectors.

None of them knows the truth. A silhouette says how well groups are set apart; agreement says that detectors agree, not that they
are right.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from tools.contract import Task
from tools.metrics.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 3000
"""Rows that a silhouette is computed over: it compares each with each. More are sampled."""


def silhouettes(points: Array, groups: Array) -> tuple[Array, Array]:
    """Rows that were sampled, shape (m,), and the silhouette of each (Rousseeuw 1987), shape (m,); 0 where all are in one group."""
    import numpy as np
    from sklearn.metrics import silhouette_samples

    rows = np.arange(len(points))
    if len(points) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).permutation(len(points))[:MOST_ROWS])
    if not 1 < len(np.unique(groups[rows])) < len(rows):
        return rows, np.zeros(len(rows))
    return rows, np.asarray(silhouette_samples(points[rows], groups[rows]), dtype=np.float64)


def _silhouette(points: Array, groups: Array) -> float:
    return float(silhouettes(points, groups)[1].mean())


def _davies_bouldin(points: Array, groups: Array) -> float:
    return _of_groups("davies_bouldin_score", points, groups, alone=WORST_DAVIES_BOULDIN)


def _calinski_harabasz(points: Array, groups: Array) -> float:
    return _of_groups("calinski_harabasz_score", points, groups, alone=0.0)


WORST_DAVIES_BOULDIN = 100.0
"""Of one group, which has no neighbour to be compared with; scikit-learn refuses that."""


def _of_groups(name: str, points: Array, groups: Array, alone: float) -> float:
    """A measure of scikit-learn; `alone` where there is one group only, or one for each row."""
    import numpy as np
    from sklearn import metrics

    if len(points) > MOST_ROWS:
        rows = np.random.default_rng(0).permutation(len(points))[:MOST_ROWS]
        points, groups = points[rows], groups[rows]
    measure: Callable[[Array, Array], float] = getattr(metrics, name)
    return float(measure(points, groups)) if 1 < len(np.unique(groups)) < len(groups) else alone


def _agreement(panel: Array, scores: Array) -> float:
    """Rank correlation (Spearman 1904) with the detectors of the panel, weighted by their consensus; 0 where all scores are alike.

    A detector weighs by the square of its mean correlation with the others, and nothing where that is negative, as in the unsupervised
    rank aggregation of Klementiev et al. (ECML 2007): one that finds other rows odd than all others do has little say.
    """
    import numpy as np
    from scipy.stats import rankdata

    ranks = rankdata(np.column_stack([scores, panel]), axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.linalg.norm(ranks, axis=0)
    alike = np.divide(ranks.T @ ranks, np.outer(norms, norms), out=np.zeros((len(norms), len(norms))), where=np.outer(norms, norms) > 0)
    others = alike[1:, 1:].sum(axis=0) - np.diag(alike)[1:]
    weights = np.clip(others, 0, None) ** 2
    return float(np.average(alike[0, 1:], weights=weights if weights.any() else None))


_GROUPS: tuple[Task, ...] = ("cluster",)
_SCORES: tuple[Task, ...] = ("anomaly",)

STRUCTURE = (
    Metric(
        "silhouette",
        _GROUPS,
        "maximize",
        "group",
        "Mean silhouette: how much nearer rows are to their own group than to the next, -1 to 1; one group has 0",
        _silhouette,
        (-1.0, 1.0),
    ),
    Metric(
        "davies_bouldin",
        _GROUPS,
        "minimize",
        "group",
        "Davies and Bouldin's ratio of scatter within groups to the distance between them",
        _davies_bouldin,
        (0.0, inf),
    ),
    Metric(
        "calinski_harabasz",
        _GROUPS,
        "maximize",
        "group",
        "Calinski and Harabasz' ratio of the variance between groups to that within",
        _calinski_harabasz,
        (0.0, inf),
    ),
    Metric(
        "agreement",
        _SCORES,
        "maximize",
        "value",
        "Rank correlation with a panel of detectors that the host runs, weighted by what they agree on, -1 to 1",
        _agreement,
        (-1.0, 1.0),
        compares_rows=True,
    ),
)
