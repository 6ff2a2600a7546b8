"""Trees and forests of scikit-learn as one ONNX tree ensemble.

Written here since the converter sends missing values another way than scikit-learn does: there each split says where they go, learnt from
rows where some were missing, and else where most rows went.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tools.package.onnx_graph import Graph, tree_ensemble


def averaged(graph: Graph, trees: list[Any], matrix: str, n_classes: int) -> str:
    """The mean of what trees say of a float32 matrix: probabilities (n, k) or values (n, 1), float32."""
    nodes: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "true", "false", "missing")}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    width = n_classes or 1
    for number, tree in enumerate(trees):
        state = tree.__getstate__()["nodes"]
        inner = tree.children_left >= 0
        nodes["treeids"] += [number] * tree.node_count
        nodes["nodeids"] += range(tree.node_count)
        nodes["featureids"] += np.where(inner, tree.feature, 0).tolist()
        nodes["values"] += np.where(inner, rounded(tree.threshold), 0).tolist()
        nodes["modes"] += np.where(inner, "BRANCH_LEQ", "LEAF").tolist()
        nodes["true"] += np.where(inner, tree.children_left, 0).tolist()
        nodes["false"] += np.where(inner, tree.children_right, 0).tolist()
        nodes["missing"] += np.where(inner, state["missing_go_to_left"], 0).astype(int).tolist()
        ends = np.flatnonzero(~inner)
        values = tree.value[ends, 0, :width]
        said = values / (values.sum(axis=1, keepdims=True) if n_classes else 1.0) / len(trees)
        leaves["treeids"] += [number] * (len(ends) * width)
        leaves["nodeids"] += np.repeat(ends, width).tolist()
        leaves["ids"] += list(range(width)) * len(ends)
        leaves["weights"] += said.ravel().tolist()
    return tree_ensemble(graph, matrix, width, nodes, leaves)


def rounded(thresholds: Any) -> Any:
    """The largest float32 that is no larger: numbers of float32 lie on the same side of it."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
