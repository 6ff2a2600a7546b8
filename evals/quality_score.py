"""What a contestant's predictions are worth on the rows that were held back, by the project's own metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tools.columns import coerce, infer_schema
from tools.contract import predicts
from tools.metrics import METRICS, score
from tools.quantiles import LEVELS, column_of
from tools.space import Space
from tools.survival import signed_times

Array = np.ndarray[Any, np.dtype[Any]]


def read_answers(table: Path) -> pd.DataFrame:
    """What predictions are scored against, one row a row of test.csv: the columns that it lacks; of groups, which nobody knows, the
    rows as points in the space of the training rows, where distances mean something."""
    if json.loads((table / "meta.json").read_text())["task"] != "cluster":
        return pd.read_csv(table / "labels.csv")
    train, test = pd.read_csv(table / "train.csv"), pd.read_csv(table / "test.csv")
    schema = infer_schema(train, None)
    return pd.DataFrame(Space(schema.columns).fit(coerce(train, schema)).transform(coerce(test, schema)))


def scored(meta: dict[str, Any], predictions: pd.DataFrame, answers: pd.DataFrame) -> float:
    """The score of predictions for the held-back rows, by the project's own metric.

    Args:
        answers: see `read_answers`.

    Raises:
        ValueError: when they do not fit the rows.
    """
    y, said, units = as_arrays(meta, predictions, answers)
    return score(meta["metric"], meta["task"], y, said, units=units)


def as_arrays(meta: dict[str, Any], predictions: pd.DataFrame, answers: pd.DataFrame) -> tuple[Array, Array, Array | None]:
    """Answers, predictions and units as `tools.metrics.score` takes them; arguments and errors as of `scored`."""
    metric, task = meta["metric"], meta["task"]
    if len(predictions) != len(answers):
        raise ValueError(f"{len(predictions)} predictions for {len(answers)} rows")
    match predicts(task):
        case "values":
            return answers[meta["target"]].to_numpy(float), _numbers(predictions, "prediction"), None
        case "quantiles":
            said = np.column_stack([_numbers(predictions, column_of(level)) for level in LEVELS])
            return answers[meta["target"]].to_numpy(float), said, np.tile(LEVELS, (len(said), 1))
        case "risk":
            truth = signed_times(answers[meta["target"]].to_numpy(float), answers[meta["event"]].to_numpy(float))
            return truth, _numbers(predictions, "prediction"), None
        case "groups":
            return answers.to_numpy(float), _numbers(predictions, "prediction"), None
        case "scores":
            labels = answers[meta["target"]].astype(str)
            unusual = labels == labels.value_counts().index[-1]
            return unusual.to_numpy(np.int64), _numbers(predictions, "prediction"), None
        case "labels":
            proba = np.column_stack([_numbers(predictions, f"proba_{name}") for name in answers.columns])
            return answers.to_numpy(np.int64), proba, None
    truth = answers[meta["target"]]
    classes = [c for c in meta["classes"] if c != meta["positive"]] + ([meta["positive"]] if meta["positive"] else [])
    given = [f"proba_{name}" for name in classes if f"proba_{name}" in predictions]
    if "prediction" in predictions and (METRICS[metric].needs == "label" or not given):  # the classes as the model calls them
        called = predictions["prediction"].map(lambda name: str(int(name)) if isinstance(name, float) and name.is_integer() else str(name))
        if strange := sorted(set(called) - set(classes)):
            raise ValueError(f"{strange[0][:80]!r} is no class; expected one of {', '.join(classes)[:200]}")
        predictions = pd.DataFrame({f"proba_{name}": (called == name).astype(float) for name in classes})
    elif not given:
        raise ValueError(f"neither a column proba_{classes[0]} nor prediction; found {', '.join(map(str, predictions.columns))[:200]}")
    columns = [_numbers(predictions, f"proba_{name}") if f"proba_{name}" in predictions else np.zeros(len(predictions)) for name in classes]
    said = np.column_stack(columns)
    if (said < 0).any():
        raise ValueError(f"{int((said < 0).sum())} probabilities are less than 0")
    codes = truth.astype(str).map({name: code for code, name in enumerate(classes)}).to_numpy(np.int64)
    return codes, np.clip(said, 1e-15, None), None


def _numbers(predictions: pd.DataFrame, name: str) -> Array:
    """A column as finite numbers."""
    if name not in predictions:
        raise ValueError(f"no column {name}; found {', '.join(map(str, predictions.columns))[:200]}")
    try:
        values = predictions[name].to_numpy(float)
    except (TypeError, ValueError):
        raise ValueError(f"column {name} holds what is no number") from None
    if wrong := int((~np.isfinite(values)).sum()):
        raise ValueError(f"{wrong} values of column {name} are missing or infinite")
    return values
