"""The event log as OpenTelemetry spans: run > stage > turn > model call and tool call > cell.

Spans are made from the events' own times, with the attribute names of OpenTelemetry's GenAI semantic conventions, by a
tracer provider of the run's own, and go to `traces.jsonl`, one span a line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from team.events import (
    CellExecuted,
    Event,
    MessageSpoken,
    ModelCalled,
    RunEnded,
    RunForked,
    RunResumed,
    RunStarted,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)

ARGUMENT_CHARS = 2_000


class FileExporter(SpanExporter):
    """Writes each span as one JSON line."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._file.write(json.dumps(json.loads(span.to_json()), separators=(",", ":")) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


class Tracer:
    """Subscribe it to an event log; it ends its spans when the run ends. Close it after that."""

    def __init__(self, path: Path) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "mlteam"}))
        self._provider.add_span_processor(SimpleSpanProcessor(FileExporter(path)))
        self._tracer = self._provider.get_tracer("mlteam")
        self._open: dict[str, Span] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin("run", f"run {event.run}", None, event.at, {"mlteam.run": event.run})
            case RunResumed():
                self._begin("run", "run resumed", None, event.at, {"mlteam.resumed": event.times, "mlteam.turn": event.turn})
                self._begin("stage", f"stage {event.stage}", "run", event.at, {"mlteam.stage": event.stage})
            case RunForked():
                self._begin("run", f"fork of {event.parent}", None, event.at, {"mlteam.parent": event.parent, "mlteam.turn": event.turn})
            case StageEntered():
                facts = {"mlteam.stage": event.stage, "mlteam.visit": event.visit}
                self._begin("stage", f"stage {event.stage}", "run", event.at, facts)
            case StageEnded():
                self._end("stage", event.at, {"mlteam.outcome": event.outcome, "mlteam.search_seconds": event.search_seconds})
            case TurnStarted():
                facts = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": event.role, "mlteam.turn": event.turn}
                self._begin("turn", f"invoke_agent {event.role}", "stage", event.at, facts)
            case MessageSpoken() if "turn" in self._open:
                self._open["turn"].add_event("message", {"mlteam.text": event.text[:ARGUMENT_CHARS]}, timestamp=_ns(event.at))
            case TurnEnded():
                self._end("turn", event.at, {}, event.error)
            case ModelCalled():
                self._model_call(event)
            case ToolCalled():
                self._begin(event.call, f"execute_tool {event.tool}", "turn", event.at, _tool(event))
            case CellExecuted():
                facts = {"mlteam.cell": event.cell, "mlteam.status": event.status}
                span = self._child(f"cell {event.cell}", event.call, event.at - event.seconds, facts)
                self._finish(span, event.at, None if event.status == "ok" else event.cause or event.status)
            case ToolReturned():
                self._end(event.call, event.at, {"mlteam.status": event.status}, None if event.status == "ok" else event.status)
            case RunEnded():
                self._close(event)
            case _:
                pass

    def _begin(self, key: str, name: str, parent: str | None, at: float, attributes: dict[str, Any]) -> None:
        self._open[key] = self._child(name, parent, at, attributes)

    def _child(self, name: str, parent: str | None, at: float, attributes: dict[str, Any], kind: SpanKind = SpanKind.INTERNAL) -> Span:
        above = self._open.get(parent or "") or self._open.get("stage") or self._open.get("run")
        context = trace.set_span_in_context(above) if above and parent else None
        return self._tracer.start_span(name, context=context, kind=kind, attributes=attributes, start_time=_ns(at))

    def _end(self, key: str, at: float, attributes: dict[str, Any], error: str | None = None) -> None:
        span = self._open.pop(key, None)
        if span is not None:
            span.set_attributes(attributes)
            self._finish(span, at, error)

    def _finish(self, span: Span, at: float, error: str | None) -> None:
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
            span.set_attribute("error.type", error[:100])
        span.end(end_time=_ns(at))

    def _model_call(self, event: ModelCalled) -> None:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": event.provider,
            "gen_ai.request.model": event.model,
            "gen_ai.usage.input_tokens": event.input_tokens,
            "gen_ai.usage.output_tokens": event.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": event.cache_write_tokens,
            "mlteam.retries": event.retries,
            "gen_ai.response.finish_reasons": [event.finish_reason],
            "gen_ai.agent.name": event.role,
        }
        if event.usd is not None:
            attributes["mlteam.usd"] = event.usd
        span = self._child(f"chat {event.model}", "turn", event.at - event.seconds, attributes, SpanKind.CLIENT)
        self._finish(span, event.at, event.error)

    def _close(self, event: RunEnded) -> None:
        for key in [k for k in reversed(self._open) if k != "run"]:
            self._end(key, event.at, {}, event.status if event.status != "done" else None)
        self._end("run", event.at, {"mlteam.status": event.status}, event.reason or event.status if event.status != "done" else None)

    def close(self) -> None:
        """Close the file. Spans that are still open are lost, as those of a run that never began are meant to be."""
        self._provider.shutdown()


def _tool(event: ToolCalled) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.tool,
        "gen_ai.tool.call.id": event.call,
        "gen_ai.tool.call.arguments": json.dumps(event.arguments, ensure_ascii=False)[:ARGUMENT_CHARS],
        "gen_ai.agent.name": event.role,
        "mlteam.where": event.where,
    }


def _ns(at: float) -> int:
    return int(at * 1e9)
