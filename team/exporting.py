"""A run's metrics while it goes on: counted, written to its directory, served on loopback, pushed where OpenTelemetry's variables say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from team.events import Event, RunEnded, StageEnded
from team.exposition import families, text
from team.metrics_push import MetricsPush, exporter, interval_s
from team.metrics_server import MetricsServer
from team.run_metrics import RunMetrics
from team.rundir import RunDir, write_atomic

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


class MetricsExport:
    """Subscribe it to the run's event log, and close it when the run has ended.

    Args:
        port: of 127.0.0.1 where `/metrics` is served meanwhile; None for none.
        before: events of the run that stand in its log already.

    Raises:
        UsageError: when the port cannot be had.
    """

    def __init__(self, run: RunDir, port: int | None, before: Iterable[Event] = ()) -> None:
        self._path, self._metrics = run.metrics, RunMetrics(run.name)
        for event in before:
            self._metrics(event)
        self._server = MetricsServer(self._read, port) if port is not None else None
        receiver = exporter()
        self._push = MetricsPush(self._metrics, receiver, interval_s()) if receiver is not None else None

    def _read(self) -> Iterator[Family]:
        return families([self._metrics])

    def __call__(self, event: Event) -> None:
        self._metrics(event)
        if isinstance(event, (StageEnded, RunEnded)):
            # The numbers can be made from the log again, so what is wrong with their file is nothing to end a run for.
            with contextlib.suppress(OSError):
                write_atomic(self._path, text(self._read))

    def close(self) -> None:
        """Stop serving, and push a last time. It can be called twice."""
        if self._server is not None:
            self._server.close()
        if self._push is not None:
            self._push.close()
