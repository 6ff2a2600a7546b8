from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from tools.contract import Contract, Split, Task
from tools.metrics import default_metric
from tools.understanding.advice import METRICS, alternatives, metric_reason, task_reason


def contract(task: Task, **update: Any) -> Contract:
    return Contract(
        task=task,
        target="y",
        metric=default_metric(task),
        direction="maximize",
        split=Split(kind="random", holdout_fraction=0.2, seed=0),
        folds=3,
        rows_train=80,
        rows_holdout=20,
        features=["a"],
        seed=0,
        **update,
    )


@pytest.mark.parametrize("task", get_args(Task))
def test_the_usual_metric_of_every_task_has_a_reason(task: Task) -> None:
    assert default_metric(task) in METRICS
    assert METRICS[default_metric(task)] in metric_reason(contract(task), named=False)
    assert "asked for" in metric_reason(contract(task), named=True)


def test_the_problem_type_has_its_reason() -> None:
    assert "3 words" in task_reason(pd.Series(["a", "b", "c"] * 9), contract("multiclass"), named=False)
    assert "two numbers" in task_reason(pd.Series([0, 1, 1] * 9), contract("binary"), named=False)
    assert "whole numbers" in task_reason(pd.Series([1, 2, 3] * 90), contract("multiclass"), named=False)
    assert "100 different numbers" in task_reason(pd.Series(np.arange(100) / 7), contract("regression"), named=False)
    assert "asked for" in task_reason(pd.Series([1, 2]), contract("count"), named=True)


def test_what_else_it_could_be_comes_with_its_option() -> None:
    rare = pd.Series(["yes"] * 3 + ["no"] * 97)
    assert "--metric average_precision" in alternatives(rare, contract("binary", classes=["no", "yes"], positive="yes"))[0]
    words = pd.Series(["Low", "Medium", "High"] * 9)
    told = alternatives(words, contract("multiclass", classes=["High", "Low", "Medium"]))
    assert "--classes Low,Medium,High" in told[0]
    heavy = pd.Series(np.exp(np.random.default_rng(0).normal(0, 2, 500)))
    assert [("mae" in one, "--quantiles" in one) for one in alternatives(heavy, contract("regression"))] == [(True, False), (False, True)]
    assert alternatives(pd.Series(np.random.default_rng(0).normal(size=200)), contract("regression")) == []
