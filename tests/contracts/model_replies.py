"""What a model client makes of replies that are as they should be, what it shows the model, and what it counts."""

from __future__ import annotations

import itertools
import json

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)
from pydantic import BaseModel

from team.errors import (
    UnusableReply,
)
from team.models.reply import TokenUsage
from tests.contracts.model_scene import KEY, TUNE, Scene, SceneContract, calls_of, said, turn, user
from tests.model_server import Say


class Verdict(BaseModel):
    accept: bool
    reason: str = "none"


class RepliesContract(SceneContract):
    """The promises."""

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

    async def test_how_long_a_reply_may_be_is_told(self, scene: Scene) -> None:
        await scene.ask(Say("ok"), extra_create_args={"max_tokens": 600})
        assert scene.body["max_tokens"] == 600
        await scene.ask(Say("ok"))
        assert scene.body.get("max_tokens") == (16_000 if scene.wire == "anthropic" else None)

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

    async def test_what_a_server_does_not_count_is_estimated_and_has_no_price(self, scene: Scene) -> None:
        result = await scene.ask(Say("a" * 400, usage=None), messages=[user("b" * 4_000)])
        assert isinstance(result.usage, TokenUsage)
        assert (result.usage.whole, result.usage.estimated) == (False, True)
        assert (result.usage.completion_tokens, result.usage.prompt_tokens // 10) == (100, 100)

    async def test_an_answer_that_was_none_is_counted_with_the_one_after_it(self, scene: Scene) -> None:
        result = await scene.ask(Say("", usage=(10, 1, 0, 0)), Say("ok", usage=(11, 2, 0, 0)))
        assert isinstance(result.usage, TokenUsage)
        assert (result.usage.prompt_tokens, result.usage.completion_tokens, result.usage.retries, result.usage.whole) == (21, 3, 1, True)

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
