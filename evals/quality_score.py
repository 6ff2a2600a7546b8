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
    metric, task = meta["metric"], meta["task"]
    if len(predictions) != len(answers):
        raise ValueError(f"{len(predictions)} predictions for {len(answers)} rows")
    match predicts(task):
        case "values":
            return score(metric, task, answers[meta["target"]].to_numpy(float), predictions["prediction"].to_numpy(float))
        case "quantiles":
            said = predictions[[column_of(level) for level in LEVELS]].to_numpy(float)
            return score(metric, task, answers[meta["target"]].to_numpy(float), said, units=np.tile(LEVELS, (len(said), 1)))
        case "risk":
            truth = signed_times(answers[meta["target"]].to_numpy(float), answers[meta["event"]].to_numpy(float))
            return score(metric, task, truth, predictions["prediction"].to_numpy(float))
        case "groups":
            return score(metric, task, answers.to_numpy(float), predictions["prediction"].to_numpy(float))
        case "scores":
            labels = answers[meta["target"]].astype(str)
            unusual = labels == labels.value_counts().index[-1]
            return score(metric, task, unusual.to_numpy(np.int64), predictions["prediction"].to_numpy(float))
        case "labels":
            proba = predictions[[f"proba_{name}" for name in answers.columns]]
            return score(metric, task, answers.to_numpy(np.int64), proba.to_numpy(float))
    truth = answers[meta["target"]]
    classes = [c for c in meta["classes"] if c != meta["positive"]] + ([meta["positive"]] if meta["positive"] else [])
    if METRICS[meta["metric"]].needs == "label" and "prediction" in predictions:  # the classes as the model calls them
        called = predictions["prediction"].astype(str)
        predictions = pd.DataFrame({f"proba_{name}": (called == name).astype(float) for name in classes})
    columns = [predictions.get(f"proba_{name}", pd.Series(0.0, index=predictions.index)).to_numpy(float) for name in classes]
    codes = truth.astype(str).map({name: code for code, name in enumerate(classes)}).to_numpy(np.int64)
    return score(meta["metric"], meta["task"], codes, np.clip(np.column_stack(columns), 1e-15, None))
