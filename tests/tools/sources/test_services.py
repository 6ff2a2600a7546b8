"""Kaggle, Hugging Face, OpenML and UCI: stand-ins that answer in the shapes of their APIs."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from tests.tools.sources.conftest import Fetching
from tests.tools.sources.file_server import FileServer, Served
from tools.spec import InputRefused

TABLE = b"a,b\n1,2\n"


def as_json(value: Any) -> Served:
    return Served(json.dumps(value).encode())


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return packed.getvalue()


def test_kaggle(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"KAGGLE_API_ENDPOINT": server.address, "KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "s3cret-kaggle-key"}.items():
        monkeypatch.setenv(name, value)
    server.files |= {
        "/api/v1/datasets/view/ann/shop": as_json({"ref": "ann/shop", "licenseName": "CC0: Public Domain"}),
        "/signed/shop.zip": Served(zipped(**{"rows.csv": TABLE})),
        "/api/v1/competitions/data/download-all/titanic": Served(zipped(**{"train.csv": TABLE, "test.csv": TABLE})),
    }
    server.moved["/api/v1/datasets/download/ann/shop"] = f"{server.address.replace('127.0.0.1', 'localhost')}/signed/shop.zip"
    fetched = fetching("kaggle:ann/shop")
    assert ([file.name for file in fetched.files], [file.name for file in fetched.archives]) == (["shop/rows.csv"], ["shop.zip"])
    assert fetched.licence == "CC0: Public Domain"
    assert server.headers("/api/v1/datasets/download/ann/shop")[0]["authorization"].startswith("Basic ")
    assert "authorization" not in server.headers("/signed/shop.zip")[0]
    assert [file.name for file in fetching("kaggle:competition/titanic").files] == ["titanic/test.csv", "titanic/train.csv"]
    server.files["/api/v1/competitions/data/download-all/other"] = Served(b"", busy=[(403, None)])
    with pytest.raises(InputRefused, match=r"answered 403 .*Credentials are missing or not taken"):
        fetching("kaggle:competition/other")
    with pytest.raises(InputRefused, match="expected kaggle:OWNER/NAME"):
        fetching("kaggle:titanic")
    assert b"s3cret-kaggle-key" not in fetching.left()


def test_kaggles_key_file(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "kaggle.json").write_text('{"username": "ann", "key": "s3cret-in-a-file"}')
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", server.address)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "kaggle.json").chmod(0o644)
    with pytest.raises(InputRefused, match="is open to others; expected mode 0600"):
        fetching("kaggle:competition/titanic")
    (tmp_path / "kaggle.json").chmod(0o600)
    server.files["/api/v1/competitions/data/download-all/titanic"] = Served(zipped(**{"train.csv": TABLE}))
    fetching("kaggle:competition/titanic")
    assert server.seen[-1][1]["authorization"].startswith("Basic ")


def test_hugging_face(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_s3cret_token")
    files = ["README.md", ".gitattributes", "shop.py", "data/train-00000.csv", "data/train-00001.csv", "data/test-00000.csv"]
    siblings: list[dict[str, Any]] = [{"rfilename": name, "size": len(TABLE)} for name in files]
    siblings[3]["lfs"] = {"sha256": hashlib.sha256(TABLE).hexdigest(), "size": len(TABLE)}
    view = {"id": "ann/shop", "sha": "abc123", "siblings": siblings, "cardData": {"license": "mit"}}
    server.files["/api/datasets/ann/shop/revision/main"] = as_json(view)
    server.files |= {f"/datasets/ann/shop/resolve/abc123/{name}": Served(TABLE) for name in files[3:]}
    fetched = fetching("hf:ann/shop")
    assert [file.name for file in fetched.files] == sorted(files[3:])
    assert fetched.split is not None
    assert fetched.split.parts == {"test": ["data/test-00000.csv"], "train": ["data/train-00000.csv", "data/train-00001.csv"]}
    assert (fetched.licence, {headers["authorization"] for _, headers in server.seen}) == ("mit", {"Bearer hf_s3cret_token"})
    with pytest.raises(InputRefused, match="holds no data file of 'nothing'"):
        fetching("hf:ann/shop#config=nothing")
    siblings[3]["lfs"]["sha256"] = "0" * 64
    server.files["/api/datasets/ann/shop/revision/main"] = as_json(view)
    with pytest.raises(InputRefused, match="is not what was expected: its SHA256"):
        fetching("hf:ann/shop")
    assert b"hf_s3cret_token" not in fetching.left()


def test_hugging_face_names_lead_nowhere_else(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    server.files["/api/datasets/ann/shop/revision/main"] = as_json({"siblings": [{"rfilename": "/etc/evil.csv"}]})
    with pytest.raises(InputRefused, match="which is no name for one"):
        fetching("hf:ann/shop")


def test_openml_tasks_bring_their_target_and_folds(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENML_SERVER", f"{server.address}/api/v1")
    arff = b"@relation r\n@attribute a numeric\n@attribute y {p,n}\n@data\n1,p\n2,n\n3,p\n4,n\n"
    splits = (
        b"@relation s\n@attribute type {TRAIN,TEST}\n@attribute rowid numeric\n@attribute repeat numeric\n@attribute fold numeric\n@data\n"
    )
    splits += b"".join(
        b"%s,%d,%d,%d\n" % (b"TEST" if row % 2 == fold else b"TRAIN", row, repeat, fold)
        for repeat in (0, 1)
        for fold in (0, 1)
        for row in range(4)
    )
    described = {
        "name": "tiny set",
        "licence": "Public",
        "url": f"{server.address}/data/1.arff",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
        "default_target_attribute": "a",
    }
    procedure = {"type": "crossvalidation", "data_splits_url": f"{server.address}/splits.arff"}
    inputs = [
        {"name": "source_data", "data_set": {"data_set_id": "61", "target_feature": "y"}},
        {"name": "estimation_procedure", "estimation_procedure": procedure},
    ]
    server.files |= {
        "/api/v1/json/task/59": as_json({"task": {"task_id": "59", "input": inputs}}),
        "/api/v1/json/data/61": as_json({"data_set_description": described}),
        "/data/1.arff": Served(arff),
        "/splits.arff": Served(splits),
    }
    fetched = fetching("openml:task/59")
    assert ([file.name for file in fetched.files], fetched.target, fetched.licence) == (["tiny_set.arff"], "y", "Public")
    assert fetched.split is not None
    assert fetched.split.folds == [[0, 2], [1, 3]]
    plain = fetching("openml:61")
    assert (plain.target, plain.split) == ("a", None)
    with pytest.raises(InputRefused, match="expected openml:ID"):
        fetching("openml:iris")
    described["md5_checksum"] = "0" * 32
    server.files["/api/v1/json/data/61"] = as_json({"data_set_description": described})
    with pytest.raises(InputRefused, match="its MD5 is"):
        fetching("openml:61")


def test_uci(server: FileServer, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCI_API", f"{server.address}/api/dataset")
    variables = [{"name": "a", "role": "Feature"}, {"name": "b", "role": "Target"}]
    data = {"uci_id": 53, "name": "Iris", "data_url": f"{server.address}/static/public/53/data.csv", "variables": variables}
    server.files |= {"/api/dataset": as_json({"status": 200, "data": data}), "/static/public/53/data.csv": Served(TABLE)}
    fetched = fetching("uci:53")
    assert (fetching.content("data.csv"), fetched.target) == (TABLE, "b")
    assert server.seen[0][0] == "/api/dataset?id=53"
    server.files["/api/dataset"] = as_json({"status": 200, "data": {**data, "data_url": None}})
    with pytest.raises(InputRefused, match="not as a table that its API gives out"):
        fetching("uci:53")
    server.files["/api/dataset"] = Served(b"<html>")
    with pytest.raises(InputRefused, match="did not answer in JSON"):
        fetching("uci:53")
