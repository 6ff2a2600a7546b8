"""What Prometheus is told: requests, seconds, rows, and how far the rows of late are from those that the model learnt from."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tools.package.drift import Baseline
from tools.package.inputs import Inputs

if TYPE_CHECKING:
    from tools.contract import TableSchema

WINDOW_ROWS = 10_000
"""Rows of late that drift is told of."""
LEAST_ROWS = 100
"""Of fewer, chance alone makes a large index of ten bins."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters of one application, in a registry of their own."""

    def __init__(self, inputs: Inputs, schema: TableSchema, baseline: Baseline) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._inputs, self._schema, self._baseline = inputs, schema, baseline
        self._late: deque[dict[str, Any]] = deque(maxlen=WINDOW_ROWS)
        self._lock = threading.Lock()
        self.registry = CollectorRegistry()
        self.requests = Counter("mlteam_requests", "Requests by path and status.", ["path", "status"], registry=self.registry)
        self.seconds = Histogram("mlteam_request_seconds", "Seconds of a request.", ["path"], buckets=SECONDS, registry=self.registry)
        self.rows = Counter("mlteam_rows", "Rows that were predicted.", registry=self.registry)
        self.going = Gauge("mlteam_requests_in_progress", "Requests that are being answered.", registry=self.registry)
        self.registry.register(self)

    def predicted(self, rows: list[dict[str, Any]]) -> None:
        """Count rows that were answered; their values are kept in memory for the drift of late, and nowhere else."""
        self.rows.inc(len(rows))
        with self._lock:
            self._late.extend(rows)

    def drift(self) -> dict[str, float]:
        """Population stability index by column, of the latest rows; empty before there were `LEAST_ROWS`."""
        from tools.columns import coerce

        with self._lock:
            late = list(self._late)
        if len(late) < LEAST_ROWS:
            return {}
        table = coerce(self._inputs.frame(late), self._schema)
        found = {}
        for name, before in self._baseline.columns.items():
            counts = [0] * len(before.shares)
            for place in before.places(table[name]):
                counts[place] += 1
            found[name] = before.distance(counts)
        return found

    def collect(self) -> Iterator[Any]:
        """The gauges that are worked out when somebody asks."""
        from prometheus_client.core import GaugeMetricFamily

        told = GaugeMetricFamily(
            "mlteam_drift_psi",
            f"Population stability index of the latest rows (up to {WINDOW_ROWS:,}) against the training rows; above 0.25 look.",
            labels=["column"],
        )
        for name, distance in self.drift().items():
            told.add_metric([name], distance)
        yield told

    def describe(self) -> list[Any]:
        return []

    def text(self) -> bytes:
        from prometheus_client import generate_latest

        return bytes(generate_latest(self.registry))
