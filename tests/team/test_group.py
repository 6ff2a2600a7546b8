"""The group chat with a scripted model: one speaker a turn, tools through the door, and a new team after a failure."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from autogen_core.models import FunctionExecutionResultMessage, SystemMessage, UserMessage

from team.briefing import brief
from team.group import Group
from team.models.metering import MeteredClient, ModelCall
from team.roles import NAMES
from team.stages import Stage
from tests.rooming import Rooming, rooming
from tests.scripted import Line, ScriptedClient

PLAN = {"approach": "a", "steps": ["s"], "families": [], "risks": []}


class Scene:
    """A group whose planner is scripted, and what was heard."""

    def __init__(self, r: Rooming, *lines: Line, client: ScriptedClient | None = None) -> None:
        self.planner = ScriptedClient(lines)
        self.heard: list[tuple[str, str]] = []
        self.calls: list[ModelCall] = []
        clients = {name: MeteredClient(client or self.planner, name, "openai:scripted", self.calls.append) for name in NAMES}
        self.group = Group(clients, r.room, lambda role, text: self.heard.append((role, text)))
        self._r = r

    async def turn(self, speaker: str = "planner") -> str:
        text = brief(self._r.room.state, self._r.room.host.wish, self._r.meter, None, "run")
        return await self.group.turn(speaker, text)


async def test_a_turn_is_tool_calls_and_last_words(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, ("record_plan", PLAN), "The plan is recorded.")
        assert await scene.turn() == "The plan is recorded."
        scene.planner.assert_complete()
        assert r.room.state.planned
        assert scene.heard == [("planner", "The plan is recorded.")]
        first, second = scene.planner.requests
        assert first.tools == ["record_plan"]
        assert isinstance(first.messages[0], SystemMessage)
        assert "You are the planner" in first.messages[0].content
        assert isinstance(first.messages[-1], UserMessage)
        assert isinstance(second.messages[-1], FunctionExecutionResultMessage)


async def test_words_alone_are_no_fact(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, "The plan is recorded, I promise.")
        await scene.turn()
        assert not r.room.state.planned


async def test_a_refused_call_comes_back_to_the_model(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, ("record_plan", {**PLAN, "steps": "one"}), ("record_plan", PLAN), "Done.")
        await scene.turn()
        result = scene.planner.requests[1].messages[-1]
        assert isinstance(result, FunctionExecutionResultMessage)
        assert result.content[0].is_error
        assert "steps='one'" in result.content[0].content
        assert r.room.state.planned


async def test_after_a_failing_model_the_next_turn_works(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, "First.", ConnectionError("the line is dead"), "Third.")
        assert await scene.turn() == "First."
        with pytest.raises(RuntimeError, match="the line is dead"):
            await scene.turn()
        assert await scene.turn() == "Third."
        shown = [m.content for m in scene.planner.requests[-1].messages if isinstance(m, UserMessage)]
        assert ["[stage plan" in str(text) for text in shown] == [True]


async def test_a_cancelled_turn_ends_at_once_and_the_next_one_works(tmp_path: Path) -> None:
    class Endless(ScriptedClient):
        def __init__(self, *lines: Line) -> None:
            super().__init__(lines)
            self.asked = asyncio.Event()

        async def create(self, messages: Any, **options: Any) -> Any:
            if not self.asked.is_set():
                self.asked.set()
                await asyncio.Event().wait()
            return await super().create(messages, **options)

    async with rooming(tmp_path, "sklearn:iris") as r:
        endless = Endless("Here again.")
        scene = Scene(r, client=endless)
        task = asyncio.create_task(scene.turn())
        await endless.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        assert await asyncio.wait_for(scene.turn(), 60) == "Here again."


async def test_a_turn_cancelled_in_a_cell_interrupts_the_cell_and_keeps_the_kernel(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.ANALYSE)
        kernel = await r.room.kernel()
        await kernel.execute("kept = 41")
        client = ScriptedClient([("run_python", {"code": "print('running')\nimport time\ntime.sleep(60)"}), "unused"])
        scene = Scene(r, client=client)
        task = asyncio.create_task(scene.turn("data_scientist"))
        while not any(e.kind == "tool_called" for e in r.events):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        assert (await kernel.execute("print(kept + 1)")).text.strip() == "42"
