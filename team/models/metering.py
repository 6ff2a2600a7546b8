"""Count and record every model call: tokens, dollars, seconds, also of calls that fail; never pay for an answer twice."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Protocol

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage
from autogen_core.tools import Tool, ToolSchema

from team.casting import PLAYBOOK, Price, provider_of
from team.models.answers import read_answer, write_answer
from team.models.delegating import DelegatingClient
from team.models.provider import cancellable
from team.models.replay import ReplayClient
from team.models.reply import TokenUsage, usage_of
from team.models.requests import asked


@dataclass(frozen=True)
class ModelCall:
    """What one call cost, the attempts that it took included."""

    role: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    seconds: float
    finish_reason: str
    error: str | None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    retries: int = 0
    estimated: bool = False


Record = Callable[[ModelCall], None]
Admit = Callable[[int, Decimal | None], Awaitable[None]]
REPLY_TOKENS = 400
"""What an answer is expected to take."""
CHARS_A_TOKEN = 4


class MeteredClient(DelegatingClient):
    """Tells `record` of every call, then hands the reply, or the exception, on. Makes every client cancellable by its token.

    Args:
        price: of the model; None where nobody said, and then no call has one.
        admit: asked before each call, with the tokens and dollars that it is likely to take; raises where they are not to be spent.
    """

    component_provider_override = "team.models.metering.MeteredClient"

    def __init__(
        self,
        inner: ChatCompletionClient,
        role: str,
        spec: str,
        record: Record,
        price: Price | None = None,
        admit: Admit | None = None,
    ) -> None:
        super().__init__(inner)
        self._role, self._record, self._admit = role, record, admit
        self._provider, self._model = provider_of(spec)
        self._price = price

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        if self._admit is not None:
            tokens = expected_tokens(messages, options.get("tools", ()))
            await self._admit(tokens + REPLY_TOKENS, self._price.of(tokens, REPLY_TOKENS) if self._price is not None else None)
        start = time.perf_counter()
        try:
            result = await cancellable(self._inner.create(messages, **options), options.get("cancellation_token"))
        except BaseException as error:
            spent = usage_of(getattr(error, "spent", None))
            self._note(spent, time.perf_counter() - start, "error", _in_words(error))
            raise
        self._note(usage_of(result.usage), time.perf_counter() - start, result.finish_reason, None)
        return result

    def _note(self, usage: TokenUsage, seconds: float, finish_reason: str, error: str | None) -> None:
        # Only these are known to cost nothing; no price is assumed for anything else.
        usd = Decimal(0) if self._provider in (PLAYBOOK, "replay") else None
        if self._price is not None and usage.whole:
            usd = self._price.of(usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        self._record(
            ModelCall(
                self._role,
                self._provider,
                self._model,
                usage.prompt_tokens,
                usage.completion_tokens,
                usd,
                seconds,
                finish_reason,
                error,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.retries,
                usage.estimated,
            )
        )


def expected_tokens(messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema]) -> int:
    """About how many tokens a request has, without a tokenizer, which would have to be downloaded."""
    text = sum(len(str(message.content)) for message in messages)
    shapes = sum(len(str(tool if isinstance(tool, dict) else tool.schema)) for tool in tools)
    return (text + shapes) // CHARS_A_TOKEN


class Answers(Protocol):
    """Where a role's paid answers are kept, and found again when its turn is gone through once more."""

    @property
    def place(self) -> str:
        """`turn/role/call` of the call that `next` was last asked for."""

    def next(self) -> dict[str, Any] | None: ...
    def keep(self, request: dict[str, Any], *, answer: dict[str, Any] | None = None, error: str | None = None) -> None: ...


class Calls:
    """What the calls behind one answer cost: the one that brought it, and those of models that did not answer."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self.noted: list[ModelCall] = []

    def __call__(self, call: ModelCall) -> None:
        self.noted.append(call)
        self._record(call)


class KeepingClient(DelegatingClient):
    """Keeps an answer before anybody can act on it. One that was kept before the run was cut off is given again, and its cost told again.

    Args:
        calls: what the clients within record to.
        replay: the client within that gives recorded answers; it is told the place of each call.
    """

    component_provider_override = "team.models.metering.KeepingClient"

    def __init__(self, inner: ChatCompletionClient, answers: Answers, calls: Calls, replay: ReplayClient | None = None) -> None:
        super().__init__(inner)
        self._answers, self._calls, self._replay = answers, calls, replay

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        if (paid := self._answers.next()) is not None:
            for call in paid.get("calls_made", ()):
                self._calls(read_call(call))
            return read_answer(paid)
        if self._replay is not None:
            self._replay.place = self._answers.place
        self._calls.noted.clear()
        request = asked(messages, options.get("tools", ())).model_dump(mode="json")
        try:
            result = await self._inner.create(messages, **options)
        except Exception as error:
            self._answers.keep(request, error=_in_words(error))
            raise
        made = [asdict(call) | {"usd": None if call.usd is None else str(call.usd)} for call in self._calls.noted]
        self._answers.keep(request, answer=write_answer(result) | {"calls_made": made})
        return result


def read_call(document: dict[str, Any]) -> ModelCall:
    """What a kept answer cost. Its seconds were those of another process."""
    usd = document["usd"]
    return ModelCall(**{**document, "usd": None if usd is None else Decimal(usd), "seconds": 0.0})


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
