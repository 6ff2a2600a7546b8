"""What a model client makes of refusals, of what breaks on the way, and of replies that are none: a typed error or an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
)

from team.errors import (
    ContextOverflow,
    EmptyReply,
    KeyRefused,
    ModelError,
    ModelOverloaded,
    ModelUnknown,
    ModelUnreachable,
    ReplyCut,
    RequestRefused,
    UnusableReply,
)
from team.models import make_client
from team.models.patience import LEFT_ALONE_S, MOST_ATTEMPTS, TRIPS_AFTER, Breakers
from team.models.reply import TokenUsage
from tests.contracts.model_scene import KEY, TUNE, Scene, SceneContract, calls_of, loose, scene_waiting, user
from tests.model_server import Fail, Hangup, Raw, Say


class FaultsContract(SceneContract):
    """The promises."""

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
        await scene.fails(UnusableReply if scene.wire == "openai" else EmptyReply, Raw(json.dumps(empty).encode()))
        assert len(scene.server.seen) == 2, "it is paid for, so it is asked again once"

    @pytest.mark.parametrize("text", ["", " \n"])
    async def test_no_content(self, scene: Scene, text: str) -> None:
        error = await scene.fails(EmptyReply, Say(text))
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
        error = await scene.fails(ReplyCut, Say(calls=[("tune", arguments)], finish="length"), tools=[TUNE])
        assert "in the middle of a tool call, after 2 tokens" in str(error)
        assert len(scene.server.seen) == 1

    async def test_calls_that_were_whole_before_the_length_limit_are_made(self, scene: Scene) -> None:
        calls = [("tune", {"family": "linear"}), ("tune", '{"family": "tr' if scene.wire == "openai" else {})]
        result = await scene.ask(Say(calls=calls, finish="length"), tools=[TUNE])
        assert [json.loads(call.arguments) for call in calls_of(result)] == [{"family": "linear"}]
        assert result.finish_reason == "length", "whoever reads the log sees that it was cut"

    async def test_a_model_that_spends_its_whole_reply_on_thoughts_is_given_more(self, scene: Scene) -> None:
        thinking = [{"type": "thinking", "thinking": "Hm.", "signature": "s"}]
        cut = Say(thinking=thinking, finish="length")
        result = await scene.ask(cut, Say("So be it."), extra_create_args={"max_tokens": 600})
        assert result.content == "So be it."
        assert [seen.body["max_tokens"] for seen in scene.server.seen] == [600, 2_400]
        await scene.ask(Say("ok"), extra_create_args={"max_tokens": 600})
        assert scene.body["max_tokens"] == 2_400, "it is known now that this model thinks"

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
