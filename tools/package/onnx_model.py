"""A fitted model as one ONNX graph from raw columns to predictions, where every part of it has a counterpart there.

Covered: linear models of numbers and few categories, trees, forests, nearest neighbours, LightGBM, XGBoost, CatBoost, networks;
numbers, booleans, dates and categories; averages over fits and members, a second layer over what they say, calibration of every kind.
Not covered: free text, columns that CatBoost combines, dates in linear models, a second layer that reads rows, code of roles, and tasks
whose predictions are no values or probabilities. Networks and CatBoost's numbers go through the exporters of their libraries; the rest is
written here.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.package.interchange import NotPossible
from tools.package.onnx_boosters import of_lightgbm, of_xgboost
from tools.package.onnx_columns import matrix_of, vectorized
from tools.package.onnx_graph import OPSET, Graph
from tools.package.onnx_neighbours import NEIGHBOURS, neighbours
from tools.package.onnx_trees import averaged

if TYPE_CHECKING:
    from tools.calibration import Calibration
    from tools.families.fitted import Fitted
    from tools.model import FittedMember, FittedModel
    from tools.stacking import FittedStack

KINDS = ("LinearModel", "NetworkModel", "LightGBMModel", "XGBoostModel", "MatrixModel", "CatBoostModel")
NO_LEVELS: Mapping[str, Sequence[str]] = {}
INSTALL = "pip install 'mlteam[onnx]' where models are fitted"


def build(model: FittedModel, levels: Mapping[str, Sequence[str]] = NO_LEVELS) -> Any:
    """The model as an `onnx.ModelProto`.

    Args:
        levels: every level of the columns of categories that the model has learnt of, which CatBoost does not tell.

    Raises:
        NotPossible: naming the part that has no counterpart.
    """
    contract = model.contract
    if contract.predicts not in ("classes", "values") or contract.forecast is not None:
        raise NotPossible(f"predictions of a {contract.task} task are made in steps that ONNX is not written for here")
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise NotPossible(f"{error.name} is not installed ({INSTALL})") from None
    graph = Graph(levels)
    n_classes = len(contract.classes)
    # What may turn out to have no counterpart comes first, so that nothing is written in vain for seconds.
    ordered = sorted(model.members, key=lambda member: max(_doubt(fitted.predictor) for fitted in member.fits), reverse=True)
    said = {member.candidate.name: _member(graph, member) for member in ordered}
    weighed = [member for member in model.members if member.weight]
    total = graph.sum([said[member.candidate.name] for member in weighed], [member.weight for member in weighed])
    if n_classes:
        total = graph.normalised(total)
    if model.stack is not None:
        total = _stacked(graph, model.stack, total, said, n_classes)
    if n_classes and model.calibration:
        total = _calibrated(graph, total, model.calibration, n_classes)
    return graph.model(total if n_classes else graph.op("Reshape", total, graph.constant([-1], np.int64)), n_classes)


def _doubt(predictor: Any) -> int:
    """How likely a model is to have no counterpart: it reads texts or is of another kind, then linear ones, then CatBoost's."""
    kind = type(predictor).__name__
    if kind not in KINDS or getattr(getattr(predictor, "encoder", None), "texts", None):
        return 3
    return {"LinearModel": 2, "CatBoostModel": 1}.get(kind, 0)


def _stacked(graph: Graph, stack: FittedStack, average: str, said: dict[str, str], n_classes: int) -> str:
    """`FittedStack.mixed`: one more model over what the inputs say, as `tools.stacking` writes it into columns."""
    if stack.forests is not None:
        raise NotPossible("its second layer reads the rows and what forests say of them, which is not in ONNX here")
    columns = []
    for name in stack.stack.inputs:
        value = said[name]
        if n_classes:
            kept = graph.op("Gather", value, graph.constant([1], np.int64), axis=1) if n_classes == 2 else value
            proba = graph.op("Clip", kept, graph.constant(1e-6), graph.constant(1 - 1e-6))
            odds = graph.op("Log", graph.op("Div", proba, graph.op("Sub", graph.constant(1.0), proba)))
            count = 1 if n_classes == 2 else n_classes
            columns += [graph.op("Gather", odds, graph.constant([place], np.int64), axis=1) for place in range(count)]
        elif stack.log_target:
            columns.append(graph.op("Log", graph.op("Add", graph.op("Max", value, graph.constant(0.0)), graph.constant(1.0))))
        else:
            columns.append(value)
    graph.derived = {str(place): value for place, value in enumerate(columns)}
    try:
        second = _fit(graph, stack.fitted, "the second layer")
    finally:
        graph.derived = {}
    return graph.sum([average, second], [1 - stack.stack.share, stack.stack.share])


