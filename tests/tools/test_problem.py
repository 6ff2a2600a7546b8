from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.measuring import table_ms
from tools.problem import encode_target, load_problem
from tools.spec import ToolRefused
from tools.workspace import Workspace


def test_labels_become_codes_of_the_contract(open_workspace: Open) -> None:
    contract = open_workspace("breast_cancer").contract
    codes = encode_target(pd.DataFrame({contract.target: [" benign", "malignant"]}), contract)
    assert codes.tolist() == [0, 1]
    with pytest.raises(ToolRefused, match="'strange'"):
        encode_target(pd.DataFrame({contract.target: ["benign", "strange"]}), contract)


def test_numbers_must_be_finite(open_workspace: Open) -> None:
    contract = open_workspace("diabetes").contract
    assert encode_target(pd.DataFrame({contract.target: [1, 2]}), contract).dtype == np.float64
    with pytest.raises(ToolRefused, match="1 values that are no finite number"):
        encode_target(pd.DataFrame({contract.target: [1.0, np.inf]}), contract)


def test_a_fold_of_one_class_has_no_score(open_workspace: Open) -> None:
    frame = pd.DataFrame({"x": range(40), "y": ["a"] * 37 + ["b"] * 3})
    problem = load_problem(open_workspace(frame, "y", "binary", folds=5))
    oof = np.full((problem.n_rows, 2), 0.5)
    assert len(problem.fold_scores(oof)) < 5
    assert problem.score(oof) == 0.5


def test_what_every_row_costs_is_measured_once(open_workspace: Open) -> None:
    problem = load_problem(open_workspace("wine"))
    columns = list(problem.X.columns)
    assert table_ms(problem, columns) == table_ms(problem, columns) > 0
    assert table_ms(problem, columns[:1]) != table_ms(problem, columns)


def test_all_rows_come_without_folds(open_workspace: Open) -> None:
    space = open_workspace("wine")
    pd.read_parquet(space.data / "train.parquet").to_parquet(space.data / "all.parquet")
    assert load_problem(space, "all").fold_ids == []


def test_a_metric_whose_package_is_not_where_the_code_runs_is_told_before_anything_is_fitted(open_workspace: Open) -> None:
    space = open_workspace("breast_cancer")
    path = space.data / "contract.json"
    path.write_text(path.read_text().replace('"roc_auc"', '"profit"'))
    with pytest.raises(ToolRefused, match=r"the metric of the contract, 'profit', cannot be used: no package that is installed where this"):
        load_problem(Workspace(space.data, space.work))
