"""A run's metrics pushed by OTLP over HTTP, where OpenTelemetry's own variables ask for that.

They ask for it with OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, or with OTEL_METRICS_EXPORTER=otlp beside OTEL_EXPORTER_OTLP_ENDPOINT: the latter
alone often names a receiver of spans only. Interval, headers, certificates and timeout are read from their variables too. The numbers are
those of the exposition, cumulative, with `mlteam.` in place of `mlteam_`, which a Prometheus that takes OTLP turns back.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

from team.metric_families import Labels, Samples
from team.run_metrics import RunMetrics

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, MetricExporter, MetricsData, NumberDataPoint

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
USUAL_INTERVAL_MS = 60_000.0
LAST_S = 5.0
"""That the last push may take: a receiver that is down holds up no end of a run for longer."""
_PACKAGE = "opentelemetry.exporter.otlp.proto.http"
_log = logging.getLogger("mlteam.metrics")


def exporter() -> MetricExporter | None:
    """The exporter that the variables ask for; None where they ask for none, or the extra `otlp` is not installed, which is logged."""
    wanted = {name.strip() for name in os.environ.get("OTEL_METRICS_EXPORTER", "").split(",")}
    asked = bool(os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")) and "none" not in wanted
    if not asked and not ("otlp" in wanted and os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")):
        return None
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        there = find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:  # a package above it is missing
        there = False
    if not there:
        _log.warning("metrics are not pushed: the extra `otlp` is not installed. Type: pip install 'mlteam[otlp]'")
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


def interval_s() -> float:
    """Seconds between two pushes."""
    try:
        asked = float(os.environ.get(INTERVAL, ""))
    except ValueError:
        return USUAL_INTERVAL_MS / 1000
    return asked / 1000 if asked > 0 else USUAL_INTERVAL_MS / 1000


class MetricsPush:
    """Pushes from a thread of its own until it is closed, and once more then. What fails is logged by the exporter and stops nothing."""

    def __init__(self, metrics: RunMetrics, exporter: MetricExporter, every_s: float) -> None:
        self._metrics, self._exporter, self._every_s = metrics, exporter, every_s
        self._over = threading.Event()
        self._began = time.time_ns()
        self._thread = threading.Thread(target=self._work, name="metrics-push", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.wait(self._every_s):
            self._push()
        self._push()

    def _push(self) -> None:
        self._exporter.export(as_otlp(self._metrics, self._began, time.time_ns()))

    def close(self) -> None:
        """Push a last time, for five seconds at most. It can be called twice."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join(LAST_S)
            self._exporter.shutdown()


def as_otlp(metrics: RunMetrics, began_ns: int, now_ns: int) -> MetricsData:
    """The metrics as OpenTelemetry has them.

    Args:
        began_ns: since when they are counted, nanoseconds since the epoch.
        now_ns: now, likewise.
    """
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    found = [_metric(metrics.run, samples, began_ns, now_ns) for samples in metrics.samples()]
    scope = ScopeMetrics(scope=InstrumentationScope("mlteam"), metrics=found, schema_url="")
    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or "mlteam"})
    return MetricsData(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")])


def _metric(run: str, samples: Samples, began_ns: int, now_ns: int) -> Metric:
    from opentelemetry.sdk.metrics.export import AggregationTemporality, Gauge, Histogram, Metric, Sum

    declared = samples.metric
    numbers, histograms = list(_numbers(run, samples, began_ns, now_ns)), list(_histograms(run, samples, began_ns, now_ns))
    data: Gauge | Histogram | Sum
    if declared.kind == "histogram":
        data = Histogram(histograms, AggregationTemporality.CUMULATIVE)
    elif declared.kind == "counter":
        data = Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(numbers)
    return Metric(name=declared.name.replace("mlteam_", "mlteam.", 1), description=declared.help, unit="", data=data)


def _numbers(run: str, samples: Samples, began_ns: int, now_ns: int) -> Iterator[NumberDataPoint]:
    from opentelemetry.sdk.metrics.export import NumberDataPoint

    for labels, value in samples.values.items():
        yield NumberDataPoint(_attributes(run, samples, labels), began_ns, now_ns, value)


def _histograms(run: str, samples: Samples, began_ns: int, now_ns: int) -> Iterator[HistogramDataPoint]:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    for labels, one in samples.distributions.items():
        yield HistogramDataPoint(
            attributes=_attributes(run, samples, labels),
            start_time_unix_nano=began_ns,
            time_unix_nano=now_ns,
            count=sum(one.counts),
            sum=one.total,
            bucket_counts=one.counts,
            explicit_bounds=one.bounds,
            min=one.least,
            max=one.most,
        )


def _attributes(run: str, samples: Samples, labels: Labels) -> dict[str, str]:
    return dict(zip(("run", *samples.metric.labels), (run, *labels), strict=True))
