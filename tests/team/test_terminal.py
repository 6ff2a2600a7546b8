"""Text from outside leaves a terminal as it is."""

from __future__ import annotations

import json

import pytest

from team.overview import overview
from team.terminal import clean, clean_json, one_line


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[2Jb", "ab"),
        ("a\x1b]0;title\x07b", "a]0;titleb"),
        ("a\x1b]8;;http://x\x1b\\\\b", "a]8;;http://x\\\\b"),
        ("a\x07\x00\x7fb\x9b31mc", "ab31mc"),
        ("a\u202eb\u2066c\u200ed", "abcd"),
        ("a\tb\nc ü 表", "a\tb\nc ü 表"),
    ],
)
def test_sequences_and_reordering_are_taken_out(text: str, left: str) -> None:
    assert clean(text) == left


def test_a_text_cannot_pass_for_two_lines() -> None:
    assert one_line("a  \n  b\u2028c\x85d   e") == "a bcd   e"


def test_json_keeps_its_meaning_and_loses_its_effect() -> None:
    document = {"a\x9b2J": "b\u202e\x1b\u2028 ü"}
    cleaned = clean_json(json.dumps(document, ensure_ascii=False))
    assert json.loads(cleaned) == document
    assert cleaned == '{"a\\u009b2J": "b\\u202e\\u001b\\u2028 ü"}'


def test_summaries_are_clean() -> None:
    hostile = "\x1b]52;c;x\x07\nstatus     done"
    none = dict.fromkeys(("holdout", "cv", "baseline", "report"))
    summary = none | {"status": "failed", "reason": hostile, "task": "binary", "target": hostile, "metric": "auc", "direction": "maximize"}
    summary |= {"model": hostile, "candidates": 1, "fallbacks": [hostile], "run": "r", "seconds": {"total": 1, "search": 1}}
    summary |= {"cost": {"usd": 0, "input_tokens": 0, "output_tokens": 0}}
    text = overview(summary)
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line.startswith("status")] == ["status     failed: ]52;c;x status     done"]


def test_an_interval_that_holds_the_floor_is_told_as_no_skill() -> None:
    summary = {"status": "done", "reason": "", "task": "binary", "target": "y", "metric": "roc_auc", "direction": "maximize", "cv": None}
    summary |= {"model": "tree-1", "candidates": 2, "fallbacks": [], "run": "r", "report": None, "seconds": {"total": 1, "search": 1}}
    summary |= {"cost": {"usd": 0, "input_tokens": 0, "output_tokens": 0}, "baseline": {"name": "dummy-1", "score": 0.49}}
    held = {"score": 0.52, "low": 0.4, "high": 0.6, "level": 0.95, "n": 50, "looks": 1}
    assert "skill      not shown" in overview(summary | {"holdout": held})
    assert "skill " not in overview(summary | {"holdout": held | {"low": 0.5}})
    worse = {"holdout": held | {"score": 0.3, "low": 0.2, "high": 0.45}}
    assert "skill      not shown: all of the holdout's interval is worse" in overview(summary | worse)
    assert "skill " not in overview(summary | worse | {"metric": "log_loss", "direction": "minimize"})
    floor = summary | {"holdout": held, "model": "dummy-1"}
    assert "skill      not shown: no model that learns was better" in overview(floor)
    assert "skill " not in overview(floor | {"candidates": 1}), "there was nothing beside it, which is told as what the run goes without"
