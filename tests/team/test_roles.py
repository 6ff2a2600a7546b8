"""Roles and prompts: true to the tools there are, complete, short, and rendered as they are meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prompts as package  # a folder of data without code
from team.roles import NAMES, STAGE_TOOLS, prompts_version, roles, rules, stage_text
from team.stages import SPEAKERS, Stage
from tools.contract import Contract
from tools.documents import SLOTS
from tools.families import all_names
from tools.spec import registry

PROMPTS = Path(next(iter(package.__path__)))
MOST_TOKENS, MOST_STAGE_TOKENS = 900, 150
FACTS = {"asked_for", "attempts", "failed_gates", "wish", "families", "holdout", "evaluated", "dropped", "unfit", "may_send_back_to"}
"""Keys of the briefing that prompts speak of; `test_briefing.py` checks that they are there."""
RESULTS = {"recommended"}
"""Fields of results that prompts speak of."""
VALUES = {"nested", *SLOTS}


def tokens(text: str) -> float:
    """About how many tokens a text has: English has four in three words, code more."""
    return max(1.4 * len(text.split()), len(text) / 3.6)


def texts() -> dict[str, str]:
    told = {f"roles/{name}": role.prompt for name, role in roles().items()}
    return {"rules": rules(), **told, **{f"stages/{stage}": stage_text(stage) for stage in Stage}}


@pytest.mark.parametrize("name", NAMES)
def test_a_role_is_told_who_it_is_what_is_done_and_what_never_to_do_with_an_example(name: str) -> None:
    role = roles()[name]
    assert role.name == name
    assert role.version >= 2
    assert role.system_message.startswith(f"# {role.title}\n\nYou are the {role.title.lower()}: ")
    assert role.system_message.endswith(rules())
    for part in ("What counts as done", "\nNever ", "\nExample. ", "ou call `"):
        assert part in role.prompt
    assert tokens(role.system_message) < MOST_TOKENS


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_short_text_and_tools_for_each_speaker(stage: Stage) -> None:
    assert stage_text(stage).startswith(f"Stage {stage}.")
    assert "It ends" in stage_text(stage)
    assert tokens(stage_text(stage)) < MOST_STAGE_TOKENS + 60
    for name in SPEAKERS[stage]:
        assert roles()[name].tools_in(stage)


def test_every_tool_of_a_stage_belongs_to_somebody_who_speaks_in_it() -> None:
    for stage, tools in STAGE_TOOLS.items():
        assert tools == set().union(*(roles()[name].tools_in(stage) for name in SPEAKERS[stage]))


def test_no_prompt_shows_what_a_template_left_behind() -> None:
    for place, text in texts().items():
        assert not re.search(r"\{\{|\$\{|%s|<[a-z_]+>|TODO", text), place
        assert "---" not in text, place
        assert text.count("`") % 2 == 0, place


def test_every_call_in_a_prompt_is_one_that_its_reader_can_make() -> None:
    tools = registry()
    found = 0
    for place, text in texts().items():
        folder, _, name = place.partition("/")
        theirs = roles()[name].tools if folder == "roles" else STAGE_TOOLS[Stage(name)] if folder == "stages" else set(tools)
        for call in re.finditer(r"`(\w+)\((.*?)\)`", text):
            assert call[1] in theirs, f"{place}: {call[1]} is no tool of it"
            given = re.findall(r"(?:^|, )(\w+)=", re.sub(r'"[^"]*"', '""', call[2]))
            arguments = tools[call[1]].schema()
            assert set(given) <= set(arguments["properties"]), f"{place}: {call[0]}"
            found += 1
            if folder == "roles":
                assert set(arguments["required"]) <= set(given), f"{place}: the example misses an argument of {call[1]}"
    assert found > 20


def test_every_name_in_backticks_is_known() -> None:
    tools = registry()
    arguments = {name for tool in tools.values() for name in tool.schema()["properties"]}
    fields = {field for tool in tools.values() if tool.result for field in tool.result.model_fields}
    known = {*tools, *arguments, *NAMES, *Stage, *all_names(), *Contract.model_fields, *FACTS, *VALUES}
    assert fields >= RESULTS
    for place, text in texts().items():
        for name in re.findall(r"`(\w+)`", text):
            assert name in known | RESULTS, f"{place}: {name}"
        for name in re.findall(r'`(\w+)="\w+"`', text):
            assert name in arguments, f"{place}: {name}"


def test_every_file_has_a_version_and_a_changed_word_is_another_version_of_all() -> None:
    paths = sorted(PROMPTS.rglob("*.md"))
    assert len(paths) == len(NAMES) + len(Stage) + 1
    for path in paths:
        assert re.match(r"---\n(?:\w+: .*\n)*version: \d+\n(?:\w+: .*\n)*---\n\S", path.read_text(encoding="utf-8")), path
    assert re.fullmatch(r"[0-9a-f]{12}", prompts_version())
