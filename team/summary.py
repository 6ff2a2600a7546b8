"""What `run --json` prints, and what `show` reads: one document about one run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from reports.kept import asked, held
from team.budget import Usage
from team.caps import warning
from team.checkpoint import read_checkpoint
from team.digest import failed_gates
from team.errors import MlteamError
from team.events import BudgetWarned, Event, FellBack, ModelCalled, RunEnded, RunForked, RunResumed, RunStarted, SandboxChosen, StageEnded
from team.log import read_events
from team.resources import hours_of
from team.rundir import RunDir
from team.stages import CandidateFact, State
from tools.families import BASELINES


def summarise(run: RunDir, state: State, usage: Usage, status: str, reason: str, seconds: float) -> dict[str, Any]:
    """The summary of a run from its state, its contract and its events."""
    contract = run.read_contract()
    events = list(read_events(run.events))
    by_stage: dict[str, float] = {}
    for event in events:
        if isinstance(event, StageEnded):
            by_stage[event.stage] = round(by_stage.get(event.stage, 0.0) + event.seconds, 2)
    chosen = next((e for e in events if isinstance(e, SandboxChosen)), None)
    selected = _selected(state)
    holdout = state.holdout
    return {
        "run": str(run.path),
        "status": status,
        "reason": reason,
        "task": contract.task if contract else None,
        "target": contract.target or None if contract else None,
        "metric": contract.metric if contract else None,
        "direction": contract.direction if contract else None,
        "quantiles": contract.quantiles if contract else [],
        "holdout": holdout.model_dump(include={"score", "low", "high", "level", "n", "looks", "groups", "intervals"}) if holdout else None,
        "cv": {"score": selected.score, "std_error": selected.std_error} if selected else None,
        "baseline": _baseline(state),
        "model": selected.name if selected else None,
        "candidates": len(state.candidates),
        "rounds": len(state.rounds),
        "seconds": {**by_stage, "search": round(usage.search_s, 2), "total": round(seconds, 2)},
        "cost": {
            "usd": None if usage.usd is None else float(usage.usd),
            "usd_at_least": float(usage.least_usd),
            "unpriced_calls": usage.unpriced_calls,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": sum(event.cache_read_tokens for event in events if isinstance(event, ModelCalled)),
            "cache_write_tokens": sum(event.cache_write_tokens for event in events if isinstance(event, ModelCalled)),
            "model_calls": usage.model_calls,
            "estimated_calls": sum(isinstance(event, ModelCalled) and event.estimated for event in events),
            "warnings": [warning(event) for event in events if isinstance(event, BudgetWarned)],
        },
        "resources": _resources(events),
        "gates": {gate["gate"]: gate["verdict"] for gate in state.results.get("profile_table", {}).get("gates", [])},
        "failed_gates": failed_gates(state.results.get("profile_table", {})),
        "sandbox": chosen.sandbox if chosen else None,
        "fallbacks": [e.reason for e in events if isinstance(e, FellBack) and not e.what],
        "degradations": [e.reason for e in events if isinstance(e, FellBack) and e.what],
        "constraints": [one.model_dump(exclude={"event"}) for one in held(events)],
        "approvals": [one.model_dump(exclude={"event"}) for one in asked(events)],
        "resumed": [e.model_dump(include={"stage", "turn", "away_s", "in_flight", "damage"}) for e in events if isinstance(e, RunResumed)],
        "forked_from": next((e.parent for e in reversed(events) if isinstance(e, RunForked)), None),
        "report": str(run.report) if run.report.exists() else None,
    }


def read_summary(run: RunDir) -> dict[str, Any]:
    """The summary of a run on disk; one that did not end has status `unfinished`.

    Raises:
        MlteamError: when the log is damaged.
    """
    events = list(read_events(run.events))
    # A run that was resumed after it had been stopped has not ended yet.
    ended = next((e for e in reversed(events) if isinstance(e, (RunEnded, RunResumed))), None)
    if isinstance(ended, RunEnded) and ended.summary:
        # Where it lies may have changed since, and its report may have been cleaned away.
        return {**ended.summary, "run": str(run.path), "report": str(run.report) if run.report.exists() else None}
    started = next((e for e in events if isinstance(e, RunStarted)), None)
    state, usage = State(), Usage()
    if run.checkpoint.exists():
        with suppress(MlteamError):  # a damaged one is mended by whoever resumes the run
            checkpoint = read_checkpoint(run.checkpoint)
            state, usage = checkpoint.state, checkpoint.usage
    seconds = events[-1].at - started.at if started and events else 0.0
    return summarise(run, state, usage, "unfinished", f"it is running or was cut off in stage {state.stage}", seconds)


def _resources(events: Sequence[Event]) -> dict[str, float | None] | None:
    """Hours of the machine until the documents were written; None for runs of versions that did not count."""
    took = hours_of(events)
    if not took.measured:
        return None
    found = {"cpu_hours": took.cpu, "gpu_hours": took.gpu, "memory_gb_hours": took.memory_gb, "wall_hours": took.wall}
    return {name: None if hours is None else round(hours, 6) for name, hours in found.items()}


def _selected(state: State) -> CandidateFact | None:
    name = state.holdout.candidate if state.holdout else (state.evaluated[-1] if state.evaluated else None)
    return next((c for c in state.candidates if c.name == name), None)


def _baseline(state: State) -> dict[str, Any] | None:
    for family in dict.fromkeys(name for names in BASELINES.values() for name in names):
        for candidate in state.candidates:
            if candidate.family == family:
                return {"name": candidate.name, "score": candidate.score}
    return None
