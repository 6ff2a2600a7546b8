"""The trace of an eval: a span an attempt, and of a run's own spans only those that are of one trace which nobody else has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from evals.engines.local import LocalEngine
from evals.engines.tracing import receiving
from evals.eval_trace import MOST_SPANS, EvalTrace, read_spans
from evals.launching import Job
from evals.suite import load_suite
from evals.systems import find_systems
from team.ended_spans import span_of
from team.trace_export import SpanFile, resource
from team.trace_ids import TraceIds
from tests.evals.attempted import attempt
from tests.evals.engines.chores import double, raise_one

RUN = TraceIds(7)


def job(out: Path) -> Job:
    return Job("smoke", load_suite("smoke").tasks[0], find_systems(["dummy"])[0], 0, 0, 5.0, out, out)


def wrote(out: Path, *spans: ReadableSpan) -> str:
    """A file of spans as a run writes it; its place below the folder."""
    file = SpanFile(out / "spans.jsonl")
    for span in spans:
        file.take(span)
    file.close()
    return "spans.jsonl"


def spans_of(ids: TraceIds) -> list[ReadableSpan]:
    what = resource()
    chat = span_of(ids, 2, "chat m", 1, (10.0, 11.5), what, {"n": 3, "tags": ("a", "b"), "f": 0.5}, "Broken")
    return [chat, span_of(ids, 1, "invoke_workflow mlteam", None, (9.0, 12.0), what)]


def told(out: Path, rows: list[Any]) -> list[ReadableSpan]:
    made: list[ReadableSpan] = []
    trace = EvalTrace(TraceIds(1), made.append, resource(), out)
    with receiving(trace):
        for row in rows:
            list(LocalEngine(1).run(double, [4]))
            trace.ended(job(out), row)
    return made


def test_spans_of_a_run_come_back_as_they_were_written(tmp_path: Path) -> None:
    before = spans_of(RUN)
    after = read_spans(tmp_path / wrote(tmp_path, *before), tmp_path, resource())
    for old, new in zip(before, after, strict=True):
        assert (new.name, new.context, new.parent, new.attributes) == (old.name, old.context, old.parent, old.attributes)
        assert (new.start_time, new.end_time, new.status.status_code) == (old.start_time, old.end_time, old.status.status_code)
    assert (after[0].status.status_code, after[0].kind) == (StatusCode.ERROR, SpanKind.INTERNAL)


def test_an_attempt_is_linked_to_its_run_whose_spans_follow(tmp_path: Path) -> None:
    row = attempt("t", "dummy", 0.7).model_copy(update={"traces": wrote(tmp_path, *spans_of(RUN))})
    tried, chat, root = told(tmp_path, [row])
    assert tried.attributes is not None
    assert tried.name == f"attempt {job(tmp_path)}"
    assert (tried.attributes["mlteam.score"], tried.attributes["mlteam.kind"]) == (0.7, "attempt")
    assert [link.context.trace_id for link in tried.links] == [7]
    assert (chat.name, root.parent) == ("chat m", None)


@pytest.mark.parametrize("ids", [TraceIds(1), TraceIds(7)], ids=["of the eval itself", "of another attempt's run"])
def test_no_run_writes_into_a_trace_that_is_not_its_own(tmp_path: Path, ids: TraceIds) -> None:
    (tmp_path / "first").mkdir()
    first = attempt("t", "dummy", 0.7).model_copy(update={"traces": "first/" + wrote(tmp_path / "first", *spans_of(RUN))})
    second = attempt("t", "dummy", 0.7).model_copy(update={"traces": wrote(tmp_path, *spans_of(ids))})
    made = told(tmp_path, [first, second])
    assert [span.name for span in made].count("chat m") == 1
    assert (len(made[-1].links), made[-1].name) == (0, f"attempt {job(tmp_path)}")


@pytest.mark.parametrize(
    "spans",
    [
        [*spans_of(RUN), *spans_of(TraceIds(8))],
        spans_of(RUN)[:1],
        [spans_of(RUN)[1]] * (MOST_SPANS + 1),
    ],
    ids=["of two traces", "without a first one", "too many"],
)
def test_what_is_no_trace_of_a_run_is_left_out(tmp_path: Path, spans: list[ReadableSpan]) -> None:
    row = attempt("t", "dummy", 0.7).model_copy(update={"traces": wrote(tmp_path, *spans)})
    (tried,) = told(tmp_path, [row])
    assert tried.links == ()
    (tmp_path / "spans.jsonl").write_text('{"name": "what else"}\n')
    assert len(told(tmp_path, [row, attempt("t", "dummy", None), "no such table"])) == 3


def test_an_attempt_that_failed_or_took_its_process_along_is_a_span_too(tmp_path: Path) -> None:
    made: list[ReadableSpan] = []
    trace = EvalTrace(TraceIds(1), made.append, resource(), tmp_path)
    with receiving(trace):
        list(LocalEngine(1).run(raise_one, ["plain"]))
        trace.ended(job(tmp_path), "the source does not answer")
        trace.ended(job(tmp_path), attempt("t", "dummy", None))
    assert [(span.attributes or {})["error.type"] for span in made] == ["not_made", "failed"]
    assert all(span.parent is not None and span.parent.span_id == TraceIds(1).run for span in made)
