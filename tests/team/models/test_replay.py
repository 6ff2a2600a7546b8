from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import SystemMessage, UserMessage

from team.errors import Diverged, UsageError
from team.events import MessageSpoken, ModelCalled, ToolCalled
from team.log import read_events
from team.models import make_client
from team.models.replay import ReplayClient
from team.models.requests import asked
from team.playbook import PlaybookClient
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from tests.scripted import Line, ScriptedClient

MESSAGES = [SystemMessage(content="# Planner"), UserMessage(content="Plan.", source="conductor")]
ANSWER = {"text": "Agreed.", "calls": [], "thought": None, "finish_reason": "stop", "input_tokens": 10, "output_tokens": 2}


def recorded(folder: Path, **line: Any) -> Path:
    kept = {"place": "1/planner/1", "turn": 1, "role": "planner", "model": "m", "request": asked(MESSAGES).model_dump(mode="json"), **line}
    (folder / "replies.jsonl").write_text(json.dumps(kept) + "\n", encoding="utf-8")
    return folder


async def test_the_recorded_answer_is_given_again_however_often_it_is_asked(tmp_path: Path) -> None:
    client = ReplayClient(recorded(tmp_path, answer=ANSWER), PlaybookClient())
    client.place = "1/planner/1"
    for _ in range(2):
        assert (await client.create(MESSAGES)).content == "Agreed."


async def test_alone_it_goes_through_the_file(tmp_path: Path) -> None:
    client = make_client(f"replay:{recorded(tmp_path, answer=ANSWER)}")
    assert (await client.create(MESSAGES)).content == "Agreed."
    with pytest.raises(Diverged, match="nothing was asked at the end"):
        await client.create(MESSAGES)


async def test_a_request_that_differs_is_named_and_kept_for_who_must_stop(tmp_path: Path) -> None:
    client = ReplayClient(recorded(tmp_path, answer=ANSWER), PlaybookClient())
    client.place = "1/planner/1"
    with pytest.raises(Diverged, match=r"at 1/planner/1 message 2, by 'conductor'.*Plan anew.*it was.*Plan\."):
        await client.create([MESSAGES[0], UserMessage(content="Plan anew.", source="conductor")])
    client.place = "2/engineer/1"
    with pytest.raises(Diverged, match="nothing was asked at 2/engineer/1"):
        await client.create(MESSAGES)
    assert "at 1/planner/1" in str(client.diverged), "the first one"


async def test_a_recorded_failure_is_a_failure_again(tmp_path: Path) -> None:
    client = make_client(f"replay:{recorded(tmp_path, error='APITimeoutError: too slow')}")
    with pytest.raises(RuntimeError, match="too slow"):
        await client.create(MESSAGES)


@pytest.mark.parametrize(
    ("text", "told"), [("", "is empty"), ('{"turn": 1}\n', "line 1, is no recorded answer"), (None, "holds no replies.jsonl")]
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "replies.jsonl").write_text(text)
    with pytest.raises(UsageError, match=told):
        make_client(f"replay:{tmp_path}")


PLAN = {"approach": "Trees.", "steps": ["Train."], "families": ["lightgbm"], "risks": []}
"""What the planner, who alone is a model, says."""


def settings(out: Path, planner: str, **more: Any) -> Any:
    given = {"source": "sklearn:iris", "target": "target", "time": "120s", "trials": 0, "folds": 2, "sandbox": "unsafe-local"}
    return load_settings({**given, "families": "linear,lightgbm", "out": out, "models": {"planner": planner}, **more})


def recording(out: Path, *lines: Line) -> RunDir:
    """A run whose planner says these lines, and the playbook all else."""
    planner = ScriptedClient(lines)
    run = start(settings(out, "openai:big"), clients=lambda spec: PlaybookClient() if spec == "playbook" else planner)["run"]
    planner.assert_complete()
    return RunDir(Path(run))


def of_planner(run: RunDir) -> list[Any]:
    events = [e for e in read_events(run.events) if isinstance(e, (MessageSpoken, ToolCalled)) and e.role == "planner"]
    return [e.text if isinstance(e, MessageSpoken) else (e.tool, e.arguments) for e in events]


@pytest.mark.slow
def test_a_run_of_a_model_is_repeated_from_its_recording_and_stops_where_it_parts_from_it(tmp_path: Path) -> None:
    first = recording(tmp_path / "a", ("record_plan", PLAN), "So it is planned.")
    again = start(settings(tmp_path / "b", f"replay:{first.path}"))
    second = RunDir(Path(again["run"]))
    assert (again["status"], again["fallbacks"], again["cost"]["usd"]) == ("done", [], 0)
    assert of_planner(second) == of_planner(first) == [("record_plan", PLAN), "So it is planned."]
    assert sum(e.provider == "replay" for e in read_events(second.events) if isinstance(e, ModelCalled)) == 2
    with pytest.raises(Diverged, match="the run parts from its recording"):
        start(settings(tmp_path / "c", f"replay:{first.path}", goal="find the rare ones"))


@pytest.mark.slow
def test_a_model_that_failed_fails_again_and_the_playbook_takes_the_turn(tmp_path: Path) -> None:
    first = recording(tmp_path / "a", RuntimeError("no such host"))
    again = start(settings(tmp_path / "b", f"replay:{first.path}"))
    assert again["status"] == "done"
    assert len(again["fallbacks"]) == 1
    assert "no such host" in again["fallbacks"][0]
