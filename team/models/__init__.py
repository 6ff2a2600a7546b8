"""Model clients behind one spelling: `make_client(spec)`.

Providers are imported when they are first asked something, since their SDKs cost up to a second and a half. A client is layers, each
with one concern: `provider.py` asks once and types what goes wrong; `patience.py` asks again what is transient, and spares an endpoint
that is down; `compacting.py` shortens what is too long; `fallback.py` goes to the next model of a list; `metering.py` counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from team.casting import PLAYBOOK, Models, split_specs

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from team.models.patience import Breakers, Waiting
    from team.models.provider import Deadlines, Hears


def make_client(
    spec: str,
    *,
    deadlines: Deadlines | None = None,
    waiting: Waiting | None = None,
    breakers: Breakers | None = None,
    streamed: bool = False,
    hears: Hears | None = None,
) -> ChatCompletionClient:
    """The client that `spec` names.

    Args:
        spec: `playbook`, `openai:MODEL[@URL]` for OpenAI and for servers that speak its Chat Completions, or
            `anthropic:MODEL[@URL]`; with commas between them, the next one is asked where one does not answer. `replay:RUN` gives the
            answers that models gave in an earlier run.
        deadlines: of a single request; left out, the usual ones.
        waiting: clock, sleep and chance of retries.
        breakers: what is known of endpoints; left out, what this process knows.
        streamed: whether replies are streamed where only the whole is asked for, as runs have it.
        hears: told the text of streamed replies as it comes.

    Raises:
        UsageError: when the spelling is unknown.
        PrerequisiteMissing: when the provider's package is not installed, or its key is not set.
    """
    specs = split_specs(spec)
    if len(specs) > 1:
        from team.models.fallback import FallbackClient

        options: Any = {"deadlines": deadlines, "waiting": waiting, "breakers": breakers, "streamed": streamed, "hears": hears}
        return FallbackClient([(one, make_client(one, **options)) for one in specs])
    if spec == PLAYBOOK:
        from team.playbook import PlaybookClient

        return PlaybookClient()
    if spec.startswith("replay:"):
        from pathlib import Path

        from team.models.replay import ReplayClient
        from team.playbook import PlaybookClient

        return ReplayClient(Path(spec.removeprefix("replay:")), PlaybookClient())
    from team.models.compacting import CompactingClient
    from team.models.endpoint import endpoint_of
    from team.models.patience import BREAKERS, PatientClient, Waiting

    endpoint = endpoint_of(specs[0])
    waiting = waiting or Waiting()
    provider: ChatCompletionClient
    if endpoint.provider == "openai":
        from team.models.openai import OpenAIClient

        provider = OpenAIClient(endpoint, deadlines, streamed=streamed, hears=hears)
    else:
        from team.models.anthropic import AnthropicClient

        provider = AnthropicClient(endpoint, deadlines, streamed=streamed, hears=hears)
    breaker = (breakers or BREAKERS).of(endpoint, waiting.clock)
    return CompactingClient(PatientClient(provider, str(endpoint), breaker, waiting, deadlines.request_s if deadlines else 0.0))


def maker(models: Models, hears: Hears | None = None) -> Callable[[str], ChatCompletionClient]:
    """`make_client` as a run uses it: streamed, under the deadlines of its settings.

    Args:
        hears: told the text of replies as it comes.
    """

    def make(spec: str) -> ChatCompletionClient:
        from team.models.provider import Deadlines

        deadlines = Deadlines(first_s=models.first_s, stall_s=models.stall_s, request_s=models.request_s)
        return make_client(spec, deadlines=deadlines, streamed=True, hears=hears)

    return make
