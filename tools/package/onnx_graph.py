"""A fitted model as one ONNX graph from raw columns to predictions, where every part of it has a counterpart there.

Inputs are the columns that the model uses, shape (n, 1): numbers and booleans as float64 with NaN where missing, categories as text with ""
where missing. Covered: linear models of numbers, single trees, forests, LightGBM and XGBoost over numbers and categories, averages over
fits and members, temperature and sigmoid calibration. The converters of onnxmltools and skl2onnx turn the trees; the rest is written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tools.package.interchange import NotPossible

if TYPE_CHECKING:
    from tools.calibration import Calibration
    from tools.families.fitted import Fitted
    from tools.families.linear import LinearModel
    from tools.features import TableEncoder
    from tools.model import FittedMember, FittedModel

OPSET, ML_OPSET = 17, 3
INSTALL = "pip install 'mlteam[onnx]' where models are fitted"


class Graph:
    """Nodes and constants of a graph that is being written; every value has a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: dict[str, Any] = {}
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

        if column not in self.inputs:
            self.inputs[column] = helper.make_tensor_value_info(column, getattr(TensorProto, kind), ["n", 1])
        return column

    def include(self, model: Any, rows: str, output: int) -> str:
        """Add the nodes of a converted model whose only input is a float32 matrix; `output` is the place of the one that is wanted."""
        from onnx import compose

        prefix = f"{self.name()}_"
        graph = compose.add_prefix(model, prefix).graph
        self.constants += list(graph.initializer)
        self.nodes.append(_identity(rows, graph.input[0].name))
        self.nodes += list(graph.node)
        return str(graph.output[output].name)

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


def _identity(source: str, target: str) -> Any:
    from onnx import helper

    return helper.make_node("Identity", [source], [target])


def build(model: FittedModel) -> Any:
    """The model as an `onnx.ModelProto`.

    Raises:
        NotPossible: naming the part that has no counterpart.
    """
    contract = model.contract
    if contract.predicts not in ("classes", "values") or contract.forecast is not None:
        raise NotPossible(f"predictions of a {contract.task} task are made in steps that ONNX is not written for here")
    if model.stack is not None:
        raise NotPossible("the ensemble has a second layer, which is not written for ONNX here")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise NotPossible(f"{error.name} is not installed ({INSTALL})") from None
    graph = Graph()
    n_classes = len(contract.classes)
    members = [_member(graph, member) for member in model.members]
    total = graph.sum(members, [member.weight for member in model.members])
    if n_classes:
        total = graph.normalised(total)
        total = _calibrated(graph, total, model.calibration, n_classes) if model.calibration else total
    return graph.model(total if n_classes else graph.op("Reshape", total, graph.constant([-1], np.int64)), n_classes)


def _member(graph: Graph, member: FittedMember) -> str:
    if member.preparation.preparers:
        raise NotPossible(f"member {member.candidate.name!r} gets its columns from a transformer that a package brings")
    fits = [_fit(graph, fitted, member.candidate.name) for fitted in member.fits]
    mean = graph.sum(fits, [1 / len(fits)] * len(fits)) if len(fits) > 1 else fits[0]
    n_classes = member.fits[0].n_classes
    return _calibrated(graph, mean, member.candidate.calibration, n_classes) if member.candidate.calibration else mean


def _fit(graph: Graph, fitted: Fitted, name: str) -> str:
    """Probabilities (n, k) or values (n, 1), float64, as `Fitted.predict` gives them."""
    raw = _predictor(graph, fitted.predictor, name)
    if fitted.standing is not None or fitted.levels or (fitted.n_classes and len(fitted.classes) != fitted.n_classes):
        raise NotPossible(f"member {name!r} has a last step that is not written for ONNX here")
    if fitted.n_classes:
        return graph.normalised(graph.op("Clip", raw, graph.constant(1e-7), graph.constant(1.0)))
    if fitted.log_target:
        raw = graph.op("Sub", graph.op("Exp", graph.op("Min", raw, graph.constant(700.0))), graph.constant(1.0))
    if np.isfinite(fitted.low):
        raw = graph.op("Max", raw, graph.constant(fitted.low))
    return graph.op("Min", raw, graph.constant(fitted.high)) if np.isfinite(fitted.high) else raw


def _predictor(graph: Graph, predictor: Any, name: str) -> str:
    from tools.families.lightgbm import LightGBMModel
    from tools.families.linear import LinearModel
    from tools.families.matrix import MatrixModel
    from tools.families.xgboost import XGBoostModel

    if type(predictor) is LinearModel:
        return _linear(graph, predictor, name)
    if type(predictor) not in (LightGBMModel, XGBoostModel, MatrixModel):
        raise NotPossible(f"member {name!r} is a {type(predictor).__name__}, which has no counterpart in ONNX here")
    matrix, width = _encoded(graph, predictor.encoder, name)
    converted = _converted(predictor, width)
    classes = predictor.n_classes
    raw = graph.cast(graph.include(converted, matrix, 1 if classes else 0), "DOUBLE")
    return raw if classes else graph.op("Reshape", raw, graph.constant([-1, 1], np.int64))


def _converted(predictor: Any, width: int) -> Any:
    """A model over a float32 matrix by the converter of its library; the second output of a classifier is its probabilities."""
    try:
        from onnxmltools.convert.common.data_types import FloatTensorType
        from skl2onnx import to_onnx
    except ImportError as error:
        raise NotPossible(f"{error.name} is not installed ({INSTALL})") from None
    shape = [("rows", FloatTensorType([None, width]))]
    opset = {"": OPSET, "ai.onnx.ml": ML_OPSET}
    match type(predictor).__name__:
        case "LightGBMModel":
            import lightgbm
            from onnxmltools import convert_lightgbm

            text = predictor.booster.model_to_string(num_iteration=predictor.iterations)
            return convert_lightgbm(lightgbm.Booster(model_str=text), initial_types=shape, zipmap=False, target_opset=15)
        case "XGBoostModel":
            from onnxmltools import convert_xgboost

            return convert_xgboost(predictor.booster[: predictor.iterations], initial_types=shape, target_opset=15)
        case _:
            options = {"zipmap": False} if predictor.n_classes else None
            sample = np.zeros((1, width), dtype=np.float32)
            return to_onnx(predictor.estimator, sample, options=options, target_opset=opset)


