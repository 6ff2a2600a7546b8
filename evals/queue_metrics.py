"""An eval's queue and what came of its attempts, for Prometheus: a fold over what the harness tells."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from evals.attempts import Attempt
from evals.launching import Job
from team.exposition import buckets
from team.metric_families import Distribution, Metric

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

SECONDS = (1.0, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400)
JOBS = Metric("mlteam_eval_jobs", "gauge", "Attempts that wait for room, and those that are being made.", ("suite", "state"))
SKIPPED = Metric("mlteam_eval_skipped", "gauge", "Attempts that were there before the eval began.", ("suite",))
ATTEMPTS = Metric(
    "mlteam_eval_attempts",
    "counter",
    "Attempts that ended; those of status not_made failed through no fault of the system.",
    ("suite", "system", "status"),
)
ATTEMPT_SECONDS = Metric("mlteam_eval_attempt_seconds", "histogram", "Wall-clock seconds of an attempt.", ("suite", "system"), SECONDS)
DOLLARS = Metric("mlteam_eval_cost_dollars", "counter", "Dollars of attempts, where they are known.", ("suite", "system"))
METRICS = (JOBS, SKIPPED, ATTEMPTS, ATTEMPT_SECONDS, DOLLARS)


class QueueMetrics:
    """What `evals.harness.run_plan` tells its queue to; `families` may be asked from any thread."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._lock = threading.Lock()
        self._waiting = self._running = self._skipped = 0
        self._ended: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, Distribution] = {}
        self._dollars: defaultdict[str, float] = defaultdict(float)

    def begin(self, jobs: list[Job], skipped: int) -> Iterator[Job]:
        """The jobs, each counted as running from when the engine asks for it."""
        with self._lock:
            self._waiting, self._skipped = len(jobs), skipped
        return self._handed(jobs)

    def _handed(self, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            with self._lock:
                self._waiting -= 1
                self._running += 1
            yield job

    def ended(self, name: str, row: Attempt | str) -> None:
        """Count an attempt of the system of this name that ended, with its row, or with the reason why it could not be made."""
        with self._lock:
            self._running -= 1
            self._ended[name, "not_made" if isinstance(row, str) else row.status] += 1
            if isinstance(row, Attempt):
                self._seconds.setdefault(name, Distribution(SECONDS)).observe(row.wall_s)
                self._dollars[name] += row.dollars or 0.0

    def families(self) -> Iterator[Family]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        with self._lock:
            jobs = GaugeMetricFamily(JOBS.name, JOBS.help, labels=JOBS.labels)
            jobs.add_metric([self._suite, "waiting"], self._waiting)
            jobs.add_metric([self._suite, "running"], self._running)
            skipped = GaugeMetricFamily(SKIPPED.name, SKIPPED.help, labels=SKIPPED.labels)
            skipped.add_metric([self._suite], self._skipped)
            attempts = CounterMetricFamily(ATTEMPTS.name, ATTEMPTS.help, labels=ATTEMPTS.labels)
            for (system, status), count in sorted(self._ended.items()):
                attempts.add_metric([self._suite, system, status], count)
            seconds = HistogramMetricFamily(ATTEMPT_SECONDS.name, ATTEMPT_SECONDS.help, labels=ATTEMPT_SECONDS.labels)
            for system, one in sorted(self._seconds.items()):
                seconds.add_metric([self._suite, system], buckets(one), one.total)
            dollars = CounterMetricFamily(DOLLARS.name, DOLLARS.help, labels=DOLLARS.labels)
            for system, usd in sorted(self._dollars.items()):
                dollars.add_metric([self._suite, system], usd)
        yield from (jobs, skipped, attempts, seconds, dollars)
