from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import Open, mixed
from tools.contract import Split
from tools.lineage import Lineage
from tools.preparation import Preparation, prepare
from tools.spec import ToolRefused


def reasons(found: object) -> dict[str, str]:
    return {dropped.column: dropped.reason for dropped in found.dropped}  # type: ignore[attr-defined]


def test_only_columns_without_information_are_left_out(open_workspace: Open) -> None:
    space = open_workspace(mixed().assign(id=range(1000, 1240), uuid=[f"u{i}" for i in range(240)]), "outcome", "multiclass")
    found = prepare()
    assert reasons(found) == {
        "constant": "constant",
        "empty": "all missing",
        "id": "identifier-like: a different value in every row",
        "uuid": "identifier-like: a different value in every row",
    }
    assert found.columns_in == 12
    assert found.columns_used == 8
    assert found.kinds == {"numeric": 3, "categorical": 2, "datetime": 1, "text": 1, "boolean": 1}
    saved = Preparation.model_validate_json((space.preparations / "default.json").read_text())
    assert len(saved.columns) == 8
    traced = Lineage.model_validate_json((space.work / str(found.lineage)).read_text())
    assert traced.prepared == {column.name: [column.name] for column in saved.columns}


def test_a_running_number_that_tells_the_target_is_kept(open_workspace: Open) -> None:
    frame = pd.DataFrame({"order": range(200), "x": np.random.default_rng(0).normal(size=200)})
    open_workspace(frame.assign(y=frame["order"] * 2.0), "y", "regression")
    assert reasons(prepare()) == {}


def test_what_is_asked_is_left_out(open_workspace: Open) -> None:
    open_workspace("mixed")
    told = reasons(prepare("slim", drop=["a.b"], text=False, dates=False))
    assert (told["a.b"], told["note 🙂"], told["when"]) == ("asked", "text columns are off", "date columns are off")


def test_the_group_column_is_left_out(open_workspace: Open) -> None:
    frame = pd.DataFrame({"g": np.arange(60) % 6, "x": np.arange(60) ** 0.5, "y": np.arange(60) % 2})
    open_workspace(frame, "y", "binary", split=Split(kind="group", column="g", holdout_fraction=0.25, seed=0))
    assert list(reasons(prepare())) == ["g"]


def test_what_is_not_there_is_out_already(open_workspace: Open) -> None:
    open_workspace("wine")
    found = prepare(drop=["target", "id"])
    assert (found.not_there, found.dropped, found.columns_used) == (["target", "id"], [], 13)


def test_refusals(open_workspace: Open) -> None:
    columns = open_workspace("wine").contract.features
    with pytest.raises(ToolRefused, match="no column 'flavonoids'; there is 'flavanoids'"):
        prepare(drop=["flavonoids"])
    with pytest.raises(ToolRefused, match="lower-case"):
        prepare("../x")
    with pytest.raises(ToolRefused, match="no column is left"):
        prepare(drop=columns)
