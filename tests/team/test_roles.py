"""Roles and prompts: every role has its tools, every stage its text, and none is long."""

from __future__ import annotations

import pytest

from team.roles import NAMES, STAGE_TOOLS, roles, stage_text
from team.stages import SPEAKERS, Stage

LONGEST_PROMPT_CHARS = 3600
"""About 900 tokens of English."""


@pytest.mark.parametrize("name", NAMES)
def test_a_role_says_what_counts_as_done_and_gives_an_example(name: str) -> None:
    role = roles()[name]
    assert role.name == name
    assert role.system_message.startswith(f"# {role.title}\n")
    assert "What counts as done" in role.prompt
    assert "Example" in role.prompt
    assert len(role.system_message) < LONGEST_PROMPT_CHARS


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_a_text_and_tools_for_each_speaker(stage: Stage) -> None:
    assert stage_text(stage).startswith(f"Stage {stage}.")
    for name in SPEAKERS[stage]:
        assert roles()[name].tools_in(stage)


def test_every_tool_of_a_stage_belongs_to_somebody_who_speaks_in_it() -> None:
    for stage, tools in STAGE_TOOLS.items():
        assert tools == set().union(*(roles()[name].tools_in(stage) for name in SPEAKERS[stage]))
