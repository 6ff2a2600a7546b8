"""Calls that models wrote as text: every form that was met, arguments that come through whole, and nothing made of mere words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from team.models.lenient import Unreadable, read_value
from team.models.offers import Offer
from team.models.textcalls import MOST_CALLS, TextCall, read_calls

TRAIN = Offer("train", ("families", "preparation", "time_s"), frozenset({"families"}), frozenset({"preparation"}))
PLAN = Offer("record_plan", ("approach", "steps"), frozenset({"approach", "steps"}), frozenset({"approach"}))
PREPARE = Offer("prepare", ("name", "drop"), frozenset(), frozenset({"name"}))
CODE = Offer("run_python", ("code",), frozenset({"code"}), frozenset({"code"}))
SCORE = Offer("score_holdout", ("candidate",), frozenset({"candidate"}), frozenset({"candidate"}), lasting=True)
BUILD = Offer("build_report", ())
OFFERS = (TRAIN, PLAN, PREPARE, CODE, SCORE, BUILD)
FAMILIES = {"families": ["linear", "catboost"]}
JSON = json.dumps({"name": "train", "arguments": FAMILIES})


def calls(text: str, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.arguments) for call in read_calls(text, OFFERS, **options).calls]


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"```json\n{JSON}\n```",
        f"I train two families.\n\n```\n{JSON}\n```\nThat is all.",
        f"<tool_call>\n{JSON}\n</tool_call>",
        f"[TOOL_CALLS][{JSON}]",
        f"<think>Should I call build_report()?\nbuild_report()\n</think>\n{JSON}",
        "{'name': 'train', 'arguments': {'families': ('linear', 'catboost',),},}",
        '{{"name": "train", "arguments": {{"families": ["linear", "catboost"]}}}}',
        '{name: "train", arguments: {families: ["linear", "catboost"]}}',
        "{“name”: “train”, “arguments”: {“families”: [“linear”, “catboost”]}}",
        '{"tool": "train", "parameters": {"families": ["linear", "catboost"]}}',
        '{"type": "function", "function": {"name": "train", "arguments": "{\\"families\\": [\\"linear\\", \\"catboost\\"]}"}}',
        '{"tool_calls": [{"id": "1", "function": {"name": "train", "arguments": {"families": ["linear", "catboost"]}}}]}',
        '{"train": {"families": ["linear", "catboost"]}}',
        '{"name": "train", "families": ["linear", "catboost"]}',
        '{"name": "functions.Train", "arguments": {"families": ["linear", "catboost"]}}',
        '{"name": "train", "arguments": {"families": ["linear", "catboost"]}',
        '{"name": "train", // the quick ones\n "arguments": {"families": ["linear", "catboost"]}}',
        'train(families=["linear", "catboost"])',
        'train(["linear", "catboost"])',
        '```python\nresult = train(\n    families=["linear", "catboost"],\n)\n```',
        '```tool_code\nprint(train(families=["linear", "catboost"]))\n```',
        '[train(families=["linear", "catboost"])]',
        '<|python_tag|>train(families=["linear", "catboost"])<|eom_id|>',
        '<function=train>{"families": ["linear", "catboost"]}</function>',
        '<function=train>\n<parameter=families>\n["linear", "catboost"]\n</parameter>\n</function>',
        '<tool_call>train\n<arg_key>families</arg_key>\n<arg_value>["linear", "catboost"]</arg_value>\n</tool_call>',
        'Action: train\nAction Input: {"families": ["linear", "catboost"]}\nObservation: {"best": "linear-1"}\nbuild_report()',
        '<｜tool▁call▁begin｜>function<｜tool▁sep｜>train\n```json\n{"families": ["linear", "catboost"]}\n```<｜tool▁call▁end｜>',
        '**train**\n```json\n{"families": ["linear", "catboost"]}\n```',
        f'{JSON}\n<tool_response>{{"best": "linear-1"}}</tool_response>\n{{"name": "build_report", "arguments": {{}}}}',
        f"{JSON}\n{JSON}",
    ],
)
def test_one_call_in_every_form(text: str) -> None:
    assert calls(text) == [("train", FAMILIES)]


def test_several_calls_are_made_in_their_order_and_the_words_around_them_stay() -> None:
    text = f'First the model.\n\n{JSON}\n\nThen the report:\n```json\n{{"name": "build_report", "arguments": {{}}}}\n```'
    reading = read_calls(text, OFFERS)
    assert [call.name for call in reading.calls] == ["train", "build_report"]
    assert reading.prose == "First the model.\n\nThen the report:"
    assert calls("prepare(); build_report()") == [("prepare", {}), ("build_report", {})]
    many = "\n".join(f"train(families=['f{i}'])" for i in range(50))
    assert len(calls(many)) == MOST_CALLS


@pytest.mark.parametrize(
    "text",
    [
        "Next I would call `train(families=['linear'])`, once there is time.",
        "The plan: first train(families=['linear']), then score_holdout(candidate='linear-1').",
        '1. Call `score_holdout(candidate="linear-1")`',
        'The table holds {"age": 3, "name": "Ann"}.',
        "",
        "()[]{}",
        "<think>train(families=['linear'])</think>Nothing is left to do.",
        "<think>train(families=['linear'])",
        '{"candidate": "linear-1"}',
    ],
)
def test_words_about_calls_are_none(text: str) -> None:
    reading = read_calls(text, OFFERS)
    assert reading.calls == ()
    assert reading.problem is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"name": "trian", "arguments": {"families": []}}', "there is no tool 'trian' here; did you mean train?"),
        ('{"name": "delete_all", "arguments": {}}', "there is no tool 'delete_all' here; there are train, record_plan"),
        ('{"name": "scoreHoldout", "arguments": {"candidate": "a"}}', "if score_holdout is meant, write its name exactly"),
        ('{"name": "score_holdout", "arguments": {"candidate": "a"}', "a closing bracket is missing"),
        ('{"name": "train", "arguments": {"families": ["linear', "a text has no end"),
        ('{"name": "train", "arguments": ["linear"]}', "must be one object, not list"),
        ('{"name": "train" "arguments": {}}', "a comma is missing"),
        ("train(families=['linear')", "cannot be read"),
    ],
)
def test_what_cannot_be_made_is_told_and_not_guessed(text: str, problem: str) -> None:
    reading = read_calls(text, OFFERS)
    assert reading.calls == ()
    assert problem in str(reading.problem)


def test_calls_before_one_that_cannot_be_read_are_made() -> None:
    reading = read_calls(f'{JSON}\n{{"name": "record_plan", "arguments": {{"approach": "x', OFFERS)
    assert [call.name for call in reading.calls] == ["train"]
    assert reading.problem is not None


def test_brackets_are_not_added_to_a_reply_that_was_cut_off() -> None:
    text = '{"name": "train", "arguments": {"families": ["linear"]'
    assert calls(text) == [("train", {"families": ["linear"]})]
    assert calls(text, complete=False) == []
    assert "be shorter" in str(read_calls(text, OFFERS, complete=False).problem)


def test_arguments_without_a_name_count_where_they_fit_one_harmless_tool() -> None:
    assert calls('{"approach": "a", "steps": ["s"]}') == [("record_plan", {"approach": "a", "steps": ["s"]})]
    assert read_calls('{"candidate": "a"}', (SCORE,)).calls == ()


def test_code_comes_through_as_it_was_written() -> None:
    code = 'def f(x):\n    """Twice {x}."""\n    return {"a": [x, 2 * x]}\n\nprint(f("```"))'
    assert calls(json.dumps({"name": "run_python", "arguments": {"code": code}})) == [("run_python", {"code": code})]
    raw = '{"name": "run_python", "arguments": {"code": "import os\nprint(\'a\')\n"}}'  # line breaks that JSON does not allow
    assert calls(raw) == [("run_python", {"code": "import os\nprint('a')\n"})]
    assert calls(f"<function=run_python>\n<parameter=code>\n{code}\n</parameter>\n</function>") == [("run_python", {"code": code})]
    assert calls("<tool_call>run_python\n<arg_key>code</arg_key><arg_value>5</arg_value></tool_call>") == [("run_python", {"code": "5"})]
    assert calls(f"run_python(code={code!r})") == [("run_python", {"code": code})]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["families", "preparation", "time_s"]), VALUES)


@settings(max_examples=50)
@given(ARGUMENTS)
def test_any_arguments_come_through_in_json_and_in_python(arguments: dict[str, Any]) -> None:
    for document in (json.dumps(arguments), json.dumps(arguments, indent=1, ensure_ascii=False)):
        assert calls(f'<tool_call>{{"name": "train", "arguments": {document}}}</tool_call>') == [("train", arguments)]
    assert calls(f"{{'name': 'train', 'arguments': {arguments!r}}}") == [("train", arguments)]
    written = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    assert calls(f"train({written})") == [("train", arguments)]


@given(ARGUMENTS, st.text(alphabet=st.characters(exclude_characters="{}[]()<>`:\"'“‘=|"), max_size=60))
def test_words_around_a_call_change_nothing(arguments: dict[str, Any], words: str) -> None:
    words = re.sub(r"(?i)observation|user|human", "", words)
    assert calls(f"{words}\n{json.dumps({'name': 'train', 'arguments': arguments})}\n{words}") == [("train", arguments)]


@settings(max_examples=50)
@given(VALUES.filter(lambda value: isinstance(value, (dict, list, str))))
def test_the_lenient_reading_of_good_json_is_the_strict_one(value: Any) -> None:
    text = json.dumps(value)
    assert read_value(text).value == value
    spoilt = text[:-1] + ",]" if isinstance(value, list) and value else text
    assert read_value(spoilt).value == value


@settings(max_examples=200)
@given(st.text(alphabet="{}[]()<>`'\"\\:,=| \nabtrain_score_holdout01", max_size=80) | st.text(max_size=80))
def test_no_reply_breaks_the_reading_and_no_call_that_lasts_comes_of_noise(noise: str) -> None:
    reading = read_calls(noise, OFFERS)
    assert all(isinstance(call, TextCall) and call.name in {offer.name for offer in OFFERS} for call in reading.calls)
    for call in reading.calls:
        if call.name == "score_holdout":
            assert "score_holdout" in noise


@pytest.mark.parametrize(
    "text",
    [
        "[" * 30_000,
        '{"a":' * 9_000,
        "{" * 30_000,
        "<function=a><parameter" * 2_500,
        "train(" * 9_000,
        '```{"name": "train", ' * 2_500,
        '"' * 60_000,
    ],
    ids=["lists", "objects", "braces", "tags", "calls", "fences", "quotes"],
)
@pytest.mark.timeout(20)
def test_no_reply_takes_long(text: str) -> None:
    read_calls(text, OFFERS)


def test_what_is_no_value_says_so() -> None:
    for text in ("", "word", "{1: 2}", "9" * 50, "[1 2]", "{'a' 1}"):
        with pytest.raises(Unreadable):
            read_value(text)


REPLIES = Path(__file__).with_name("replies")


@pytest.mark.parametrize("path", sorted(REPLIES.glob("*.json")), ids=lambda path: path.stem)
def test_replies_of_a_real_small_model(path: Path) -> None:
    """Qwen2.5-Coder-1.5B-Instruct (4 bit) by llama.cpp's server, asked with the tools of a stage; kept as they came."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    offers = [Offer(**{**offer, "required": frozenset(offer["required"]), "texts": frozenset(offer["texts"])}) for offer in kept["offers"]]
    reading = read_calls(kept["reply"], offers, complete=kept["finish_reason"] != "length")
    assert [call.name for call in reading.calls] == kept["tools"]
    assert (reading.problem or "").startswith(kept["problem"])
