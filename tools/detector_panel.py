"""The panel: four detectors of different make that the host runs to have something to judge anomaly scores by.

Nobody knows which rows are anomalies. What detectors of different make agree on is the best there is to go by without labels, and
little better than that: Ma et al. 2023 (SIGKDD Explorations 25) found measures of agreement ahead of all others that need no label,
and none of them reliable. So the panel decides between configurations, and says nothing of whether the rows on top are wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.standing import Standing

Array = np.ndarray[Any, np.dtype[Any]]

NAMES = ["isolation", "density", "distance", "spread"]
NEIGHBOURS = 20
MOST_ROWS = 5000
"""Rows that distances are taken to."""


def panel_scores(known: Array, asked: Array, seed: int) -> Array:
    """What each detector, fitted on the points `known` (n, d), says of the points `asked` (m, d): standings, shape (m, 4).

    Isolation forest (Liu et al. 2008), local outlier factor (Breunig et al. 2000), distance to the k-th neighbour (Ramaswamy et al.
    2000), and Mahalanobis' distance under a shrunken covariance (Ledoit and Wolf 2004).
    """
    from sklearn.covariance import LedoitWolf
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    if len(known) > MOST_ROWS:
        known = known[np.sort(np.random.default_rng(seed).permutation(len(known))[:MOST_ROWS])]
    k = max(1, min(NEIGHBOURS, len(known) - 1))
    forest = IsolationForest(n_estimators=100, random_state=seed).fit(known)
    factor = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(known)
    nearest = NearestNeighbors(n_neighbors=k).fit(known)
    shape = LedoitWolf().fit(known)
    scores = np.column_stack(
        [-forest.score_samples(asked), -factor.score_samples(asked), nearest.kneighbors(asked)[0][:, -1], shape.mahalanobis(asked)]
    )
    return np.column_stack([Standing.among(column)(column) for column in scores.T])


def crossed_panel_scores(points: Array, folds: Array, seed: int) -> Array:
    """`panel_scores` of each point from the points of the other folds, shape (n, 4); of those that no fold validates, from all others."""
    found = np.empty((len(points), len(NAMES)))
    for fold in np.unique(folds):
        inside = folds == fold
        found[inside] = panel_scores(points[~inside] if (~inside).any() else points, points[inside], seed)
    return found
