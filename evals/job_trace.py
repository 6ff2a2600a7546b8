"""The caller's side of jobs that are traced: their spans join the trace of a run, below a span of the search that asked for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan

from evals.engines.tracing import receiving
from team.ended_spans import span_of, timed_spans
from team.log import read_events
from team.rundir import RunDir
from team.settings import read_settings
from team.trace_export import Exports, resource, wished
from team.trace_ids import TraceIds, search_key
from tools.spans import TimedSpan


class JobTrace:
    """A span whose jobs are done by an engine.

    Args:
        ids: of the trace.
        span: id of the span that jobs are part of.
        emit: gets the spans of jobs as they come back.
    """

    def __init__(self, ids: TraceIds, span: int, emit: Callable[[ReadableSpan], None], what: Resource) -> None:
        self._ids, self._span, self._emit, self._resource = ids, span, emit, what

    @property
    def traceparent(self) -> str:
        return self._ids.traceparent(self._span)

    def take(self, spans: Sequence[TimedSpan], asked_at: float) -> None:
        """Hand the spans of one job on."""
        window = asked_at, time.time()
        for span in timed_spans(self._ids, self._span, by_this_clock(spans, window), window, self._resource):
            self._emit(span)


def by_this_clock(spans: Sequence[TimedSpan], window: tuple[float, float]) -> list[TimedSpan]:
    """Spans of a job by the clock of this machine: that of another may go wrong.

    Args:
        spans: the job's own is the last.
        window: when it was asked for and when its answer came, seconds since the epoch.
    """
    job = spans[-1]
    within = window[0] <= job.start and job.end <= window[1]
    ahead = 0.0 if within else (job.start + job.end) / 2 - sum(window) / 2  # as if request and answer had taken equally long
    return [span.model_copy(update={"start": span.start - ahead, "end": span.end - ahead}) for span in spans]


@contextmanager
def search_of(run: RunDir, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """A span `search NAME` below that of a run that has begun, with all jobs that are asked for in the block.

    Args:
        say: told what a collector did not take.
    """
    if run.in_use or not run.events.exists():  # its file of spans is another process's
        yield
        return
    first = next(iter(read_events(run.events)), None)
    tracker = read_settings(run.settings).mlflow_server if run.settings.exists() else None
    exports = Exports(run.traces, wished(tracker))
    ids = exports.file.trace or TraceIds.of(run.name, first.at if first else 0.0)
    own, began, what = ids.span(*search_key(name, secrets.token_hex(8))), time.time(), resource()
    error = ""
    try:
        with receiving(JobTrace(ids, own, exports.take, what)):
            yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        exports.take(span_of(ids, own, f"search {name}", ids.run, (began, time.time()), what, error=error))
        for trouble in exports.close():
            say(trouble)
