"""A client, the server that it asks, and a clock that only its own waits move: what the contract of model clients is written with."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ParametersSchema, ToolSchema

from team.errors import (
    ModelError,
)
from team.models import make_client
from team.models.patience import Breakers, Waiting
from team.models.provider import Deadlines
from tests.model_server import ModelServer, Reaction, Seen, model_server

KEY = "sk-very-secret-0123456789abcdef"
SOON_S = 30.0
"""Within which everything that is cancelled must have ended: on a busy machine too, and long before a request's own deadline."""
TUNE = ToolSchema(
    name="tune",
    description="Search.",
    parameters=ParametersSchema(
        type="object",
        properties={"family": {"type": "string"}, "trials": {"type": "integer"}},
        required=["family"],
        additionalProperties=False,
    ),
)


class Scene:
    """A client, the server that it asks, and a clock that only its own waits move."""

    def __init__(self, wire: str, mode: str, server: ModelServer, deadlines: Deadlines) -> None:
        self.wire, self.streams, self.server = wire, mode == "streamed", server
        self.waits: list[float] = []
        self.now = 0.0
        path = "/v1" if wire == "openai" else ""
        waiting = Waiting(sleep=self._sleep, clock=lambda: self.now, draw=lambda: 0.0)
        self.spec = f"{wire}:m-1@{server.url}{path}"
        self.client = make_client(self.spec, deadlines=deadlines, waiting=waiting, breakers=Breakers(), streamed=mode == "gathered")

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def ask(self, *reactions: Reaction, messages: Sequence[LLMMessage] | None = None, **options: Any) -> CreateResult:
        """Ask while the server reacts so; of a stream the pieces must be the text of the result."""
        if reactions:
            self.server.will(*reactions)
        given = messages or [SystemMessage(content="You tune."), UserMessage(content="Go.", source="conductor")]
        if not self.streams:
            return await self.client.create(given, **options)
        items = [item async for item in self.client.create_stream(given, **options)]
        result = items.pop()
        assert isinstance(result, CreateResult)
        if isinstance(result.content, str):
            assert "".join(str(item) for item in items) in (result.content, ""), "a server that does not stream gives no pieces"
        return result

    async def fails(self, kind: type[ModelError], *reactions: Reaction, **options: Any) -> ModelError:
        """Ask, and give the error, which is of this very kind, in one line, and without the key."""
        with pytest.raises(ModelError) as caught:
            await self.ask(*reactions, **options)
        error = caught.value
        assert type(error) is kind, error
        assert KEY not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
        assert "\n" not in str(error)
        assert f"{self.wire}:m-1 at {self.server.url}" in str(error)
        return error

    @property
    def body(self) -> dict[str, Any]:
        return self.server.seen[-1].body

    def shown(self, seen: Seen | None = None) -> list[dict[str, Any]]:
        """What the model was shown, as lines of role, kind and content that both protocols have in common."""
        body = (seen or self.server.seen[-1]).body
        lines: list[dict[str, Any]] = []
        if self.wire == "anthropic":
            lines += [{"role": "system", "text": block["text"]} for block in body.get("system", [])]
            for message in body["messages"]:
                for block in message["content"]:
                    if block["type"] == "text":
                        lines.append({"role": message["role"], "text": block["text"]})
                    elif block["type"] == "tool_use":
                        lines.append({"call": block["name"], "id": block["id"], "arguments": block["input"]})
                    elif block["type"] == "tool_result":
                        lines.append({"result": block["content"], "id": block["tool_use_id"]})
            return lines
        for message in body["messages"]:
            if message["role"] == "tool":
                lines.append({"result": message["content"], "id": message["tool_call_id"]})
                continue
            if message["content"]:
                lines.append({"role": message["role"], "text": message["content"]})
            for call in message.get("tool_calls", []):
                function = call["function"]
                lines.append({"call": function["name"], "id": call["id"], "arguments": json.loads(function["arguments"])})
        return lines


def calls_of(result: CreateResult) -> list[FunctionCall]:
    assert not isinstance(result.content, str)
    return result.content


def user(text: str, source: str = "conductor") -> UserMessage:
    return UserMessage(content=text, source=source)


class SceneContract:
    """A scene in each way of asking: for the whole, for a stream, and, as runs do, for the whole of a stream."""

    wire: str

    @pytest.fixture(params=["whole", "streamed", "gathered"])
    def mode(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def deadlines(self) -> Deadlines:
        return Deadlines()

    @pytest.fixture
    async def scene(self, mode: str, deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
        monkeypatch.setenv(f"{self.wire.upper()}_API_KEY", KEY)
        async with model_server() as server:
            made = Scene(self.wire, mode, server, deadlines)
            yield made
            await made.client.close()


def turn(result: CreateResult, content: str) -> list[LLMMessage]:
    """A reply with calls and what they brought, as AutoGen keeps them."""
    calls = calls_of(result)
    results = [FunctionExecutionResult(content=content, name=call.name, call_id=call.id, is_error=False) for call in calls]
    return [AssistantMessage(content=calls, thought=result.thought, source="engineer"), FunctionExecutionResultMessage(content=results)]


def said(first: str, second: str, wire: str) -> list[str]:
    """Two messages in a row: OpenAI's protocol gets them as one, since some chat templates insist on alternation."""
    return [first, second] if wire == "anthropic" else [f"{first}\n\n{second}"]


def loose(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def scene_waiting(scene: Scene) -> Waiting:
    return Waiting(sleep=scene._sleep, clock=lambda: scene.now, draw=lambda: 0.0)
