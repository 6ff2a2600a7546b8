from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open
from tools.contract import Contract
from tools.predictions import PredictionError, read_predictions, write_predictions


@pytest.fixture
def binary(open_workspace: Open) -> Contract:
    return open_workspace("breast_cancer").contract


def table(rows: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"row": range(rows), "proba_benign": 0.25, "proba_malignant": 0.75})


def test_what_is_written_is_read_back(tmp_path: Path, binary: Contract) -> None:
    proba = np.array([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5]])
    write_predictions(tmp_path / "p.parquet", binary, proba, fold=np.array([0, 1, 0]))
    assert np.array_equal(read_predictions(tmp_path / "p.parquet", binary, 3), proba)


def test_sums_within_the_tolerance_are_normalised(tmp_path: Path, binary: Contract) -> None:
    write_predictions(tmp_path / "p.parquet", binary, np.array([[0.2, 0.8005]]))
    assert read_predictions(tmp_path / "p.parquet", binary, 1).sum() == pytest.approx(1, abs=1e-12)


def test_rows_no_fold_validates_may_be_missing_when_partial(tmp_path: Path, binary: Contract) -> None:
    proba = np.array([[np.nan, np.nan], [0.1, 0.9]])
    path = tmp_path / "p.parquet"
    write_predictions(path, binary, proba, fold=np.array([-1, 0]))
    assert np.isnan(read_predictions(path, binary, 2, partial=True)[0]).all()
    with pytest.raises(PredictionError, match="not finite"):
        read_predictions(path, binary, 2)
    write_predictions(path, binary, proba[::-1], fold=np.array([-1, 0]))
    with pytest.raises(PredictionError, match="not finite"):
        read_predictions(path, binary, 2, partial=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop(columns="proba_benign"), "columns"),
        (lambda t: t.assign(extra=1), "columns"),
        (lambda t: t[["row", "proba_malignant", "proba_benign"]], "columns"),
        (lambda t: t.iloc[:2], "2 rows; expected 3"),
        (lambda t: t.assign(row=[0, 2, 1]), "in order"),
        (lambda t: t.assign(proba_benign=[0.25, np.inf, 0.25]), "row 1, column 'proba_benign'"),
        (lambda t: t.assign(proba_benign=[0.25, -0.5, 0.25]), "no probabilities"),
        (lambda t: t.assign(proba_benign=0.5), "sums to 1.25"),
        (lambda t: t.assign(proba_benign="a"), "expected numbers"),
        (lambda t: t.assign(row=[0.0, 1.0, 2.0]), "expected numbers"),
    ],
)
def test_what_breaks_the_contract_is_refused(tmp_path: Path, binary: Contract, change: object, told: str) -> None:
    change(table()).to_parquet(tmp_path / "p.parquet", index=False)  # type: ignore[operator]
    with pytest.raises(PredictionError, match=told):
        read_predictions(tmp_path / "p.parquet", binary, 3)


def test_values_whose_squares_overflow_are_refused(tmp_path: Path, open_workspace: Open) -> None:
    contract = open_workspace("diabetes").contract
    write_predictions(tmp_path / "p.parquet", contract, np.array([1.0, 2e150]))
    with pytest.raises(PredictionError, match="too large to be scored"):
        read_predictions(tmp_path / "p.parquet", contract, 2)


def test_only_a_regular_parquet_file_is_opened(tmp_path: Path, binary: Contract) -> None:
    real = tmp_path / "real.parquet"
    table().to_parquet(real, index=False)
    (tmp_path / "link.parquet").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "text.parquet").write_text("row,proba")
    (tmp_path / "large.parquet").write_bytes(bytes(11_000_000))
    (tmp_path / "linked").symlink_to(tmp_path)
    for name in ("link", "pipe", "text", "large", "missing"):
        with pytest.raises(PredictionError, match=f"{name}.parquet"):
            read_predictions(tmp_path / f"{name}.parquet", binary, 3)
    assert len(read_predictions(real, binary, 3, inside=tmp_path)) == 3
    with pytest.raises(PredictionError):
        read_predictions(tmp_path / "linked" / "real.parquet", binary, 3, inside=tmp_path)


def test_a_wrong_shape_is_not_written(tmp_path: Path, binary: Contract) -> None:
    with pytest.raises(PredictionError, match="shape"):
        write_predictions(tmp_path / "p.parquet", binary, np.ones(3))
