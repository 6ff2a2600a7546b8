"""Spans that have ended, as OpenTelemetry has them, made after the fact: ids follow from what they are of (`team.trace_ids`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from team.trace_ids import TraceIds, timed_key
from tools.spans import TimedSpan

PART = {"openinference.span.kind": "CHAIN"}
"""Of spans that the conventions have no operation for: what Phoenix, which has names of its own, calls a step."""
SCOPE = InstrumentationScope("mlteam")


def timed_spans(
    ids: TraceIds, above: int, spans: Sequence[TimedSpan], window: tuple[float, float], resource: Resource
) -> list[ReadableSpan]:
    """What was timed elsewhere as spans of the trace, below the span `above`.

    The other side chooses neither ids nor places: ids are derived anew, a parent has to end after its child, and no time lies outside
    the window.
    """
    places = {span.id: place for place, span in enumerate(spans)}
    made = []
    for place, span in enumerate(spans):
        parent = ids.span(*timed_key(above, span.parent)) if places.get(span.parent, -1) > place else above
        attributes = {f"mlteam.{name}": value for name, value in span.facts.items()}
        subject = span.facts.get("trial") if span.kind == "trial" else span.facts.get("function") or span.facts.get("family")
        start, end = (min(max(at, window[0]), window[1]) for at in (span.start, span.end))
        name = span.kind if subject is None else f"{span.kind} {subject}"
        own = ids.span(*timed_key(above, span.id))
        made.append(span_of(ids, own, name, parent, (start, end), resource, attributes | {"mlteam.kind": span.kind}, span.error))
    return made


def span_of(
    ids: TraceIds,
    span: int,
    name: str,
    parent: int | None,
    window: tuple[float, float],
    resource: Resource,
    attributes: dict[str, Any] | None = None,
    error: str = "",
    links: Sequence[Link] = (),
) -> ReadableSpan:
    """A span that has ended.

    Args:
        parent: None for the first of its trace.
        window: its start and end, seconds since the epoch.
        error: class of the exception that ended it; empty where it went well.
        links: what it has to do with beside its parent.
    """
    return ReadableSpan(
        name,
        context_of(ids.trace, span),
        None if parent is None else context_of(ids.trace, parent),
        resource,
        {**PART, **(attributes or {}), **({"error.type": error} if error else {})},
        links=links,
        status=Status(StatusCode.ERROR if error else StatusCode.UNSET),
        start_time=nanoseconds(window[0]),
        end_time=nanoseconds(window[1]),
        instrumentation_scope=SCOPE,
    )


def link_to(trace: int, span: int) -> Link:
    """A link to a span of any trace."""
    return Link(context_of(trace, span))


def context_of(trace: int, span: int) -> SpanContext:
    """What names a span to others."""
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def nanoseconds(at: float) -> int:
    """Since the epoch, of seconds since it."""
    return int(at * 1e9)
