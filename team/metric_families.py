"""Every metric that a run exports, and what holds its values: counts by labels, and distributions.

`run_metrics.py` counts them, `exposition.py` and `metrics_push.py` export them; `docs/observability/` is held against `METRICS`.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from typing import Literal

Labels = tuple[str, ...]
STATUSES = ("running", "paused", "stopped", "done", "failed", "interrupted", "damaged")
"""`stopped`: cut off without an end, so it can be resumed; `damaged`: its log cannot be read."""
FAILURES = (
    "tool_error",
    "tool_refused",
    "tool_timeout",
    "kernel_death",
    "kernel_restart",
    "model_error",
    "model_repair",
    "turn_failed",
    "playbook_fallback",
    "left_out",
)
"""Of failures, by kind: `model_repair` is a reply that held no call that can be made, `playbook_fallback` a turn or stage that somebody
else took over, and `left_out` a part that the run went on without."""
TOOL_SECONDS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
MODEL_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)


@dataclass(frozen=True)
class Metric:
    """One metric family, named as in an exposition but for the suffix of its samples.

    Every sample has the label `run` before these.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without infinity."""


METRICS = {
    metric.name.removeprefix("mlteam_"): metric
    for metric in (
        Metric("mlteam_run_info", "gauge", "Always 1; the labels say what made the run.", ("version", "sandbox")),
        Metric("mlteam_run_status", "gauge", "1 for the status that the run has, 0 for every other one.", ("status",)),
        Metric("mlteam_run_start_timestamp_seconds", "gauge", "When the run began, seconds since the epoch."),
        Metric("mlteam_run_last_event_timestamp_seconds", "gauge", "When the run last wrote an event, seconds since the epoch."),
        Metric("mlteam_run_resumes", "counter", "How often another process took the run up."),
        Metric("mlteam_stage", "gauge", "1 for the stage that the run is in.", ("stage",)),
        Metric("mlteam_stage_seconds", "counter", "Wall-clock seconds of stages that ended.", ("stage",)),
        Metric("mlteam_turns", "counter", "Turns that ended.", ("role", "status")),
        Metric("mlteam_model_calls", "counter", "Calls of models, the playbook among them.", ("role", "provider", "model", "status")),
        Metric("mlteam_model_retries", "counter", "Requests that were made before the one that was answered.", ("provider", "model")),
        Metric("mlteam_model_seconds", "histogram", "Seconds of a model call.", ("provider", "model"), MODEL_SECONDS),
        Metric(
            "mlteam_tokens", "counter", "Tokens of models; input counts those from a cache.", ("role", "provider", "model", "direction")
        ),
        Metric(
            "mlteam_cached_tokens",
            "counter",
            "Of the input tokens, those read from or written to a cache.",
            ("provider", "model", "access"),
        ),
        Metric("mlteam_cost_dollars", "counter", "Dollars of model calls whose price is known.", ("role", "provider", "model")),
        Metric(
            "mlteam_unpriced_model_calls",
            "counter",
            "Model calls whose price is not known, so that the dollars are too few.",
            ("provider", "model"),
        ),
        Metric(
            "mlteam_tool_seconds",
            "histogram",
            "Seconds of a tool call; its count is the number of calls.",
            ("tool", "status"),
            TOOL_SECONDS,
        ),
        Metric("mlteam_tool_calls_in_progress", "gauge", "Tool calls that are going on."),
        Metric("mlteam_approvals_waiting", "gauge", "Tool calls that wait for a person's word."),
        Metric("mlteam_cell_seconds", "histogram", "Seconds of an executed cell.", ("status",), TOOL_SECONDS),
        Metric("mlteam_work_seconds", "histogram", "Seconds of fits, refits and trials within cells.", ("work", "status"), TOOL_SECONDS),
        Metric("mlteam_cpu_seconds", "counter", "Seconds of processor time, of this process and the run's sandboxes.", ("role", "stage")),
        Metric("mlteam_gpu_seconds", "counter", "Seconds of busy graphics processors, where that can be known.", ("role", "stage")),
        Metric("mlteam_memory_byte_seconds", "counter", "Bytes of memory held, times the seconds for which.", ("role", "stage")),
        Metric("mlteam_budget_share", "gauge", "Share of a cap on models that was reached, of those that are told.", ("cap",)),
        Metric("mlteam_forecast_dollars", "gauge", "Dollars that the run was said to take before it began, where prices are known."),
        Metric("mlteam_forecast_seconds", "gauge", "Seconds that the run was said to take at most before it began."),
        Metric("mlteam_failures", "counter", "What went wrong, by kind; the run may well have gone on.", ("kind",)),
        Metric("mlteam_search_seconds", "counter", "Seconds that counted against the time for the search."),
        Metric("mlteam_search_seconds_limit", "gauge", "Seconds that the search may take in all."),
        Metric("mlteam_search_seconds_left", "gauge", "Seconds of the search that are left."),
        Metric("mlteam_candidates", "gauge", "Candidates that were scored and still count."),
        Metric("mlteam_holdout_score", "gauge", "Score of the final model on the sealed rows.", ("metric",)),
    )
}
"""By name without the prefix."""


@dataclass
class Distribution:
    """A histogram: how many values fell into each bucket, not cumulative, the last for those above every bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)


@dataclass(frozen=True)
class Samples:
    """One metric and its values at one time, by the values of its labels."""

    metric: Metric
    values: dict[Labels, float]
    distributions: dict[Labels, Distribution]
