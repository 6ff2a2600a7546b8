"""What a run has come to in numbers, as a fold over its events: the same for a run that goes on and for a log on disk.

`metric_families.py` declares what there is to count.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

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
from team.metric_families import FAILURES, METRICS, STATUSES, Distribution, Labels, Samples

_TOOL_FAILURES = {"error": "tool_error", "refused": "tool_refused", "timeout": "tool_timeout"}  # `died` is told by the kernel


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
