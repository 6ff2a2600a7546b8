"""What a reply carries beside AutoGen's own fields: exact usage, and what must go back to the model with its tool calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import RequestUsage


@dataclass
class TokenUsage(RequestUsage):
    """Tokens of one reply, the requests before it that came to nothing included.

    `prompt_tokens` counts all input tokens, those read from and written to a prompt cache too.
    """

    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    retries: int = 0
    """Requests that were made before the one that was answered."""
    whole: bool = True
    """False when some of it is not known, as after a request that was never answered; there is no telling its price then."""
    estimated: bool = False
    """Whether some of it was told by the length of texts, since the server counted nothing."""

    def plus(self, other: TokenUsage) -> TokenUsage:
        """Both together."""
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.retries + other.retries,
            self.whole and other.whole,
            self.estimated or other.estimated,
        )


def usage_of(usage: RequestUsage | None) -> TokenUsage:
    """Any client's usage as ours; that of a request that nobody answered is not known."""
    if usage is None:
        return TokenUsage(0, 0, whole=False)
    return usage if isinstance(usage, TokenUsage) else TokenUsage(usage.prompt_tokens, usage.completion_tokens)


@dataclass
class Call(FunctionCall):
    """A tool call with what the model said right before it. AutoGen keeps the object in the history as it is."""

    before: list[dict[str, Any]] = field(default_factory=list)
    """Blocks of text and signed thinking, in the provider's own form."""
    by: str = ""
    """Spec of the model: only the one that signed a thought can read it again."""
