"""A list of models: the first that answers does. One that refuses its key or does not exist is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, RequestUsage

from team.errors import KeyRefused, ModelError, ModelUnknown
from team.models.reply import TokenUsage, usage_of
from team.models.trying import Attempts, TryingClient

Told = Callable[[str, str, Exception], None]
"""Told that a model (its spec) did not answer, which one did instead, and why."""


class FallbackClient(TryingClient):
    """Asks the members in order, from the first again with every call.

    Args:
        members: spec and client of each.
        told: called when another member answers than the last time.
    """

    component_provider_override = "team.models.fallback.FallbackClient"

    def __init__(self, members: Sequence[tuple[str, ChatCompletionClient]], told: Told | None = None) -> None:
        super().__init__(members[0][1])
        self._members, self._told = list(members), told
        self._useless: dict[str, Exception] = {}
        self._last = members[0][0]

    def _attempts(self, messages: Sequence[LLMMessage]) -> Attempts:
        return _Descent(self, messages)

    @property
    def useful(self) -> list[tuple[str, ChatCompletionClient]]:
        """Members that are worth asking; all of them when none is."""
        return [member for member in self._members if member[0] not in self._useless] or self._members

    def forget(self, spec: str, error: Exception) -> None:
        self._useless[spec] = error

    def answered(self, spec: str, failures: dict[str, Exception]) -> None:
        for failed, error in failures.items():
            if self._told is not None and spec != self._last:
                self._told(failed, spec, error)
        self._last = spec

    def total_usage(self) -> RequestUsage:
        total = TokenUsage(0, 0)
        for _, client in self._members:
            total = total.plus(usage_of(client.total_usage()))
        return total

    def actual_usage(self) -> RequestUsage:
        return self.total_usage()

    async def close(self) -> None:
        for _, client in self._members:
            await client.close()


class _Descent(Attempts):
    def __init__(self, owner: FallbackClient, messages: Sequence[LLMMessage]) -> None:
        self._owner = owner
        self._left = list(owner.useful)
        self._failures: dict[str, Exception] = {}
        self._spec, client = self._left.pop(0)
        super().__init__(client, messages)

    async def failed(self, error: Exception) -> None:
        self._failures[self._spec] = error
        if isinstance(error, (KeyRefused, ModelUnknown)):
            self._owner.forget(self._spec, error)
        if not self._left:
            raise error if len(self._failures) == 1 else _none_answered(self._failures)
        self._spec, self.client = self._left.pop(0)

    def succeeded(self, result: CreateResult) -> CreateResult:
        self._owner.answered(self._spec, self._failures)
        return result


def _none_answered(failures: dict[str, Exception]) -> ModelError:
    spent = TokenUsage(0, 0)
    for error in failures.values():
        spent = spent.plus(usage_of(getattr(error, "spent", None)))
    return ModelError(f"none of {len(failures)} models answered: " + " ".join(str(error) for error in failures.values()), spent=spent)
