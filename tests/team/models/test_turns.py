"""Turns and runs whose models are asked over the wire: odd calls come back to the model, failing models are stood in for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from team.briefing import brief
from team.events import FellBack, ModelCalled
from team.group import Group
from team.log import read_events
from team.models import make_client
from team.models.metering import MeteredClient
from team.roles import NAMES
from team.run import astart
from team.rundir import RunDir
from team.settings import load_settings
from team.stages import Stage
from tests.contracts.model_client import KEY, SOON_S
from tests.model_server import Fail, ModelServer, Say, model_server
from tests.rooming import Rooming, rooming

PLAN = {"approach": "a", "steps": ["s"], "families": [], "risks": []}


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as served:
        yield served


@pytest.fixture(params=["openai", "anthropic"])
def spec(request: pytest.FixtureRequest, server: ModelServer) -> str:
    return f"openai:m@{server.url}/v1" if request.param == "openai" else f"anthropic:m@{server.url}"


class Scene:
    """A group whose roles all have one model."""

    def __init__(self, r: Rooming, spec: str) -> None:
        self.client = MeteredClient(make_client(spec), "all", spec, lambda _: None)
        self.group = Group(dict.fromkeys(NAMES, self.client), r.room, lambda *_: None)
        self._r = r

    async def turn(self, speaker: str = "planner") -> str:
        return await self.group.turn(speaker, brief(self._r.room.state, self._r.room.host.wish, self._r.meter, None, "run"))


def told(server: ModelServer) -> str:
    """The newest results that the model was shown."""
    message = server.seen[-1].body["messages"][-1]
    return str(message["content"] if message["role"] == "tool" else message["content"][0]["content"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (("make_coffee", {}), "'make_coffee' not found"),
        (("record_plan", {**PLAN, "sugar": 1}), "sugar"),
        (("record_plan", {**PLAN, "steps": 3}), "steps=3"),
        (("record_plan", {}), "approach"),
        (("record_plan", [1, 2]), ""),
        (("record_plan", "as planned"), ""),
    ],
    ids=["unknown tool", "unknown argument", "wrong type", "missing", "no object", "no JSON"],
)
async def test_a_call_that_cannot_be_made_comes_back_and_the_turn_goes_on(
    spec: str, server: ModelServer, call: tuple[str, Any], says: str, tmp_path: Path
) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, spec)
        server.will(Say(calls=[call]), Say(calls=[("record_plan", PLAN)]), Say("Done."))
        assert await scene.turn() == "Done."
        assert r.room.state.planned
        server.seen.pop()
        assert says in told(server)
        await scene.client.close()


async def test_a_cancelled_turn_ends_within_a_second_in_a_tool(spec: str, server: ModelServer, tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.ANALYSE)
        await (await r.room.kernel()).execute("import time")
        scene = Scene(r, spec)
        server.will(Say(calls=[("run_python", {"code": "print('running', flush=True)\ntime.sleep(60)"})]))
        task = asyncio.create_task(scene.turn("data_scientist"))
        while "tool_called" not in r.kinds():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, SOON_S)
        await scene.client.close()


@pytest.mark.slow
async def test_a_run_with_a_model_for_each_role_ends_well_when_they_fail(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    engineer, stand_in, critic = f"openai:e@{server.url}/v1", f"openai:s@{server.url}/v1", f"anthropic:c@{server.url}"
    settings = load_settings(
        {
            "source": "sklearn:iris",
            "target": "target",
            "time": "60s",
            "trials": 0,
            "folds": 2,
            "families": "linear,tree",
            "sandbox": "unsafe-local",
            "out": tmp_path,
            "models": {"engineer": f"{engineer},{stand_in},playbook", "critic": critic},
        }
    )
    server.will(Fail(401, f"bad key {KEY}"))
    summary = await astart(settings)
    assert summary["status"] == "done"
    events = list(read_events(RunDir(Path(summary["run"])).events))
    failed = [(e.role, e.model) for e in events if isinstance(e, ModelCalled) and e.error is not None]
    assert set(failed) == {("engineer", "e"), ("engineer", "s"), ("critic", "c")}
    assert {e.role for e in events if isinstance(e, ModelCalled) and e.provider == "playbook"} == set(NAMES), "it stood in for both"
    reasons = [e.reason for e in events if isinstance(e, FellBack) and not e.what]
    assert any("none of 2 models answered" in reason and "OPENAI_API_KEY" in reason for reason in reasons)
    assert any(critic in reason and "ANTHROPIC_API_KEY" in reason for reason in reasons)
    assert not any("team.errors" in reason for reason in reasons)
    assert summary["cost"]["usd"] is None
    for path in Path(summary["run"]).rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
