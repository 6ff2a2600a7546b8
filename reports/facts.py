"""A run directory as typed facts: everything that a document says about a run, and the events it rests on.

Works on a run that is still going on, failed or was cut off: what is not known yet is None or empty.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from reports.bought import Bought, bought
from reports.conversation import Turn, read_turns
from reports.findings import (
    Evaluation,
    Explanation,
    Fact,
    LearningCurve,
    Nested,
    Plan,
    Preparation,
    Profile,
    Skipped,
    Slices,
    Standings,
    Structure,
    last_result,
    read_skipped,
)
from reports.plots import Plot, list_plots
from reports.record import (
    Attempt,
    CandidateRow,
    Fallback,
    Holdout,
    Look,
    Manifest,
    ModelUse,
    Optimism,
    Package,
    Resume,
    ReviewFact,
    Round,
    StageFact,
)
from team.events import (
    AttemptMade,
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    ModelCalled,
    OptimismEstimated,
    Reviewed,
    RoundEnded,
    RunEnded,
    RunForked,
    RunResumed,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.log import read_events
from team.rundir import RunDir
from tools.candidates import CODE
from tools.constraints import FLOORS
from tools.contract import Contract
from tools.families import LINEAR
from tools.tradeoffs import Option, TradeOffs, weigh

Status = Literal["done", "failed", "stopped_by_budget", "interrupted", "unfinished"]
BASELINE_FAMILIES = (*LINEAR, *FLOORS)
E = TypeVar("E", bound=BaseModel)


class RunFacts(Fact):
    """All of a run."""

    name: str
    folder: str
    """The run directory as the user named it, or where it was resumed when that was somewhere else."""
    status: Status
    reason: str
    stage: str | None
    """The stage that an unfinished run stands in."""
    started_at: float | None
    """Seconds since the epoch."""
    seconds: float
    """Wall-clock seconds that it was at work, without those between being cut off and being resumed."""
    settings: dict[str, Any]
    versions: dict[str, str]
    sandbox: str | None
    sandbox_why: str
    contract: Contract | None
    manifest: Manifest | None
    rows_without_target: int
    plan: Plan | None
    profile: Profile | None
    preparation: Preparation | None
    skipped: tuple[Skipped, ...]
    stages: tuple[StageFact, ...]
    turns: tuple[Turn, ...]
    leaderboard: tuple[CandidateRow, ...]
    """Best first."""
    rounds: tuple[Round, ...]
    attempts: tuple[Attempt, ...]
    """Models that roles wrote as code, those that failed included."""
    reviews: tuple[ReviewFact, ...]
    evaluation: Evaluation | None
    """Of the candidate that was scored on the holdout, or of the last one evaluated."""
    slices: Slices | None
    explanation: Explanation | None
    curve: LearningCurve | None
    standings: Standings | None
    """How it stands beside the best of the other families."""
    nested: Nested | None
    """What the search is worth on rows that had no part in it, where a role asked."""
    structure: Structure | None
    """These four, where a role asked for them, of the same candidate."""
    holdout: Holdout | None
    optimism: Optimism | None
    """What the score in cross-validation owes to the pick, where the host could tell."""
    looks: tuple[Look, ...]
    sections: dict[str, str]
    """The writer's prose by slot."""
    fallbacks: tuple[Fallback, ...]
    """Where somebody else took over."""
    degradations: tuple[Fallback, ...]
    """Where the run went on with less."""
    resumes: tuple[Resume, ...]
    """When the run was taken up after it had been cut off."""
    parent: str | None
    """The run that it was forked from."""
    models: tuple[ModelUse, ...]
    plots: tuple[Plot, ...]
    package: Package | None
    events: int
    """Number of events in the log."""

    @property
    def selected(self) -> CandidateRow | None:
        """The candidate that was scored on the holdout, else the last one evaluated, else the best so far."""
        name = self.holdout.candidate if self.holdout else self.evaluation.candidate if self.evaluation else None
        found = next((c for c in self.leaderboard if c.name == name), None)
        return found or (self.leaderboard[0] if self.leaderboard else None)

    @property
    def baselines(self) -> tuple[CandidateRow, ...]:
        """The best linear model and the floor of the baseline stage."""
        rows = [c for c in self.leaderboard if c.stage == "baseline"]
        first = [next((c for c in rows if c.family == family), None) for family in BASELINE_FAMILIES]
        return tuple(c for c in first if c is not None)

    @property
    def bought(self) -> Bought | None:
        """What language models added; None where the playbook alone spoke."""
        if self.contract is None:
            return None
        maximize = self.contract.direction == "maximize"
        return bought(self.models, self.leaderboard, self.usd, self.contract.folds, maximize=maximize)

    @property
    def tradeoffs(self) -> TradeOffs | None:
        """Score against what it costs; None before anything was measured, and in older runs."""
        options = [
            Option(
                name=c.name,
                family=c.family,
                score=c.score,
                std_error=c.std_error,
                latency_ms=c.latency_ms,
                size_mb=c.size_mb,
                disparity=c.disparity.get("tpr", c.disparity.get("error")),
            )
            for c in self.leaderboard
            if c.family != "dummy" and c.latency_ms is not None and c.size_mb is not None
        ]
        return weigh(options, maximize=self.contract is None or self.contract.direction == "maximize")

    @property
    def seconds_by_stage(self) -> dict[str, float]:
        """Wall-clock seconds of all ended visits of a stage, in the order the stages were entered."""
        total: dict[str, float] = {}
        for visit in self.stages:
            total[visit.stage] = total.get(visit.stage, 0.0) + visit.seconds
        return total

    @property
    def search_seconds(self) -> float:
        """Seconds that counted against the search budget."""
        return sum(call.search_seconds for turn in self.turns for call in turn.calls)

    @property
    def usd(self) -> float | None:
        """Cost of all model calls in dollars, or None when the price of any is not known."""
        return _total([use.usd for use in self.models])

    @property
    def tokens(self) -> int:
        return sum(use.input_tokens + use.output_tokens for use in self.models)