def _encoded(graph: Graph, encoder: TableEncoder, name: str) -> tuple[str, int]:
    """The matrix of a `TableEncoder`, float32, and its width."""
    if encoder.texts or encoder.dates or encoder.wide_ or encoder.style == "dense":
        column = (encoder.texts + encoder.dates + encoder.wide_ or ["its columns"])[0]
        raise NotPossible(
            f"member {name!r} reads column {column!r} in a way (text, dates, means of many categories) that is not in ONNX here"
        )
    parts, width = [], 0
    for column in encoder.categorical:
        levels = encoder.levels_[column]
        text = graph.input(column, "STRING")
        codes = graph.op(
            "LabelEncoder",
            text,
            domain="ai.onnx.ml",
            keys_strings=list(levels),
            values_floats=[float(code) for code in levels.values()],
            default_float=float("nan"),
        )
        if encoder.style == "codes" or not levels:
            parts.append(codes)
            width += 1
        else:
            parts.append(graph.cast(graph.op("Equal", codes, graph.constant(np.arange(len(levels)), np.float32)), "FLOAT"))
            width += len(levels)
    for column in encoder.numeric:
        parts.append(graph.cast(graph.input(column, "DOUBLE"), "FLOAT"))
        width += 1
    return (graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]), width


def _linear(graph: Graph, model: LinearModel, name: str) -> str:
    """Numbers squashed, imputed and marked as `tools.vectorizing` does it, then the linear part."""
    columns, squash, impute = (step for _, step in model.vectorizer.steps)
    for part, transformer, used in columns.transformers_:
        if part == "others" and transformer != "drop" and len(used):
            raise NotPossible(f"member {name!r} reads column {used[0]!r}, which is no number, by a vectorizer that is not in ONNX here")
    names = columns.named_transformers_["numbers"].known_
    rows = [graph.input(column, "DOUBLE") for column in names]
    matrix = graph.op("Concat", *rows, axis=1) if len(rows) > 1 else rows[0]
    squashed = _squashed(graph, squash, matrix, len(names))
    missing = graph.op("IsNaN", squashed)
    filled = graph.op("Where", missing, graph.constant(impute.statistics_[None, :]), squashed)
    marked = impute.indicator_.features_
    if len(marked):
        marks = graph.op("Gather", graph.cast(missing, "DOUBLE"), graph.constant(marked, np.int64), axis=1)
        filled = graph.op("Concat", filled, marks, axis=1)
    return _scored(graph, model.estimator, filled, model.n_classes, name)


def _squashed(graph: Graph, scaler: Any, matrix: str, width: int) -> str:
    """skrub's `SquashingScaler`: robustly scaled, by the range where quartiles agree, 0 where nothing varies; then squashed."""
    center, scale = np.zeros(width), np.zeros(width)
    if scaler.robust_cols_.any():
        center[scaler.robust_cols_] = scaler.robust_scaler_.center_
        scale[scaler.robust_cols_] = 1 / scaler.robust_scaler_.scale_
    if scaler.minmax_cols_.any():
        center[scaler.minmax_cols_] = scaler.minmax_scaler_.median_
        scale[scaler.minmax_cols_] = scaler.minmax_scaler_.scale_
    scaled = graph.op("Mul", graph.op("Sub", matrix, graph.constant(center)), graph.constant(scale))
    bounded = graph.op("Div", scaled, graph.constant(float(scaler.max_absolute_value)))
    root = graph.op("Sqrt", graph.op("Add", graph.op("Mul", bounded, bounded), graph.constant(1.0)))
    return graph.op("Div", scaled, root)


def _scored(graph: Graph, estimator: Any, matrix: str, n_classes: int, name: str) -> str:
    kind = type(estimator).__name__
    if kind not in ("LogisticRegression", "Ridge", "ElasticNet", "PoissonRegressor"):
        raise NotPossible(f"member {name!r} is a {kind}, which has no counterpart in ONNX here")
    weights = np.atleast_2d(estimator.coef_).T
    scores = graph.op("Add", graph.op("MatMul", matrix, graph.constant(weights)), graph.constant(np.atleast_1d(estimator.intercept_)))
    if n_classes == 2:
        second = graph.op("Sigmoid", scores)
        return graph.op("Concat", graph.op("Sub", graph.constant(1.0), second), second, axis=1)
    if n_classes:
        return graph.op("Softmax", scores, axis=1)
    return graph.op("Exp", scores) if kind == "PoissonRegressor" else scores


def _calibrated(graph: Graph, proba: str, calibration: Calibration, n_classes: int) -> str:
    from tools.calibration import LEAST

    if calibration.kind == "isotonic":
        raise NotPossible("the probabilities are calibrated by an isotonic map, which is not written for ONNX here")
    logs = graph.op("Mul", graph.op("Log", graph.op("Max", proba, graph.constant(LEAST))), graph.constant(calibration.scale))
    if calibration.shift:
        logs = graph.op("Add", logs, graph.constant(calibration.shift))
    raised = graph.op("Mul", graph.op("Softmax", logs, axis=1), graph.constant(1 - calibration.spread))
    return graph.op("Add", raised, graph.constant(calibration.spread / n_classes))
