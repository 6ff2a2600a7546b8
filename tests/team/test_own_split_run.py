"""A run by the command line whose holdout and validation part are those that a dataset of the Hub brings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from team.cli import main
from tests.tools.sources.file_server import Served, serving
from tools.contract import Contract

PARTS = {"train": 90, "validation": 30, "test": 40}


def part(name: str, rows: int) -> bytes:
    """Rows whose number tells the part that they came in."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=rows)
    first = 1000 * list(PARTS).index(name)
    y = np.where(x + rng.normal(size=rows) > 0, "up", "down")
    frame = pd.DataFrame({"number": np.arange(first, first + rows), "x": x.round(3), "y": y})
    return frame.to_csv(index=False).encode()


def test_parts_of_the_hub_are_the_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MLTEAM_CACHE", str(tmp_path / "cache"))
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        bodies = {f"data/{name}.csv": part(name, rows) for name, rows in PARTS.items()}
        siblings = [{"rfilename": name, "size": len(body)} for name, body in bodies.items()]
        view = {"id": "ann/shop", "sha": "abc", "siblings": siblings}
        server.files["/api/datasets/ann/shop/revision/main"] = Served(json.dumps(view).encode())
        server.files |= {f"/datasets/ann/shop/resolve/abc/{name}": Served(body) for name, body in bodies.items()}
        words = ["run", "hf:ann/shop", "--own-split", "--target", "y", "--trials", "0", "--families", "linear"]
        words += ["--time", "200s", "--sandbox", "unsafe-local", "--out", str(tmp_path / "runs"), "--json"]
        with pytest.raises(SystemExit) as ended:
            main(words)
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    summary = json.loads(printed.out)
    run = Path(summary["run"])
    assert summary["holdout"]["n"] == PARTS["test"]
    contract = Contract.model_validate_json((run / "contract.json").read_text())
    assert (contract.split.kind, contract.rows_train, contract.rows_holdout) == ("given", 120, 40)
    assert sorted(pd.read_parquet(run / "data" / "holdout.parquet")["number"]) == list(range(2000, 2040))
    numbers = pd.read_parquet(run / "data" / "train.parquet")["number"]
    assert [sign for number, sign in zip(numbers, contract.given_folds, strict=True) if number >= 1000] == ["0"] * PARTS["validation"]
    assert {contract.given_folds[i] for i in np.flatnonzero(numbers < 1000)} == {"-"}
    told = "its test part is the holdout, its validation part the one fold that validates"
    assert told in " ".join(json.loads((run / "manifest.json").read_text())["notes"])
    assert told in (run / "reports" / "report.html").read_text()
    assert json.loads((run / "sections.json").read_text())["limitations"].startswith("The split is the source's own: if rows")
