"""How long a reply may be: enough for a call and its reason, more where code may be written. A model that rambles writes for minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage

from team.casting import Models
from team.models.delegating import DelegatingClient
from team.models.endpoint import DEFAULT_URLS, is_near, parts_of, url_of
from team.models.provider import MOST_TOKENS

CODE = ("submit_candidate", "run_python")
"""Tools that take code."""


@dataclass(frozen=True)
class Bounds:
    """Tokens of a reply."""

    reply: int
    code: int

    def of(self, tools: Sequence[Any]) -> int:
        """Those of a reply to a request that offers `tools`."""
        names = {tool["name"] if isinstance(tool, Mapping) else tool.name for tool in tools}
        return self.code if names & set(CODE) else self.reply


NEAR, FAR = Bounds(600, 900), Bounds(4_000, 8_000)
"""Of a model on this machine or in its network, which may write fifteen tokens a second, and of others, which may think first."""


def bounds_of(spec: str, models: Models) -> Bounds | None:
    """Bounds of a single model, as the settings have them; None for one that is not asked over a network."""
    if spec.partition(":")[0] not in DEFAULT_URLS:
        return None
    provider, _, given = parts_of(spec)
    usual = NEAR if is_near(url_of(provider, given)) else FAR
    return Bounds(models.reply_tokens or usual.reply, models.code_tokens or max(models.reply_tokens or 0, usual.code))


class BoundedClient(DelegatingClient):
    """Tells the model's endpoint how long the reply may be."""

    component_provider_override = "team.models.bounding.BoundedClient"

    def __init__(self, inner: ChatCompletionClient, bounds: Bounds) -> None:
        super().__init__(inner)
        self._bounds = bounds

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        extra = {MOST_TOKENS: self._bounds.of(options.get("tools", ())), **options.pop("extra_create_args", {})}
        return await self._inner.create(messages, extra_create_args=extra, **options)