def _member(graph: Graph, member: FittedMember) -> str:
    if member.preparation.preparers:
        raise NotPossible(f"member {member.candidate.name!r} gets its columns from steps of a preparation that are not in ONNX here")
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
    from tools.families.matrix import trees_of

    kind = type(predictor).__name__
    match kind:
        case "LinearModel":
            matrix = vectorized(graph, predictor.vectorizer, name)
            return _linear(graph, predictor.estimator, matrix, predictor.n_classes, name)
        case "NetworkModel":
            return _network(graph, predictor, name)
        case "LightGBMModel" | "XGBoostModel" | "MatrixModel" | "CatBoostModel":
            if kind == "CatBoostModel" and predictor.categorical:
                return _categorical(graph, predictor, name)
            matrix, width = matrix_of(graph, predictor.encoder, name)
            if kind == "MatrixModel" and (trees := trees_of(predictor.estimator)) is not None:
                return graph.cast(averaged(graph, trees, matrix, predictor.n_classes), "DOUBLE")
            if kind == "MatrixModel" and type(predictor.estimator).__name__ in NEIGHBOURS:
                return neighbours(graph, predictor.estimator, matrix, predictor.n_classes)
            if kind == "LightGBMModel":
                return of_lightgbm(graph, predictor, matrix, width, name)
            if kind == "XGBoostModel":
                return of_xgboost(graph, predictor, matrix, width, name)
            if kind == "CatBoostModel":
                return _of_catboost(graph, predictor, matrix)
    raise NotPossible(f"member {name!r} is a {kind}, which has no counterpart in ONNX here")


def _categorical(graph: Graph, predictor: Any, name: str) -> str:
    """A model of CatBoost that reads categories by its own means."""
    from tools.package.onnx_catboost import over_categories, probabilities

    encoder = predictor.encoder
    matrix, width = matrix_of(graph, encoder, name) if encoder.numeric or encoder.dates or encoder.texts else ("", 0)
    scores = over_categories(graph, predictor, matrix, width, name)
    if predictor.n_classes:
        return probabilities(graph, scores, predictor.n_classes)
    return graph.op("Exp", scores) if predictor.booster.get_all_params()["loss_function"] == "Poisson" else scores


def _of_catboost(graph: Graph, predictor: Any, matrix: str) -> str:
    """CatBoost's own export of trees over numbers, without the step that makes dictionaries of probabilities."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="mlteam-onnx-") as folder:
        path = Path(folder, "model.onnx")
        predictor.booster.save_model(str(path), format="onnx")
        made = onnx.load(str(path))
    output = made.graph.output[0].name
    if mapped := next((node for node in made.graph.node if node.op_type == "ZipMap"), None):
        output = mapped.input[0]
        made.graph.node.remove(mapped)
        del made.graph.output[1]
    raw = graph.cast(graph.include(made, {made.graph.input[0].name: matrix}, output), "DOUBLE")
    if predictor.n_classes:
        return raw
    values = graph.op("Reshape", raw, graph.constant([-1, 1], np.int64))
    return graph.op("Exp", values) if predictor.booster.get_all_params()["loss_function"] == "Poisson" else values


def _network(graph: Graph, model: Any, name: str) -> str:
    """A network by PyTorch's exporter between its encoders and its link."""
    import onnx
    import torch

    inputs, network = model.inputs, model.network
    given: dict[str, str] = {}
    width = 0
    if inputs.numeric:
        given["numbers"], width = matrix_of(graph, inputs.dense, name)
    texts = [(column, inputs.codes.levels_[column]) for column in inputs.codes.categorical]
    if texts:
        codes = [
            graph.looked_up(graph.input(column, "STRING"), {level: [code + 1.0] for level, code in levels.items()}, [0.0])
            for column, levels in texts
        ]
        given["codes"] = graph.cast(graph.joined(codes), "INT64")
    rows = (torch.zeros((2, width)), torch.zeros((2, len(texts)), dtype=torch.int64))
    file = io.BytesIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints the graphs that it cannot write
        warnings.simplefilter("ignore")  # this exporter is the one that needs no package beside torch
        torch.onnx.register_custom_op_symbolic("aten::column_stack", _column_stack, OPSET)
        axes = {column: {0: "n"} for column in ("numbers", "codes")}
        torch.onnx.export(
            network.eval(),
            rows,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(axes),
            output_names=["outputs"],
            dynamic_axes=axes,
        )
    made = onnx.load_from_string(file.getvalue())
    read = {one.name for one in made.graph.input}
    outputs = graph.include(made, {column: value for column, value in given.items() if column in read}, "outputs")
    return _linked(graph, outputs, model)


