"""Count and record every model call: tokens, dollars, seconds, also of calls that fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from team.models import provider_of
from team.models.delegating import DelegatingClient


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


class MeteredClient(DelegatingClient):
    """Tells `record` of every call, then hands the reply, or the exception, on. Makes every client cancellable by its token."""

    component_provider_override = "team.models.metering.MeteredClient"

    def __init__(self, inner: ChatCompletionClient, role: str, spec: str, record: Callable[[ModelCall], None]) -> None:
        super().__init__(inner)
        self._role = role
        self._provider, self._model = provider_of(spec)
        self._record = record

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        start = time.perf_counter()
        asked = asyncio.ensure_future(self._inner.create(messages, **options))
        if (token := options.get("cancellation_token")) is not None:
            token.link_future(asked)
        try:
            result = await asked
        except BaseException as error:
            self._note(0, 0, time.perf_counter() - start, "error", f"{type(error).__name__}: {error}"[:500])
            raise
        usage = result.usage
        self._note(usage.prompt_tokens, usage.completion_tokens, time.perf_counter() - start, result.finish_reason, None)
        return result

    def _note(self, input_tokens: int, output_tokens: int, seconds: float, finish_reason: str, error: str | None) -> None:
        # Only the playbook is known to cost nothing; no price is assumed for anything else.
        usd = Decimal(0) if self._provider == "playbook" else None
        self._record(ModelCall(self._role, self._provider, self._model, input_tokens, output_tokens, usd, seconds, finish_reason, error))
