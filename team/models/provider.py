"""What every client of an endpoint does, whatever it speaks: one request under deadlines, cancellable, its failures typed.

It asks once. Asking again is the business of `patience.py`.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, ValidationError

from team.errors import ModelError, ModelUnreachable, UnusableReply
from team.models.endpoint import Endpoint
from team.models.refusals import explain, of_body
from team.models.reply import Call, TokenUsage
from team.models.wire import distinct, sound

CHARS_A_TOKEN = 4
"""About what a token holds; exact counts would need the model's own tables, which some SDKs fetch from the internet."""
USUAL_CONTEXT = 128_000
"""Tokens that a model is taken to read; endpoints say so themselves when it is less."""

Finish = Literal["stop", "length", "function_calls", "content_filter", "unknown"]
"""Why a model stopped, in AutoGen's words."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Deadlines:
    """Seconds that one request may take."""

    connect_s: float = 10.0
    stall_s: float = 90.0
    """Between two pieces of a stream."""
    request_s: float = 300.0
    """Until the whole reply is there: a local model on a processor writes a few tokens a second."""


@dataclass
class Ask:
    """One request, before it is put into the words of a provider."""

    messages: Sequence[LLMMessage]
    tools: Sequence[Tool | ToolSchema]
    tool_choice: Tool | Literal["auto", "required", "none"]
    json_output: bool | type[BaseModel] | None
    extra: Mapping[str, Any]


@dataclass
class Answer:
    """One reply, as far as the providers agree."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    thought: str = ""
    finish: Finish = "unknown"
    refusal: str = ""
    usage: TokenUsage = field(default_factory=lambda: TokenUsage(0, 0, whole=False))


