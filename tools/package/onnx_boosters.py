"""Boosters of LightGBM and XGBoost as one ONNX tree ensemble each, read from what the libraries write of their models.

Written here since the libraries' converters go node by node and write a split of categories as a chain of comparisons, which takes
minutes for some hundreds of trees. A split of a category says yes or no to each of its codes, so it becomes a column of zeros and ones
that is looked up by the level, as for CatBoost; splits that say the same share one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.package.interchange import NotPossible
from tools.package.onnx_graph import Graph, tree_ensemble
from tools.package.onnx_trees import rounded

if TYPE_CHECKING:
    from tools.families.lightgbm import LightGBMModel
    from tools.families.xgboost import XGBoostModel
    from tools.features import TableEncoder

Array = np.ndarray[Any, np.dtype[Any]]

MOST_ANSWERS = 50_000_000
"""Of splits of categories, a byte each in the file."""
LINKS = {
    "binary": "sigmoid",
    "binary:logistic": "sigmoid",
    "multiclass": "softmax",
    "multi:softprob": "softmax",
    "poisson": "exp",
    "count:poisson": "exp",
    "regression": "",
    "regression_l1": "",
    "reg:squarederror": "",
    "reg:absoluteerror": "",
}
"""What a library makes of the sum of the leaves, by its name for the loss."""


@dataclass
class _Tree:
    """One tree. Nodes that split and leaves are numbered through; the root is 0."""

    feature: Array
    """Column of each node; of a leaf 0."""
    threshold: Array
    true: Array
    """Child where the comparison holds; of a leaf 0."""
    false: Array
    missing_true: Array
    """Whether a row without a value goes there."""
    leaf: Array
    """Whether a node is a leaf, bool."""
    value: Array
    """Of each leaf, in their order."""
    sets: dict[int, Array]
    """Of nodes that split a category: the codes for which the comparison holds, bool (codes,)."""


def of_lightgbm(graph: Graph, model: LightGBMModel, matrix: str, width: int, name: str) -> str:
    """Probabilities (n, k) or values (n, 1), float64.

    Raises:
        NotPossible: for a loss or a kind of tree that is not written here, or too many splits of categories.
    """
    text = model.booster.model_to_string(num_iteration=model.iterations)
    head, *blocks = text.split("\nTree=")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    loss, _, options = facts.get("objective", "").partition(" ")
    if "average_output" in facts or loss not in LINKS:
        raise NotPossible(f"member {name!r} is a LightGBM model for {loss or 'an unknown loss'!r}, which is not written for ONNX here")
    outputs = int(facts["num_tree_per_iteration"])
    trees = [_tree_of_lightgbm(block.partition("\n\n")[0], name) for block in blocks]
    raw = _ensemble(graph, trees, np.arange(len(trees)) % outputs, outputs, matrix, width, model.encoder, "BRANCH_LEQ", name)
    steepness = next((float(one.partition(":")[2]) for one in options.split() if one.startswith("sigmoid:")), 1.0)
    return _linked(graph, raw if steepness == 1 else graph.op("Mul", raw, graph.constant(steepness)), LINKS[loss])


def of_xgboost(graph: Graph, model: XGBoostModel, matrix: str, width: int, name: str) -> str:
    """The same of a booster of XGBoost."""
    learner = json.loads(model.booster[: model.iterations].save_raw("json"))["learner"]
    loss, grown = learner["objective"]["name"], learner["gradient_booster"]
    if grown["name"] != "gbtree" or loss not in LINKS:
        raise NotPossible(f"member {name!r} is an XGBoost model for {loss!r} by {grown['name']}, which is not written for ONNX here")
    base = np.array([float(one) for one in str(learner["learner_model_param"]["base_score"]).strip("[]").split(",")])
    link = LINKS[loss]
    base = np.log(base / (1 - base)) if link == "sigmoid" else np.log(base) if link == "exp" else base
    outputs = max(1, model.n_classes if model.n_classes > 2 else 1)
    trees = [_tree_of_xgboost(tree, model.encoder, name) for tree in grown["model"]["trees"]]
    places = np.array(grown["model"]["tree_info"], dtype=np.int64)
    raw = _ensemble(graph, trees, places, outputs, matrix, width, model.encoder, "BRANCH_LT", name)
    return _linked(graph, graph.op("Add", raw, graph.constant(base[None])), link)


def _linked(graph: Graph, raw: str, link: str) -> str:
    if link == "sigmoid":
        second = graph.op("Sigmoid", raw)
        return graph.joined([graph.op("Sub", graph.constant(1.0), second), second])
    if link == "softmax":
        return graph.op("Softmax", raw, axis=1)
    return graph.op("Exp", raw) if link == "exp" else raw


def _tree_of_lightgbm(block: str, name: str) -> _Tree:
    facts = dict(line.partition("=")[::2] for line in block.splitlines())
    if facts.get("is_linear", "0") != "0":
        raise NotPossible(f"member {name!r} has linear models in its leaves, which have no counterpart in ONNX")

    def read(key: str, dtype: Any) -> Array:
        return np.array(facts.get(key, "").split(), dtype=dtype)

    values = read("leaf_value", np.float64)
    inner = len(values) - 1
    kinds, bounds = read("decision_type", np.int64), read("threshold", np.float64)
    words, starts = read("cat_threshold", np.uint32), read("cat_boundaries", np.int64)
    by_level, absent = (kinds & 1).astype(bool), (kinds >> 2) & 3  # 0: none was seen, 1: zeros stand for it, 2: NaN
    if (absent[~by_level] == 1).any():
        raise NotPossible(f"member {name!r} takes zeros for missing values, which is not written for ONNX here")
    # Where none was seen in fitting, LightGBM takes what is missing for 0; what is missing is in no set.
    missing = np.where(by_level, False, np.where(absent == 2, (kinds & 2) > 0, bounds >= 0))
    sets = {}
    for node in np.flatnonzero(by_level):
        at = int(bounds[node])
        sets[int(node)] = np.unpackbits(words[starts[at] : starts[at + 1]].view(np.uint8), bitorder="little").astype(bool)
    children = {side: _numbered(read(f"{side}_child", np.int64), inner) for side in ("left", "right")}
    blank = np.zeros(len(values), dtype=np.int64)
    return _Tree(
        feature=np.concatenate([read("split_feature", np.int64), blank]),
        threshold=np.concatenate([np.where(by_level, 0.0, rounded(bounds)), blank]),
        true=np.concatenate([children["left"], blank]),
        false=np.concatenate([children["right"], blank]),
        missing_true=np.concatenate([missing, blank]).astype(bool),
        leaf=np.arange(inner + len(values)) >= inner,
        value=values,
        sets=sets,
    )


def _numbered(children: Array, inner: int) -> Array:
    """Leaves are told as -1, -2, ...; here they follow the nodes that split."""
    return np.where(children >= 0, children, inner + ~children)


def _tree_of_xgboost(tree: dict[str, Any], encoder: TableEncoder, name: str) -> _Tree:
    left, right = (np.array(tree[key], dtype=np.int64) for key in ("left_children", "right_children"))
    leaf = left < 0
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise NotPossible(f"member {name!r} has several values a leaf, which is not written for ONNX here")
    conditions = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    feature = np.where(leaf, 0, np.array(tree["split_indices"], dtype=np.int64))
    goes_left = np.array(tree["default_left"], dtype=bool)
    sets, true, false = {}, np.where(leaf, 0, left), np.where(leaf, 0, right)
    for node, start, size in zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True):
        codes = np.zeros(1 + max(tree["categories"][start : start + size], default=0), dtype=bool)
        codes[tree["categories"][start : start + size]] = True
        sets[int(node)] = codes
    # Codes of a set go right there, and nothing else does.
    swapped = list(sets)
    true[swapped], false[swapped] = right[swapped], left[swapped]
    goes_left[swapped] = ~goes_left[swapped]
    return _Tree(feature, np.where(leaf, 0.0, conditions), true, false, goes_left & ~leaf, leaf, conditions[leaf], sets)


def _ensemble(
    graph: Graph, trees: list[_Tree], places: Array, outputs: int, matrix: str, width: int, encoder: TableEncoder, mode: str, name: str
) -> str:
    """The sum of what trees say of a float32 matrix and of the categories: (n, outputs), float64.

    Args:
        places: the output of each tree.
        mode: how a number is compared with a threshold.
    """
    columns, answers = _answers(graph, trees, encoder, width, name)
    whole = graph.joined([matrix, *answers])
    sizes = np.array([len(tree.leaf) for tree in trees])
    numbers = np.repeat(np.arange(len(trees)), sizes)
    leaf = np.concatenate([tree.leaf for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    missing = np.concatenate([tree.missing_true for tree in trees])
    modes = np.where(leaf, "LEAF", mode)
    for node, column in columns.items():
        feature[node], threshold[node], modes[node], missing[node] = column, 0.5, "BRANCH_GT", False
    ids = np.concatenate([np.arange(size) for size in sizes])
    nodes = {
        "treeids": numbers.tolist(),
        "nodeids": ids.tolist(),
        "featureids": feature.tolist(),
        "values": threshold.tolist(),
        "modes": modes.tolist(),
        "true": np.concatenate([tree.true for tree in trees]).tolist(),
        "false": np.concatenate([tree.false for tree in trees]).tolist(),
        "missing": missing.astype(np.int64).tolist(),
    }
    leaves = {
        "treeids": numbers[leaf].tolist(),
        "nodeids": ids[leaf].tolist(),
        "ids": places[numbers[leaf]].tolist(),
        "weights": np.concatenate([tree.value for tree in trees]).tolist(),
    }
    return graph.cast(tree_ensemble(graph, whole, outputs, nodes, leaves), "DOUBLE")


def _answers(graph: Graph, trees: list[_Tree], encoder: TableEncoder, width: int, name: str) -> tuple[dict[int, int], list[str]]:
    """Columns of zeros and ones for the splits of categories, from `width` on.

    Returns:
        the column of each such node, nodes of all trees numbered through; and the columns, float32, in their order.
    """
    asked: dict[int, list[tuple[int, _Tree, int]]] = {}
    start = 0
    for tree in trees:
        for node in tree.sets:
            asked.setdefault(int(tree.feature[node]), []).append((start + node, tree, node))
        start += len(tree.leaf)
    found: dict[int, int] = {}
    parts: list[str] = []
    for place in sorted(asked):
        column = encoder.categorical[place]
        levels = encoder.levels_[column]
        distinct: dict[bytes, int] = {}
        rows: list[Array] = []
        for number, tree, node in asked[place]:
            bits = np.zeros(len(levels) + 1, dtype=np.uint8)  # the last one is of what is missing, or was never seen
            codes = tree.sets[node][: len(levels)]
            bits[: len(codes)], bits[-1] = codes, tree.missing_true[node]
            if (key := bits.tobytes()) not in distinct:
                distinct[key] = len(rows)
                rows.append(bits)
            found[number] = width + distinct[key]
        if len(rows) * (len(levels) + 1) > MOST_ANSWERS:
            ways = f"splits the {len(levels)} levels of {column!r} in {len(rows)} ways"
            raise NotPossible(f"member {name!r} {ways}, which is too much to write")
        table = np.stack(rows, axis=1)
        coded = {level: table[code] for level, code in levels.items()}
        parts.append(graph.cast(graph.looked_up(graph.input(column, "STRING"), coded, table[-1], np.uint8), "FLOAT"))
        width += len(rows)
    return found, parts
