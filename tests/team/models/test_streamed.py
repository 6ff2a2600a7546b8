"""Replies of runs: streamed, ended where enough has come, bounded, in the words that an endpoint takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from autogen_core.models import UserMessage
from autogen_core.tools import ParametersSchema, ToolSchema

from team.casting import Models
from team.models import make_client, maker
from team.models.bounding import FAR, NEAR, BoundedClient, Bounds, bounds_of
from team.models.early import TALK_CHARS, Watch
from team.models.reply import TokenUsage
from tests.model_server import Fail, ModelServer, Raw, Say, model_server

GO = UserMessage(content="Go.", source="conductor")
TRAIN = ToolSchema(
    name="train",
    description="Fit.",
    parameters=ParametersSchema(
        type="object", properties={"families": {"type": "array"}}, required=["families"], additionalProperties=False
    ),
)
CALL = json.dumps({"name": "train", "arguments": {"families": ["linear"]}})
TALK = "This call fits a linear model, which is a good start because it is simple. " * 4


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as served:
        yield served


def enough(text: str, size: int = 5) -> int | None:
    """After how many characters a reply is ended; None where it never is."""
    watch = Watch([TRAIN])
    for at in range(0, len(text), size):
        if watch.enough(text[at : at + size]):
            return at + size
    return None


@pytest.mark.parametrize(
    "call", [CALL, f"```json\n{CALL}\n```\n", f"I fit one.\n<tool_call>\n{CALL}\n</tool_call>\n", 'train(families=["linear"])\n']
)
def test_talk_behind_a_call_is_not_waited_for(call: str) -> None:
    at = enough(call + TALK)
    assert at is not None
    assert len(call) + TALK_CHARS <= at < len(call) + TALK_CHARS + 60


def test_what_a_model_makes_up_for_the_tool_ends_its_reply() -> None:
    assert (enough(f"{CALL}\nObservation: the score is 0.99. {TALK}") or 999) < len(CALL) + 60


def test_a_briefing_that_is_said_again_is_not_heard_to_its_end() -> None:
    facts = json.dumps({"run": "r-1", "stage": "train", "wish": {"source": "x" * 400}}, indent=1)
    assert (enough(f"```json\n{facts}\n```") or 999) < 100


@pytest.mark.parametrize("text", [TALK * 3, f"{CALL}\nThen:\n{CALL}\n", f"{CALL}\n" + "Next I call train( " * 20, CALL[:-4] + TALK])
def test_a_reply_that_may_bring_another_call_is_heard_to_its_end(text: str) -> None:
    assert enough(text) is None


async def test_the_connection_of_a_reply_that_is_enough_is_closed_and_its_tokens_estimated(server: ModelServer) -> None:
    client = maker(Models())(f"openai:m@{server.url}/v1")
    server.will(Say(f"{CALL}\n{TALK * 3}", then="stall"))
    reply = await asyncio.wait_for(client.create([GO], tools=[TRAIN]), 60)
    assert str(reply.content).startswith(CALL)
    assert isinstance(reply.usage, TokenUsage)
    assert reply.usage.estimated
    await asyncio.wait_for(server.left.wait(), 60)
    assert server.seen[0].body["stream_options"] == {"include_usage": True}
    await client.close()


@pytest.mark.parametrize(
    ("refusals", "stream", "limit"),
    [
        ([Fail(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")], True, "max_completion_tokens"),
        ([Fail(422, "stream_options: extra fields not permitted")], True, "max_tokens"),
        ([Fail(500, "Cannot use tools with stream")], None, "max_tokens"),
        ([Fail(400, "unknown max_tokens"), Fail(400, "unknown stream_options")], True, "max_completion_tokens"),
    ],
)
async def test_an_endpoint_is_asked_without_what_it_does_not_take(
    server: ModelServer, refusals: list[Fail], stream: bool | None, limit: str
) -> None:
    client = BoundedClient(maker(Models())(f"openai:m@{server.url}/v1"), Bounds(600, 900))
    server.will(*refusals, Say("ok"))
    for _ in range(2):
        assert (await client.create([GO], tools=[TRAIN])).content == "ok"
    assert len(server.seen) == len(refusals) + 2, "what was learnt is remembered"
    assert (server.seen[-1].body.get("stream"), server.seen[-1].body[limit]) == (stream, 600)
    await client.close()


async def test_a_refusal_that_names_nothing_of_this_is_told(server: ModelServer) -> None:
    client = maker(Models())(f"openai:m@{server.url}/v1")
    server.will(Fail(400, "tools are not supported"))
    with pytest.raises(Exception, match="tools are not supported"):
        await client.create([GO], tools=[TRAIN])
    assert len(server.seen) == 1
    await client.close()


async def test_a_server_that_does_not_stream_is_read_all_the_same(server: ModelServer) -> None:
    from tests.model_server import openai_completion

    client = maker(Models())(f"openai:m@{server.url}/v1")
    server.will(Raw(json.dumps(openai_completion(Say("whole"))).encode()))
    assert (await client.create([GO])).content == "whole"
    await client.close()


def tool(name: str) -> Any:
    return {"name": name, "description": "", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("spec", "models", "bounds"),
    [
        ("openai:m@http://127.0.0.1:8099/v1", {}, NEAR),
        ("openai:m@http://ollama:11434/v1", {}, NEAR),
        ("openai:m@http://10.0.0.7/v1", {}, NEAR),
        ("openai:m@https://models.example.com/v1", {}, FAR),
        ("openai:m@https://models.example.com/v1", {"reply_tokens": 300, "code_tokens": 700}, Bounds(300, 700)),
        ("anthropic:m@http://localhost", {"reply_tokens": 2_000}, Bounds(2_000, 2_000)),
        ("playbook", {}, None),
        ("replay:runs/x", {}, None),
    ],
)
def test_bounds_suit_where_a_model_runs_and_settings_go_before(spec: str, models: dict[str, Any], bounds: Bounds | None) -> None:
    assert bounds_of(spec, Models(**models)) == bounds


def test_where_code_may_be_written_a_reply_may_be_longer() -> None:
    assert (NEAR.of([tool("train")]), NEAR.of([tool("train"), tool("submit_candidate")]), NEAR.of([])) == (600, 900, 600)


async def test_a_client_of_a_run_has_the_deadlines_of_its_settings(server: ModelServer) -> None:
    client = maker(Models(first_s="0.2s", stall_s=0.2, request_s=5))(f"openai:m@{server.url}/v1")
    server.will(Say("a long reply", then="stall"))
    with pytest.raises(Exception, match=r"did not answer within 0.2 s.*models.stall_s"):
        await client._inner._inner.create([GO])  # type: ignore[attr-defined]  # a single attempt
    await client.close()


def test_nothing_is_streamed_where_nobody_asks_for_it() -> None:
    assert not make_client("openai:m@http://127.0.0.1:1/v1")._inner._inner._streamed  # type: ignore[attr-defined]  # what the contract rests on
