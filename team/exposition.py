"""Metrics of runs as Prometheus reads them.

The text format is Prometheus's 0.0.4, which `promtool check metrics` takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from team.errors import MlteamError
from team.log import read_events
from team.metric_families import Distribution, Metric, Samples
from team.run_metrics import RunMetrics
from team.rundir import RunDir

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client import Metric as Family

Read = Callable[[], Iterable["Family"]]


def families(runs: Sequence[RunMetrics]) -> Iterator[Family]:
    """Each metric once, with the samples of all runs; the first label is the run."""
    of: dict[str, tuple[Metric, list[tuple[str, Samples]]]] = {}
    for run in runs:
        for samples in run.samples():
            of.setdefault(samples.metric.name, (samples.metric, []))[1].append((run.run, samples))
    for metric, found in of.values():
        yield _family(metric, found)


def _family(metric: Metric, found: list[tuple[str, Samples]]) -> Family:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = ["run", *metric.labels]
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=labels)
        for run, samples in found:
            for values, one in samples.distributions.items():
                histogram.add_metric([run, *values], buckets(one), one.total)
        return histogram
    family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(metric.name, metric.help, labels=labels)
    for run, samples in found:
        for values, value in samples.values.items():
            family.add_metric([run, *values], value)
    return family


def buckets(one: Distribution) -> list[tuple[str, float]]:
    """Buckets as an exposition has them: each upper bound with the number of values up to it, `+Inf` last."""
    told, so_far = [], 0
    for bound, count in zip((*one.bounds, math.inf), one.counts, strict=True):
        so_far += count
        told.append(("+Inf" if bound == math.inf else repr(float(bound)), float(so_far)))
    return told


def registry(read: Read) -> CollectorRegistry:
    """A registry that asks `read` each time."""
    from prometheus_client import CollectorRegistry

    class Reader:
        def collect(self) -> Iterable[Family]:
            return read()

        def describe(self) -> list[Family]:
            return []  # so that registering asks for nothing

    made = CollectorRegistry(auto_describe=False)
    made.register(Reader())
    return made


def text(read: Read) -> str:
    """The exposition."""
    from prometheus_client import generate_latest

    return generate_latest(registry(read)).decode()


def read_metrics(run: RunDir) -> tuple[RunMetrics, str]:
    """The metrics of a run on disk, and what is wrong with its log; empty where nothing is.

    A run that nobody works on and whose log has no end counts as stopped, one whose log cannot be read to its end as damaged.
    """
    metrics = RunMetrics(run.name)
    try:
        for event in read_events(run.events):
            metrics(event)
    except (MlteamError, OSError, UnicodeDecodeError) as error:
        metrics.settle("damaged")
        return metrics, str(error)
    if not run.in_use:
        metrics.settle("stopped")
    return metrics, ""
