"""Wrappers that may ask more than once: the loop that retries, compacting and fallback share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from team.models.delegating import DelegatingClient
from team.models.provider import cancellable


class Attempts:
    """One call on its way: whom to ask next, with what, and what to make of the outcome."""

    def __init__(self, client: ChatCompletionClient, messages: Sequence[LLMMessage]) -> None:
        self.client, self.messages = client, messages

    def begin(self) -> None:
        """Raise instead of asking, where asking is useless."""

    async def failed(self, error: Exception) -> None:
        """Prepare the next attempt, or raise when there is none."""
        raise error

    def succeeded(self, result: CreateResult) -> CreateResult:
        return result


class TryingClient(DelegatingClient):
    """Asks until an attempt succeeds or `Attempts.failed` raises. A stream that has begun is not begun again."""

    component_provider_override = "team.models.trying.TryingClient"

    @abstractmethod
    def _attempts(self, messages: Sequence[LLMMessage]) -> Attempts: ...

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        return await cancellable(self._try(messages, options), options.get("cancellation_token"))

    async def _try(self, messages: Sequence[LLMMessage], options: dict[str, Any]) -> CreateResult:
        attempts = self._attempts(messages)
        while True:
            try:
                attempts.begin()
                return attempts.succeeded(await attempts.client.create(attempts.messages, **options))
            except Exception as error:
                await attempts.failed(error)

    async def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        attempts = self._attempts(messages)
        while True:
            begun = False
            try:
                attempts.begin()
                async with aclosing(attempts.client.create_stream(attempts.messages, **options)) as items:
                    async for item in items:
                        begun = True
                        yield item if isinstance(item, str) else attempts.succeeded(item)
                return
            except Exception as error:
                if begun:
                    raise
                await cancellable(attempts.failed(error), options.get("cancellation_token"))
