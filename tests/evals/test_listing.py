"""Rows of an eval as lines: a table for pipes, and what fits a screen for people."""

from __future__ import annotations

from evals.columns import aligned, fitted
from evals.listing import listing, screen
from tests.evals.attempted import attempt, grid

LONG = "exit code 1: no file that can be read has the labels; looked through .., ../.., /, /tmp, /root, /home, /work, /var/tmp and /dev/shm"


def test_a_line_an_attempt_with_its_reason() -> None:
    lines = listing([attempt("b", "x", 0.5, low=0.4, high=0.6), attempt("a", "x", None)]).splitlines()
    assert lines[0].split()[:3] == ["task", "system", "seed"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b"]
    assert lines[1].endswith("it ended with code 1: no memory left")
    assert "0.4 to 0.6" in lines[2]


def test_a_screen_has_a_part_a_task_and_no_line_is_wider_than_it() -> None:
    rows = [
        attempt("breast_cancer", "linear", 0.99518, low=0.98, high=0.9999),
        attempt("breast_cancer", "probe-labels", None, reason=LONG),
        attempt("constant", "dummy", 0.5, right=False, reason="refused would have been right"),
        attempt("constant", "playbook", None, status="refused", right=True),
    ]
    told = screen(rows, 80)
    lines = told.splitlines()
    assert max(map(len, lines)) <= 80
    assert "breast_cancer: ROC AUC, higher is better; 400 rows to learn from, 100 to predict" in " ".join(told.split())
    assert LONG in " ".join(told.split())
    assert "seed" not in lines[0], "there is one"
    assert "refused, right" in told
    assert "ok, not right" in told


def test_seeds_and_folds_are_told_where_there_are_several() -> None:
    head = screen(grid({"a": {"x": [0.5, 0.6]}}), 80).splitlines()[0]
    assert "seed" in head
    assert "fold" not in head
    assert screen([], 80).strip() == ""


def test_a_table_too_wide_for_the_screen_becomes_paragraphs() -> None:
    rows = [("verdict", "task", "old", "new", "why"), ("worse", "iris", "0.9", "-", "beyond noise, by far")]
    assert fitted(rows, None, 2) == fitted(rows, 80, 2) == aligned(rows)
    assert fitted(rows, 30, 2) == "worse  iris: old 0.9; why\n  beyond noise, by far"