def _folder(place: RunDir, events: Sequence[Event]) -> str:
    """As the log tells, so that documents are the same wherever a run lies when they are written."""
    for event in reversed(events):
        if isinstance(event, RunResumed) and event.folder:
            return event.folder
        if isinstance(event, RunStarted):
            return f"{str(event.settings.get('out', 'runs')).rstrip('/')}/{event.run}"
    return place.name


def _seconds(events: Sequence[Event]) -> float:
    """Time at work. A clock that was set back while the run went on, or stood still, takes nothing away."""
    last = events[-1] if events else None
    if isinstance(last, RunEnded) and not any(isinstance(event, RunResumed) for event in events):
        return last.seconds
    pairs = itertools.pairwise(events)
    return sum(max(0.0, after.at - before.at) for before, after in pairs if not isinstance(after, RunResumed))


def read_facts(run: Path) -> RunFacts:
    """Read the run directory `run`.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
    """
    place = RunDir(run)
    events = list(read_events(place.events))
    started = _last(events, RunStarted)
    chosen = _last(events, SandboxChosen)
    contract = Contract.model_validate_json(place.contract.read_text(encoding="utf-8")) if place.contract.exists() else None
    manifest, plan = _json(place.manifest), _json(place.plan)
    holdout = _last(events, HoldoutScored)
    status, reason = run_status(events)
    stages = _stages(events)
    sealed = last_result(events, "seal_holdout")
    profile, preparation = last_result(events, "profile_table"), last_result(events, "prepare")
    fallbacks = [Fallback(stage=e.stage, role=e.role, reason=e.reason, what=e.what, event=e.seq) for e in events if isinstance(e, FellBack)]
    package = last_result(events, "package_model")
    having = {"candidate": holdout.candidate} if holdout else {}
    evaluation = last_result(events, "evaluate", **having)
    slices, explanation, curve = (last_result(events, tool, **having) for tool in ("find_slices", "explain", "learning_curve"))
    standings = last_result(events, "compare_models", **({"leader": holdout.candidate} if holdout else {}))
    nested = last_result(events, "nested_score")
    structure = last_result(events, "examine_structure", **having)
    return RunFacts(
        name=started.run if started else place.name,
        folder=_folder(place, events),
        status=status,
        reason=reason,
        stage=stages[-1].stage if stages and stages[-1].outcome is None else None,
        started_at=events[0].at if events else None,
        seconds=_seconds(events),
        settings=started.settings if started else {},
        versions=started.versions if started else {},
        sandbox=chosen.sandbox if chosen else None,
        sandbox_why=chosen.why if chosen else "",
        contract=contract,
        manifest=Manifest.model_validate(manifest) if manifest else None,
        rows_without_target=int(sealed[1].get("rows_without_target", 0)) if sealed else 0,
        plan=Plan.model_validate(plan) if plan else None,
        profile=Profile.model_validate({**profile[1], "event": profile[0]}) if profile else None,
        preparation=Preparation.model_validate({**preparation[1], "event": preparation[0]}) if preparation else None,
        skipped=read_skipped(events),
        stages=stages,
        turns=read_turns(events),
        leaderboard=_leaderboard(events, contract),
        rounds=_rounds(events),
        attempts=tuple(Attempt(**e.model_dump(exclude={"kind", "seq", "at"}), event=e.seq) for e in events if isinstance(e, AttemptMade)),
        reviews=tuple(
            ReviewFact(stage=e.stage, verdict=e.verdict, findings=tuple(e.findings), back_to=e.back_to, event=e.seq)
            for e in events
            if isinstance(e, Reviewed)
        ),
        evaluation=Evaluation.model_validate({**evaluation[1], "event": evaluation[0]}) if evaluation else None,
        slices=Slices.model_validate({**slices[1], "event": slices[0]}) if slices else None,
        explanation=Explanation.model_validate({**explanation[1], "event": explanation[0]}) if explanation else None,
        standings=Standings.model_validate({**standings[1], "event": standings[0]}) if standings else None,
        nested=Nested.model_validate({**nested[1], "event": nested[0]}) if nested else None,
        curve=LearningCurve.model_validate({**curve[1], "event": curve[0]}) if curve else None,
        structure=Structure.model_validate({**structure[1], "event": structure[0]}) if structure else None,
        holdout=_holdout(holdout),
        optimism=_optimism(_last(events, OptimismEstimated)),
        looks=_looks(place.vault / "ledger.jsonl"),
        sections={str(slot): str(text) for slot, text in (_json(place.sections) or {}).items()},
        resumes=tuple(
            Resume(**e.model_dump(include={"turn", "stage", "away_s", "in_flight", "damage"}), event=e.seq)
            for e in events
            if isinstance(e, RunResumed)
        ),
        parent=next((e.parent for e in reversed(events) if isinstance(e, RunForked)), None),
        fallbacks=tuple(one for one in fallbacks if not one.what),
        degradations=tuple(one for one in fallbacks if one.what),
        models=_models(events),
        plots=list_plots(place),
        package=Package.model_validate({**package[1], "event": package[0]}) if package else None,
        events=len(events),
    )


