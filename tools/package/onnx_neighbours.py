"""Nearest neighbours of scikit-learn as ONNX.

Written here since the converter computes distances in a way that leaves a rest where two rows are equal, and by that weighs a row that was
learnt like any other near it. The nearest rows are found by a product of matrices, and then their distances are computed one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.package.interchange import NotPossible
from tools.package.onnx_graph import Graph

NEIGHBOURS = ("KNeighborsClassifier", "KNeighborsRegressor")


def neighbours(graph: Graph, estimator: Any, matrix: str, n_classes: int) -> str:
    """Shares of classes (n, k) or values (n, 1) among the nearest rows, float64.

    Args:
        matrix: float32, as the estimator was fitted to.

    Raises:
        NotPossible: for another distance than the Euclidean one.
    """
    if estimator.effective_metric_ != "euclidean" or estimator.weights not in ("uniform", "distance"):
        raise NotPossible(f"neighbours by {estimator.effective_metric_}, weighed {estimator.weights!r}, are not written for ONNX here")
    known = np.asarray(estimator._fit_X, dtype=np.float32)
    told = np.asarray(estimator._y)
    answers = np.eye(n_classes, dtype=np.float32)[told] if n_classes else told.astype(np.float64).reshape(-1, 1)
    rows, learnt = graph.cast(matrix, "DOUBLE"), graph.cast(graph.constant(known, np.float32), "DOUBLE")
    # The length of the row itself is the same for all its neighbours, so it may be left out of the order.
    products = graph.op("MatMul", rows, graph.op("Transpose", learnt, perm=[1, 0]))
    lengths = graph.constant((known.astype(np.float64) ** 2).sum(axis=1)[None])
    nearness = graph.op("Sub", graph.op("Mul", products, graph.constant(2.0)), lengths)
    places = graph.largest(nearness, min(estimator.n_neighbors, len(known)))
    apart = graph.op("Sub", graph.op("Gather", learnt, places, axis=0), graph.op("Unsqueeze", rows, graph.constant([1], np.int64)))
    squares = graph.op("ReduceSum", graph.op("Mul", apart, apart), graph.constant([2], np.int64), keepdims=0)
    distances = graph.op("Sqrt", squares)
    same = graph.cast(graph.op("Equal", distances, graph.constant(0.0)), "DOUBLE")
    if estimator.weights == "distance":
        # Where rows are equal to the one that is asked for, they alone count.
        any_same = graph.op("Greater", graph.op("ReduceMax", same, axes=[1], keepdims=1), graph.constant(0.0))
        weights = graph.op("Where", any_same, same, graph.op("Div", graph.constant(1.0), distances))
    else:
        weights = graph.op("Add", graph.op("Mul", same, graph.constant(0.0)), graph.constant(1.0))
    said = graph.cast(graph.op("Gather", graph.constant(answers, answers.dtype), places, axis=0), "DOUBLE")
    weighed = graph.op("Mul", said, graph.op("Unsqueeze", weights, graph.constant([2], np.int64)))
    total = graph.op("ReduceSum", weighed, graph.constant([1], np.int64), keepdims=0)
    return graph.op("Div", total, graph.op("ReduceSum", weights, graph.constant([1], np.int64), keepdims=1))
