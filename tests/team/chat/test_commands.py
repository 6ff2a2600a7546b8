"""Every slash command against a run that has ended, and what it says where it cannot do anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from team.chat.commands import COMMANDS, obey
from team.chat.status import status_line
from team.errors import UsageError
from team.events import ModelCalled, RunContinued, RunPaused, RunStarted, StageEntered, TimeAdded, TurnStarted
from team.rundir import RunDir
from team.steering import Steering
from tests.team.chat.conftest import Told

pytestmark = pytest.mark.slow
SHOWN = {
    "/plan": ["linear", "1. ", "risk: "],
    "/status": ["done · holdout ", "$0.00"],
    "/leaderboard": [" 1  ", " ± ", "baseline"],
    "/why": ["[event ", "planner, record_plan", "score_holdout", "events: file:///"],
    "/why critic": ["critic, review"],
    "/cost": ["planner, playbook: ", "questions beside the turns: $0.0000"],
    "/budget": ["of 120 s of search are left"],
    "/ask critic how good is it?": ["critic, by rules: log_loss ", "sealed rows"],
    "/show": ["-- cell ", ", ok, ", "cells.jsonl"],
    "/show 0": ["profile_table", "cells.jsonl"],
    "/open report": ["file:///", "report.html"],
    "/open notebook": ["notebook.ipynb"],
    "/help": ["/budget +5m ", "/why [WORD] ", "Ctrl-C"],
    "/lead": [" 1  "],
    "/STATUS": ["done · holdout "],
}


@pytest.mark.parametrize("line", SHOWN)
async def test_what_commands_show_of_a_run_that_has_ended(told: Told, line: str) -> None:
    await obey(told.session, line)
    for text in SHOWN[line]:
        assert text in told.text


REFUSED = {
    "/pause": "no run is going on",
    "/budget +5m": "no run is going on",
    "/approve": "nothing waits for approval",
    "/reject no": "nothing waits for approval",
    "/why nonsense": "no decision is about 'nonsense'",
    "/show 999": "there are cells 0 to ",
    "/open door": "expected report, notebook or folder",
    "/ask nobody why": "roles: planner",
    "/ask critic": "expected a role and a question",
    "/fork": "expected a stage",
    "/fork plan time": "expected NAME=VALUE",
    "/fork plan time=[": "cannot be read",
    "/fork plan colour=red": "colour: there is no such setting",
    "/fork plan time=-3": "greater than or equal to 1",
    "/fork train metric=auc": "split and sealed at that step",
    "/fork train quantiles=0.2": "split and sealed at that step",
    "/fork train preparers=scale=power": "prepared at that step. Fork before it: at prepare",
    "/resume": "has ended, there is nothing to go on with. /fork",
    "/constraint blah": "/constraint: not understood: 'blah'",
    "/constraint never use column Nope": "the table has no column 'Nope'",
    "/fork moon": "has checkpoints of turns",
    "/undo 900": "has checkpoints of turns",
    "/constraint": "say what must be kept",
    "/save /no/such/folder/file": "cannot write",
    "/nonsense": "there is no command /nonsense; /help",
    "/re": "/re may be /resume or /reject: say which",
    "/statsu": "is /status meant",
    "/": "there is no command /",
}


@pytest.mark.parametrize("line", REFUSED)
async def test_what_commands_cannot_do_they_say_in_a_line(told: Told, line: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[line].replace("'", ".")) as refused:
        await obey(told.session, line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("/help", "/quit", "/save")])
async def test_without_a_run_every_command_says_so(nothing: Told, name: str) -> None:
    with pytest.raises(UsageError):
        await obey(nothing.session, f"{name} planner why" if name == "/ask" else name)
    assert nothing.text == ""


def test_every_command_has_a_help_of_one_sentence_or_two() -> None:
    assert set(COMMANDS) == {
        *("/plan", "/status", "/leaderboard", "/why", "/cost", "/budget", "/pause", "/resume", "/undo", "/fork", "/constraint", "/ask"),
        *("/approve", "/reject", "/show", "/open", "/save", "/help", "/quit"),
    }
    assert all(10 <= len(one.help) < 300 and one.help.endswith(".") for one in COMMANDS.values())


async def test_a_conversation_is_written_as_plain_text(told: Told, tmp_path: Path) -> None:
    told.session.tell("before\x1b[2J")
    await obey(told.session, f"/save {tmp_path / 'talk.txt'}")
    assert (tmp_path / "talk.txt").read_text() == "before\n"


async def test_while_a_run_goes_on_it_is_held_given_time_and_let_go(nothing: Told) -> None:
    session = nothing.session
    steering = session.player.steering = Steering()
    session.board(RunStarted(run="r", settings={"time": 60.0, "source": "a.csv", "target": "y"}, versions={}))
    await obey(session, "/pause")
    assert steering.pausing
    await obey(session, "/resume")
    assert not steering.pausing
    with pytest.raises(UsageError, match="is going on"):
        await obey(session, "/resume")
    await obey(session, "/budget +5m")
    assert steering.take().seconds == 300
    for bad in ("soon", "+0s", "-5m", "+25h"):
        with pytest.raises(UsageError, match="budget"):
            await obey(session, f"/budget {bad}")
    session.board(StageEntered(stage="select", visit=1))
    with pytest.raises(UsageError, match="/fork optimise"):
        await obey(session, "/budget +5m")


def called(usd: float | None) -> ModelCalled:
    facts = {"turn": 1, "role": "planner", "provider": "openai", "model": "m", "input_tokens": 10, "output_tokens": 2, "seconds": 1.0}
    return ModelCalled(**facts, usd=usd, finish_reason="stop", error=None)


def test_the_status_line_tells_what_is_left_and_what_it_cost(nothing: Told) -> None:
    board = nothing.session.board
    assert status_line(board.glance()) == "no run yet · /help"
    for event in (
        RunStarted(run="r", settings={"time": 60.0, "source": "a.csv", "target": "y"}, versions={}),
        StageEntered(stage="train", visit=1),
        TurnStarted(turn=3, role="data_scientist", stage="train", briefing=""),
        TimeAdded(seconds=30, search_s=90),
        called(1.5),
    ):
        board(event)
    assert status_line(board.glance()) == "train · data scientist · no score yet · 90 s left · $1.50"
    board(RunPaused(turn=3, stage="train"))
    assert "train · paused · " in status_line(board.glance())
    board(RunContinued(seconds=1.0))
    board(called(None))
    assert status_line(board.glance()).endswith("90 s left · 24 tokens, at least $1.50")


async def test_questions_are_answered_from_the_facts_with_the_file_they_stand_in(told: Told) -> None:
    asked = {
        "which model is best?": ["in cross-validation", "leaderboard.json"],
        "how good is it on the holdout?": ["log_loss", "95% interval", "events.jsonl"],
        "is it better than a dummy? what next?": ["Report: file:///"],
        "which features matter": ["petal"],
        "any problems with the data?": ["training rows"],
        "how long did it take?": ["s at work"],
        "what did it cost in dollars": ["$0.00, 0 tokens"],
        "why was that decided": ["[event "],
        "what about baselines": ["dummy-1"],
        "sing a song": ["I answer by rules", "report.html"],
    }
    for question, expected in asked.items():
        before = len(told.text)
        await told.session.question(None, question)
        for text in expected:
            assert text in told.text[before:], question


async def test_a_fork_goes_on_from_a_stage_and_the_session_is_about_it(told: Told, run: RunDir) -> None:
    await asyncio.wait_for(told.session.follow(obey(told.session, "/fork release time=90s")), 300)
    assert told.session.run is not None
    assert told.session.run.name.endswith("-fork")
    assert f"a fork of {run.name}" in told.text
    assert "status     done" in told.text
    now = told.session.board.glance()
    assert (now.status, now.budget_s, now.run) == ("done", 90.0, told.session.run.name)