def run_status(events: Sequence[Event]) -> tuple[Status, str]:
    """How the run ended. An end that turns follow, as after `mlteam resume`, is none."""
    for event in reversed(events):
        if isinstance(event, RunEnded):
            return event.status, event.reason
        if isinstance(event, (TurnStarted, RunResumed)):
            break
    return "unfinished", ""


def _stages(events: Sequence[Event]) -> tuple[StageFact, ...]:
    found: dict[tuple[str, int], StageFact] = {}
    for event in events:
        if isinstance(event, StageEntered):
            found[event.stage, event.visit] = StageFact(
                stage=event.stage, visit=event.visit, outcome=None, seconds=0.0, search_seconds=0.0, event=event.seq
            )
        elif isinstance(event, StageEnded):
            found[event.stage, event.visit] = StageFact(
                stage=event.stage,
                visit=event.visit,
                outcome=event.outcome,
                seconds=event.seconds,
                search_seconds=event.search_seconds,
                event=event.seq,
            )
    return tuple(found.values())


def _leaderboard(events: Sequence[Event], contract: Contract | None) -> tuple[CandidateRow, ...]:
    """Candidates best first; one that a resumed run scored again counts once."""
    rows: dict[str, CandidateRow] = {}
    for event in events:
        if isinstance(event, CandidateScored):
            facts = event.model_dump(exclude={"kind", "seq", "at"})
            rows[event.name] = CandidateRow.model_validate({**facts, "event": event.seq})
    maximize = contract is None or contract.direction == "maximize"
    return tuple(sorted(rows.values(), key=lambda c: (-c.score if maximize else c.score, c.name)))


def _rounds(events: Sequence[Event]) -> tuple[Round, ...]:
    tuned: list[str] = []
    asked: dict[str, str] = {}
    rounds: dict[int, Round] = {}
    for event in events:
        if isinstance(event, ToolCalled) and event.tool in ("tune", "submit_candidate"):
            asked[event.call] = str(event.arguments.get("family", CODE))
        elif isinstance(event, ToolReturned) and event.call in asked and event.status == "ok":
            tuned.append(asked[event.call])
        elif isinstance(event, RoundEnded):
            families = tuple(dict.fromkeys(tuned))
            facts = event.model_dump(include={"round", "gain", "noise", "margin", "candidates"})
            rounds[event.round] = Round(**facts, families=families, event=event.seq)
            tuned = []
    return tuple(rounds.values())


def _holdout(event: HoldoutScored | None) -> Holdout | None:
    return Holdout.model_validate({**event.model_dump(exclude={"kind", "seq", "at"}), "event": event.seq}) if event else None


def _optimism(event: OptimismEstimated | None) -> Optimism | None:
    return Optimism.model_validate({**event.model_dump(exclude={"kind", "seq", "at", "resamples"}), "event": event.seq}) if event else None


def _looks(ledger: Path) -> tuple[Look, ...]:
    lines = ledger.read_text(encoding="utf-8").split("\n")[:-1] if ledger.exists() else []
    return tuple(Look.model_validate_json(line) for line in lines)


def _models(events: Sequence[Event]) -> tuple[ModelUse, ...]:
    grouped: dict[tuple[str, str], list[ModelCalled]] = {}
    for event in events:
        if isinstance(event, ModelCalled):
            grouped.setdefault((event.role, event.model), []).append(event)
    return tuple(
        ModelUse(
            role=role,
            model=model,
            calls=len(calls),
            failed=sum(call.error is not None for call in calls),
            input_tokens=sum(call.input_tokens for call in calls),
            output_tokens=sum(call.output_tokens for call in calls),
            usd=_total([call.usd for call in calls]),
            seconds=sum(call.seconds for call in calls),
        )
        for (role, model), calls in grouped.items()
    )


def _total(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _last(events: Sequence[Event], kind: type[E]) -> E | None:
    return next((event for event in reversed(events) if isinstance(event, kind)), None)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
