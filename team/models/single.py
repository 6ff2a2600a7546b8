"""One question to a model beside the turns of a team: of its words JSON or text, and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autogen_core.models import ChatCompletionClient, LLMMessage, SystemMessage, UserMessage

from team.casting import Price
from team.events import ModelCalled
from team.models.lenient import read_value
from team.models.metering import MeteredClient, ModelCall

if TYPE_CHECKING:
    from collections.abc import Mapping

Clients = Callable[[str], ChatCompletionClient]
MOST_CHARS = 12_000
"""Of a question, facts included."""


async def ask_once(
    spec: str, role: str, system: str, question: str, clients: Clients, price: Price | None, record: Callable[[ModelCalled], None]
) -> str:
    """What the model says.

    Args:
        spec: of the model, or several with commas.
        record: told what the call cost, also when it fails.

    Raises:
        MlteamError: when the model does not answer.
    """
    client = MeteredClient(clients(spec), role, spec, lambda call: record(as_event(call)), price)
    try:
        messages: list[LLMMessage] = [SystemMessage(content=system), UserMessage(content=question[:MOST_CHARS], source="user")]
        reply = await client.create(messages)
    finally:
        await client.close()
    return reply.content if isinstance(reply.content, str) else reply.thought or ""


def read_document(text: str) -> Mapping[str, Any]:
    """The JSON object in a reply, words and fences around it passed over; empty where there is none."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return {}
    try:
        value = read_value(text[start : end + 1]).value
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def as_event(call: ModelCall) -> ModelCalled:
    """A call that belongs to no turn, as the log has it."""
    facts = vars(call) | {"usd": None if call.usd is None else float(call.usd)}
    return ModelCalled(turn=0, **facts)
