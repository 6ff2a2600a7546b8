"""Model clients behind one spelling: `make_client(spec)`.

Providers are imported when they are asked for, since their SDKs cost up to a second and a half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from team.errors import UsageError

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

KNOWN = ("playbook", "openai:MODEL[@BASE_URL]", "replay:RUN")


def make_client(spec: str) -> ChatCompletionClient:
    """The client that `spec` names.

    Args:
        spec: `playbook`, or `openai:MODEL` with an optional `@BASE_URL` for servers that speak OpenAI's
            Chat Completions, or `replay:RUN`, which gives the answers that models gave in an earlier run.

    Raises:
        UsageError: when the spelling is unknown.
        PrerequisiteMissing: when the provider's package is not installed, or its key is not set.
    """
    provider, _, rest = spec.partition(":")
    if spec == "playbook":
        from team.playbook import PlaybookClient

        return PlaybookClient()
    if provider == "replay" and rest:
        from pathlib import Path

        from team.models.replay import ReplayClient
        from team.playbook import PlaybookClient

        return ReplayClient(Path(rest), PlaybookClient())
    if provider == "openai" and rest:
        from team.models.openai import make_openai_client

        model, _, base_url = rest.partition("@")
        return make_openai_client(model, base_url or None)
    raise UsageError(f"model {spec!r} is unknown; expected {' or '.join(KNOWN)}.")


def provider_of(spec: str) -> tuple[str, str]:
    """Provider and model name of a spec, as traces name them."""
    provider, _, rest = spec.partition(":")
    return provider, (rest if provider == "replay" else rest.partition("@")[0]) or provider
