"""Packaging: what a kernel left is taken as bytes, without following links, and only when it fits the contract."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.packaging import package_model
from tools.sealing import seal_holdout
from tools.spec import ToolRefused


@pytest.fixture
def refitted(tmp_path: Path) -> Hosting:
    h = Hosting(tmp_path / "runs", "sklearn:iris", target="target")
    fetch_data(h.host)
    seal_holdout(h.host)
    model = h.run.work / "model"
    model.mkdir()
    (model / "pipeline.joblib").write_bytes(b"whatever the kernel wrote")
    (model / "model.json").write_text(json.dumps({"candidate": "c", "contract": json.loads(h.run.contract.read_text())}))
    h.state = h.state.model_copy(update={"refitted": "c"})
    return h


def test_files_are_copied_with_their_hashes(refitted: Hosting) -> None:
    packaged = package_model(refitted.host)
    assert packaged.path == "model"
    content = (refitted.run.model / "pipeline.joblib").read_bytes()
    assert content == b"whatever the kernel wrote"
    assert packaged.files[0].sha256 == hashlib.sha256(content).hexdigest()
    assert json.loads((refitted.run.model / "package.json").read_text())["run"] == refitted.run.name


@pytest.mark.parametrize("trap", ["link to a secret", "folder", "fifo", "nothing", "linked folder"])
def test_what_is_no_regular_file_is_refused_and_nothing_is_half_made(refitted: Hosting, tmp_path: Path, trap: str) -> None:
    victim = refitted.run.work / "model" / "pipeline.joblib"
    victim.unlink()
    if trap == "link to a secret":
        victim.symlink_to(refitted.run.vault / "holdout_labels.parquet")
    elif trap == "folder":
        victim.mkdir()
    elif trap == "fifo":
        os.mkfifo(victim)
    elif trap == "linked folder":
        (refitted.run.work / "model").rename(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "pipeline.joblib").write_bytes(b"x")
        (refitted.run.work / "model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ToolRefused, match="Call finish first"):
        package_model(refitted.host)
    assert not refitted.run.model.exists()
    assert not list(refitted.run.path.glob(".model*"))


@pytest.mark.parametrize("description", ["{}", "[]", "not json", '{"contract": {"task": "regression"}}', "[" * 100_000])
def test_a_description_of_another_contract_is_refused(refitted: Hosting, description: str) -> None:
    (refitted.run.work / "model" / "model.json").write_text(description)
    with pytest.raises(ToolRefused, match=r"describes another model|description of a model"):
        package_model(refitted.host)
