"""What every model client must do, over either wire protocol, streamed or not. A suite subclasses `ModelClientContract`.

class TestOpenAI(ModelClientContract):
    wire = "openai"

Every test ends in a correct result or in a typed error that says what to do. None waits: time passes in a clock of the test's own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from autogen_core import CancellationToken, FunctionCall
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
from pydantic import BaseModel

from team.errors import (
    ContextOverflow,
    KeyRefused,
    ModelError,
    ModelOverloaded,
    ModelUnknown,
    ModelUnreachable,
    RequestRefused,
    UnusableReply,
)
from team.models import make_client
from team.models.patience import LEFT_ALONE_S, MOST_ATTEMPTS, TRIPS_AFTER, Breakers, Waiting
from team.models.provider import Deadlines
from team.models.reply import TokenUsage
from tests.model_server import Fail, Hangup, ModelServer, Raw, Reaction, Say, Seen, Silent, model_server

KEY = "sk-very-secret-0123456789abcdef"
SOON_S = 1.0
"""Within which everything that is cancelled must have ended."""
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


class Verdict(BaseModel):
    accept: bool
    reason: str = "none"


class Scene:
    """A client, the server that it asks, and a clock that only its own waits move."""

    def __init__(self, wire: str, streams: bool, server: ModelServer, deadlines: Deadlines) -> None:
        self.wire, self.streams, self.server = wire, streams, server
        self.waits: list[float] = []
        self.now = 0.0
        path = "/v1" if wire == "openai" else ""
        waiting = Waiting(sleep=self._sleep, clock=lambda: self.now, draw=lambda: 0.0)
        self.client = make_client(f"{wire}:m-1@{server.url}{path}", deadlines=deadlines, waiting=waiting, breakers=Breakers())

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


class ModelClientContract:
    """The promises."""

    wire: str

    @pytest.fixture(params=["whole", "streamed"])
    def streams(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param == "streamed")

    @pytest.fixture
    def deadlines(self) -> Deadlines:
        return Deadlines()

    @pytest.fixture
    async def scene(self, streams: bool, deadlines: Deadlines, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
        monkeypatch.setenv(f"{self.wire.upper()}_API_KEY", KEY)
        async with model_server() as server:
            made = Scene(self.wire, streams, server, deadlines)
            yield made
            await made.client.close()

    # What a model says

    async def test_a_text(self, scene: Scene) -> None:
        result = await scene.ask(Say("The plan is züri: 1 < 2."))
        assert (result.content, result.finish_reason, result.thought) == ("The plan is züri: 1 < 2.", "stop", None)
        assert KEY in str(scene.server.seen[0].headers)
        assert scene.body["model"] == "m-1"

    async def test_half_a_surrogate_pair_is_marked_on_both_ways(self, scene: Scene) -> None:
        result = await scene.ask(Say("half \ud83d of it"), messages=[user("half \ud83d")])
        assert result.content == "half \ufffd of it"
        assert scene.shown()[-1]["text"] == "[conductor] half \ufffd"
        (call,) = calls_of(await scene.ask(Say("\ud83d", calls=[("tune", {"family": "\ud83d"})]), tools=[TUNE]))
        assert "\ud83d" not in call.name + call.arguments

    async def test_a_single_tool_call(self, scene: Scene) -> None:
        result = await scene.ask(Say(calls=[("tune", {"family": "linear", "trials": 3})]), tools=[TUNE])
        (call,) = calls_of(result)
        assert (call.name, json.loads(call.arguments), result.finish_reason) == (
            "tune",
            {"family": "linear", "trials": 3},
            "function_calls",
        )
        assert call.id

    async def test_parallel_tool_calls_keep_their_order(self, scene: Scene) -> None:
        families = ["linear", "tree", "lightgbm"]
        result = await scene.ask(Say(calls=[("tune", {"family": family}) for family in families]), tools=[TUNE])
        assert [json.loads(call.arguments)["family"] for call in calls_of(result)] == families
        assert len({call.id for call in calls_of(result)}) == 3

    async def test_two_hundred_parallel_calls(self, scene: Scene) -> None:
        result = await scene.ask(Say(calls=[("tune", {"family": f"f{k}", "trials": k}) for k in range(200)]), tools=[TUNE])
        assert [json.loads(call.arguments)["trials"] for call in calls_of(result)] == list(range(200))

    async def test_a_reply_of_two_megabytes(self, scene: Scene) -> None:
        text = "0123456789abcde\n" * (2 << 16)
        result = await scene.ask(Say(text, piece=512))
        assert result.content == text

    async def test_words_beside_a_call_are_a_thought_and_go_back_with_it(self, scene: Scene) -> None:
        first = await scene.ask(Say("I tune the trees.", calls=[("tune", {"family": "tree"})]), tools=[TUNE])
        assert first.thought == "I tune the trees."
        call = calls_of(first)[0]
        history = [user("Go."), *turn(first, "done")]
        await scene.ask(Say("Good."), messages=history, tools=[TUNE])
        assert [line for line in scene.shown() if line.get("role") == "assistant"] == [{"role": "assistant", "text": "I tune the trees."}]
        assert {"call": "tune", "id": call.id, "arguments": {"family": "tree"}} in scene.shown()
        assert {"result": "done", "id": call.id} in scene.shown()

    async def test_a_call_without_arguments_has_an_empty_object(self, scene: Scene) -> None:
        result = await scene.ask(Say(calls=[("tune", "" if scene.wire == "openai" else {})]), tools=[TUNE])
        assert calls_of(result)[0].arguments == "{}"

    # What it is shown

    async def test_tools_and_system_are_shown(self, scene: Scene) -> None:
        await scene.ask(Say("ok"), tools=[TUNE])
        assert scene.shown() == [{"role": "system", "text": "You tune."}, {"role": "user", "text": "[conductor] Go."}]
        (tool,) = scene.body["tools"]
        told = tool if scene.wire == "anthropic" else tool["function"]
        assert (told["name"], told["description"]) == ("tune", "Search.")
        assert told.get("input_schema", told.get("parameters"))["required"] == ["family"]

    @pytest.mark.parametrize("choice", ["none", "required"])
    async def test_the_choice_of_tools_is_told(self, scene: Scene, choice: str) -> None:
        await scene.ask(Say("ok"), tools=[TUNE], tool_choice=choice)
        anthropic = {"none": {"type": "none"}, "required": {"type": "any"}}
        assert scene.body["tool_choice"] == (anthropic[choice] if scene.wire == "anthropic" else choice)

    async def test_who_spoke_is_kept(self, scene: Scene) -> None:
        messages = [
            user("Plan it.", "planner"),
            user("No leak?", "critic"),
            AssistantMessage(content="None.", source="engineer"),
            user("Go."),
        ]
        await scene.ask(Say("ok"), messages=messages)
        assert scene.shown() == [
            *({"role": "user", "text": text} for text in said("[planner] Plan it.", "[critic] No leak?", scene.wire)),
            {"role": "assistant", "text": "None."},
            {"role": "user", "text": "[conductor] Go."},
        ]

    async def test_a_conversation_never_ends_in_the_models_own_words(self, scene: Scene) -> None:
        await scene.ask(Say("ok"), messages=[user("Go."), AssistantMessage(content="I did.", source="engineer")])
        assert [line["role"] for line in scene.shown()] == ["user", "assistant", "user"]

    async def test_calls_and_results_are_paired_whatever_the_history_lacks(self, scene: Scene) -> None:
        calls = [FunctionCall(id=f"c{k}", name="tune", arguments='{"family": "tree"}') for k in range(2)]
        orphan = FunctionExecutionResult(content="41", name="profile", call_id="gone")
        half = FunctionExecutionResult(content="done", name="tune", call_id="c0")
        messages: list[LLMMessage] = [
            user("Go."),
            FunctionExecutionResultMessage(content=[orphan]),
            AssistantMessage(content=calls, source="engineer"),
            FunctionExecutionResultMessage(content=[half]),
            AssistantMessage(content=[FunctionCall(id="c9", name="tune", arguments="{}")], source="engineer"),
            user("And?"),
        ]
        await scene.ask(Say("ok"), messages=messages, tools=[TUNE])
        lines = scene.shown()
        assert [line["id"] for line in lines if "call" in line] == ["c0", "c1", "c9"]
        assert [line["id"] for line in lines if "result" in line] == ["c0", "c1", "c9"]
        assert any("[profile] 41" in line.get("text", "") for line in lines)
        roles = [message["role"] for message in scene.body["messages"] if message["role"] != "tool"]
        assert all(a != b or a == "assistant" for a, b in itertools.pairwise(roles))

    @pytest.mark.parametrize("arguments", ['{"family": ', "[1, 2]", "null", ""])
    async def test_arguments_that_are_no_object_go_back_as_one(self, scene: Scene, arguments: str) -> None:
        call = FunctionCall(id="c0", name="functions.tune", arguments=arguments)
        result = FunctionExecutionResult(content="no", name="tune", call_id="c0", is_error=True)
        messages = [user("Go."), AssistantMessage(content=[call], source="e"), FunctionExecutionResultMessage(content=[result])]
        await scene.ask(Say("ok"), messages=messages, tools=[TUNE])
        line = next(line for line in scene.shown() if "call" in line)
        assert isinstance(line["arguments"], dict)
        assert line["call"] == "functions_tune", "endpoints take letters, digits, _ and - alone"

    async def test_further_arguments_of_the_request_are_passed_on(self, scene: Scene) -> None:
        await scene.ask(Say("ok"), extra_create_args={"temperature": 0.5, "made_up": 1})
        assert (scene.body["temperature"], scene.body["made_up"]) == (0.5, 1)

    # What it costs

    async def test_usage_is_counted_the_caches_part_too(self, scene: Scene) -> None:
        first = await scene.ask(Say("a", usage=(100, 5, 40, 0 if scene.wire == "openai" else 7)))
        assert isinstance(first.usage, TokenUsage)
        written = first.usage.cache_write_tokens
        assert (first.usage.prompt_tokens, first.usage.completion_tokens, first.usage.cache_read_tokens) == (140 + written, 5, 40)
        assert written == (0 if scene.wire == "openai" else 7)
        second = await scene.ask(Say(calls=[("tune", {})], usage=(10, 3, 0, 0)))
        assert (second.usage.prompt_tokens, second.usage.completion_tokens) == (10, 3)
        assert scene.client.total_usage().prompt_tokens == 150 + written

    async def test_what_a_server_does_not_count_is_not_known(self, scene: Scene) -> None:
        result = await scene.ask(Say("a", usage=None))
        assert isinstance(result.usage, TokenUsage)
        assert not result.usage.whole

    async def test_an_answer_that_was_none_is_counted_with_the_one_after_it(self, scene: Scene) -> None:
        result = await scene.ask(Say("", usage=(10, 1, 0, 0)), Say("ok", usage=(11, 2, 0, 0)))
        assert isinstance(result.usage, TokenUsage)
        assert (result.usage.prompt_tokens, result.usage.completion_tokens, result.usage.retries, result.usage.whole) == (21, 3, 1, True)

    # What a server refuses

    @pytest.mark.parametrize(
        ("status", "kind", "requests", "says"),
        [
            (400, RequestRefused, 1, "does not take the request"),
            (401, KeyRefused, 1, "_API_KEY"),
            (403, KeyRefused, 1, "_API_KEY"),
            (404, ModelUnknown, 1, "--model"),
            (408, ModelUnreachable, MOST_ATTEMPTS, "later"),
            (422, RequestRefused, 1, "does not take the request"),
            (429, ModelOverloaded, MOST_ATTEMPTS, "too many requests"),
            (500, ModelUnreachable, MOST_ATTEMPTS, "later"),
            (502, ModelUnreachable, MOST_ATTEMPTS, "later"),
            (503, ModelOverloaded, MOST_ATTEMPTS, "overloaded"),
            (529, ModelOverloaded, MOST_ATTEMPTS, "overloaded"),
        ],
    )
    async def test_an_http_error(self, scene: Scene, status: int, kind: type[ModelError], requests: int, says: str) -> None:
        error = await scene.fails(kind, Fail(status, f"bad {KEY}\nsecond line"))
        assert says in str(error)
        assert f"{status}: bad [redacted] second line" in str(error)
        assert len(scene.server.seen) == requests, "only what is transient is asked again"
        assert isinstance(error.spent, TokenUsage)
        assert (error.spent.prompt_tokens, error.spent.retries, error.spent.whole) == (0, requests - 1, True)

    async def test_a_key_without_credit_is_not_asked_again(self, scene: Scene) -> None:
        error = await scene.fails(ModelOverloaded, Fail(429, "You exceeded your current quota", "insufficient_quota"))
        assert "no credit" in str(error)
        assert len(scene.server.seen) == 1

    async def test_busy_twice_then_an_answer(self, scene: Scene) -> None:
        result = await scene.ask(Fail(429), Fail(529), Say("ok"))
        assert result.content == "ok"
        assert scene.waits == [1.0, 2.0], "later each time"

    async def test_a_server_that_failed_is_asked_again_sooner(self, scene: Scene) -> None:
        assert (await scene.ask(Fail(500), Fail(502), Fail(500), Say("ok"))).content == "ok"
        assert scene.waits == [0.25, 0.5, 1.0]

    @pytest.mark.parametrize(("headers", "seconds"), [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "1500"}, 1.5)])
    async def test_a_server_is_given_the_time_that_it_asks_for(self, scene: Scene, headers: dict[str, str], seconds: float) -> None:
        assert (await scene.ask(Fail(429, headers=headers), Say("ok"))).content == "ok"
        assert scene.waits == [seconds]

    async def test_a_server_that_asks_for_an_hour_is_not_waited_for(self, scene: Scene) -> None:
        await scene.fails(ModelOverloaded, Fail(429, headers={"retry-after": "3600"}))
        assert (len(scene.server.seen), scene.waits) == (1, [])

    async def test_an_endpoint_that_is_down_is_left_alone_and_tried_again_later(self, scene: Scene) -> None:
        await scene.fails(ModelUnreachable, Fail(500))
        assert len(scene.server.seen) == TRIPS_AFTER
        error = await scene.fails(ModelUnreachable)
        assert (len(scene.server.seen), "left alone" in str(error)) == (TRIPS_AFTER, True)
        scene.now += LEFT_ALONE_S + 1
        assert (await scene.ask(Say("back"))).content == "back"
        assert (await scene.ask(Say("again"))).content == "again"

    # What breaks on the way

    async def test_a_reply_that_is_cut_in_the_middle_is_asked_for_again(self, scene: Scene) -> None:
        if scene.streams:
            error = await scene.fails(ModelUnreachable, Say("a long reply", then="cut"))
            assert error.spent is None, "nobody knows what the cut reply cost"
        else:
            assert (await scene.ask(Say("a long reply", then="cut"), Say("whole"))).content == "whole"

    async def test_a_call_that_is_cut_in_the_middle_is_asked_for_again(self, scene: Scene) -> None:
        calls = [("tune", {"family": "a" * 400})]
        result = await scene.ask(Say(calls=calls, then="cut"), Say(calls=calls), tools=[TUNE])
        assert json.loads(calls_of(result)[0].arguments) == calls[0][1]
        assert isinstance(result.usage, TokenUsage)
        assert not result.usage.whole

    async def test_a_connection_that_ends_without_a_word_is_made_again(self, scene: Scene) -> None:
        assert (await scene.ask(Hangup(), Hangup(), Say("ok"))).content == "ok"

    async def test_nobody_listens(self, scene: Scene) -> None:
        from tests.faulty_server import refusing

        nowhere = refusing() + ("/v1" if scene.wire == "openai" else "")
        client = make_client(f"{scene.wire}:m-1@{nowhere}", waiting=scene_waiting(scene), breakers=Breakers())
        with pytest.raises(ModelUnreachable, match="cannot be reached") as caught:
            await client.create([user("Go.")])
        assert "Check that the server runs" in str(caught.value)
        assert len(scene.waits) == MOST_ATTEMPTS - 1

    async def test_a_page_instead_of_an_answer(self, scene: Scene) -> None:
        error = await scene.fails(UnusableReply, Raw(b"<html>Welcome</html>", "text/html"))
        assert "Check the address" in str(error)
        assert len(scene.server.seen) == 1

    @pytest.mark.parametrize("body", [b"", b'{"id": ', b"[]", b"null", b"42"])
    async def test_an_answer_that_is_no_document(self, scene: Scene, body: bytes) -> None:
        await scene.fails(UnusableReply, Raw(body))

    async def test_an_error_with_a_status_of_success(self, scene: Scene) -> None:
        body = {"type": "error", "error": {"type": "overloaded_error", "code": 529, "message": "Overloaded"}}
        assert (await scene.ask(Raw(json.dumps(body).encode()), Say("ok"))).content == "ok"

    async def test_a_server_that_does_not_stream_is_read_all_the_same(self, scene: Scene) -> None:
        from tests.model_server import anthropic_message, openai_completion

        whole = (anthropic_message if scene.wire == "anthropic" else openai_completion)(Say("whole"))
        assert (await scene.ask(Raw(json.dumps(whole).encode()))).content == "whole"

    # Replies that are none

    async def test_no_choice(self, scene: Scene) -> None:
        empty = {"id": "c", "choices": [], "content": []}
        await scene.fails(UnusableReply, Raw(json.dumps(empty).encode()))
        assert len(scene.server.seen) == 2, "it is paid for, so it is asked again once"

    @pytest.mark.parametrize("text", ["", " \n"])
    async def test_no_content(self, scene: Scene, text: str) -> None:
        error = await scene.fails(UnusableReply, Say(text))
        assert "nothing" in str(error) or scene.streams

    async def test_a_refusal(self, scene: Scene) -> None:
        error = await scene.fails(UnusableReply, Say(refusal="I will not do this."))
        assert "declined to answer: I will not do this." in str(error)
        assert len(scene.server.seen) == 1
        assert error.spent.prompt_tokens == 10

    async def test_a_text_at_the_length_limit_is_what_it_is(self, scene: Scene) -> None:
        result = await scene.ask(Say("and then", finish="length"))
        assert (result.content, result.finish_reason) == ("and then", "length")

    async def test_a_call_at_the_length_limit_is_never_made(self, scene: Scene) -> None:
        arguments = '{"family": "lin' if scene.wire == "openai" else {}
        error = await scene.fails(UnusableReply, Say(calls=[("tune", arguments)], finish="length"), tools=[TUNE])
        assert "in the middle of a tool call, after 2 tokens" in str(error)
        assert len(scene.server.seen) == 1

    @pytest.mark.parametrize("arguments", ['{"family": "linear"', "[1, 2]", "null", "tune it well"])
    async def test_arguments_that_are_no_object_are_handed_on_to_be_refused(self, scene: Scene, arguments: str) -> None:
        given: Any = arguments if scene.wire == "openai" or scene.streams else loose(arguments)
        result = await scene.ask(Say(calls=[("tune", given)]), tools=[TUNE])
        assert not isinstance(loose(calls_of(result)[0].arguments), dict)
        assert result.finish_reason == "function_calls"

    @pytest.mark.parametrize("call", [("make_coffee", {}), ("tune", {"sugar": 1}), ("tune", {"family": 7, "trials": "many"})])
    async def test_calls_that_do_not_fit_a_tool_are_handed_on_to_be_refused(self, scene: Scene, call: tuple[str, dict[str, Any]]) -> None:
        (found,) = calls_of(await scene.ask(Say(calls=[call]), tools=[TUNE]))
        assert (found.name, json.loads(found.arguments)) == call

    # JSON

    async def test_json_is_asked_for_and_checked(self, scene: Scene) -> None:
        assert json.loads(str((await scene.ask(Say('{"a": 1}'), json_output=True)).content)) == {"a": 1}
        if not scene.streams:
            result = await scene.ask(Say("Sure! {"), Say('{"a": 2}'), json_output=True)
            assert json.loads(str(result.content)) == {"a": 2}

    async def test_structured_output(self, scene: Scene) -> None:
        result = await scene.ask(Say('{"accept": true, "reason": "no leak"}'), json_output=Verdict)
        assert Verdict.model_validate_json(str(result.content)).accept
        anthropic = scene.wire == "anthropic"
        format = scene.body["output_config"]["format"] if anthropic else scene.body["response_format"]["json_schema"]
        assert format["schema"]["additionalProperties"] is False
        assert format["schema"]["required"] == ["accept", "reason"]

    async def test_structured_output_of_another_shape(self, scene: Scene) -> None:
        error = await scene.fails(UnusableReply, Say('{"accept": "perhaps"}'), json_output=Verdict)
        assert "was asked for JSON" in str(error)

    # Length

    @pytest.mark.parametrize("refused", [Fail(400, "prompt is too long: 250000 tokens > 200000 maximum"), Fail(413, "request_too_large")])
    async def test_a_request_that_is_too_long_is_shortened_and_asked_again(self, scene: Scene, refused: Fail) -> None:
        long = [FunctionExecutionResult(content="row\n" * 20_000, name="tune", call_id="c0")]
        call = AssistantMessage(content=[FunctionCall(id="c0", name="tune", arguments="{}")], source="engineer")
        messages = [SystemMessage(content="S" * 3_000), user("The briefing."), call, FunctionExecutionResultMessage(content=long)]
        result = await scene.ask(refused, Say("ok"), messages=messages, tools=[TUNE])
        assert result.content == "ok"
        first, second = (scene.shown(seen) for seen in scene.server.seen)
        assert second[:3] == first[:3], "system, briefing and call stay whole"
        assert len(second[3]["result"]) < len(first[3]["result"])
        assert "characters left out" in second[3]["result"]
        assert long[0].content == "row\n" * 20_000, "the history itself is left alone"
        await scene.ask(Say("ok"), messages=messages, tools=[TUNE])
        assert len(scene.server.seen) == 3, "what was too long once is not sent again"

    async def test_a_request_that_cannot_be_shortened(self, scene: Scene) -> None:
        error = await scene.fails(ContextOverflow, Fail(400, "This model's maximum context length is 10 tokens", "context_length_exceeded"))
        assert "Take a model that reads more" in str(error)


class StallContract:
    """A server that says nothing more, and a user who has enough of it."""

    wire: str

    @pytest.fixture(params=["whole", "streamed"])
    def streams(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param == "streamed")

    @pytest.fixture
    def deadlines(self) -> Deadlines:
        return Deadlines(stall_s=0.15, request_s=0.3)

    scene = ModelClientContract.scene

    @pytest.mark.parametrize("reaction", [Silent(), Say("a long reply", then="stall")], ids=["silent", "stalls"])
    async def test_a_server_that_stalls_meets_a_deadline(self, scene: Scene, reaction: Reaction) -> None:
        error = await scene.fails(ModelUnreachable, reaction)
        assert "did not answer within 0." in str(error)
        if not (scene.streams and isinstance(reaction, Say)):  # a text that was shown is not begun again
            assert len(scene.waits) == MOST_ATTEMPTS - 1
        await asyncio.wait_for(scene.server.left.wait(), SOON_S)


class CancellationContract:
    """By AutoGen's token, and from outside."""

    wire: str
    streams = StallContract.streams
    scene = ModelClientContract.scene

    @pytest.fixture
    def deadlines(self) -> Deadlines:
        return Deadlines()

    @pytest.mark.parametrize("reaction", [Silent(), Say("a long reply", then="stall")], ids=["silent", "stalls"])
    @pytest.mark.parametrize("by", ["token", "task"])
    async def test_a_call_ends_at_once(self, scene: Scene, reaction: Reaction, by: str) -> None:
        token = CancellationToken()
        asking = asyncio.create_task(scene.ask(reaction, cancellation_token=token))
        await asyncio.wait_for(scene.server.asked.wait(), 5)
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
        await asyncio.wait_for(waiting.wait(), 5)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, SOON_S)


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