class ProviderClient(ChatCompletionClient):
    """Base of the clients that speak to an endpoint. Subclasses put an `Ask` into words and read an `Answer`."""

    component_provider_override = "team.models.provider.ProviderClient"
    address_hint: str
    """Where the address of an endpoint of this kind mostly ends."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines | None = None) -> None:
        self._endpoint = endpoint
        self._deadlines = deadlines or Deadlines()
        self._total = TokenUsage(0, 0)

    @abstractmethod
    async def _answer(self, ask: Ask) -> Answer:
        """Ask, and wait for the whole reply."""

    @abstractmethod
    def _pieces(self, ask: Ask) -> AsyncIterator[str | Answer]:
        """Ask, and give text as it comes, the reply last. An empty piece says that something came that is no text."""

    @abstractmethod
    def _read(self, document: dict[str, Any]) -> Answer:
        """The reply that a request got which was not streamed."""

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """Ask once.

        Raises:
            ModelError: for everything that goes wrong.
        """
        ask, token = _taken_apart(messages, options)
        return await cancellable(self._whole(ask), token)

    async def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        """Like `create`, with the text in pieces as it comes; the result is the last item."""
        ask, token = _taken_apart(messages, options)
        queue: asyncio.Queue[str | CreateResult | None] = asyncio.Queue()

        async def pump() -> None:
            async with aclosing(self._stream(ask)) as items:
                async for item in items:
                    queue.put_nowait(item)

        # A task of its own, since a token ends futures, and each adds to the token's list for good.
        pumping = asyncio.ensure_future(cancellable(pump(), token))
        pumping.add_done_callback(lambda _: queue.put_nowait(None))  # also where it was cancelled before it began
        try:
            while (item := await queue.get()) is not None:
                yield item
            await pumping
        finally:
            if not pumping.done():
                pumping.cancel()
                await asyncio.wait({pumping})

    async def _whole(self, ask: Ask) -> CreateResult:
        try:
            async with asyncio.timeout(self._deadlines.request_s):
                answer = await self._answer(ask)
        except Exception as error:
            failure = self._explained(error, self._deadlines.request_s)
        else:
            return self._result(answer, ask)
        raise failure  # out here, so that it drags along nothing of what the server said

    async def _stream(self, ask: Ask) -> AsyncGenerator[str | CreateResult, None]:
        now = asyncio.get_running_loop().time
        deadline = now() + self._deadlines.request_s
        async with aclosing(self._pieces(ask)) as pieces:  # type: ignore[type-var]  # subclasses write generators
            piece: str | Answer = ""
            while not isinstance(piece, Answer):
                stalls = self._deadlines.stall_s < deadline - now()
                try:
                    async with asyncio.timeout(self._deadlines.stall_s if stalls else deadline - now()):
                        piece = await anext(pieces)
                except Exception as error:
                    failure = self._explained(error, self._deadlines.stall_s if stalls else self._deadlines.request_s)
                else:
                    if piece and isinstance(piece, str):
                        yield sound(piece)
                    continue
                raise failure
        yield self._result(piece, ask)

    def _explained(self, error: Exception, seconds: float) -> ModelError:
        if isinstance(error, TimeoutError):
            return self._too_slow(seconds)
        if isinstance(error, StopAsyncIteration):
            return ModelUnreachable(f"{self._endpoint} broke off in the middle of its reply.")
        return explain(error, self._endpoint)

    def _document(self, text: str) -> Answer:
        """The reply that is written in an answer's body.

        Raises:
            ModelError: when it is an error, or no reply.
        """
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise UnusableReply(
                f"{self._endpoint} answered with a page or a text, where a reply is JSON. Check the address: {self.address_hint}."
            )
        if document.get("error"):
            raise of_body(document, self._endpoint)
        return self._read(document)

    async def _unstreamed(self, response: Any) -> Answer | None:
        """The reply of a server that does not stream, or None where a stream begins."""
        if "event-stream" in response.headers.get("content-type", ""):
            return None
        return self._document((await response.aread()).decode("utf-8", "replace"))

    def _too_slow(self, seconds: float) -> ModelUnreachable:
        return ModelUnreachable(f"{self._endpoint} did not answer within {seconds:g} s. Take a model that answers sooner.")

    def _result(self, answer: Answer, ask: Ask) -> CreateResult:
        """The reply as AutoGen wants it.

        Raises:
            UnusableReply: when it is none.
        """
        usage, where = answer.usage, self._endpoint
        self._total = self._total.plus(usage)
        if answer.refusal or (answer.finish == "content_filter" and not answer.calls):
            words = where.clean(answer.refusal or answer.text) or "no reason given"
            raise UnusableReply(f"{where} declined to answer: {words}", spent=usage)
        if answer.finish == "length" and (answer.calls or not answer.text.strip()):
            what = "of a tool call" if answer.calls else "of its thoughts"
            raise UnusableReply(
                f"the reply of {where} was cut off in the middle {what}, after {usage.completion_tokens} tokens. "
                "Raise the server's limit, or take a model with longer replies.",
                spent=usage,
            )
        if not answer.calls and not answer.text.strip():
            raise UnusableReply(f"{where} answered with nothing.", transient=True, spent=usage)
        if not answer.calls and ask.json_output:
            self._check_json(answer.text, ask.json_output, usage)
        calls: list[FunctionCall] = distinct([Call(**sound(vars(call))) for call in answer.calls])
        thought = f"{answer.thought}\n\n{answer.text}".strip() if calls else answer.thought
        return CreateResult(
            content=calls or sound(answer.text),
            finish_reason="function_calls" if calls else answer.finish,
            usage=usage,
            cached=False,
            thought=sound(thought) or None,
        )

    def _check_json(self, text: str, wanted: bool | type[BaseModel], usage: TokenUsage) -> None:
        try:
            if isinstance(wanted, type):
                wanted.model_validate_json(text)
            else:
                json.loads(text)
        except (ValidationError, ValueError) as error:
            words = self._endpoint.clean(str(error))
            raise UnusableReply(
                f"{self._endpoint} was asked for JSON and wrote something else: {words}", transient=True, spent=usage
            ) from None

    def actual_usage(self) -> RequestUsage:
        return self._total

    def total_usage(self) -> RequestUsage:
        return self._total

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """About how many tokens the messages take."""
        return sum(len(str(m.content)) // CHARS_A_TOKEN + 4 for m in messages) + sum(len(str(t)) // CHARS_A_TOKEN for t in tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return USUAL_CONTEXT - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelInfo:  # deprecated, still abstract
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            family="unknown",
            structured_output=True,
            multiple_system_messages=True,
        )


def _taken_apart(messages: Sequence[LLMMessage], options: Mapping[str, Any]) -> tuple[Ask, CancellationToken | None]:
    """AutoGen's options (those of `ChatCompletionClient.create`) as an `Ask`, and the token that ends it."""
    ask = Ask(
        messages,
        options.get("tools") or (),
        options.get("tool_choice", "auto"),
        options.get("json_output"),
        options.get("extra_create_args") or {},
    )
    return ask, options.get("cancellation_token")


async def cancellable(work: Coroutine[Any, Any, _T], token: CancellationToken | None) -> _T:
    """Await `work` so that AutoGen's token ends it, as cancelling the awaiting task does."""
    if token is None:
        return await work
    if token.is_cancelled():
        work.close()
        raise asyncio.CancelledError
    task = asyncio.ensure_future(work)
    token.link_future(task)
    return await task
