"""Count and record every model call: tokens, dollars, seconds, also of calls that fail; never pay for an answer twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from team.models import provider_of
from team.models.answers import read_answer, write_answer
from team.models.delegating import DelegatingClient
from team.models.replay import ReplayClient
from team.models.requests import asked


@dataclass(frozen=True)
class ModelCall:
    """What one call cost."""

    role: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    usd: Decimal | None
    seconds: float
    finish_reason: str
    error: str | None


class Answers(Protocol):
    """Where a role's paid answers are kept, and found again when its turn is gone through once more."""

    @property
    def place(self) -> str:
        """`turn/role/call` of the call that `next` was last asked for."""

    def next(self) -> dict[str, Any] | None: ...
    def keep(self, request: dict[str, Any], *, answer: dict[str, Any] | None = None, error: str | None = None) -> None: ...


class MeteredClient(DelegatingClient):
    """Tells `record` of every call, then hands the reply, or the exception, on. Makes every client cancellable by its token.

    An answer is kept before anybody can act on it. One that was kept before the run was cut off is given again.
    """

    component_provider_override = "team.models.metering.MeteredClient"

    def __init__(
        self, inner: ChatCompletionClient, role: str, spec: str, record: Callable[[ModelCall], None], answers: Answers | None = None
    ) -> None:
        super().__init__(inner)
        self._role = role
        self._answers = answers
        self._provider, self._model = provider_of(spec)
        self._record = record

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        if self._answers is not None and (paid := self._answers.next()) is not None:
            result = read_answer(paid)
            self._note(result.usage.prompt_tokens, result.usage.completion_tokens, 0.0, result.finish_reason, None)
            return result
        if isinstance(self._inner, ReplayClient) and self._answers is not None:
            self._inner.place = self._answers.place
        start, request = time.perf_counter(), asked(messages, options.get("tools", ())).model_dump(mode="json")
        reply = asyncio.ensure_future(self._inner.create(messages, **options))
        if (token := options.get("cancellation_token")) is not None:
            token.link_future(reply)
        try:
            result = await reply
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"[:500]
            if self._answers is not None and isinstance(error, Exception):
                self._answers.keep(request, error=told)
            self._note(0, 0, time.perf_counter() - start, "error", told)
            raise
        if self._answers is not None:
            self._answers.keep(request, answer=write_answer(result))
        usage = result.usage
        self._note(usage.prompt_tokens, usage.completion_tokens, time.perf_counter() - start, result.finish_reason, None)
        return result

    def _note(self, input_tokens: int, output_tokens: int, seconds: float, finish_reason: str, error: str | None) -> None:
        # Only these are known to cost nothing; no price is assumed for anything else.
        usd = Decimal(0) if self._provider in ("playbook", "replay") else None
        self._record(ModelCall(self._role, self._provider, self._model, input_tokens, output_tokens, usd, seconds, finish_reason, error))
