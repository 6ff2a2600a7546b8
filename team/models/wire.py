"""A conversation as both wire protocols can carry it: paired, alternating, with the speakers' names in the text.

Endpoints refuse what AutoGen's history may hold: a call without its result or a result without its call, a reply that comes last,
arguments that are no JSON object, empty texts. All of it is mended here, so that one odd reply does not end the turn it is part of.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from team.models.reply import Call

GO_ON = "Go on."
"""Said where a conversation would end in the model's own words, which newer endpoints refuse."""


@dataclass
class Turn:
    """What one side says: of the user, results and then text; of the model, text and then calls."""

    role: str
    texts: list[str] = field(default_factory=list)
    calls: list[FunctionCall] = field(default_factory=list)
    results: list[FunctionExecutionResult] = field(default_factory=list)

    @property
    def spoken(self) -> str:
        """All text, that which the calls carry included."""
        carried = [str(block.get("text", "")) for call in self.calls for block in before(call) if block.get("type") == "text"]
        return "\n\n".join(text for text in [*self.texts, *carried] if text.strip())


def conversation(messages: Sequence[LLMMessage]) -> tuple[str, list[Turn]]:
    """The system's text, and turns of user and model in alternation, the user's first and last."""
    system = "\n\n".join(m.content for m in messages if isinstance(m, SystemMessage))
    turns: list[Turn] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            _take_results(turns, message.content)
            continue
        _answer_open_calls(turns)
        if isinstance(message, UserMessage):
            _of(turns, "user").texts.append(f"[{message.source}] {_text(message)}")
        elif isinstance(message, AssistantMessage) and isinstance(message.content, str):
            if message.content.strip():
                _of(turns, "assistant").texts.append(message.content)
        elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            turn = _of(turns, "assistant")
            turn.calls.extend(message.content)
            if message.thought and not any(isinstance(call, Call) for call in message.content):
                turn.texts.append(message.thought)
    _answer_open_calls(turns)
    if not turns or turns[-1].role == "assistant":
        turns.append(Turn("user", [GO_ON]))
    if turns[0].role == "assistant":
        turns.insert(0, Turn("user", [GO_ON]))
    return system, turns


def before(call: FunctionCall) -> list[dict[str, Any]]:
    """What the model said right before a call, where it is known."""
    return call.before if isinstance(call, Call) else []


def _of(turns: list[Turn], role: str) -> Turn:
    """The last turn, where it is of `role`, or a new one."""
    if not turns or turns[-1].role != role:
        turns.append(Turn(role))
    return turns[-1]


def _take_results(turns: list[Turn], results: Sequence[FunctionExecutionResult]) -> None:
    calls = turns[-1].calls if turns else []
    told = {result.call_id: result for result in results}
    if any(call.id in told for call in calls):
        turns.append(Turn("user", results=[told.pop(call.id) if call.id in told else _unanswered(call) for call in calls]))
    else:
        _answer_open_calls(turns)
    for result in told.values():  # of a call that the conversation no longer holds
        _of(turns, "user").texts.append(f"[{result.name}] {result.content}")


def _answer_open_calls(turns: list[Turn]) -> None:
    if turns and turns[-1].calls:
        turns.append(Turn("user", results=[_unanswered(call) for call in turns[-1].calls]))


def _unanswered(call: FunctionCall) -> FunctionExecutionResult:
    return FunctionExecutionResult(content="The call was cut off; there is no result.", name=call.name, call_id=call.id, is_error=True)


def _text(message: UserMessage) -> str:
    parts = [message.content] if isinstance(message.content, str) else message.content
    return "\n".join(part if isinstance(part, str) else "(an image, which is not passed on)" for part in parts)


def sound(value: Any) -> Any:
    """A document with a mark for each half of a surrogate pair, which no file and no request can hold. Two halves are put together."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {sound(key): sound(inner) for key, inner in value.items()}
    return [sound(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def arguments_of(call: FunctionCall) -> dict[str, Any]:
    """Arguments as an object, also where the model wrote none: endpoints take nothing else back."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    return arguments if isinstance(arguments, dict) else {"not_an_object": arguments}


def safe_name(name: str) -> str:
    """A name or an id in the letters that endpoints allow; a model may have made up any."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unnamed"


def distinct(calls: list[FunctionCall]) -> list[FunctionCall]:
    """Calls with an id each: some servers send none, or the same one twice."""
    seen: set[str] = set()
    for call in calls:
        if not call.id or call.id in seen:
            call.id = f"call_{uuid.uuid4().hex[:12]}"
        seen.add(call.id)
    return calls


def schemas(tools: Sequence[Tool | ToolSchema]) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, description and JSON schema of each tool."""
    empty = {"type": "object", "properties": {}}
    return [(t["name"], t.get("description", ""), dict(t.get("parameters") or empty)) for t in plain(tools)]


def plain(tools: Sequence[Tool | ToolSchema]) -> list[ToolSchema]:
    """The schema of each tool."""
    return [tool.schema if isinstance(tool, Tool) else tool for tool in tools]


def closed_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema as structured output wants it: every property required, no other allowed."""

    def closed(value: Any) -> Any:
        if isinstance(value, list):
            return [closed(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        found = {key: closed(inner) for key, inner in value.items() if key != "default"}
        if found.get("type") == "object" and isinstance(found.get("properties"), dict):
            found |= {"additionalProperties": False, "required": list(found["properties"])}
        return found

    return closed(model.model_json_schema())
