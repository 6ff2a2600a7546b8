"""How a model client ends what would not end by itself: a server that says nothing more, a user who has enough of it."""

from __future__ import annotations

import asyncio

import pytest
from autogen_core import CancellationToken

from team.errors import (
    ModelTooSlow,
)
from team.models import make_client
from team.models.patience import MOST_READINGS, Breakers, Waiting
from team.models.provider import Deadlines
from tests.contracts.model_scene import SOON_S, Scene, SceneContract
from tests.model_server import Fail, Reaction, Say, Silent


class StallContract(SceneContract):
    """A server that says nothing more, and a user who has enough of it."""

    @pytest.fixture
    def deadlines(self) -> Deadlines:
        return Deadlines(first_s=0.15, stall_s=0.15, request_s=0.3)

    @pytest.mark.parametrize("reaction", [Silent(), Say("a long reply", then="stall")], ids=["silent", "stalls"])
    async def test_a_server_that_stalls_meets_a_deadline(self, scene: Scene, reaction: Reaction) -> None:
        error = await scene.fails(ModelTooSlow, reaction)
        assert "did not answer within 0." in str(error)
        if not (scene.streams and isinstance(reaction, Say)):  # a text that was shown is not begun again
            assert len(scene.waits) == MOST_READINGS - 1
        await asyncio.wait_for(scene.server.left.wait(), SOON_S)


class CancellationContract(SceneContract):
    """By AutoGen's token, and from outside."""

    @pytest.mark.parametrize("reaction", [Silent(), Say("a long reply", then="stall")], ids=["silent", "stalls"])
    @pytest.mark.parametrize("by", ["token", "task"])
    async def test_a_call_ends_at_once(self, scene: Scene, reaction: Reaction, by: str) -> None:
        token = CancellationToken()
        asking = asyncio.create_task(scene.ask(reaction, cancellation_token=token))
        await asyncio.wait_for(scene.server.asked.wait(), 60)
        token.cancel() if by == "token" else asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, SOON_S)
        await asyncio.wait_for(scene.server.left.wait(), SOON_S)
        assert (await scene.ask(Say("here again"))).content == "here again"

    async def test_a_token_that_is_cancelled_asks_nobody(self, scene: Scene) -> None:
        token = CancellationToken()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scene.ask(Say("ok"), cancellation_token=token)
        assert scene.server.seen == []

    async def test_a_wait_between_attempts_ends_at_once(self, scene: Scene) -> None:
        token, waiting = CancellationToken(), asyncio.Event()

        async def for_ever(_: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        scene._sleep = for_ever  # type: ignore[method-assign]  # the test's own
        path = "/v1" if scene.wire == "openai" else ""
        patience = Waiting(sleep=for_ever, clock=lambda: 0.0)
        scene.client = make_client(f"{scene.wire}:m-1@{scene.server.url}{path}", waiting=patience, breakers=Breakers())
        asking = asyncio.create_task(scene.ask(Fail(503), cancellation_token=token))
        await asyncio.wait_for(waiting.wait(), 60)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, SOON_S)
