"""Rows of an eval outlive a kill, and say the same as JSON and as Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evals.attempts import Attempt, Attempts
from team.errors import UsageError


def made(**values: Any) -> Attempt:
    given = {
        "suite": "smoke",
        "task": "flowers",
        "system": "dummy",
        "seed": 0,
        "budget_s": 5.0,
        "status": "ok",
        "metric": "log_loss",
        "direction": "min",
        "wall_s": 1.0,
        "cpu_s": 1.0,
        "peak_mb": 90.0,
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return Attempt.model_validate(given | values)


def test_rows_are_read_back_and_the_latest_of_a_key_counts(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.append(made(score=1.0))
    attempts.append(made(seed=1, status="crashed", reason="killed by signal 9"))
    attempts.append(made(score=0.5, versions={"numpy": "2"}))
    read = Attempts(tmp_path / "attempts.jsonl")
    assert [(row.seed, row.score, row.status) for row in read] == [(1, None, "crashed"), (0, 0.5, "ok")]
    assert made().key in read
    assert made(budget_s=6.0).key not in read
    assert made(fold=1).key not in read


def test_a_line_that_was_cut_off_is_as_if_it_were_not_there_and_the_next_takes_its_place(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.append(made(seed=0))
    path = tmp_path / "attempts.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + made(seed=1).model_dump_json().encode()[:40])
    read = Attempts(tmp_path)
    assert [row.seed for row in read] == [0]
    assert path.read_bytes() != whole, "a reader writes nothing"
    read.append(made(seed=2))
    assert [row.seed for row in Attempts(tmp_path)] == [0, 2]


def test_a_line_that_is_no_attempt_is_refused_by_its_number(tmp_path: Path) -> None:
    Attempts(tmp_path).append(made())
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"suite": "smoke"}\n')
    with pytest.raises(UsageError, match=r"line 2, is no attempt \(task"):
        Attempts(tmp_path)


def test_a_score_is_a_finite_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        made(score=float("nan"))


def test_parquet_and_json_hold_what_the_rows_hold(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    attempts.append(made(score=0.25, low=0.1, high=0.4, tokens_in=7, versions={"numpy": "2"}))
    attempts.append(made(seed=1, status="refused", reason="no rows", right=True))
    parquet, as_json = attempts.write_parquet()
    table = pd.read_parquet(parquet)
    assert list(table.columns) == list(Attempt.model_fields)
    assert table["score"].tolist()[0] == 0.25
    assert table["score"].isna().tolist() == [False, True]
    assert table["tokens_in"].dtype == "Int64"
    assert table["right"].isna().tolist() == [True, False]
    assert json.loads(table["versions"][0]) == {"numpy": "2"}
    assert [Attempt.model_validate(row) for row in json.loads(as_json.read_text())] == list(attempts)


def test_a_row_of_a_newer_mlteam_is_refused_and_one_of_before_schemas_is_read(tmp_path: Path) -> None:
    row = made().model_dump(mode="json")
    path = tmp_path / "attempts.jsonl"
    path.write_text(json.dumps({name: value for name, value in row.items() if name != "schema_version"}) + "\n")
    assert [one.schema_version for one in Attempts(tmp_path)] == [1]
    # What it means by `status` and the rest is not ours to guess.
    path.write_text(json.dumps({"schema_version": 2, "status": {"kind": "ended"}}) + "\n")
    with pytest.raises(UsageError, match=r"line 1, was written by a newer mlteam: schema 2, and this one reads up to 1. Upgrade mlteam"):
        Attempts(tmp_path)
