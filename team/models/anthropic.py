"""Anthropic's Messages, on the provider's SDK: AutoGen's own client does not work with it.

Prompts are cached in three places (tools, system, the conversation so far), so that a turn's later requests read what its first one
wrote. Thinking that comes before tool calls goes back with them, signed as it came.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, cast

from team.models.provider import LONGEST_TOKENS, Answer, Ask, Finish, ProviderClient
from team.models.reply import Call, TokenUsage
from team.models.wire import Turn, arguments_of, before, closed_schema, conversation, safe_name, schemas, sound

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

_CACHE = {"type": "ephemeral"}
_THOUGHTS = ("thinking", "redacted_thinking")
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "function_calls",
    "refusal": "content_filter",
}


class AnthropicClient(ProviderClient):
    """A model behind Anthropic's Messages."""

    component_provider_override = "team.models.anthropic.AnthropicClient"
    address_hint = "it ends before /v1"
    _made: AsyncAnthropic | None = None

    @property
    def _sdk(self) -> AsyncAnthropic:
        if self._made is None:  # on the first request: the import takes more than a second
            from anthropic import AsyncAnthropic, Timeout

            at, limits = self._endpoint, self._deadlines
            bearer = at.variable == "ANTHROPIC_AUTH_TOKEN"
            self._made = AsyncAnthropic(
                api_key=None if bearer else at.key,
                auth_token=at.key if bearer else None,
                base_url=at.url,
                timeout=Timeout(limits.request_s, connect=limits.connect_s),
                max_retries=0,
                open_telemetry=False,  # the run has spans of its own; these would count the tokens twice
            )
        return self._made

    async def _answer(self, ask: Ask) -> Answer:
        response = await self._sdk.messages.with_raw_response.create(**self._request(ask))
        return self._document(await response.text())

    async def _pieces(self, ask: Ask) -> AsyncGenerator[str | Answer, None]:
        stream = await self._sdk.messages.create(**self._request(ask), stream=True)
        async with stream:
            if (answer := await self._unstreamed(stream.response)) is not None:
                yield answer
                return
            gathered = _Gathered()
            async for event in stream:
                yield gathered.take(event.to_dict(warnings=False))
            if gathered.message.get("stop_reason"):
                yield self._read(gathered.whole())

    def _request(self, ask: Ask) -> dict[str, Any]:
        system, turns = conversation(ask.messages)
        if ask.json_output is True:  # there is no mode for it
            system = f"{system}\n\nAnswer with one JSON object and nothing else.".strip()
        messages = [_message(turn, self._endpoint.spec) for turn in turns]
        messages[-1]["content"][-1]["cache_control"] = _CACHE
        most = ask.most_tokens or LONGEST_TOKENS  # the endpoint wants to be told; above 21,000 the SDK insists on a stream
        request: dict[str, Any] = {"model": self._endpoint.model, "max_tokens": most, "messages": messages}
        if system:
            request["system"] = [{"type": "text", "text": system, "cache_control": _CACHE}]
        if tools := schemas(ask.tools):
            request["tools"] = [{"name": name, "description": text, "input_schema": schema} for name, text, schema in tools]
            request["tools"][-1]["cache_control"] = _CACHE
            if not isinstance(ask.tool_choice, str):
                request["tool_choice"] = {"type": "tool", "name": ask.tool_choice.name}
            elif ask.tool_choice != "auto":
                request["tool_choice"] = {"type": {"required": "any"}.get(ask.tool_choice, ask.tool_choice)}
        if isinstance(ask.json_output, type):
            request["output_config"] = {"format": {"type": "json_schema", "schema": closed_schema(ask.json_output)}}
        # The SDK's signature knows no temperature any more, and refuses what it does not know; the endpoint decides.
        return sound({**request, "extra_body": dict(ask.extra)} if ask.extra else request)

    def _read(self, message: dict[str, Any]) -> Answer:
        usage = _usage(message.get("usage"))
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[Call] = []
        said: list[dict[str, Any]] = []
        for block in message.get("content") or ():
            if block["type"] == "tool_use":
                arguments = block.get("input", {})
                arguments = arguments if isinstance(arguments, _Raw) else json.dumps(arguments, ensure_ascii=False)
                calls.append(
                    Call(id=block.get("id") or "", name=block.get("name") or "", arguments=arguments, before=said, by=self._endpoint.spec)
                )
                said = []
            elif block["type"] in ("text", *_THOUGHTS):
                # Of a text no more than the text: what else its block holds is not taken back everywhere.
                said.append(block if block["type"] != "text" else {"type": "text", "text": str(block.get("text") or "")})
                texts.append(str(block.get("text") or ""))
                thoughts.append(str(block.get("thinking") or ""))
        if calls and message.get("stop_reason") == "max_tokens" and not isinstance(calls[-1].arguments, _Raw):
            calls[-1].arguments = ""  # it was cut off, and then made whole with less in it
        finish = cast(Finish, _FINISH.get(message.get("stop_reason") or "", "unknown"))
        details = message.get("stop_details") or {}
        refusal = str(details.get("explanation") or details.get("category") or "") if finish == "content_filter" else ""
        return Answer("".join(texts), calls, "\n\n".join(filter(None, thoughts)), finish, refusal, usage)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


