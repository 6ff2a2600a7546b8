"""OpenAI's Chat Completions, and every server that speaks it: Azure, OpenRouter, Ollama, vLLM, llama.cpp, LM Studio.

AutoGen's own client ends in an AttributeError on a gateway's page, gives an empty text for a stream without choices, counts no tokens
of a stream, and passes on half a tool call: hence this one, on the provider's SDK.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from team.errors import UnusableReply
from team.models.endpoint import DEFAULT_URLS, Endpoint
from team.models.provider import Answer, Ask, Deadlines, Finish, Hears, ProviderClient
from team.models.reply import Call, TokenUsage
from team.models.wire import Turn, arguments_of, closed_schema, conversation, safe_name, schemas, sound

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.chat import ChatCompletionChunk

_FINISH = {"stop": "stop", "length": "length", "tool_calls": "function_calls", "function_call": "function_calls"}
_FINISH["content_filter"] = "content_filter"


class OpenAIClient(ProviderClient):
    """A model behind Chat Completions."""

    component_provider_override = "team.models.openai.OpenAIClient"
    address_hint = "it mostly ends in /v1"
    _made: AsyncOpenAI | None = None
    _limit = "max_tokens"
    """What the endpoint calls the longest reply: servers of one's own know the older name, newer models of OpenAI the other alone."""
    _counts = True
    """Whether the endpoint takes the wish to count the tokens of a stream."""
    _streams = True

    def __init__(
        self, endpoint: Endpoint, deadlines: Deadlines | None = None, *, streamed: bool = False, hears: Hears | None = None
    ) -> None:
        super().__init__(endpoint, deadlines, streamed=streamed, hears=hears)
        if endpoint.url == DEFAULT_URLS["openai"]:
            self._limit = "max_completion_tokens"
        self._learned: set[str] = set()

    @property
    def _sdk(self) -> AsyncOpenAI:
        if self._made is None:  # on the first request: the import takes 0.7 s, and a client that is only checked needs no connections
            from openai import AsyncOpenAI, Timeout

            at, limits = self._endpoint, self._deadlines
            self._made = AsyncOpenAI(
                api_key=at.key,
                base_url=at.url,
                default_query=at.query,
                timeout=Timeout(limits.request_s, connect=limits.connect_s),
                max_retries=0,
            )
        return self._made

    async def _answer(self, ask: Ask) -> Answer:
        while True:
            try:
                response = await self._sdk.chat.completions.with_raw_response.create(**self._request(ask))
                return self._document(response.text)
            except Exception as error:
                if not self._learns(error, streams=False):
                    raise

    async def _pieces(self, ask: Ask) -> AsyncGenerator[str | Answer, None]:
        stream = await self._opened(ask)
        if stream is None:
            yield await self._answer(ask)
            return
        async with stream:
            if (answer := await self._unstreamed(stream.response)) is not None:
                yield answer
                return
            gathered = _Gathered()
            async for chunk in stream:
                yield gathered.take(chunk.to_dict(warnings=False))
            if gathered.finish:
                yield gathered.answer(self._endpoint.spec)

    async def _opened(self, ask: Ask) -> AsyncStream[ChatCompletionChunk] | None:
        """A stream, or None where the endpoint gives none for such a request."""
        while self._streams:
            request = self._request(ask) | {"stream": True} | ({"stream_options": {"include_usage": True}} if self._counts else {})
            try:
                stream: AsyncStream[ChatCompletionChunk] = await self._sdk.chat.completions.create(**request)
                return stream
            except Exception as error:
                if not self._learns(error, streams=True):
                    raise
        return None

    def _learns(self, error: Exception, *, streams: bool) -> bool:
        """Whether a refusal names an argument that the endpoint can be asked without. Each is learnt once, so this ends."""
        if getattr(error, "status_code", 0) not in (400, 422, 500, 501):
            return False
        said = f"{error} {getattr(error, 'body', '')}".lower()
        named = [self._limit, *(["stream_options", "stream"] if streams else [])]
        what = next((name for name in named if name in said and name not in self._learned), None)
        if what is None:
            return False
        self._learned.add(what)
        if what == "stream":
            self._streams = False
        elif what == "stream_options":
            self._counts = False
        else:
            self._limit = "max_completion_tokens" if what == "max_tokens" else "max_tokens"
        return True

    def _request(self, ask: Ask) -> dict[str, Any]:
        system, turns = conversation(ask.messages)
        messages = [{"role": "system", "content": system}] if system else []
        request: dict[str, Any] = {"model": self._endpoint.model, "messages": [*messages, *(m for turn in turns for m in _messages(turn))]}
        if ask.most_tokens is not None:
            request[self._limit] = ask.most_tokens
        if tools := schemas(ask.tools):
            request["tools"] = [
                {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
                for name, description, schema in tools
            ]
            if not isinstance(ask.tool_choice, str):
                request["tool_choice"] = {"type": "function", "function": {"name": ask.tool_choice.name}}
            elif ask.tool_choice != "auto":
                request["tool_choice"] = ask.tool_choice
        if isinstance(ask.json_output, type):
            format = {"name": safe_name(ask.json_output.__name__), "schema": closed_schema(ask.json_output), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": format}
        elif ask.json_output:
            request["response_format"] = {"type": "json_object"}
        return sound({**request, "extra_body": dict(ask.extra)} if ask.extra else request)

    def _read(self, document: dict[str, Any]) -> Answer:
        usage = _usage(document.get("usage"))
        choices = document.get("choices") or []
        if not choices:
            raise UnusableReply(f"{self._endpoint} answered without a choice.", transient=True, spent=usage)
        gathered = _Gathered(usage=usage)
        gathered.take({"choices": [{"delta": choices[0].get("message") or {}, "finish_reason": choices[0].get("finish_reason")}]})
        return gathered.answer(self._endpoint.spec)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


@dataclass
class _Gathered:
    """A reply as far as it has come. Its pieces are joined once: a long reply has hundreds of thousands."""

    text: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    finish: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    usage: TokenUsage = field(default_factory=lambda: TokenUsage(0, 0, whole=False))
    _places: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, chunk: dict[str, Any]) -> str:
        """Add a piece of it, and give the text that is new."""
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        new = ""
        for choice in (chunk.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            new = _words(delta.get("content"))
            self.text.append(new)
            self.thought.append(_words(delta.get("reasoning_content") or delta.get("reasoning")))
            self.refusal.append(_words(delta.get("refusal")))
            for call in delta.get("tool_calls") or ():
                self._take_call(call)
            self.finish = choice.get("finish_reason") or self.finish
        return new

    def _take_call(self, piece: dict[str, Any]) -> None:
        index = piece.get("index")
        call = self._places.get(index) if index is not None else None
        if call is None and index is None and not piece.get("id") and self.calls:
            call = self.calls[-1]  # a server that does not number its pieces
        if call is None:
            call = {"id": "", "name": "", "arguments": []}
            self.calls.append(call)
            if index is not None:
                self._places[index] = call
        function = piece.get("function") or {}
        call["id"] = call["id"] or piece.get("id") or ""
        call["name"] += function.get("name") or ""
        arguments = function.get("arguments")
        if arguments is not None:  # some servers send an object instead of its text
            call["arguments"].append(arguments if isinstance(arguments, str) else json.dumps(arguments))

    def answer(self, spec: str) -> Answer:
        calls = [Call(id=c["id"], name=c["name"], arguments="".join(c["arguments"]) or "{}", by=spec) for c in self.calls]
        text, finish = "".join(self.text), _FINISH.get(self.finish, "unknown")
        if calls and text.strip():
            calls[0].before = [{"type": "text", "text": text}]
        return Answer(text, calls, "".join(self.thought), cast(Finish, finish), "".join(self.refusal), self.usage)


def _words(value: Any) -> str:
    """Text, also where a server gives it in parts."""
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _usage(usage: dict[str, Any] | None) -> TokenUsage:
    if not usage:
        return TokenUsage(0, 0, whole=False)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return TokenUsage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, cache_read_tokens=cached)


def _messages(turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "assistant":
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": safe_name(call.name), "arguments": json.dumps(arguments_of(call), ensure_ascii=False)},
            }
            for call in turn.calls
        ]
        return [{"role": "assistant", "content": turn.spoken or None, **({"tool_calls": calls} if calls else {})}]
    results = [{"role": "tool", "tool_call_id": result.call_id, "content": result.content} for result in turn.results]
    return [*results, *([{"role": "user", "content": turn.spoken}] if turn.spoken else [])]
