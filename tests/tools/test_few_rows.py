"""A few rows value by value: read as a table is read, and answered as a table is answered, whatever the family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, mixed
from tools.answers import answers, predicted_table
from tools.candidates import load_candidate
from tools.columns import coerce, infer_schema
from tools.contract import Column, ColumnKind, TableSchema
from tools.deadline import Deadline
from tools.few_rows import FEW, FewRows
from tools.model import fit_model
from tools.package.inputs import Inputs, learn_inputs
from tools.problem import load_problem
from tools.training import train


def column(kind: ColumnKind, *, day_first: bool = False) -> Column:
    return Column(name="a", kind=kind, missing=0.0, unique=0, day_first=day_first)


VALUES: dict[ColumnKind, list[Any]] = {
    "numeric": [1.5, -0.0, 1e300, 3, True, None],
    "boolean": [True, False, None],
    "categorical": ["x", " x ", "", "  ", "1.0", "nan", "None", "🙂", None],
    "text": ["two words", " a\tb ", None],
    "datetime": [
        "2024-02-13",
        "13/02/2024",
        "02/03/2024",
        "2024-02-13 15:04:05.123",
        "2024-02-13T15:04+02:00",
        "1500-01-01",
        "soon",
        "",
        None,
    ],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in VALUES.items() for value in values])
@pytest.mark.parametrize("day_first", [False, True])
def test_a_value_is_read_as_in_a_table(kind: ColumnKind, value: Any, day_first: bool) -> None:
    one = column(kind, day_first=day_first)
    read = FewRows.read([{"a": value}, {"a": value}], [one])
    assert read is not None
    expected = coerce(pd.DataFrame({"a": [value, value]}), TableSchema(columns=[one]))
    pd.testing.assert_frame_equal(read.frame, expected)


@pytest.mark.parametrize(("kind", "value"), [("numeric", "12"), ("boolean", 1), ("categorical", 1), ("text", True), ("datetime", 20240213)])
def test_what_only_a_table_can_tell_is_left_to_it(kind: ColumnKind, value: Any) -> None:
    assert FewRows.read([{"a": value}], [column(kind)]) is None
    assert FewRows.read([{"b": value}], [column(kind)]) is None


def asked(frame: pd.DataFrame, inputs: Inputs) -> list[dict[str, Any]]:
    """Rows of a table as JSON has them."""
    return [
        {name: None if value is None or value != value or value in (np.inf, -np.inf) else value for name, value in row.items()}
        for row in frame[inputs.names].astype(object).to_dict("records")
    ]


@pytest.mark.parametrize("name", ["linear", "extra_trees", "lightgbm", "xgboost", "catboost", "knn"])
def test_models_of_every_kind_answer_few_rows_as_a_table_of_them(open_workspace: Open, name: str) -> None:
    space = open_workspace("mixed")
    train([name], time_s=20, per_family=1)
    model = fit_model(space, load_candidate(space, f"{name}-1"), load_problem(space), Deadline(60))
    holdout = space.table("holdout").head(40)
    inputs = learn_inputs(mixed().drop(columns="outcome"), infer_schema(mixed(), "outcome"), None)
    rows = asked(holdout, inputs)
    for row in rows:
        table = predicted_table(model, inputs.frame([row]))
        assert answers(model, inputs, [row]) == table.to_dict("records")
    few, whole = model.predict_few(rows[:FEW]), model.predict_table(inputs.frame(rows[:FEW]))
    assert few is not None
    np.testing.assert_allclose(few, whole, rtol=0, atol=1e-12)
    assert model.predict_few(rows) is None, "these are a table"
