"""The trace of an eval, where OpenTelemetry's variables name a collector: a span an attempt, each with a link to the trace of its own run.

A run within a jail has no network. Its spans come back as the file that it writes, are held to their shape, and go on from here, under the
ids that the run gave them: so what a page or a log of the run names is found in the collector too.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from evals.attempts import Attempt
from evals.engines.tracing import receiving
from evals.job_trace import by_this_clock
from evals.launching import Job
from team.ended_spans import context_of, link_to, span_of, timed_spans
from team.trace_export import Exports, resource, wished
from team.trace_ids import RUN, TraceIds
from tools.files import read_regular
from tools.spans import TimedSpan

NAME = "traces.jsonl"
MOST_SPANS, MOST_BYTES = 5_000, 16 << 20
"""Of one run."""
_TOLD = ("status", "metric", "score", "low", "high", "wall_s", "cpu_s", "peak_mb", "tokens_in", "tokens_out", "dollars", "right")
"""Of a row, beside what makes it the attempt that it is."""
_Id = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{16}$")]
_Scalar = bool | int | float | Annotated[str, StringConstraints(max_length=20_000)]


class EvalTrace:
    """Gets what jobs timed, and their rows; hands spans on.

    Args:
        ids: of the trace.
        emit: gets the spans that have ended.
        out: folder of the eval, where the traces of runs lie.
    """

    def __init__(self, ids: TraceIds, emit: Callable[[ReadableSpan], None], what: Resource, out: Path) -> None:
        self._ids, self._emit, self._resource, self._out = ids, emit, what, out
        self._timed: list[TimedSpan] = []
        self._window = (0.0, 0.0)
        self._traces = {ids.trace}
        """That have been sent: no run may write into one of them."""

    @property
    def traceparent(self) -> str:
        return self._ids.traceparent(self._ids.run)

    def take(self, spans: Sequence[TimedSpan], asked_at: float) -> None:
        """Keep what the job that has just ended timed, until its row is known."""
        self._window = asked_at, time.time()
        self._timed = by_this_clock(spans, self._window)

    def ended(self, job: Job, row: Attempt | str) -> None:
        """Hand on the span of an attempt, by its row or by the reason why it could not be made, and then those of its run."""
        now = time.time()
        timed, self._timed = self._timed, []
        own = TimedSpan(id=secrets.token_hex(8), parent="0" * 16, kind="job", start=now, end=now)  # it took its process along
        *inside, span = timed_spans(self._ids, self._ids.run, timed or [own], self._window if timed else (now, now), self._resource)
        for one in inside:
            self._emit(one)
        facts = {f"mlteam.{name}": value for name, value in job.key._asdict().items()} | dict(span.attributes or {})
        facts |= {"mlteam.kind": "attempt"}
        run, error = list[ReadableSpan](), "not_made"
        if isinstance(row, Attempt):
            told = row.model_dump(include=set(_TOLD))
            facts |= {f"mlteam.{name}": value for name, value in told.items() if value is not None}
            run = self._of_the_run(row)
            error = "" if row.status == "ok" or row.right else str(row.status)
        root = next((one for one in run if one.parent is None), None)
        assert span.context is not None
        self._emit(
            span_of(
                self._ids,
                span.context.span_id,
                f"attempt {job}"[:200],
                self._ids.run,
                ((span.start_time or 0) / 1e9, (span.end_time or 0) / 1e9),
                self._resource,
                facts,
                error,
                [link_to(root.context.trace_id, root.context.span_id)] if root is not None and root.context is not None else [],
            )
        )
        for one in run:
            self._emit(one)

    def _of_the_run(self, row: Attempt) -> list[ReadableSpan]:
        """The spans of an attempt's own run; none where it left none, or where they are not of one trace of its own."""
        if not row.traces:
            return []
        try:
            found = read_spans(self._out / row.traces, self._out, self._resource)
        except (OSError, ValueError):
            return []
        traces = {span.context.trace_id for span in found if span.context is not None}
        if len(traces) != 1 or traces & self._traces or sum(span.parent is None for span in found) != 1:
            return []
        self._traces |= traces
        return found


class _Context(BaseModel):
    trace_id: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{32}$")]
    span_id: _Id


class _Ended(BaseModel):
    status_code: str = "UNSET"
    description: Annotated[str, StringConstraints(max_length=2_000)] | None = None


class _Line(BaseModel):
    """A span as OpenTelemetry's SDK writes it; its resource, events and links are left where they are."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    name: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    context: _Context
    kind: str = "SpanKind.INTERNAL"
    parent_id: _Id | None = None
    start_time: datetime
    end_time: datetime
    status: _Ended = _Ended()
    attributes: dict[Annotated[str, StringConstraints(max_length=100)], _Scalar | list[_Scalar]] = Field({}, max_length=64)


def read_spans(path: Path, inside: Path, what: Resource) -> list[ReadableSpan]:
    """The spans that a run wrote to a file, of which nothing is believed but their shape.

    Args:
        inside: a folder above it; links within are not followed.
        what: the resource that they get.

    Raises:
        OSError: there is no such file, or it is too large.
        ValueError: a line is no span, or there are more than `MOST_SPANS`.
    """
    lines = read_regular(path, MOST_BYTES, inside=inside).splitlines()
    if len(lines) > MOST_SPANS:
        raise ValueError(f"{len(lines)} spans, expected {MOST_SPANS} at most")
    return [_span(_Line.model_validate_json(line), what) for line in lines]


def _span(line: _Line, what: Resource) -> ReadableSpan:
    trace = int(line.context.trace_id, 16)
    code = line.status.status_code
    kind = re.sub(r"^SpanKind\.", "", line.kind)
    return ReadableSpan(
        line.name,
        context_of(trace, int(line.context.span_id, 16)),
        None if line.parent_id is None else context_of(trace, int(line.parent_id, 16)),
        what,
        {name: tuple(value) if isinstance(value, list) else value for name, value in line.attributes.items()},
        kind=SpanKind[kind] if kind in SpanKind.__members__ else SpanKind.INTERNAL,
        status=Status(
            StatusCode[code] if code in StatusCode.__members__ else StatusCode.UNSET, line.status.description if code == "ERROR" else None
        ),
        start_time=int(line.start_time.timestamp() * 1e9),
        end_time=int(line.end_time.timestamp() * 1e9),
    )


@contextmanager
def eval_of(out: Path, suite: str, facts: dict[str, Any], say: Callable[[str], None]) -> Iterator[EvalTrace | None]:
    """A span `eval SUITE` with all attempts that are asked for in the block; None where no collector is named.

    Args:
        out: folder of the eval, which gets the spans as `traces.jsonl` too.
        facts: what is told of the eval.
        say: told what a collector did not take.
    """
    wishes = wished(None)
    if not wishes:
        yield None
        return
    exports, began, what = Exports(out / NAME, wishes), time.time(), resource()
    ids = TraceIds.of(f"eval {suite}", began)  # each call is a trace: one that goes on with another's rows may come days later
    trace = EvalTrace(ids, exports.take, what, out)
    error = ""
    try:
        with receiving(trace):
            yield trace
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        told = {f"mlteam.{name}": value for name, value in facts.items()}
        exports.take(span_of(ids, ids.span(*RUN), f"eval {suite}", None, (began, time.time()), what, told, error))
        for trouble in exports.close():
            say(trouble)
