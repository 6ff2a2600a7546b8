"""What every client of an endpoint does, whatever it speaks: one request under deadlines, cancellable, its failures typed.

It asks once. Asking again is the business of `patience.py`.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, ValidationError

from team.errors import EmptyReply, ModelError, ModelTooSlow, ModelUnreachable, ReplyCut, UnusableReply
from team.models.early import Watch
from team.models.endpoint import Endpoint
from team.models.refusals import explain, of_body
from team.models.reply import Call, TokenUsage
from team.models.wire import distinct, plain, sound

CHARS_A_TOKEN = 4
"""About what a token holds; exact counts would need the model's own tables, which some SDKs fetch from the internet."""
MOST_TOKENS = "max_tokens"
"""Among the further arguments of a request, how long its reply may be, whatever the endpoint calls that."""
LONGEST_TOKENS = 16_000
"""Of a reply, where nobody says less."""
WIDER = 4
"""So many times longer may the reply be of a model that spent all of it on thinking."""
USUAL_CONTEXT = 128_000
"""Tokens that a model is taken to read; endpoints say so themselves when it is less."""

Hears = Callable[[str], None]
"""Told the text of a reply piece by piece, while it comes; an empty piece says that a reply begins, which may be one more attempt."""

Finish = Literal["stop", "length", "function_calls", "content_filter", "unknown"]
"""Why a model stopped, in AutoGen's words."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Deadlines:
    """Seconds that one request may take."""

    connect_s: float = 10.0
    first_s: float = 180.0
    """Until the first piece of a stream, while the model reads: one on a processor reads some fifty tokens a second."""
    stall_s: float = 90.0
    """Between two pieces of a stream."""
    request_s: float = 600.0
    """Until the whole reply is there: a local model on a processor writes a few tokens a second."""


@dataclass
class Ask:
    """One request, before it is put into the words of a provider."""

    messages: Sequence[LLMMessage]
    tools: Sequence[Tool | ToolSchema]
    tool_choice: Tool | Literal["auto", "required", "none"]
    json_output: bool | type[BaseModel] | None
    extra: Mapping[str, Any]
    most_tokens: int | None = None
    """Of the reply; None where nobody bounds it."""


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

    def __init__(
        self, endpoint: Endpoint, deadlines: Deadlines | None = None, *, streamed: bool = False, hears: Hears | None = None
    ) -> None:
        """`streamed`: whether `create` has the reply streamed too, so that a stall is seen, talk behind a call not waited for, and the
        text told to `hears` as it comes."""
        self._endpoint, self._hears = endpoint, hears or _nobody
        self._deadlines = deadlines or Deadlines()
        self._streamed = streamed
        self._wider = 1
        self._total = TokenUsage(0, 0)

    def _taken_apart(self, messages: Sequence[LLMMessage], options: Mapping[str, Any]) -> tuple[Ask, CancellationToken | None]:
        """AutoGen's options (those of `ChatCompletionClient.create`) as an `Ask`, and the token that ends it."""
        extra = dict(options.get("extra_create_args") or {})
        most = extra.pop(MOST_TOKENS, None)
        ask = Ask(
            messages,
            options.get("tools") or (),
            options.get("tool_choice", "auto"),
            options.get("json_output"),
            extra,
            None if most is None else min(LONGEST_TOKENS, int(most) * self._wider),
        )
        return ask, options.get("cancellation_token")

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
        ask, token = self._taken_apart(messages, options)
        return await cancellable(self._gathered(ask) if self._streamed else self._whole(ask), token)

    async def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        """Like `create`, with the text in pieces as it comes; the result is the last item."""
        ask, token = self._taken_apart(messages, options)
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
        except Exception as error:  # whatever the SDK raises, it is told in words of ours
            failure = self._explained(error, self._deadlines.request_s)
        else:
            return self._result(answer, ask)
        raise failure  # out here, so that it drags along nothing of what the server said

    async def _gathered(self, ask: Ask) -> CreateResult:
        """The whole of a streamed reply, or as much as is enough where a model nearby goes on talking behind its call."""
        watch = Watch(plain(ask.tools)) if self._endpoint.near else None
        begun = False
        async with aclosing(self._stream(ask)) as items:
            async for item in items:
                if isinstance(item, CreateResult):
                    return item
                if not begun:
                    self._hears("")
                    begun = True
                self._hears(item)
                if watch is not None and watch.enough(item):
                    return self._result(Answer(watch.text, finish="stop"), ask)
        raise AssertionError("a stream ends in its result or raises")

    async def _stream(self, ask: Ask) -> AsyncGenerator[str | CreateResult, None]:
        now = asyncio.get_running_loop().time
        deadline, idle = now() + self._deadlines.request_s, max(self._deadlines.first_s, self._deadlines.stall_s)
        async with aclosing(self._pieces(ask)) as pieces:  # type: ignore[type-var]  # subclasses write generators
            piece: str | Answer = ""
            while not isinstance(piece, Answer):
                stalls = idle < deadline - now()
                try:
                    async with asyncio.timeout(idle if stalls else deadline - now()):
                        piece = await anext(pieces)
                except Exception as error:  # as above
                    failure = self._explained(error, idle if stalls else self._deadlines.request_s)
                else:
                    idle = self._deadlines.stall_s
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

    def _too_slow(self, seconds: float) -> ModelTooSlow:
        return ModelTooSlow(
            f"{self._endpoint} did not answer within {seconds:g} s. Take a model that answers sooner, or allow more: models.first_s,"
            " models.stall_s and models.request_s in the settings."
        )

    def _result(self, answer: Answer, ask: Ask) -> CreateResult:
        """The reply as AutoGen wants it.

        Raises:
            UnusableReply: when it is none.
            ReplyCut: when it ended at its longest and nothing of it is whole.
        """
        usage, where = answer.usage, self._endpoint
        if not usage.whole and not usage.prompt_tokens + usage.completion_tokens:
            usage = self._estimate(answer, ask)
        self._total = self._total.plus(usage)
        if answer.refusal or (answer.finish == "content_filter" and not answer.calls):
            words = where.clean(answer.refusal or answer.text) or "no reason given"
            raise UnusableReply(f"{where} declined to answer: {words}", spent=usage)
        if answer.finish == "length":
            self._keep_whole(answer, ask, usage)
        if not answer.calls and not answer.text.strip():
            raise EmptyReply(f"{where} answered with nothing.", transient=True, spent=usage)
        if not answer.calls and ask.json_output:
            self._check_json(answer.text, ask.json_output, usage)
        calls: list[FunctionCall] = distinct([Call(**sound(vars(call))) for call in answer.calls])
        thought = f"{answer.thought}\n\n{answer.text}".strip() if calls else answer.thought
        return CreateResult(
            content=calls or sound(answer.text),
            finish_reason="function_calls" if calls and answer.finish != "length" else answer.finish,
            usage=usage,
            cached=False,
            thought=sound(thought) or None,
        )

    def _keep_whole(self, answer: Answer, ask: Ask, usage: TokenUsage) -> None:
        """Of a reply that ended at its longest, keep the calls that were written to their end.

        Raises:
            ReplyCut: when there is neither such a call nor a text. A model that spent it all on thoughts may be asked again, with more.
        """
        halves = answer.calls
        answer.calls = [*halves[:-1], *filter(_is_whole, halves[-1:])]
        if answer.calls or (not halves and answer.text.strip()):
            return
        thinking = not halves and ask.most_tokens is not None and ask.most_tokens < LONGEST_TOKENS
        if thinking:
            self._wider *= WIDER
        raise ReplyCut(
            f"the reply of {self._endpoint} was cut off in the middle {'of a tool call' if halves else 'of its thoughts'}, after"
            f" {usage.completion_tokens} tokens. Raise models.reply_tokens and models.code_tokens in the settings, or the server's limit.",
            transient=thinking,
            spent=usage,
        )

    def _estimate(self, answer: Answer, ask: Ask) -> TokenUsage:
        """About what a reply took whose server counted nothing, or which was ended before it could."""
        said = [answer.text, answer.thought, *(call.name + call.arguments for call in answer.calls)]
        wrote = sum(map(len, said)) // CHARS_A_TOKEN
        return TokenUsage(self.count_tokens(ask.messages, tools=ask.tools), wrote, whole=False, estimated=True)

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


def _nobody(piece: str) -> None:
    """Hears nothing."""


def _is_whole(call: Call) -> bool:
    """Whether the arguments of a call were written to their end; none at all may be what a cut left of them."""
    try:
        return bool(json.loads(call.arguments))
    except ValueError:
        return False


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
