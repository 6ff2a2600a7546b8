"""A source's own target and split: taken where nobody says otherwise, or where the user asks for it, and told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.hosting import Hosting
from tests.tools.sources.file_server import FileServer, Served
from tools.folds import make_validation
from tools.intake import fetch_data
from tools.nesting import inner_problem
from tools.problem import load_problem
from tools.sealing import ContractSealed, seal_holdout
from tools.spec import InputRefused
from tools.workspace import Workspace

ROWS, FOLDS = 60, 5


def as_json(value: Any) -> Served:
    return Served(json.dumps(value).encode())


def fold_of(row: int) -> int:
    return (row * 7) % FOLDS


@pytest.fixture
def openml(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """Task 59: rows whose first column is their number, some without a target, in five folds."""
    monkeypatch.setenv("OPENML_SERVER", f"{server.address}/api/v1")
    monkeypatch.setenv("MLTEAM_CACHE", str(tmp_path / "cache"))
    rows = "".join(f"{i},{i % 7},{'?' if i in (8, 9) else 'pn'[i % 2]},{i % 3}\n" for i in range(ROWS))
    arff = f"@relation r\n@attribute i numeric\n@attribute a numeric\n@attribute kind {{p,n}}\n@attribute z numeric\n@data\n{rows}".encode()
    lines = "".join(f"{'TEST' if fold_of(i) == fold else 'TRAIN'},{i},0,{fold}\n" for fold in range(FOLDS) for i in range(ROWS))
    columns = "".join(f"@attribute {name} numeric\n" for name in ("rowid", "repeat", "fold"))
    splits = f"@relation s\n@attribute type {{TRAIN,TEST}}\n{columns}@data\n{lines}"
    described = {"name": "tiny", "url": f"{server.address}/1.arff", "md5_checksum": hashlib.md5(arff).hexdigest()}
    procedure = {"type": "crossvalidation", "data_splits_url": f"{server.address}/splits.arff"}
    inputs = [
        {"name": "source_data", "data_set": {"data_set_id": "61", "target_feature": "kind"}},
        {"name": "estimation_procedure", "estimation_procedure": procedure},
    ]
    server.files |= {
        "/api/v1/json/task/59": as_json({"task": {"task_id": "59", "input": inputs}}),
        "/api/v1/json/data/61": as_json({"data_set_description": described}),
        "/1.arff": Served(arff),
        "/splits.arff": Served(splits.encode()),
    }
    return server


def sealed(tmp_path: Path, source: str, **settings: Any) -> tuple[Hosting, ContractSealed]:
    h = Hosting(tmp_path / "runs", source, **settings)
    fetch_data(h.host)
    return h, seal_holdout(h.host)


def notes(h: Hosting) -> list[str]:
    return list(json.loads(h.run.manifest.read_text())["notes"])


@pytest.mark.usefixtures("openml")
def test_the_sources_target_is_predicted_where_nobody_names_one(tmp_path: Path) -> None:
    h, told = sealed(tmp_path, "openml:task/59")
    assert (told.target, told.split, told.rows_without_target) == ("kind", "stratified", 2)
    assert any("'kind' is predicted, which the source itself names" in note for note in notes(h))
    assert any("brings a split of its own (in 5 folds), which is not used: --own-split takes it" in note for note in notes(h))
    h, told = sealed(tmp_path / "other", "openml:task/59", target="z")
    assert told.target == "z"
    assert not any("which the source itself names" in note for note in notes(h))


@pytest.mark.usefixtures("openml")
def test_the_first_of_the_sources_folds_is_the_holdout_and_the_others_are_the_folds(tmp_path: Path) -> None:
    h, told = sealed(tmp_path, "openml:task/59", own_split=True)
    assert (told.split, told.folds) == ("given", FOLDS - 1)
    assert "folds that the source itself brings; as was asked for" in told.validation
    train, holdout = (pd.read_parquet(h.run.data / f"{name}.parquet") for name in ("train", "holdout"))
    labelled = [i for i in range(ROWS) if i not in (8, 9)]
    assert holdout["i"].tolist() == [i for i in labelled if fold_of(i) == 0]
    assert train["i"].tolist() == [i for i in labelled if fold_of(i) != 0]
    contract = h.vault.contract
    validation = make_validation(train, contract)
    assert validation.folds[0].tolist() == [fold_of(int(i)) - 1 for i in train["i"]]
    assert len(validation.parts) == FOLDS - 1
    assert np.array_equal(h.vault.rows.validation().folds[0], validation.folds[0])
    assert notes(h)[-1] == "The split is the source's own: its first of 5 folds is the holdout, the others are the folds."
    problem = load_problem(Workspace(h.run.data, h.run.work))
    inner = inner_problem(problem, train, 0)
    assert sorted(np.unique(inner.folds)) == [1, 2, 3]


@pytest.mark.usefixtures("openml")
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"group": "a"}, "leave --group or --own-split out"),
        ({"holdout": 0.3}, "leave --holdout or --own-split out"),
        ({"folds": 4}, "brings its own folds; leave --folds"),
        ({"validation": "kfold"}, "brings its own folds"),
        ({"task": "anomaly"}, "--own-split is for tasks with rows that have a target"),
    ],
)
def test_wishes_that_contradict_it_are_refused(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputRefused, match=told):
        sealed(tmp_path, "openml:task/59", own_split=True, **settings)


def test_a_source_without_a_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"sklearn:iris brings no split of its own"):
        sealed(tmp_path, "sklearn:iris", own_split=True, target="target")


def part(first: int, rows: int, labels: str = "pn") -> bytes:
    return b"i,a,y\n" + b"".join(b"%d,%d,%s\n" % (i, i % 7, labels[i % len(labels)].encode()) for i in range(first, first + rows))


@pytest.fixture
def hub(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("MLTEAM_CACHE", str(tmp_path / "cache"))
    return server


def put(hub: FileServer, **files: bytes) -> None:
    names = {f"data/{name}.csv": body for name, body in files.items()}
    siblings = [{"rfilename": name, "size": len(body)} for name, body in names.items()]
    hub.files["/api/datasets/ann/shop/revision/main"] = as_json({"id": "ann/shop", "sha": "abc", "siblings": siblings})
    hub.files |= {f"/datasets/ann/shop/resolve/abc/{name}": Served(body) for name, body in names.items()}


def test_parts_of_the_hub_are_holdout_and_validation(hub: FileServer, tmp_path: Path) -> None:
    put(hub, train=part(0, 40), test=part(100, 20), validation=part(200, 10))
    h, told = sealed(tmp_path, "hf:ann/shop", own_split=True, target="y")
    train, holdout = (pd.read_parquet(h.run.data / f"{name}.parquet") for name in ("train", "holdout"))
    assert sorted(holdout["i"]) == list(range(100, 120))
    folds = make_validation(train, h.vault.contract).folds[0]
    assert sorted(train["i"][folds == 0]) == list(range(200, 210))
    assert sorted(train["i"][folds == -1]) == list(range(40))
    assert told.folds == 1
    put(hub, train=part(0, 40), test=part(100, 20))
    h, told = sealed(tmp_path / "two", "hf:ann/shop", own_split=True, target="y", folds=4)
    assert (told.rows_holdout, told.folds, told.split) == (20, 4, "given")
    assert "every class is dealt evenly" in told.validation
    assert notes(h)[-1] == "The holdout is the source's own test part; the folds are our own."


def test_a_part_whose_labels_are_kept_back_is_no_holdout(hub: FileServer, tmp_path: Path) -> None:
    put(hub, train=part(0, 40), test=part(100, 20, "u"))
    with pytest.raises(InputRefused, match=r"leaves one class of 'y' in the holdout rows; expected at least two. Leave --own-split out"):
        sealed(tmp_path, "hf:ann/shop", own_split=True, target="y")