class _Raw(str):
    """Arguments as they came in pieces; they may be no JSON."""


class _Gathered:
    """A message as far as it has come. Its pieces are joined once: a long reply has hundreds of thousands."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def take(self, event: dict[str, Any]) -> str:
        """Add an event, and give the text that is new."""
        kind = event.get("type")
        if kind == "message_start":
            self.message = dict(event.get("message") or {})
        elif kind == "content_block_start":
            self._blocks[event["index"]] = dict(event.get("content_block") or {})
        elif kind == "content_block_delta":
            return self._take_delta(event["index"], event.get("delta") or {})
        elif kind == "message_delta":
            self.message |= event.get("delta") or {}
            self.message["usage"] = {**(self.message.get("usage") or {}), **_known(event.get("usage"))}
        return ""

    def _take_delta(self, index: int, delta: dict[str, Any]) -> str:
        self._blocks.setdefault(index, {"type": "text", "text": ""})
        for key in ("text", "thinking", "signature", "partial_json"):
            if piece := delta.get(key):
                self._pieces.setdefault((index, key), []).append(str(piece))
        return str(delta.get("text") or "")

    def whole(self) -> dict[str, Any]:
        for (index, key), pieces in self._pieces.items():
            joined = "".join(pieces)
            if key == "partial_json":
                self._blocks[index]["input"] = _Raw(joined)
            else:
                self._blocks[index][key] = (self._blocks[index].get(key) or "") + joined
        return {**self.message, "content": [self._blocks[index] for index in sorted(self._blocks)]}


def _known(usage: Any) -> dict[str, Any]:
    """Counts that are given; the last event repeats some of the first one's, and leaves others empty."""
    return {key: value for key, value in (usage or {}).items() if value is not None}


def _usage(usage: dict[str, Any] | None) -> TokenUsage:
    if not usage:
        return TokenUsage(0, 0, whole=False)
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    # What came from or went to the cache is not in `input_tokens`.
    return TokenUsage((usage.get("input_tokens") or 0) + read + written, usage.get("output_tokens") or 0, read, written)


def _message(turn: Turn, spec: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = [
        {
            "type": "tool_result",
            "tool_use_id": safe_name(result.call_id),
            "content": result.content,
            "is_error": bool(result.is_error),
        }
        for result in turn.results
    ]
    content += [{"type": "text", "text": text} for text in turn.texts if text.strip()]
    for call in turn.calls:
        content += [dict(block) for block in before(call) if _may_go_back(block, call, spec)]
        content.append({"type": "tool_use", "id": safe_name(call.id), "name": safe_name(call.name), "input": arguments_of(call)})
    return {"role": turn.role, "content": content}


def _may_go_back(block: dict[str, Any], call: Any, spec: str) -> bool:
    """Only the model that signed a thought takes it back, and no endpoint takes an empty text."""
    return call.by == spec if block.get("type") in _THOUGHTS else bool(str(block.get("text") or "").strip())
