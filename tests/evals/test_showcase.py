"""The showcase's table."""

from __future__ import annotations

from pathlib import Path

from evals.showcase import HEAD, row, run


def test_a_run_is_one_row() -> None:
    summary = {
        "status": "done",
        "metric": "roc_auc",
        "holdout": {"score": 0.91234, "low": 0.9, "high": 0.92},
        "cv": {"score": 0.9},
        "baseline": {"score": 0.5},
        "model": "ensemble",
        "seconds": {"plan": 0.1, "train": 30.4, "search": 50.0},
        "wall": 70.0,
    }
    cells = row("a", summary)
    assert len(cells) == len(HEAD)
    assert cells[3:5] == ("0.9123", "0.9 to 0.92")
    assert cells[-2:] == ("20.0", "0 0 0 0 0 30 0 0 0 0")


def test_a_run_that_fails_is_a_row_with_its_reason(tmp_path: Path) -> None:
    summary = run("sklearn:none", "target", "5s", tmp_path)
    assert summary["status"].startswith("exit 2: mlteam: source 'sklearn:none'")
    assert len(row("sklearn:none", summary)) == len(HEAD)
