"""Arguments that mean one thing are taken for it, everything else is refused with the shape that was expected."""

from __future__ import annotations

from typing import Any

import pytest

from tools.shapes import mended, shape
from tools.spec import MOST_SHOWN, ToolArgumentError, registry


def test_a_call_is_told_in_a_line() -> None:
    tools = registry()
    assert tools["build_report"].shape == "build_report()"
    assert tools["train"].shape == "train(families: [text], preparation?: text, time_s?: number, per_family?: whole number)"
    assert tools["review"].shape == "review(verdict: accept|send_back, findings: [text], back_to?: text)"
    assert shape("f", {"properties": {"x": {}}}) == "f(x?: value)"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"families": '["linear", "tree"]'}, {"families": ["linear", "tree"]}),
        ({"families": "['linear', 'tree']"}, {"families": ["linear", "tree"]}),
        ({"families": ["linear"], "time_s": None, "preparation": None}, {"families": ["linear"]}),
        ({"families": "linear"}, {"families": "linear"}),
        ({"families": "[linear"}, {"families": "[linear"}),
        ({"families": None}, {"families": None}),
        ({"familes": None}, {"familes": None}),
        ({"families": "[" * 5_000}, {"families": "[" * 5_000}),
    ],
)
def test_only_what_can_mean_one_thing_is_mended(given: dict[str, Any], meant: dict[str, Any]) -> None:
    assert mended(given, registry()["train"].schema()) == meant


def test_numbers_in_texts_are_numbers_and_null_is_the_default() -> None:
    values = registry()["train"].validate({"families": '["linear"]', "time_s": "20", "per_family": None, "preparation": None})
    assert values == {"families": ["linear"], "time_s": 20.0, "per_family": None, "preparation": "default"}
    assert registry()["review"].validate({"verdict": "accept", "findings": ["f"], "back_to": ""})["back_to"] is None


def test_a_refusal_is_short_however_long_the_value_and_names_the_nearest_argument() -> None:
    with pytest.raises(ToolArgumentError) as refused:
        registry()["train"].validate({"families": "x" * 10_000, "family": ["linear"], "time_s": -1} | {f"more_{i}": i for i in range(20)})
    assert "unknown argument 'family' (did you mean 'families'?)" in str(refused.value)
    assert "and 18 more" in str(refused.value)
    assert len(str(refused.value)) < 600 + MOST_SHOWN
    assert refused.value.expected.startswith("train(families: [text]")
