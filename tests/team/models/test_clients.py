"""Both clients against servers on loopback: the contract, and what one of them alone does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from autogen_core.models import AssistantMessage, FunctionExecutionResult, FunctionExecutionResultMessage, UserMessage

from team.errors import KeyRefused, ModelOverloaded, ModelUnreachable, PrerequisiteMissing, UsageError
from team.models import make_client
from team.models.answers import read_answer, write_answer
from team.models.patience import Waiting
from tests.contracts.model_client import CancellationContract, ModelClientContract, StallContract
from tests.model_server import Fail, ModelServer, Raw, Say, model_server


class TestOpenAI(ModelClientContract):
    wire = "openai"


class TestAnthropic(ModelClientContract):
    wire = "anthropic"


class TestOpenAIStalls(StallContract):
    wire = "openai"


class TestAnthropicStalls(StallContract):
    wire = "anthropic"


class TestOpenAICancelled(CancellationContract):
    wire = "openai"


class TestAnthropicCancelled(CancellationContract):
    wire = "anthropic"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with model_server() as served:
        yield served


async def no_wait(_: float) -> None: ...


GO = UserMessage(content="Go.", source="conductor")
THINKING: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Trees first.", "signature": "sig-1"},
    {"type": "redacted_thinking", "data": "opaque"},
]


async def after(client: Any, result: Any) -> None:
    """Ask again, with what the calls of a reply brought."""
    results = [FunctionExecutionResult(content="done", name=c.name, call_id=c.id, is_error=True) for c in result.content]
    said = AssistantMessage(content=result.content, thought=result.thought, source="engineer")
    await client.create([GO, said, FunctionExecutionResultMessage(content=results)])


@pytest.mark.parametrize("kept", [False, True], ids=["live", "after a resume"])
async def test_signed_thinking_goes_back_before_its_call_and_only_to_the_model_that_thought(server: ModelServer, kept: bool) -> None:
    client = make_client(f"anthropic:thinker@{server.url}")
    server.will(Say("I tune.", calls=[("tune", {"family": "tree"})], thinking=THINKING), Say("ok"))
    result = await client.create([GO])
    assert result.thought == "Trees first.\n\nI tune."
    if kept:
        result = read_answer(write_answer(result))
    await after(client, result)
    _, answer, results = server.seen[-1].body["messages"]
    assert [block["type"] for block in answer["content"]] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert answer["content"][:2] == THINKING
    assert results["content"][0]["is_error"] is True
    other = make_client(f"anthropic:other@{server.url}")
    await after(other, result)
    assert [block["type"] for block in server.seen[-1].body["messages"][1]["content"]] == ["text", "tool_use"]
    third = make_client(f"openai:third@{server.url}/v1")
    await after(third, result)
    assert server.seen[-1].body["messages"][1]["content"] == "I tune.", "what was only thought is not said to another model"
    for made in (client, other, third):
        await made.close()


async def test_the_prompt_is_cached_up_to_its_end(server: ModelServer) -> None:
    client = make_client(f"anthropic:m@{server.url}")
    server.will(Say("ok"))
    tool: Any = {"name": "tune", "description": "d", "parameters": {"type": "object", "properties": {}}}
    await client.create([GO], tools=[tool])
    body = server.seen[-1].body
    assert body["tools"][-1]["cache_control"] == body["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "temperature" not in body
    await client.close()


async def test_an_error_in_the_middle_of_a_stream_is_typed_and_one_before_it_is_asked_again(server: ModelServer) -> None:
    failed = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    started = (
        b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}\n\n'
    )
    client = make_client(f"anthropic:m@{server.url}", waiting=Waiting(sleep=no_wait))
    server.will(Raw(failed, "text/event-stream"), Say("ok"))
    assert "".join([str(item) async for item in client.create_stream([GO]) if isinstance(item, str)]) == "ok"
    server.will(Raw(started + failed, "text/event-stream"))
    with pytest.raises(ModelOverloaded, match="529: Overloaded"):
        _ = [item async for item in client.create_stream([GO])]
    await client.close()


async def test_the_first_model_that_answers_does_and_a_refused_key_is_not_tried_again(server: ModelServer) -> None:
    from team.models.fallback import FallbackClient

    told: list[tuple[str, str, str]] = []
    names = [f"openai:first@{server.url}/v1", f"anthropic:second@{server.url}"]
    client = FallbackClient([(name, make_client(name)) for name in names], lambda a, b, error: told.append((a, b, type(error).__name__)))
    server.will(Fail(401), Say("from the second"), Say("again"))
    assert (await client.create([GO])).content == "from the second"
    assert (await client.create([GO])).content == "again"
    assert [seen.body["model"] for seen in server.seen] == ["first", "second", "second"]
    assert told == [(names[0], names[1], "KeyRefused")]
    await client.close()


async def test_when_nobody_answers_every_reason_is_told(server: ModelServer) -> None:
    server.will(Fail(401, "bad key"), Fail(404, "gone"))
    client = make_client(f"openai:a@{server.url}/v1,anthropic:b@{server.url}")
    with pytest.raises(Exception, match=r"none of 2 models answered.*401: bad key.*404: gone"):
        await client.create([GO])
    await client.close()


async def test_no_test_can_reach_a_paid_endpoint() -> None:
    client = make_client("openai:gpt@http://192.0.2.1/v1")
    with pytest.raises(ModelUnreachable, match="tests reach no network"):
        await client._inner._inner.create([GO])  # type: ignore[attr-defined]  # a single attempt
    await client.close()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gpt-5", "expected playbook, openai:MODEL[@URL], anthropic:MODEL[@URL] or replay:RUN"),
        ("openai:", "expected playbook"),
        ("google:gemini", "expected playbook"),
        ("openai:m@localhost:8000", "http://HOST"),
        ("openai:m@ftp://host/v1", "http://HOST"),
        ("openai:m@http://me:secret-word@host/v1", "user name, password or query"),
        ("openai:m@http://host/v1?key=secret-word", "user name, password or query"),
        ("playbook,", "names nothing"),
        ("playbook,playbook", "one model twice"),
        ("playbook,openai:m@http://host/v1", "after the playbook"),
    ],
)
def test_a_spec_that_cannot_be_used_is_refused_without_repeating_secrets(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_client(spec)
    assert says in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(("spec", "variable"), [("openai:m", "OPENAI_API_KEY"), ("anthropic:m", "ANTHROPIC_API_KEY")])
def test_a_missing_key_names_its_variable(spec: str, variable: str) -> None:
    with pytest.raises(PrerequisiteMissing, match=f"export {variable}="):
        make_client(spec)


@pytest.mark.parametrize(
    ("spec", "variable", "model", "url"),
    [
        ("openai:qwen3:8b@http://localhost:11434/v1", "OPENAI_API_KEY", "qwen3:8b", "http://localhost:11434/v1"),
        ("openai:meta/llama@https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "meta/llama", "https://openrouter.ai/api/v1"),
        (
            "openai:m@https://x.openai.azure.com/openai/v1?api-version=preview",
            "AZURE_OPENAI_API_KEY",
            "m",
            "https://x.openai.azure.com/openai/v1",
        ),
        ("anthropic:m@20250514", "ANTHROPIC_API_KEY", "m@20250514", "https://api.anthropic.com"),
    ],
)
def test_addresses_and_the_keys_that_belong_there(spec: str, variable: str, model: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from team.models.endpoint import endpoint_of

    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", variable):
        monkeypatch.setenv(name, f"key-of-{name}")
    found = endpoint_of(spec)
    assert (found.variable, found.key, found.model, found.url) == (variable, f"key-of-{variable}", model, url)
    assert found.key not in repr(found)


async def test_the_base_url_variables_are_honoured(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    server.will(Say("here"))
    for spec in ("openai:m", "anthropic:m"):
        client = make_client(spec)
        assert (await client.create([GO])).content == "here"
        await client.close()


async def test_a_key_is_sent_and_never_told(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "bearer-0123456789")
    client = make_client(f"anthropic:m@{server.url}")
    server.will(Fail(403, "bearer-0123456789 may not"))
    with pytest.raises(KeyRefused, match=r"\[redacted\] may not.*ANTHROPIC_AUTH_TOKEN"):
        await client.create([GO])
    assert server.seen[0].headers["authorization"] == "Bearer bearer-0123456789"
    await client.close()
