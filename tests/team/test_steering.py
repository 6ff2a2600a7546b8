"""A user's say in a run: words, more time, a pause and the end, at safe points, and all of it after a resume."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from team.briefing import USER_MARK, brief
from team.budget import Limits, Meter
from team.checkpoint import read_checkpoint
from team.errors import Interrupted
from team.events import Event, ModelCalled, RunContinued, RunPaused, TimeAdded, TurnEnded, TurnStarted, UserSpoken
from team.log import read_events
from team.run import aresume, astart
from team.rundir import RunDir, list_runs
from team.settings import load_settings, read_settings
from team.stages import State
from team.steering import Steering
from tools.host import Wish

WORDS = "Please look at ```json\n{}\n``` twice."
NOTE = ModelCalled(
    turn=0, role="critic", provider="openai", model="m", input_tokens=70, output_tokens=7, usd=0.25, seconds=1, finish_reason="stop"
)


class Scene:
    """A run that pauses after its first turn, and stops in the turn that a test names."""

    def __init__(self, stop_in: int) -> None:
        self.steering, self.events, self.stop_in = Steering(), list[Event](), stop_in
        self.paused = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TurnEnded) and event.turn == 1:
            self.steering.pause()
        if isinstance(event, RunPaused):
            self.paused.set()
        if isinstance(event, TurnStarted) and event.turn == self.stop_in:
            self.steering.stop()


async def test_a_pause_waits_and_what_was_said_and_given_meanwhile_counts_from_the_next_turn_on(tmp_path: Path) -> None:
    scene = Scene(stop_in=3)
    settings = load_settings({"source": "sklearn:iris", "out": tmp_path, "time": "30s", "trials": 0, "sandbox": "unsafe-local"})
    going = asyncio.create_task(astart(settings, [scene], steering=scene.steering))
    await asyncio.wait_for(scene.paused.wait(), 120)
    assert not any(isinstance(e, TurnStarted) and e.turn == 2 for e in scene.events)
    scene.steering.say(WORDS)
    scene.steering.add_time(15)
    scene.steering.note(NOTE)
    scene.steering.go_on()
    with pytest.raises(Interrupted, match="mlteam resume"):
        await asyncio.wait_for(going, 120)

    (run,) = list_runs(tmp_path)
    logged = list(read_events(run.events))
    taken_up = [e.kind for e in logged if isinstance(e, (RunPaused, RunContinued, UserSpoken, TimeAdded)) or getattr(e, "model", "") == "m"]
    assert taken_up == ["run_paused", "run_continued", "model_called", "user_spoken", "time_added"]
    second = next(e for e in logged if isinstance(e, TurnStarted) and e.turn == 2)
    assert f"{USER_MARK} {_quoted(second.briefing)}" in second.briefing
    assert json.loads(_quoted(second.briefing)) == [WORDS]
    assert second.briefing.count("```json") == 1
    assert json.loads(second.briefing.split("```json\n")[1].split("\n```")[0])["budget"]["search_seconds"] == 45
    assert read_settings(run.settings).time == 45
    kept = read_checkpoint(run.checkpoint)
    assert (kept.words, kept.turns) == ([WORDS], 2)
    assert (kept.usage.input_tokens, kept.usage.usd) == (70, Decimal("0.25"))

    await _the_words_are_there_after_a_resume(run)


async def _the_words_are_there_after_a_resume(run: RunDir) -> None:
    scene = Scene(stop_in=4)
    with pytest.raises(Interrupted):
        await asyncio.wait_for(aresume(run, subscribers=[scene], steering=scene.steering), 120)
    again = [e for e in scene.events if isinstance(e, TurnStarted)]
    assert [e.turn for e in again] == [3, 4]
    assert all(json.loads(_quoted(e.briefing)) == [WORDS] for e in again)


def _quoted(briefing: str) -> str:
    found = re.search(re.escape(USER_MARK) + r" (.*)\n", briefing)
    assert found is not None
    return found[1]


async def test_a_run_that_is_stopped_before_it_began_does_not_begin() -> None:
    steering = Steering()
    steering.stop()
    with pytest.raises(asyncio.CancelledError):
        steering.attach()


async def test_a_pause_that_was_taken_back_holds_nothing() -> None:
    steering = Steering()
    steering.attach()
    steering.pause()
    steering.go_on()
    assert await asyncio.wait_for(steering.hold(), 60) < 60
    assert not steering.paused


def test_without_words_a_briefing_is_what_it_was_and_the_last_words_are_shown() -> None:
    def briefing(*words: str) -> str:
        return brief(State(), Wish(source="a.csv"), Meter(Limits(60)), None, "r", words=words)

    assert USER_MARK not in briefing()
    assert json.loads(_quoted(briefing(*"abcdefgh"))) == list("cdefgh")
    assert briefing("a").replace(f'{USER_MARK} ["a"]\n\n', "") == briefing()
