"""Where spans go: the run's own file always, and the collectors that the environment or the settings name.

The variables are those of OpenTelemetry: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `_TRACES_ENDPOINT`) switches OTLP over HTTP on, with
`_HEADERS`, `_TIMEOUT`, `_CERTIFICATE` and `_COMPRESSION` beside it; `OTEL_TRACES_EXPORTER` names exporters (`otlp`, `none`);
`OTEL_SDK_DISABLED` leaves the file alone. A collector that is down costs a run no more than `CLOSE_S` at its end.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import team
from team.log import drop_torn_line
from team.trace_ids import TraceIds

CLOSE_S = 3.0
"""For all collectors together to take what is left when a run ends."""
REQUEST_S = 4.0
"""For one request, where OTEL_EXPORTER_OTLP_TIMEOUT says nothing else."""
QUEUE, BATCH = 4096, 512
"""Spans that wait for a collector at most, and that one request carries."""
INSTALL = "pip install 'mlteam[otlp]'"
_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
)
_REASONS = (
    (r"code: (\d{3})|(?:Client|Server) error '(\d{3})", "it answered {}"),
    (r"Service Unavailable|Too Many Requests|Bad Gateway|Gateway Time", "it answered that it takes nothing now"),
    (r"refused", "the connection was refused"),
    (r"[Tt]imed? ?out|deadline", "it did not answer in time"),
    (r"resolve|Name or service", "its name is not known here"),
    (r"CERTIFICATE", "its certificate is not trusted here"),
    (r"Connection aborted|reset|closed", "the connection failed"),
)


class Unavailable(Exception):
    """A collector cannot be reached, and why, in a few words of our own."""


class Wish(NamedTuple):
    """A collector that spans are to go to.

    Attributes:
        name: as whoever reads of it knows it.
        make: makes what sends to it; called in the thread that sends, since importing it takes a moment.
    """

    name: str
    make: Callable[[], SpanExporter]


def resource() -> Resource:
    """What runs here: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` over the name and version of the project."""
    found = Resource.create({SERVICE_VERSION: team.__version__})
    if str(found.attributes.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        found = found.merge(Resource({SERVICE_NAME: "mlteam"}))
    return found


class SpanFile:
    """One JSON line a span, as OpenTelemetry's SDK writes them; written at once, so that a kill loses none that has ended."""

    def __init__(self, path: Path) -> None:
        drop_torn_line(path)
        self.trace: TraceIds | None = None
        """Of the spans that stand there already."""
        self.written: set[int] = set()
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                context = json.loads(line)["context"]
                self.written.add(int(context["span_id"], 16))
                self.trace = self.trace or TraceIds(int(context["trace_id"], 16))
            except (ValueError, KeyError, TypeError):  # a line that a hand damaged is none of ours
                continue
        self._file: TextIO = path.open("a", encoding="utf-8")

    def take(self, span: ReadableSpan) -> None:
        self._file.write(span.to_json(indent=None) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Exports:
    """The file and the collectors of one run.

    Args:
        wishes: collectors beside the file; see `wished`.
        close_s: seconds that they get when the run ends.
    """

    def __init__(self, path: Path, wishes: Sequence[Wish] = (), close_s: float = CLOSE_S) -> None:
        self.file = SpanFile(path)
        self._collectors = [_Collector(wish) for wish in wishes]
        self._close_s = close_s
        self._told = set[str]()

    def take(self, span: ReadableSpan) -> None:
        self.file.take(span)
        for collector in self._collectors:
            collector.take(span)

    def troubles(self) -> list[str]:
        """What has gone wrong with a collector, in words, once each."""
        found = {one.name: one.trouble for one in self._collectors if one.trouble and one.name not in self._told}
        self._told |= set(found)
        return list(found.values())

    def close(self) -> list[str]:
        """Send what waits, as far as there is time, and close; the troubles that were not told before."""
        until = time.monotonic() + self._close_s
        closing = [threading.Thread(target=one.close, daemon=True, name=f"close {one.name}") for one in self._collectors]
        for thread in closing:
            thread.start()
        for thread, collector in zip(closing, self._collectors, strict=True):
            thread.join(max(0.0, until - time.monotonic()))
            collector.give_up()
        self._collectors, ended = [], self._collectors
        self.file.close()
        return [one.trouble for one in ended if one.trouble and one.name not in self._told]


class _Collector(SpanExporter):
    """One collector, behind a bounded queue and a thread of its own."""

    def __init__(self, wish: Wish) -> None:
        self.name, self._make = wish
        self._exporter: SpanExporter | None = None
        self._taken = self._sent = 0
        self._why = ""
        self._said: list[str] = []
        self._given_up = False
        self._processor = BatchSpanProcessor(self, max_queue_size=QUEUE, max_export_batch_size=BATCH)

    @property
    def trouble(self) -> str:
        """What it did not take, and why; empty while it takes everything."""
        if not self._why:
            return ""
        lost = f"{self._taken - self._sent} of {self._taken} spans are in the run's traces.jsonl alone"
        return f"{self.name} did not take the trace: {self._why}; {lost}"

    def take(self, span: ReadableSpan) -> None:
        self._taken += 1
        with _listening([]):  # that a queue is full is told with all that was not sent
            self._processor.on_end(span)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._given_up:
            return SpanExportResult.FAILURE
        said = self._said = []
        try:
            with _listening(said):
                self._exporter = self._exporter or self._make()
                result = self._exporter.export(spans)
        except Unavailable as error:
            self._why = str(error)
            return SpanExportResult.FAILURE
        except Exception as error:  # whatever a library raises, the run goes on
            said.append(f"{type(error).__name__}: {error}")
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._sent += len(spans)
        else:
            self._why = _reason(said)
        return result

    def close(self) -> None:
        with _listening([]):
            self._processor.shutdown()  # type: ignore[no-untyped-call]

    def give_up(self) -> None:
        """Wait for nothing any more."""
        self._given_up = True
        if self._taken > self._sent and not self._why:
            self._why = _reason(self._said or ["timed out"])
        if self._exporter is not None:
            with _listening([]):
                self._exporter.shutdown()

    def shutdown(self) -> None:
        """Called by the processor when it has sent everything."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def wished(tracker: str | None = None, environment: Mapping[str, str] = os.environ) -> list[Wish]:
    """The collectors that the environment names, and the trace store of a tracking server.

    Args:
        tracker: address of an MLflow server.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or ""
    named = [name.strip() for name in environment.get("OTEL_TRACES_EXPORTER", "otlp" if endpoint else "none").split(",") if name.strip()]
    wishes = []
    for name in dict.fromkeys(named):
        if name == "otlp":
            wishes.append(_otlp(endpoint or "http://localhost:4318", environment))
        elif name != "none":
            why = f"OTEL_TRACES_EXPORTER={name!r} is not known here; expected otlp or none"
            wishes.append(Wish(name, _refusing(why)))
    if tracker is not None and _is_installed():
        from team.mlflow_traces import exporter_to

        wishes.append(Wish(f"MLflow at {_shown(tracker)}", lambda: exporter_to(tracker, REQUEST_S)))
    return wishes


def _otlp(endpoint: str, environment: Mapping[str, str]) -> Wish:
    name = f"the collector at {_shown(endpoint)}"
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        return Wish(name, _refusing(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r} is not spoken here; expected http/protobuf"))
    if not _is_installed():
        return Wish(name, _refusing(f"what speaks OTLP is not installed here. Type: {INSTALL}"))
    own = any(environment.get(f"OTEL_EXPORTER_OTLP_{part}TIMEOUT") for part in ("TRACES_", ""))

    def make() -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(timeout=None if own else REQUEST_S)

    return Wish(name, make)


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _refusing(why: str) -> Callable[[], SpanExporter]:
    def make() -> SpanExporter:
        raise Unavailable(why)

    return make


def _shown(address: str) -> str:
    """An address as it can stand in logs: what comes before an @ may be a password, and a query a key."""
    parts = urlsplit(address)
    return parts.netloc.rpartition("@")[2] or "an address that is none"


def _reason(said: Sequence[str]) -> str:
    """Why spans were not taken. What a server answered is not repeated: it may hold what it was sent."""
    for pattern, told in _REASONS:
        if match := re.search(pattern, "\n".join(said)):
            return told.format(next((group for group in match.groups() if group), ""))
    return "it could not be reached"


_ears = threading.local()


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Take what OpenTelemetry's own loggers say in this thread, in place of printing it."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_overhear)  # once: a filter that is there is not added again
    before, _ears.said = getattr(_ears, "said", None), said
    try:
        yield
    finally:
        _ears.said = before


def _overhear(record: logging.LogRecord) -> bool:
    said: list[str] | None = getattr(_ears, "said", None)
    if said is not None:
        said.append(record.getMessage())
    return said is None
