"""Metrics by OTLP: what a receiver decodes with OpenTelemetry's own messages, and a receiver that is not there."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from team.exporting import MetricsExport
from team.metrics_push import exporter, interval_s
from team.rundir import RunDir
from tests.team.a_run import logged, made_run

LONGEST_S = 60.0


class Receiver:
    """Takes OTLP over HTTP on loopback, and keeps what it decoded."""

    def __init__(self) -> None:
        self.taken: queue.Queue[ExportMetricsServiceRequest] = queue.Queue()
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.paths.append(self.path)
                receiver.taken.put(ExportMetricsServiceRequest.FromString(body))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def told(run: RunDir) -> None:
    """Fold a whole run, as a conductor would have it."""
    export = MetricsExport(run, None)
    for event in logged(run.events):
        export(event)
    export.close()
    export.close()


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    return {metric.name: metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics}


def labels(point: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


def test_the_last_push_has_the_whole_run(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.address}/v1/metrics")
    told(RunDir(made_run(tmp_path, events=())))
    found = metrics_of(receiver.taken.get(timeout=LONGEST_S))
    assert receiver.taken.empty(), "once, as the run ended before the interval"
    tokens = found["mlteam.tokens"].sum
    assert (tokens.is_monotonic, tokens.aggregation_temporality) == (True, AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE)
    by = {labels(point)["direction"]: (labels(point)["run"], point.as_double) for point in tokens.data_points}
    assert by == {"input": ("a-run", 705.0), "output": ("a-run", 30.0)}
    status = {labels(point)["status"]: point.as_double for point in found["mlteam.run_status"].gauge.data_points}
    assert [name for name, value in status.items() if value] == ["done"]
    tools = {labels(point)["status"]: point for point in found["mlteam.tool_seconds"].histogram.data_points}
    assert (tools["died"].count, tools["died"].sum, tools["died"].max) == (1, 41.0, 41.0)
    bucket = list(tools["died"].bucket_counts).index(1)
    assert tools["died"].explicit_bounds[bucket - 1] < 41.0 <= tools["died"].explicit_bounds[bucket]


def test_it_pushes_while_the_run_goes_on(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    run = RunDir(made_run(tmp_path, events=()))
    export = MetricsExport(run, None)
    try:
        for event in logged(run.events)[:12]:
            export(event)
        for _ in range(2):
            receiver.taken.get(timeout=LONGEST_S)
    finally:
        export.close()
    assert set(receiver.paths) == {"/v1/metrics"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_METRICS_EXPORTER": "otlp"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nobody_is_pushed_to_unasked(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exporter() is None


def test_a_receiver_that_is_down_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9/v1/metrics")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1")
    run = RunDir(made_run(tmp_path, events=()))
    told(run)
    assert 'status="done"} 1.0' in run.metrics.read_text()


@pytest.mark.parametrize(("asked", "seconds"), [("", 60.0), ("5000", 5.0), ("soon", 60.0), ("-1", 60.0)])
def test_the_interval(asked: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", asked)
    assert interval_s() == seconds
