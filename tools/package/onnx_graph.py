"""An ONNX graph that is being written: nodes, constants, and the columns that it reads.

Its inputs are raw columns, shape (n, 1): numbers and booleans as float64 with NaN where missing, dates likewise as days since 1970 in UTC,
categories as text with "" where missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET, ML_OPSET = 17, 3
UNKNOWN = "\x00"
"""A text that is no category of any column."""


class Graph:
    """Nodes and constants of a graph that is being written; every value has a name of its own."""

    def __init__(self, levels: Mapping[str, Sequence[str]] | None = None) -> None:
        self.levels = levels or {}
        """Of columns of categories, all that are known."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: dict[str, Any] = {}
        self.derived: dict[str, str] = {}
        """Values of the graph itself that stand for columns, by the columns' names."""
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        from onnx import helper

        made = self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [made], domain=domain, **attributes))
        return made

    def constant(self, values: Any, dtype: Any = np.float64) -> str:
        from onnx import numpy_helper

        made = self.name()
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), made))
        return made

    def cast(self, value: str, to: str) -> str:
        from onnx import TensorProto

        return self.op("Cast", value, to=getattr(TensorProto, to))

    def input(self, column: str, kind: str) -> str:
        """The input of a column: `DOUBLE` or `STRING`."""
        from onnx import TensorProto, helper

        if column in self.derived:
            return self.derived[column]
        if column not in self.inputs:
            self.inputs[column] = helper.make_tensor_value_info(column, getattr(TensorProto, kind), ["n", 1])
        return column

    def include(self, model: Any, given: Mapping[str, str], output: str) -> str:
        """Add the nodes of a converted model.

        Args:
            given: values of this graph by the names of the model's inputs.
            output: name of the one that is wanted.
        """
        from onnx import compose

        prefix = f"{self.name()}_"
        graph = compose.add_prefix(model, prefix).graph
        self.constants += list(graph.initializer)
        self.nodes += [_identity(value, prefix + name) for name, value in given.items()]
        self.nodes += list(graph.node)
        return prefix + output

    def looked_up(self, text: str, table: Mapping[str, Any], other: Any, dtype: Any = np.float64) -> str:
        """A row of numbers for each text (n, 1): shape (n, width), of the dtype.

        Args:
            table: numbers of known texts, (width,).
            other: those of every other text.
        """
        rows = np.array([*table.values(), other], dtype=dtype)
        keys = list(table) or [UNKNOWN]
        places = self.op(
            "LabelEncoder",
            text,
            domain="ai.onnx.ml",
            keys_strings=keys,
            values_int64s=[min(place, len(table)) for place in range(len(keys))],
            default_int64=len(table),
        )
        return self.op("Gather", self.constant(rows, dtype), self.op("Reshape", places, self.constant([-1], np.int64)), axis=0)

    def largest(self, values: str, count: int) -> str:
        """Places of the largest values of each row, int64, shape (n, count)."""
        from onnx import helper

        made, places = self.name(), self.name()
        self.nodes.append(helper.make_node("TopK", [values, self.constant([count], np.int64)], [made, places], axis=1))
        return places

    def joined(self, parts: list[str]) -> str:
        """Matrices side by side."""
        return self.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def sum(self, values: list[str], weights: list[float]) -> str:
        total = ""
        for value, weight in zip(values, weights, strict=True):
            part = value if weight == 1 else self.op("Mul", value, self.constant(weight))
            total = self.op("Add", total, part) if total else part
        return total

    def normalised(self, proba: str) -> str:
        return self.op("Div", proba, self.op("ReduceSum", proba, self.constant([1], np.int64), keepdims=1))

    def model(self, output: str, width: int) -> Any:
        """The whole, checked."""
        from onnx import TensorProto, checker, helper

        shape = ["n", width] if width else ["n"]
        self.nodes.append(_identity(output, "prediction"))
        told = helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, shape)
        graph = helper.make_graph(self.nodes, "mlteam", list(self.inputs.values()), [told], self.constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        made = helper.make_model(graph, opset_imports=opsets, producer_name="mlteam", ir_version=8)
        checker.check_model(made)
        return made


def tree_ensemble(graph: Graph, matrix: str, outputs: int, nodes: Mapping[str, Sequence[Any]], leaves: Mapping[str, Sequence[Any]]) -> str:
    """Trees whose leaves are added up: a value of shape (n, outputs).

    Args:
        nodes: columns `treeids`, `nodeids`, `featureids`, `values`, `modes`, `true`, `false`, `missing`, a row a node.
        leaves: columns `treeids`, `nodeids`, `ids`, `weights`, a row for each output of each leaf.
    """
    from onnx import AttributeProto

    made = graph.op(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=outputs,
        nodes_treeids=nodes["treeids"],
        nodes_nodeids=nodes["nodeids"],
        nodes_featureids=nodes["featureids"],
        nodes_values=nodes["values"],
        nodes_truenodeids=nodes["true"],
        nodes_falsenodeids=nodes["false"],
        nodes_missing_value_tracks_true=nodes["missing"],
        target_treeids=leaves["treeids"],
        target_nodeids=leaves["nodeids"],
        target_ids=leaves["ids"],
        target_weights=leaves["weights"],
    )
    # A few words again and again: the helper would encode each anew, which takes longer than all else of large forests.
    encoded = {mode: mode.encode() for mode in set(nodes["modes"])}
    modes = AttributeProto(name="nodes_modes", type=AttributeProto.STRINGS, strings=[encoded[mode] for mode in nodes["modes"]])
    graph.nodes[-1].attribute.append(modes)
    return made


def _identity(source: str, target: str) -> Any:
    from onnx import helper

    return helper.make_node("Identity", [source], [target])
