"""Asking again: only what may be answered in a moment, later each time, and not at all an endpoint that is known to be down.

Waiting times double and are drawn at random between half and all of it, so that many clients do not come back at once (exponential
backoff with jitter; Brooker 2015). An endpoint that failed several times in a row is left alone for a while (circuit breaker; Nygard
2007), then asked once: its answer decides.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from team.errors import ModelError, ModelOverloaded, ModelTooSlow, ModelUnreachable, UnusableReply
from team.models.endpoint import Endpoint
from team.models.reply import TokenUsage, usage_of
from team.models.trying import Attempts, TryingClient

MOST_ATTEMPTS = 5
MOST_READINGS = 2
"""Attempts where an answer came and was none, each of which is paid for, or where none came in time, each of which took minutes."""
FIRST_WAIT_S, FIRST_WAIT_BUSY_S = 0.5, 2.0
"""Before the second attempt; a busy endpoint gets longer."""
LONGEST_WAIT_S = 120.0
"""An endpoint that asks for more is not waited for."""
CALL_S = 600.0
"""Until a call has succeeded or failed, all attempts and waits together, where a single request may not take longer."""
TRIPS_AFTER = 5
"""Failures in a row after which an endpoint is left alone."""
LEFT_ALONE_S, LONGEST_LEFT_ALONE_S = 30.0, 300.0


@dataclass(frozen=True)
class Waiting:
    """How time passes. A test passes its own and waits for nothing."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    """A number from 0 up to 1."""


class Breaker:
    """Whether an endpoint is worth asking. All clients of an endpoint share one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0

    def refuses_s(self) -> float:
        """Seconds for which nobody may ask; 0 lets the caller ask, and others wait for what comes of it."""
        now = self._clock()
        if self._failures < TRIPS_AFTER:
            return 0.0
        if now < self._closed_until:
            return self._closed_until - now
        self._closed_until = now + LEFT_ALONE_S
        return 0.0

    def failed(self) -> None:
        self._failures += 1
        beyond = self._failures - TRIPS_AFTER
        if beyond >= 0:
            self._closed_until = self._clock() + min(LONGEST_LEFT_ALONE_S, LEFT_ALONE_S * 2.0 ** min(beyond, 10))

    def answered(self) -> None:
        self._failures = 0


class Breakers:
    """The breakers of one process, by address: six roles that ask the same endpoint learn from each other."""

    def __init__(self) -> None:
        self._of: dict[str, Breaker] = {}

    def of(self, endpoint: Endpoint, clock: Callable[[], float]) -> Breaker:
        return self._of.setdefault(endpoint.url, Breaker(clock))


BREAKERS = Breakers()


class PatientClient(TryingClient):
    """Retries what is transient. The usage of a reply holds what came to nothing before it."""

    component_provider_override = "team.models.patience.PatientClient"

    def __init__(
        self, inner: ChatCompletionClient, name: str, breaker: Breaker, waiting: Waiting | None = None, request_s: float = 0.0
    ) -> None:
        super().__init__(inner)
        self._name, self._breaker, self._waiting = name, breaker, waiting or Waiting()
        self._call_s = max(CALL_S, 1.5 * request_s)

    async def _try(self, messages: Sequence[LLMMessage], options: dict[str, Any]) -> CreateResult:
        try:
            async with asyncio.timeout(self._call_s):
                return await super()._try(messages, options)
        except TimeoutError:
            raise ModelUnreachable(f"{self._name} gave no reply within {self._call_s:g} s, over all attempts.") from None

    def _attempts(self, messages: Sequence[LLMMessage]) -> Attempts:
        return _Patience(self._inner, messages, self._name, self._breaker, self._waiting, self._call_s)


class _Patience(Attempts):
    def __init__(
        self,
        client: ChatCompletionClient,
        messages: Sequence[LLMMessage],
        name: str,
        breaker: Breaker,
        waiting: Waiting,
        call_s: float,
    ) -> None:
        super().__init__(client, messages)
        self._name, self._breaker, self._waiting, self._call_s = name, breaker, waiting, call_s
        self._made = 0
        self._began = waiting.clock()
        self._spent = TokenUsage(0, 0)
        self._left_alone: ModelError | None = None

    def begin(self) -> None:
        if (seconds := self._breaker.refuses_s()) > 0:
            why = f"{self._name} failed {TRIPS_AFTER} times in a row and is left alone for another {seconds:.0f} s."
            self._left_alone = ModelUnreachable(why, spent=TokenUsage(0, 0))
            raise self._left_alone
        self._made += 1

    async def failed(self, error: Exception) -> None:
        if error is self._left_alone or not isinstance(error, ModelError):
            raise error
        if isinstance(error, (ModelUnreachable, ModelOverloaded)) and error.transient:
            self._breaker.failed()
        else:
            self._breaker.answered()
        self._spent = self._spent.plus(usage_of(error.spent))
        pause = self._pause(error)
        if pause is None:
            error.spent = self._spent
            raise error
        await self._waiting.sleep(pause)
        self._spent = self._spent.plus(TokenUsage(0, 0, retries=1))

    def succeeded(self, result: CreateResult) -> CreateResult:
        self._breaker.answered()
        result.usage = self._spent.plus(usage_of(result.usage))
        return result

    def _pause(self, error: ModelError) -> float | None:
        """Seconds until the next attempt; None for none."""
        if not error.transient or self._made >= (MOST_READINGS if isinstance(error, (UnusableReply, ModelTooSlow)) else MOST_ATTEMPTS):
            return None
        draw = self._waiting.draw()
        if error.retry_after_s is not None:
            pause = error.retry_after_s * (1 + draw / 10)
            if error.retry_after_s > LONGEST_WAIT_S:
                return None
        else:
            first = FIRST_WAIT_BUSY_S if isinstance(error, ModelOverloaded) else FIRST_WAIT_S
            pause = first * 2.0 ** (self._made - 1) * (0.5 + draw / 2)
        return pause if self._waiting.clock() - self._began + pause < self._call_s else None
