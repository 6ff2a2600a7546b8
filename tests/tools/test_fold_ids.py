from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from tests.tools.test_sealing import hosting, sealed
from tools.fold_ids import hashed, hashed_parts


def test_the_manifest_tells_which_rows_lie_where_and_nothing_else(tmp_path: Path) -> None:
    h = hosting(tmp_path, target="left")
    sealed(h)
    parts = {part["part"]: part for part in json.loads(h.run.manifest.read_text())["splits"]}
    contract = h.host.vault.contract
    assert list(parts) == ["train", "holdout", *(f"fold {k}" for k in range(contract.folds))]
    assert parts["train"]["rows"] == sum(parts[f"fold {k}"]["rows"] for k in range(contract.folds)) == contract.rows_train
    assert len({part["sha256"] for part in parts.values()}) == len(parts)
    # Whoever has the rows finds the same hashes, whatever the order of the holdout's.
    train, holdout = (pd.read_parquet(h.run.data / f"{name}.parquet") for name in ("train", "holdout"))
    again = hashed_parts(train, holdout.iloc[::-1], contract)
    assert [part.model_dump() for part in again] == list(parts.values())


def test_one_cell_makes_another_hash(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, None], "b": ["x", None, "z"]})
    assert hashed(frame) == hashed(frame.iloc[[2, 0, 1]])
    assert hashed(frame) != hashed(frame.assign(a=[1.0, 2.0, 3.0]))


def test_values_of_any_kind_have_a_hash() -> None:
    lists = pd.DataFrame({"a": [[1, 2], None, {"b": 3}], "when": pd.to_datetime(["2024-01-01", None, "2024-01-02"])})
    assert hashed(lists) == hashed(lists.iloc[::-1])
    assert hashed(lists) != hashed(lists.assign(a=[[1, 2], None, {"b": 4}]))
