"""A model's reply as a document of our own, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import CreateResult

from team.models.reply import Call, TokenUsage, usage_of


def write_answer(result: CreateResult) -> dict[str, Any]:
    """A reply as a document of our own: none of AutoGen's types is written into a run directory."""
    calls = [] if isinstance(result.content, str) else result.content
    return {
        "text": result.content if isinstance(result.content, str) else None,
        "calls": [_write_call(call) for call in calls],
        "thought": result.thought,
        "finish_reason": result.finish_reason,
        "usage": asdict(usage_of(result.usage)),
    }


def read_answer(document: dict[str, Any]) -> CreateResult:
    """The reply that `write_answer` wrote."""
    return CreateResult(
        content=[_read_call(call) for call in document["calls"]] or document["text"] or "",
        thought=document["thought"],
        finish_reason=document["finish_reason"],
        usage=_read_usage(document),
        cached=False,
    )


def _read_usage(document: dict[str, Any]) -> TokenUsage:
    usage = document.get("usage")  # earlier versions kept two counts
    return TokenUsage(**usage) if usage else TokenUsage(document.get("input_tokens", 0), document.get("output_tokens", 0))


def _write_call(call: FunctionCall) -> dict[str, Any]:
    plain = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return plain | {"before": call.before, "by": call.by} if isinstance(call, Call) else plain


def _read_call(document: dict[str, Any]) -> FunctionCall:
    return Call(**document) if "by" in document else FunctionCall(**document)
