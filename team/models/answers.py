"""A model's reply as a document of our own, and back."""

from __future__ import annotations

from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage


def write_answer(result: CreateResult) -> dict[str, Any]:
    """A reply as a document of our own: none of AutoGen's types is written into a run directory."""
    calls = [] if isinstance(result.content, str) else result.content
    return {
        "text": result.content if isinstance(result.content, str) else None,
        "calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls],
        "thought": result.thought,
        "finish_reason": result.finish_reason,
        "input_tokens": result.usage.prompt_tokens,
        "output_tokens": result.usage.completion_tokens,
    }


def read_answer(document: dict[str, Any]) -> CreateResult:
    """The reply that `write_answer` wrote."""
    calls = [FunctionCall(id=call["id"], name=call["name"], arguments=call["arguments"]) for call in document["calls"]]
    return CreateResult(
        content=calls or document["text"] or "",
        thought=document["thought"],
        finish_reason=document["finish_reason"],
        usage=RequestUsage(document["input_tokens"], document["output_tokens"]),
        cached=False,
    )
