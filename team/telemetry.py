"""The event log as spans: run > stage > turn > model call and tool call > cell > fit and trial.

Names and attributes are those of OpenTelemetry's semantic conventions for generative AI
(https://github.com/open-telemetry/semantic-conventions-genai), with `mlteam.*` beside them. Times are those of the events, and ids follow
from what a span is of (`team.trace_ids`): events of earlier processes of a run can be gone through again, and give the same spans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from team.casting import PLAYBOOK
from team.ended_spans import PART, SCOPE, context_of, link_to, nanoseconds, timed_spans
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
    WorkTimed,
)
from team.trace_ids import RUN, Key, TraceIds, call_key, chat_key, stage_key, turn_key

CONTENT_CHARS = 4_000
"""Of each text of prompts, messages, arguments and results."""
_CUT_OFF = "cut off"
_CLASS = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,79})(?::|$)")


@dataclass
class _Open:
    """A span that goes on."""

    id: int
    name: str
    parent: str | None
    start: float
    attributes: dict[str, Any]
    kind: SpanKind = SpanKind.INTERNAL
    events: list[SpanEvent] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


class Tracer:
    """Subscribe it to a run's event log; it hands each span on when it ends.

    Args:
        run: name of the run.
        take: gets every span that has ended, once each as long as it is told what was written before.
        resource: what runs here.
        ids: of the run's trace, where an earlier process has settled them.
        before: events that stand in the log already, in order; of a fork those of its parent too.
        forked: whether the run begins now, as a fork.
        written: ids of spans that an earlier process handed on.
        capture: whether prompts, messages, arguments, results and texts of errors are part of spans.
    """

    def __init__(
        self,
        run: str,
        take: Callable[[ReadableSpan], None],
        resource: Resource,
        *,
        ids: TraceIds | None = None,
        before: Sequence[Event] = (),
        forked: bool = False,
        written: Collection[int] = (),
        capture: bool = True,
    ) -> None:
        self._run, self._take, self._resource, self._capture = run, take, resource, capture
        self._open: dict[str, _Open] = {}
        self._done = set(written)
        self._gone_before = set[int]()
        self._cells: dict[tuple[str, int], tuple[float, float]] = {}
        self._texts: list[str] = []
        self._resumes = 0
        self._stage: StageEntered | None = None
        self.ids = ids
        """Ids of the trace, once the log's first event is known."""
        self._began = before[0].at if before else None
        own = len(before) if forked else max((n for n, one in enumerate(before) if isinstance(one, RunForked)), default=0)
        for event in before[:own]:
            self._stage = event if isinstance(event, StageEntered) else self._stage
        for event in before[own:]:
            self(event)

    def __call__(self, event: Event) -> None:
        if self._began is None:
            self._began = event.at
        if self.ids is None:
            self.ids = TraceIds.of(self._run, self._began)
        match event:
            case RunStarted():
                self._begin_run(event.at, {})
            case RunForked():
                self._fork(event)
            case RunResumed():
                self._resume(event)
            case StageEntered():
                self._begin_stage(event, event.at)
            case StageEnded():
                self._end("stage", event.at, {"mlteam.outcome": event.outcome, "mlteam.search_seconds": event.search_seconds})
            case TurnStarted():
                self._begin_turn(event)
            case MessageSpoken():
                self._texts.append(event.text)
            case TurnEnded():
                self._end_turn(event)
            case ModelCalled():
                self._model_call(event)
            case ToolCalled():
                self._begin(f"call {event.call}", f"execute_tool {event.tool}", "turn", event.at, self._tool(event), call_key(event.call))
            case CellExecuted():
                self._cell(event)
            case WorkTimed():
                self._work(event)
            case ToolReturned():
                result = json.dumps(event.result, ensure_ascii=False) if event.result is not None else event.text
                facts = {"mlteam.status": event.status, **self._content("gen_ai.tool.call.result", result)}
                self._end(f"call {event.call}", event.at, facts, None if event.status == "ok" else event.status)
            case RunEnded():
                self._close(event)
            case _:
                pass

    def _begin_run(self, at: float, attributes: dict[str, Any]) -> _Open | None:
        facts = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": "mlteam",
            **PART,
            "gen_ai.conversation.id": self._run,
            "mlteam.run": self._run,
        }
        return self._begin("run", "invoke_workflow mlteam", None, at, facts | attributes, RUN)

    def _fork(self, event: RunForked) -> None:
        root = self._begin_run(event.at, {"mlteam.parent": event.parent, "mlteam.parent_turn": event.turn})
        if root is not None and self._began is not None:  # both logs begin with the same event
            ids = TraceIds.of(event.parent, self._began)
            root.links.append(link_to(ids.trace, ids.run))
        if self._stage is not None:
            self._begin_stage(self._stage, event.at)

    def _resume(self, event: RunResumed) -> None:
        """A run that was killed goes on within the spans that were open; one that was ended gets new ones, below its first."""
        self._resumes = event.times
        facts: dict[str, Any] = {"mlteam.resumed": event.times, "mlteam.away_s": event.away_s, "mlteam.in_flight": event.in_flight or ""}
        if "run" in self._open:
            self._open["run"].events.append(SpanEvent("resumed", facts, nanoseconds(event.at)))
        else:
            self._begin_run(event.at, facts)
        if self._stage is not None and "stage" not in self._open:
            self._begin_stage(self._stage, event.at)

    def _begin_stage(self, event: StageEntered, at: float) -> None:
        self._stage = event
        facts = {"mlteam.stage": event.stage, "mlteam.visit": event.visit, **PART}
        self._begin("stage", f"stage {event.stage}", "run", at, facts, stage_key(event.seq))

    def _begin_turn(self, event: TurnStarted) -> None:
        facts = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": event.role,
            "gen_ai.conversation.id": self._run,
            "mlteam.turn": event.turn,
            "mlteam.stage": event.stage,
            **self._content("gen_ai.input.messages", event.briefing, role="user"),
        }
        if self._begin("turn", f"invoke_agent {event.role}", "stage", event.at, facts, turn_key(event.seq)) is not None:
            self._texts = []

    def _end_turn(self, event: TurnEnded) -> None:
        words = self._content("gen_ai.output.messages", "\n\n".join(self._texts), role="assistant") if self._texts else {}
        self._texts = []
        self._end("turn", event.at, words, event.error or (None if event.status == "ok" else event.status))

    def _model_call(self, event: ModelCalled) -> None:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": event.provider,
            "gen_ai.request.model": event.model,
            "gen_ai.usage.input_tokens": event.input_tokens,
            "gen_ai.usage.output_tokens": event.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": event.cache_write_tokens,
            "gen_ai.response.finish_reasons": (event.finish_reason,),
            "gen_ai.agent.name": event.role,
            "gen_ai.conversation.id": self._run,
            "mlteam.retries": event.retries,
            "mlteam.tokens_estimated": event.estimated,
        }
        if event.usd is not None:
            attributes["mlteam.usd"] = event.usd
        kind = SpanKind.INTERNAL if event.provider in (PLAYBOOK, "replay") else SpanKind.CLIENT
        span = _Open(self._id(chat_key(event.seq)), f"chat {event.model}", "turn", event.at - event.seconds, attributes, kind)
        self._hand_on(span, event.at, event.error)

    def _tool(self, event: ToolCalled) -> dict[str, Any]:
        return {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.call,
            "gen_ai.agent.name": event.role,
            "gen_ai.conversation.id": self._run,
            "mlteam.where": event.where,
            **self._content("gen_ai.tool.call.arguments", json.dumps(event.arguments, ensure_ascii=False)),
        }

    def _cell(self, event: CellExecuted) -> None:
        assert self.ids is not None
        began = event.at - event.seconds
        self._cells[event.call, event.cell] = began, event.at
        facts = {"mlteam.cell": event.cell, "mlteam.status": event.status, **PART}
        span = _Open(self.ids.cell(event.call, event.cell), f"cell {event.cell}", f"call {event.call}", began, facts)
        self._hand_on(span, event.at, None if event.status == "ok" else f"{event.status}: {event.cause}" if event.cause else event.status)

    def _work(self, event: WorkTimed) -> None:
        """Spans that a cell timed itself, held within the time that the cell took."""
        window = self._cells.get((event.call, event.cell))
        if self.ids is None or window is None:
            return
        cell = self.ids.cell(event.call, event.cell)
        for span in timed_spans(self.ids, cell, event.spans, window, self._resource):
            self._emit(span)

    def _begin(self, key: str, name: str, parent: str | None, at: float, attributes: dict[str, Any], of: Key) -> _Open | None:
        """Open a span; None where it is open already, since its event was told again."""
        span_id = self._id(of)
        if key in self._open and self._open[key].id == span_id:
            return None
        links = []
        if span_id in self._gone_before:  # its run was ended in the middle, and goes on
            links = [Link(self._context_of(span_id))]
            assert self.ids is not None
            span_id = self.ids.again(of, self._resumes)
        self._end(key, at, {}, _CUT_OFF)
        self._open[key] = _Open(span_id, name, parent, at, attributes, links=links)
        return self._open[key]

    def _end(self, key: str, at: float, attributes: dict[str, Any], error: str | None = None) -> None:
        span = self._open.pop(key, None)
        if span is None:
            return
        for below in [name for name, one in self._open.items() if one.parent == key]:
            self._end(below, at, {}, _CUT_OFF)
        span.attributes |= attributes
        self._hand_on(span, at, error)

    def _close(self, event: RunEnded) -> None:
        """The run has ended, perhaps in the middle of everything."""
        error = None if event.status == "done" else event.status
        for key in [k for k in reversed(self._open) if k != "run"]:
            if key in self._open:
                self._gone_before.add(self._open[key].id)
                self._end(key, event.at, {}, error)
        if "run" in self._open:
            self._gone_before.add(self._open["run"].id)
        reason = f"{event.status}: {event.reason}" if error and event.reason else error
        self._end("run", event.at, {"mlteam.status": event.status}, reason)

    def _hand_on(self, span: _Open, at: float, error: str | None) -> None:
        status = Status(StatusCode.UNSET)
        if error is not None:
            match = _CLASS.match(error)
            span.attributes["error.type"] = match[1] if match else "_OTHER"
            status = Status(StatusCode.ERROR, error[:500] if self._capture else None)
        self._emit(
            ReadableSpan(
                span.name,
                self._context_of(span.id),
                self._parent(span),
                self._resource,
                span.attributes,
                span.events,
                span.links,
                span.kind,
                status=status,
                start_time=nanoseconds(min(span.start, at)),
                end_time=nanoseconds(at),
                instrumentation_scope=SCOPE,
            )
        )

    def _emit(self, span: ReadableSpan) -> None:
        assert span.context is not None
        if span.context.span_id not in self._done:
            self._done.add(span.context.span_id)
            self._take(span)

    def _parent(self, span: _Open) -> SpanContext | None:
        if span.parent is None:
            root = self._id(RUN)
            return None if span.id == root else self._context_of(root)
        above = next((self._open[name] for name in (span.parent, "stage", "run") if name in self._open), None)
        return self._context_of(above.id) if above else self._context_of(self._id(RUN))

    def _content(self, name: str, text: str, role: str | None = None) -> dict[str, Any]:
        """An attribute with what somebody wrote, in the shape of the conventions; nothing where content is not captured."""
        if not self._capture or not text:
            return {}
        kept = text if len(text) <= CONTENT_CHARS else f"{text[: CONTENT_CHARS // 2]}\n[...]\n{text[-CONTENT_CHARS // 2 :]}"
        if role is None:
            return {name: kept}
        message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": kept}]}
        return {name: json.dumps([message | ({"finish_reason": "stop"} if role == "assistant" else {})], ensure_ascii=False)}

    def _id(self, of: Key) -> int:
        assert self.ids is not None
        return self.ids.span(*of)

    def _context_of(self, span: int) -> SpanContext:
        assert self.ids is not None
        return context_of(self.ids.trace, span)
