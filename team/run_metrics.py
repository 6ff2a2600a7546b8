"""What a run has come to in numbers, as a fold over its events: the same for a run that goes on and for a log on disk.

`METRICS` declares every metric that a run exports. `exposition.py` and `metrics_push.py` export them.
"""

from __future__ import annotations

import bisect
import math
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Literal

from team.events import (
    ApprovalAsked,
    ApprovalDecided,
    BudgetWarned,
    CandidateScored,
    CellExecuted,
    ConstraintAdded,
    CostForecast,
    Event,
    FellBack,
    HoldoutScored,
    KernelChanged,
    ModelCalled,
    RepairAsked,
    ResourcesUsed,
    RunContinued,
    RunEnded,
    RunForked,
    RunPaused,
    RunResumed,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    TimeAdded,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
    WorkTimed,
)

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
_TOOL_FAILURES = {"error": "tool_error", "refused": "tool_refused", "timeout": "tool_timeout"}  # `died` is told by the kernel
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


class RunMetrics:
    """Subscribe it to an event log, or give it the events of one; `samples` may be asked from any thread.

    An event is counted once, however often it is told: a run that is taken up again tells some of its events anew.

    Args:
        run: name of the run directory. A fork's log begins with its parent's, whose work is not counted: it is its parent's.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self._lock = threading.Lock()
        self._seen = -1
        self._status = ""
        self._info: Labels = ("", "")
        self._open: set[str] = set()
        self._waiting: set[str] = set()
        self._candidates: set[str] = set()
        self._searched = self._limit = 0.0
        self._clear()

    def _clear(self) -> None:
        self._values: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._distributions: dict[str, dict[Labels, Distribution]] = defaultdict(dict)
        self._values["failures"].update({(kind,): 0.0 for kind in FAILURES})
        for name in ("run_resumes", "search_seconds"):
            self._values[name][()] = 0.0

    def __call__(self, event: Event) -> None:
        with self._lock:
            if event.seq > self._seen:
                self._seen = event.seq
                self._values["run_last_event_timestamp_seconds"][()] = event.at
                self._take(event)

    def settle(self, status: str) -> None:
        """Say of a run that nobody works on how it stands, where its log does not: `stopped` or `damaged`."""
        with self._lock:
            if self._status in ("", "running", "paused"):
                self._status = status

    def samples(self) -> list[Samples]:
        """Every metric that has a value now, in the order of `METRICS`."""
        with self._lock:
            values = {name: dict(found) for name, found in self._values.items()}
            values |= {
                "run_info": {self._info: 1.0},
                "run_status": {(status,): float(status == self._status) for status in STATUSES},
                "tool_calls_in_progress": {(): float(len(self._open))},
                "approvals_waiting": {(): float(len(self._waiting))},
                "search_seconds_limit": {(): self._limit},
                "search_seconds_left": {(): max(0.0, self._limit - self._searched)},
                "candidates": {(): float(len(self._candidates))},
            }
            copies = {
                name: {labels: replace(one, counts=list(one.counts)) for labels, one in found.items()}
                for name, found in self._distributions.items()
            }
        found = (Samples(metric, values.get(name, {}), copies.get(name, {})) for name, metric in METRICS.items())
        return [one for one in found if one.values or one.distributions]

    def _count(self, name: str, *labels: str, by: float = 1.0) -> None:
        self._values[name][labels] += by

    def _observe(self, name: str, value: float, *labels: str) -> None:
        found = self._distributions[name]
        if labels not in found:
            found[labels] = Distribution(METRICS[name].buckets)
        found[labels].observe(value)

    def _fail(self, kind: str) -> None:
        self._count("failures", kind)

    def _take(self, event: Event) -> None:
        match event:
            case RunStarted() | RunForked() | RunResumed() | RunPaused() | RunContinued() | TimeAdded() | RunEnded() | SandboxChosen():
                self._of_run(event)
            case StageEntered():
                self._values["stage"] = {(event.stage,): 1.0}
            case StageEnded():
                self._count("stage_seconds", event.stage, by=event.seconds)
            case TurnStarted():
                self._status = "running"
            case TurnEnded():
                self._count("turns", event.role, event.status)
                if event.status == "failed":
                    self._fail("turn_failed")
            case ModelCalled():
                self._of_model(event)
            case ToolCalled():
                self._open.add(event.call)
            case ToolReturned():
                self._returned(event)
            case CellExecuted():
                self._observe("cell_seconds", event.seconds, event.status)
            case WorkTimed():
                for span in event.spans:
                    self._observe("work_seconds", max(0.0, span.end - span.start), span.kind, "error" if span.error else "ok")
            case ResourcesUsed():
                self._used(event)
            case BudgetWarned():
                self._values["budget_share"][event.cap,] = event.share
            case CostForecast():
                self._foreseen(event)
            case ApprovalAsked():
                self._waiting.add(event.call)
            case ApprovalDecided():
                self._waiting.discard(event.call)
            case KernelChanged(change="died"):
                self._fail("kernel_death")
            case KernelChanged(change="restart"):
                self._fail("kernel_restart")
            case RepairAsked():
                self._fail("model_repair")
            case FellBack():
                self._fail("left_out" if event.what else "playbook_fallback")
            case CandidateScored():
                self._candidates.add(event.name)
            case ConstraintAdded():
                self._candidates -= set(event.excluded)
            case HoldoutScored():
                self._values["holdout_score"] = {(event.metric,): event.score}
            case _:
                pass

    def _of_run(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._status, self._limit = "running", float(event.settings.get("time", 0.0))
                self._info = (event.versions.get("mlteam", ""), "")
                self._values["run_start_timestamp_seconds"][()] = event.at
            case RunForked():
                stage = self._values["stage"]
                self._clear()
                self._status, self._limit = "running", float(event.changed.get("time", self._limit))
                self._values["stage"] = stage
                for name in ("run_start_timestamp_seconds", "run_last_event_timestamp_seconds"):
                    self._values[name][()] = event.at
                self._open, self._waiting = set(), set()
            case RunResumed():
                self._status = "running"
                self._open, self._waiting = set(), set()
                self._count("run_resumes")
            case RunPaused():
                self._status = "paused"
            case RunContinued():
                self._status = "running"
            case TimeAdded():
                self._limit = event.search_s
            case SandboxChosen():
                self._info = (self._info[0], event.sandbox)
            case RunEnded():
                self._status = event.status
                self._open, self._waiting = set(), set()
                self._values["stage"] = {}

    def _of_model(self, event: ModelCalled) -> None:
        who, model = (event.role, event.provider, event.model), (event.provider, event.model)
        self._count("model_calls", *who, "ok" if event.error is None else "error")
        self._count("tokens", *who, "input", by=event.input_tokens)
        self._count("tokens", *who, "output", by=event.output_tokens)
        self._count("cached_tokens", *model, "read", by=event.cache_read_tokens)
        self._count("cached_tokens", *model, "write", by=event.cache_write_tokens)
        self._count("model_retries", *model, by=event.retries)
        self._observe("model_seconds", event.seconds, *model)
        if event.usd is None:
            self._count("unpriced_model_calls", *model)
        else:
            self._count("cost_dollars", *who, by=event.usd)
        if event.error is not None:
            self._fail("model_error")

    def _used(self, event: ResourcesUsed) -> None:
        whose = (event.role, event.stage)
        self._count("cpu_seconds", *whose, by=event.cpu_seconds)
        self._count("memory_byte_seconds", *whose, by=event.memory_gb_seconds * 2**30)
        if event.gpu_seconds is not None:
            self._count("gpu_seconds", *whose, by=event.gpu_seconds)

    def _foreseen(self, event: CostForecast) -> None:
        self._values["forecast_seconds"][()] = event.seconds[-1]
        if event.usd is not None:
            self._values["forecast_dollars"][()] = event.usd

    def _returned(self, event: ToolReturned) -> None:
        self._open.discard(event.call)
        self._waiting.discard(event.call)
        self._observe("tool_seconds", event.seconds, event.tool, event.status)
        self._searched += event.search_seconds
        self._count("search_seconds", by=event.search_seconds)
        if (kind := _TOOL_FAILURES.get(event.status)) is not None:
            self._fail(kind)
