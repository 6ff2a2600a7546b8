"""A whole session whose roles are a model over the wire: it reads the wish, is seen while it writes, and answers beside its turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.events import MessageSpoken, ModelCalled, RoleAsked
from team.log import read_events
from team.rundir import list_runs
from tests.model_server import Reaction, Say, Seen, served
from tests.team.chat.terminal import PENGUINS, ended, see, talking

pytestmark = pytest.mark.slow
APPROACH = "First the table is looked at, column by column. " * 6 + "The end of the plan."
PLAN = {"approach": "Look first.", "steps": ["Look."], "families": ["linear"], "risks": []}


class Model:
    """Reads the wish, plans at length, answers questions and leaves all else to the playbook."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """Questions beside the turns."""
        self._spoke = False

    def __call__(self, seen: Seen) -> Reaction:
        system, request = (str(seen.body["messages"][at]["content"]) for at in (0, -1))
        if "You read what a user wants" in system:
            return Say('{"target": "Sex", "metric": "recall", "time": "5s"}')
        if "one small question" in system:
            return Say(", ".join(map(str, range(1, 41))))
        if "Answer a user's question" in system:
            self.asked.append(f"{system}\n{request}")
            return Say(f"THE ANSWER number {len(self.asked)} stands in leaderboard.json.")
        if self._spoke:
            return Say("I have nothing to add.")
        self._spoke = True
        return Say(APPROACH, [("record_plan", PLAN)], then="hold", piece=12)


def test_a_model_reads_the_wish_speaks_while_it_writes_and_answers_questions(tmp_path: Path) -> None:
    model = Model()
    wish = f"which of the birds in {PENGUINS} are male? not one may be missed"
    with (
        served(model) as (url, go),
        talking(wish, "--model", f"openai:m@{url}/v1", "--sandbox", "unsafe-local", "--out", tmp_path, OPENAI_API_KEY="k") as child,
    ):
        see(
            child,
            "reads what you want",
            "predict",
            "Sex",
            "judged by",
            "recall",
            "at most 5 s",
            "dollars unknown",
            "a small question to openai:m@",
            "Start?",
        )
        child.send("\r")
        see(child, "planner", "First the table is looked at")  # the rest is not written yet
        go()
        see(child, "The end of the plan.", "record_plan", "a plan is recorded")
        child.send("/ask critic what is the best model?\r")
        see(child, "asking openai:m@", "THE ANSWER number 1")
        see(child, "status done")
        child.send("how good is it?\r")
        see(child, "asking openai:m@", "THE ANSWER number 2")
        child.send("/cost\r")
        see(child, "questions beside the turns: price unknown")
        child.send("/quit\r")
        assert ended(child) == 0
    critic, anybody = model.asked
    assert critic.startswith("You are the Critic of the team. ")
    assert "Question: what is the best model?" in critic
    assert "Question: how good is it?" in anybody
    (run,) = list_runs(tmp_path)
    events = list(read_events(run.events))
    assert [e.text for e in events if isinstance(e, MessageSpoken)].count(APPROACH) == 1
    (asked,) = [e for e in events if isinstance(e, RoleAsked)]
    assert (asked.role, asked.question) == ("critic", "what is the best model?")
    assert asked.answer == "THE ANSWER number 1 stands in leaderboard.json."
    assert {e.provider for e in events if isinstance(e, ModelCalled)} >= {"openai"}
