"""One run as a comparison sees it: what it was asked, what it did, what came of it, and what that cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.chronicle import Status
from reports.facts import RunFacts, read_facts
from reports.findings import Fact
from reports.record import CandidateRow, Holdout
from reports.winner import Winner as Winner
from team.events import Event, KernelChanged, ToolReturned
from team.log import read_events
from team.rundir import RunDir
from tools.contract import Contract


class StageTime(Fact):
    stage: str
    visits: int
    seconds: float
    search_seconds: float


class Cost(Fact):
    """What a run spent. `usd` is None when the price of any call is not known."""

    usd: float | None
    model_calls: int
    input_tokens: int
    output_tokens: int
    search_seconds: float
    seconds: float
    """Wall-clock seconds from the first event to the last."""


class Side(Fact):
    """One run among those compared."""

    label: str
    """`A`, `B`, … in the order the runs were named."""
    name: str
    run: str
    """The run directory."""
    status: Status
    reason: str
    started_at: float | None
    """Seconds since the epoch."""
    source: str | None
    sha256: str | None
    """Of the source's bytes."""
    contract: Contract | None
    settings: dict[str, Any]
    """Settled settings, nested ones with a dot; without `out`, which says where a run lies and not what it is."""
    sandbox: str | None
    versions: dict[str, str]
    holdout: Holdout | None
    cv: CandidateRow | None
    """The best score in cross-validation, whichever candidate was chosen in the end."""
    winner: Winner | None
    stages: tuple[StageTime, ...]
    rounds: int
    families: tuple[str, ...]
    """In the order they were first scored."""
    tools: dict[str, int]
    """Calls by tool."""
    candidates: dict[str, float]
    """Scores in cross-validation by candidate, the best first."""
    fallbacks: tuple[str, ...]
    troubles: tuple[str, ...]
    """What was lost or left undone on the way: dead kernels, calls that failed, fits that were cut short."""
    cost: Cost


def read_side(run: Path, label: str) -> Side:
    """Read the run directory `run`.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
    """
    place, facts = RunDir(run), read_facts(run)
    by_event = sorted(facts.leaderboard, key=lambda c: c.event)
    return Side(
        label=label,
        name=facts.name,
        run=str(place.path),
        status=facts.status,
        reason=facts.reason,
        started_at=facts.started_at,
        source=facts.manifest.source if facts.manifest else facts.settings.get("source"),
        sha256=facts.manifest.sha256 if facts.manifest else None,
        contract=facts.contract,
        settings=_flat({name: value for name, value in facts.settings.items() if name != "out"}),
        sandbox=facts.sandbox,
        versions=facts.versions,
        holdout=facts.holdout,
        cv=facts.leaderboard[0] if facts.leaderboard else None,
        winner=facts.winner,
        stages=_stages(facts),
        rounds=len(facts.rounds),
        families=tuple(dict.fromkeys(c.family for c in by_event)),
        tools=dict(sorted(Counter(call.tool for turn in facts.turns for call in turn.calls).items())),
        candidates={c.name: c.score for c in facts.leaderboard},
        fallbacks=tuple(fallback.reason for fallback in facts.fallbacks),
        troubles=tuple(_troubles(list(read_events(place.events)), facts)),
        cost=Cost(
            usd=facts.usd,
            model_calls=sum(use.calls for use in facts.models),
            input_tokens=sum(use.input_tokens for use in facts.models),
            output_tokens=sum(use.output_tokens for use in facts.models),
            search_seconds=facts.search_seconds,
            seconds=facts.seconds,
        ),
    )


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def _stages(facts: RunFacts) -> tuple[StageTime, ...]:
    found: dict[str, StageTime] = {}
    for visit in facts.stages:
        before = found.get(visit.stage)
        found[visit.stage] = StageTime(
            stage=visit.stage,
            visits=(before.visits if before else 0) + 1,
            seconds=(before.seconds if before else 0.0) + visit.seconds,
            search_seconds=(before.search_seconds if before else 0.0) + visit.search_seconds,
        )
    return tuple(found.values())


def _troubles(events: Sequence[Event], facts: RunFacts) -> list[str]:
    deaths = [str(e.facts.get("cause", "no cause known")) for e in events if isinstance(e, KernelChanged) and e.change == "died"]
    failed = Counter((e.tool, e.status) for e in events if isinstance(e, ToolReturned) and e.status in ("error", "timeout", "died"))
    cut_short = dict.fromkeys(e.tool for e in events if isinstance(e, ToolReturned) and (e.result or {}).get("cut_short") is True)
    lines = [f"the kernel died {_times(len(deaths))}, last of: {deaths[-1]}"] if deaths else []
    lines += [f"{tool} ended as {status} {_times(count)}" for (tool, status), count in sorted(failed.items())]
    lines += [f"{tool} cut a fit short at its deadline" for tool in cut_short]
    if facts.skipped:
        lines.append(
            f"{len(facts.skipped)} configurations were not trained" if len(facts.skipped) > 1 else "1 configuration was not trained"
        )
    return lines


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