def _column_stack(graph: Any, tensors: Any) -> Any:
    """What TabM joins its columns with, which the exporter does not know: matrices side by side, as float32."""
    from torch.onnx import symbolic_helper

    parts = [graph.op("Cast", part, to_i=1) for part in symbolic_helper._unpack_list(tensors)]
    return graph.op("Concat", *parts, axis_i=1)


def _linked(graph: Graph, outputs: str, model: Any) -> str:
    """Outputs (members, n, k) as predictions: each member's own through the link, then their mean."""
    from tools.families.network import MOST_LOG_RATE

    values = graph.cast(outputs, "DOUBLE")
    if model.link == "softmax":
        values = graph.op("Softmax", values, axis=2)
    elif model.link == "exp":
        values = graph.op("Exp", graph.op("Clip", values, graph.constant(-MOST_LOG_RATE), graph.constant(MOST_LOG_RATE)))
    mean = graph.op("ReduceMean", values, axes=[0], keepdims=0)
    return graph.op("Add", graph.op("Mul", mean, graph.constant(model.scale)), graph.constant(model.centre))


def _linear(graph: Graph, estimator: Any, matrix: str, n_classes: int, name: str) -> str:
    kind = type(estimator).__name__
    if kind not in ("LogisticRegression", "Ridge", "ElasticNet", "PoissonRegressor"):
        raise NotPossible(f"member {name!r} is a {kind}, which has no counterpart in ONNX here")
    weights = np.atleast_2d(estimator.coef_).T
    scores = graph.op("Add", graph.op("MatMul", matrix, graph.constant(weights)), graph.constant(np.atleast_1d(estimator.intercept_)))
    if n_classes == 2:
        second = graph.op("Sigmoid", scores)
        return graph.joined([graph.op("Sub", graph.constant(1.0), second), second])
    if n_classes:
        return graph.op("Softmax", scores, axis=1)
    return graph.op("Exp", scores) if kind == "PoissonRegressor" else scores


def _calibrated(graph: Graph, proba: str, calibration: Calibration, n_classes: int) -> str:
    from tools.calibration import LEAST

    if calibration.kind == "isotonic":
        return _isotonic(graph, proba, calibration)
    logs = graph.op("Mul", graph.op("Log", graph.op("Max", proba, graph.constant(LEAST))), graph.constant(calibration.scale))
    if calibration.shift:
        logs = graph.op("Add", logs, graph.constant(calibration.shift))
    raised = graph.op("Mul", graph.op("Softmax", logs, axis=1), graph.constant(1 - calibration.spread))
    return graph.op("Add", raised, graph.constant(calibration.spread / n_classes))


def _isotonic(graph: Graph, proba: str, calibration: Calibration) -> str:
    """A line between knots: the height at the first, and for each piece its slope times how far a probability reaches into it."""
    said, meant = np.array(calibration.knots, dtype=np.float64).T
    widths = np.diff(said)
    if len(said) < 2 or not (widths > 0).all():
        raise NotPossible("the probabilities are calibrated by a map with a jump, which is not written for ONNX here")
    second = graph.op("Gather", proba, graph.constant([1], np.int64), axis=1)
    reach = graph.op("Max", graph.op("Sub", second, graph.constant(said[None, :-1])), graph.constant(0.0))
    within = graph.op("Min", reach, graph.constant(widths[None]))
    raised = graph.op("MatMul", within, graph.constant((np.diff(meant) / widths)[:, None]))
    told = graph.op("Add", raised, graph.constant(meant[0]))
    return graph.joined([graph.op("Sub", graph.constant(1.0), told), told])
