"""Suites whose data lies on servers: a task of each by its command, from stand-ins that answer in the shapes of the services' APIs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.drawing import draw
from evals.suite import Split, load_suite
from team.errors import UsageError
from tests.tools.sources.file_server import FileServer, Served, serving
from tests.tools.sources.test_services import as_json, zipped

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0
ROWS, FOLDS = 120, 10


def ran(suite: str, out: Path, words: list[str], **variables: str) -> dict[str, Any]:
    """What `mlteam eval --json` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "team.cli", "eval", suite, *words, "--seeds=1", "--json", f"--out={out}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLTEAM_CACHE": str(out.parent / "cache"), **variables},
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE_S,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def openml(server: FileServer, number: str) -> None:
    """A task of OpenML: rows whose class their first column tells, in ten folds of a first repeat and those of a second."""
    rows = "".join(f"{i // 10 % 2},{'?' if i % 9 == 0 else i % 4},{'pn'[i // 10 % 2]}\n" for i in range(ROWS))
    arff = f"@relation r\n@attribute 'a b' numeric\n@attribute z numeric\n@attribute class {{p,n}}\n@data\n{rows}".encode()
    lines = "".join(
        f"{'TEST' if (row + repeat) % FOLDS == fold else 'TRAIN'},{row},{repeat},{fold}\n"
        for repeat in range(2)
        for fold in range(FOLDS)
        for row in range(ROWS)
    )
    columns = "".join(f"@attribute {name} numeric\n" for name in ("rowid", "repeat", "fold"))
    described = {
        "name": "rows",
        "licence": "Public",
        "url": f"{server.address}/{number}.arff",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }
    inputs = [
        {"name": "source_data", "data_set": {"data_set_id": "61", "target_feature": "class"}},
        {
            "name": "estimation_procedure",
            "estimation_procedure": {"type": "crossvalidation", "data_splits_url": f"{server.address}/splits.arff"},
        },
    ]
    server.files |= {
        f"/api/v1/json/task/{number}": as_json({"task": {"task_id": number, "input": inputs}}),
        "/api/v1/json/data/61": as_json({"data_set_description": described}),
        f"/{number}.arff": Served(arff),
        "/splits.arff": Served(f"@relation s\n@attribute type {{TRAIN,TEST}}\n{columns}@data\n{lines}".encode()),
    }


def test_a_task_of_openml_in_its_own_folds(tmp_path: Path) -> None:
    words = ["--tasks=openml-3", "--systems=linear", "--folds=2", "--jail=none"]
    with serving() as server:
        openml(server, "3")
        told = ran("openml-cc18", tmp_path / "eval", words, OPENML_SERVER=f"{server.address}/api/v1")
    assert (told["faults"], told["new"]) == ([], 2)
    rows = told["attempts"]
    assert [(row["fold"], row["status"], row["rows_train"], row["rows_test"]) for row in rows] == [
        (fold, "ok", ROWS * 9 // 10, ROWS // 10) for fold in (0, 1)
    ]
    assert rows[0]["data"] != rows[1]["data"]


def test_folds_of_the_benchmark_are_those_that_the_source_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_suite("openml-amlb").task("openml-2073")
    with serving() as server:
        openml(server, "2073")
        monkeypatch.setenv("OPENML_SERVER", f"{server.address}/api/v1")
        drawn = [draw(task, seed, fold, tmp_path) for seed, fold in ((0, 9), (5, 9), (0, 0))]
        with pytest.raises(UsageError, match="the suite says split: own: 3, and openml:task/2073 brings 10 folds"):
            draw(task.model_copy(update={"split": Split(own=3)}), 0, 0, tmp_path)
    assert [list(each.test.index) for each in drawn] == [[row for row in range(ROWS) if row % FOLDS == fold] for fold in (9, 9, 0)]
    assert drawn[0].meta["classes"] == ["n", "p"]


def test_a_competition_of_kaggle_with_its_medal(tmp_path: Path) -> None:
    words_of = {"EAP": "raven black door", "HPL": "cosmic deep city", "MWS": "spirit ice creature"}
    names = list(words_of)
    lines = "".join(f'id{i},"{words_of[names[i % 3]]} {i % 7}",{names[i % 3]}\n' for i in range(ROWS))
    board = tmp_path / "bench" / "mlebench" / "competitions" / "spooky-author-identification"
    board.mkdir(parents=True)
    (board / "leaderboard.csv").write_text("teamName,score\n" + "".join(f"t{i},{0.5 + i / 100}\n" for i in range(100)))
    with serving() as server:
        train = zipped(**{"train.csv": f"id,text,author\n{lines}".encode()})
        packed = zipped(**{"train.zip": train, "sample_submission.csv": b"id,EAP,HPL,MWS\nid1,0.3,0.3,0.4\n"})
        server.files["/api/v1/competitions/data/download-all/spooky-author-identification"] = Served(packed)
        kaggle = {"KAGGLE_API_ENDPOINT": server.address, "KAGGLE_USERNAME": "ann", "KAGGLE_KEY": "s3cret-kaggle-key"}
        words = ["--tasks=spooky-author-identification", "--systems=dummy,linear", "--jail=none"]
        told = ran("mle-bench-lite", tmp_path / "eval", words, MLE_BENCH=str(tmp_path / "bench"), **kaggle)
    assert told["faults"] == []
    rows = {row["system"]: row for row in told["attempts"]}
    assert {(row["status"], row["metric"], row["rows_test"]) for row in rows.values()} == {("ok", "log_loss", ROWS // 10)}
    assert (rows["dummy"]["medal"], rows["linear"]["medal"]) == ("none", "gold")
    left = b"".join(path.read_bytes() for path in (tmp_path / "eval").rglob("*") if path.is_file())
    assert b"s3cret-kaggle-key" not in left
