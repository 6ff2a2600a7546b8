"""CatBoost's trees over categories as an ONNX tree ensemble. CatBoost's own exporter takes numbers alone.

A split of a category, by its hash or by a statistic of the target, says yes or no to each level of its column, and so becomes a column of
zeros and ones that is looked up by the level. What it says is asked of the model itself: the leaf that a row falls into holds its answer to
every split as a bit, since all nodes of one depth of an oblivious tree share a split (Prokhorenkova et al. 2018). Splits that combine
columns are not covered.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.package.interchange import NotPossible
from tools.package.onnx_graph import UNKNOWN, Graph, tree_ensemble

if TYPE_CHECKING:
    from tools.families.catboost import CatBoostModel

Array = np.ndarray[Any, np.dtype[Any]]


def over_categories(graph: Graph, model: CatBoostModel, matrix: str, width: int, name: str) -> str:
    """Raw scores, shape (n, outputs), float64.

    Args:
        matrix: the numbers, float32, of `width` columns; empty where there are none.

    The graph has every level that the model has learnt of; any other is one that was never seen.

    Raises:
        NotPossible: where a split combines columns.
    """
    document = _document(model.booster)
    trees = document["oblivious_trees"]
    asked = _columns_of(document, model.categorical, name)
    parts, features = ([matrix] if width else []), dict[tuple[int, int], int]()
    count = width
    for column in model.categorical:
        splits = [place for place, owner in asked.items() if owner == column]
        if not splits:
            continue
        known = list(graph.levels.get(column, ()))
        bits = _answers(model, column, [*known, "", UNKNOWN], width, splits)
        table = {level: bits[place] for place, level in enumerate([*known, ""])}
        parts.append(graph.cast(graph.looked_up(graph.input(column, "STRING"), table, bits[-1]), "FLOAT"))
        features |= {place: count + at for at, place in enumerate(splits)}
        count += len(splits)
    scale, bias = document["scale_and_bias"]
    said = _ensemble(graph, graph.joined(parts), trees, features, document["features_info"].get("float_features", []), len(bias))
    scored = graph.op("Mul", graph.cast(said, "DOUBLE"), graph.constant(float(scale)))
    return graph.op("Add", scored, graph.constant([bias]))


def probabilities(graph: Graph, scores: str, n_classes: int) -> str:
    """What CatBoost makes of the scores of two classes (n, 1), or more (n, k)."""
    if n_classes > 2:
        return graph.op("Softmax", scores, axis=1)
    second = graph.op("Sigmoid", scores)
    return graph.joined([graph.op("Sub", graph.constant(1.0), second), second])


def _document(booster: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="mlteam-onnx-") as folder:
        path = Path(folder, "model.json")
        booster.save_model(str(path), format="json")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _columns_of(document: dict[str, Any], categorical: list[str], name: str) -> dict[tuple[int, int], str]:
    """The column that each split of categories asks, by tree and place in it."""
    statistics = {}
    at = sum(len(one.get("borders") or []) for one in document["features_info"].get("float_features", []))
    for one in document["features_info"].get("categorical_features", []):
        at += len(one.get("values") or [])
    for one in document["features_info"].get("ctrs", []):
        for _ in one["borders"]:
            statistics[at] = one["elements"]
            at += 1
    found = {}
    for number, tree in enumerate(document["oblivious_trees"]):
        for place, split in enumerate(tree["splits"] or []):
            if split["split_type"] == "OneHotFeature":
                found[number, place] = categorical[split["cat_feature_index"]]
            elif split["split_type"] == "OnlineCtr":
                elements = statistics[split["split_index"]]
                if len(elements) != 1 or elements[0]["combination_element"] != "cat_feature_value":
                    named = [categorical[part["cat_feature_index"]] for part in elements if "cat_feature_index" in part]
                    raise NotPossible(
                        f"member {name!r} splits by columns that CatBoost combines ({', '.join(map(repr, named))} with others), whose table"
                        " of hashes has no counterpart in ONNX"
                    )
                found[number, place] = categorical[elements[0]["cat_feature_index"]]
    return found


def _answers(model: CatBoostModel, column: str, levels: list[str], width: int, splits: list[tuple[int, int]]) -> Array:
    """What the splits say to each level, shape (levels, splits), 0 or 1; an empty level is a missing one."""
    from catboost import FeaturesData, Pool

    from tools.families.catboost import MISSING

    texts = np.full((len(levels), len(model.categorical)), MISSING.encode(), dtype=object)
    texts[:, model.categorical.index(column)] = [(level or MISSING).encode("utf-8", "replace") for level in levels]
    numbers = np.zeros((len(levels), max(width, 1)), dtype=np.float32)  # an encoder of no column gives one of zeros
    leaves = model.booster.calc_leaf_indexes(
        Pool(FeaturesData(num_feature_data=numbers, cat_feature_data=texts)), thread_count=model.threads
    )
    return np.stack([(leaves[:, tree] >> place) & 1 for tree, place in splits], axis=1).astype(np.float64)


def _ensemble(
    graph: Graph, matrix: str, trees: list[Any], features: Mapping[tuple[int, int], int], numbers: list[Any], outputs: int
) -> str:
    above = {one["feature_index"]: one.get("nan_value_treatment") == "AsTrue" for one in numbers}
    nodes: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "true", "false", "missing")}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        splits = tree["splits"] or []
        depth = len(splits)
        inner, ends = 2**depth - 1, 2**depth
        # The way from the root, whose first step is the highest split and the highest bit.
        asked = depth - np.log2(np.arange(1, inner + 1)).astype(np.int64) - 1
        of_number = [split["split_type"] == "FloatFeature" for split in splits]
        columns = [s["float_feature_index"] if n else features[number, at] for at, (s, n) in enumerate(zip(splits, of_number, strict=True))]
        bounds = [float(np.float32(s["border"])) if n else 0.5 for s, n in zip(splits, of_number, strict=True)]
        gaps = [int(n and above.get(s["float_feature_index"], False)) for s, n in zip(splits, of_number, strict=True)]
        nodes["treeids"] += [number] * (inner + ends)
        nodes["nodeids"] += range(inner + ends)
        for name, of_split in (("featureids", columns), ("values", bounds), ("missing", gaps)):
            nodes[name] += [of_split[place] for place in asked] + [0] * ends
        nodes["modes"] += ["BRANCH_GT"] * inner + ["LEAF"] * ends
        nodes["true"] += [*range(2, 2 * inner + 1, 2), *[0] * ends]
        nodes["false"] += [*range(1, 2 * inner, 2), *[0] * ends]
        leaves["treeids"] += [number] * (ends * outputs)
        leaves["nodeids"] += np.repeat(np.arange(inner, inner + ends), outputs).tolist()
        leaves["ids"] += list(range(outputs)) * ends
        leaves["weights"] += np.asarray(tree["leaf_values"], dtype=np.float64).tolist()
    return tree_ensemble(graph, matrix, outputs, nodes, leaves)
