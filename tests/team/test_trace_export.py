"""Where spans go: to the file in every case, and to collectors that may be down, slow or refuse without holding a run up."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from team.trace_export import Exports, SpanFile, resource, wished
from tests.collector import collector
from tests.faulty_server import answering


def span(number: int) -> ReadableSpan:
    context = SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return ReadableSpan(f"span {number}", context, resource=resource(), attributes={"n": number}, start_time=1, end_time=2)


def ids(path: Path) -> list[int]:
    return [int(json.loads(line)["context"]["span_id"], 16) for line in path.read_text().splitlines()]


def exported(folder: Path, count: int = 3, tracker: str | None = None, close_s: float = 10.0, **environment: str) -> list[str]:
    """Have so many spans go out as the environment says; the troubles."""
    exports = Exports(folder / "traces.jsonl", wished(tracker, environment), close_s)
    for number in range(1, count + 1):
        exports.take(span(number))
    troubles = exports.close()
    assert ids(folder / "traces.jsonl") == list(range(1, count + 1))
    return troubles


def test_a_collector_gets_every_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (address, seen):
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=for%20this%20test",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "penguins",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }.items():
            monkeypatch.setenv(name, value)
        assert exported(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=address) == []
    assert {(one.path, one.header) for one in seen} == {("/v1/traces", "for this test")}
    of_resource = [part for one in seen for part in one.request.resource_spans]
    assert sorted(one.name for part in of_resource for scope in part.scope_spans for one in scope.spans) == ["span 1", "span 2", "span 3"]
    facts = {pair.key: pair.value.string_value for pair in of_resource[0].resource.attributes}
    assert (facts["service.name"], facts["deployment.environment"]) == ("penguins", "test")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_the_file_alone_where_no_collector_is_wished(tmp_path: Path, environment: dict[str, str]) -> None:
    assert wished(None, environment) == []
    assert wished("http://127.0.0.1:9", {"OTEL_SDK_DISABLED": "TRUE"}) == []
    assert exported(tmp_path, **environment) == []


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER='zipkin' is not known here; expected otlp or none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:sesame@127.0.0.1:9/x?key=sesame", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "the collector at 127.0.0.1:9 did not take the trace: OTEL_EXPORTER_OTLP_PROTOCOL='grpc' is not spoken here",
        ),
    ],
)
def test_what_cannot_be_done_is_told_once_with_what_would_be(tmp_path: Path, environment: dict[str, str], told: str) -> None:
    (trouble,) = exported(tmp_path, **environment)
    assert told in trouble
    assert "3 of 3 spans are in the run's traces.jsonl alone" in trouble
    assert "sesame" not in trouble


def test_a_collector_that_is_down_or_refuses_is_told_in_our_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        (tmp_path / "down").mkdir()
        (trouble,) = exported(tmp_path / "down", close_s=2.0, OTEL_EXPORTER_OTLP_ENDPOINT=address)
        assert "the connection was refused; 3 of 3 spans" in trouble
    with answering(404) as (address, _):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        (tmp_path / "refuses").mkdir()
        (trouble,) = exported(tmp_path / "refuses", OTEL_EXPORTER_OTLP_ENDPOINT=address)
        assert "it answered 404; 3 of 3 spans" in trouble
        assert "<html>" not in trouble
    assert capfd.readouterr() == ("", ""), "OpenTelemetry's own loggers print nothing"


def test_a_collector_that_is_silent_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        exports = Exports(tmp_path / "traces.jsonl", wished(None, {"OTEL_EXPORTER_OTLP_ENDPOINT": address}), close_s=0.3)
        for number in range(1, 6_001):  # more than wait in the queue
            exports.take(span(number))
        began = time.monotonic()
        (trouble,) = exports.close()
        assert time.monotonic() - began < 30
        assert "it did not answer in time; 6000 of 6000 spans" in trouble
    assert len(ids(tmp_path / "traces.jsonl")) == 6_000


def test_the_file_goes_on_where_a_kill_tore_a_line_off(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    exported(tmp_path, 2)
    path.write_text(path.read_text() + "a line that a hand wrote\n" + '{"name": "torn')
    file = SpanFile(path)
    file.take(span(3))
    file.close()
    assert (file.written, file.trace and file.trace.trace) == ({1, 2}, 1)
    assert json.loads(path.read_text().splitlines()[-1])["name"] == "span 3"
