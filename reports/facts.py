"""A run directory as typed facts: everything that a document says about a run, and the events it rests on.

Works on a run that is still going on, failed or was cut off: what is not known yet is None or empty.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from reports.bought import Bought, bought
from reports.candidate_findings import Evaluation, LearningCurve, Nested, Slices, Standings
from reports.chronicle import (
    Status,
    folder_of,
    last,
    leaderboard,
    model_uses,
    role_times,
    round_facts,
    run_status,
    seconds_at_work,
    stage_facts,
    stage_uses,
    total,
)
from reports.conversation import Turn, read_turns
from reports.explanations import Explanation, Structure
from reports.findings import Fact, Plan, Skipped, last_result, read_skipped
from reports.kept import Asked, Held, asked, held
from reports.plots import Plot, list_plots
from reports.record import (
    Attempt,
    CandidateRow,
    Fallback,
    Foreseen,
    Grown,
    Holdout,
    ListPrice,
    Look,
    MachineUse,
    Manifest,
    ModelUse,
    Objection,
    Optimism,
    Package,
    Resume,
    ReviewFact,
    RoleTime,
    Round,
    StageFact,
    StageUse,
    Warned,
)
from reports.spent import foreseen, machine_use, prices_of
from reports.table_findings import Lineage, Preparation, Profile, StepsTried
from reports.trials import Search, read_search
from reports.winner import Winner, read_winner
from team.caps import warning
from team.events import (
    AttemptMade,
    BudgetWarned,
    CostForecast,
    Event,
    FellBack,
    HoldoutScored,
    ModelCalled,
    ObjectionAnswered,
    ObjectionRaised,
    OptimismEstimated,
    Reviewed,
    RunForked,
    RunResumed,
    RunStarted,
    SandboxChosen,
)
from team.log import read_events
from team.rundir import RunDir
from tools.constraints import FLOORS
from tools.contract import Contract
from tools.families import LINEAR
from tools.files import read_regular
from tools.tradeoffs import Option, TradeOffs, weigh

MAX_LINEAGE_BYTES = 1 << 20
BASELINE_FAMILIES = (*LINEAR, *FLOORS)
F = TypeVar("F", bound=Fact)


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
    steps_tried: StepsTried | None
    lineage: Lineage | None
    skipped: tuple[Skipped, ...]
    stages: tuple[StageFact, ...]
    turns: tuple[Turn, ...]
    leaderboard: tuple[CandidateRow, ...]
    """Best first."""
    winner: Winner | None
    """The candidate of `selected`, with its settings."""
    rounds: tuple[Round, ...]
    attempts: tuple[Attempt, ...]
    """Models that roles wrote as code, those that failed included."""
    reviews: tuple[ReviewFact, ...]
    objections: tuple[Objection, ...]
    evaluation: Evaluation | None
    """Of the candidate that was scored on the holdout, or of the last one evaluated."""
    slices: Slices | None
    explanation: Explanation | None
    curve: LearningCurve | None
    standings: Standings | None
    """How it stands beside the best of the other families."""
    nested: Nested | None
    """What the search is worth on rows that had no part in it, where a role asked."""
    search: Search
    """Trials of tuning, in their order."""
    structure: Structure | None
    """These four, where a role asked for them, of the same candidate."""
    holdout: Holdout | None
    optimism: Optimism | None
    """What the score in cross-validation owes to the pick, where the host could tell."""
    looks: tuple[Look, ...]
    sections: dict[str, str]
    """The writer's prose by slot."""
    held: tuple[Held, ...]
    """What must be kept, how, and what that excluded."""
    asked: tuple[Asked, ...]
    """Words on calls that needed one."""
    fallbacks: tuple[Fallback, ...]
    """Where somebody else took over."""
    degradations: tuple[Fallback, ...]
    """Where the run went on with less."""
    resumes: tuple[Resume, ...]
    """When the run was taken up after it had been cut off."""
    parent: str | None
    """The run that it was forked from."""
    models: tuple[ModelUse, ...]
    machine: MachineUse | None
    """None for runs of versions that did not count it."""
    foreseen: Foreseen | None
    warned: tuple[Warned, ...]
    prices: tuple[ListPrice, ...]
    least_usd: float
    """Dollars of the calls whose price is known."""
    by_stage: dict[str, StageUse]
    """What the calls of models in each stage cost."""
    plots: tuple[Plot, ...]
    package: Package | None
    grown: Grown | None
    """Of a table that only a sample of was in memory."""
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
    def lighter(self) -> tuple[str, ...]:
        """Of the candidates that the tests cannot tell apart from their leader, those that are quicker or, where it is not, readable."""
        return () if self.standings is None else self.standings.lighter(self.leaderboard)

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
    def by_role(self) -> tuple[RoleTime, ...]:
        """What each role did and how long it took."""
        return role_times(self.turns)

    @property
    def models_spoke(self) -> bool:
        """Whether a language model was asked at all."""
        return any(not use.program for use in self.models)

    @property
    def search_seconds(self) -> float:
        """Seconds that counted against the search budget."""
        return sum(call.search_seconds for turn in self.turns for call in turn.calls)

    @property
    def usd(self) -> float | None:
        """Cost of all model calls in dollars, or None when the price of any is not known."""
        return total([use.usd for use in self.models])

    @property
    def tokens(self) -> int:
        return sum(use.input_tokens + use.output_tokens for use in self.models)


def read_facts(run: Path) -> RunFacts:
    """Read the run directory `run`.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
    """
    place = RunDir(run)
    events = list(read_events(place.events))
    started = last(events, RunStarted)
    chosen = last(events, SandboxChosen)
    contract = place.read_contract()
    manifest, plan = _json(place.manifest), _json(place.plan)
    holdout = last(events, HoldoutScored)
    status, reason = run_status(events)
    stages = stage_facts(events)
    sealed = last_result(events, "seal_holdout")
    fallbacks = [Fallback(stage=e.stage, role=e.role, reason=e.reason, what=e.what, event=e.seq) for e in events if isinstance(e, FellBack)]
    having = {"candidate": holdout.candidate} if holdout else {}
    preparation = _result(Preparation, events, "prepare")
    facts = RunFacts(
        name=started.run if started else place.name,
        folder=folder_of(place, events),
        status=status,
        reason=reason,
        stage=stages[-1].stage if stages and stages[-1].outcome is None else None,
        started_at=events[0].at if events else None,
        seconds=seconds_at_work(events),
        settings=started.settings if started else {},
        versions=started.versions if started else {},
        sandbox=chosen.sandbox if chosen else None,
        sandbox_why=chosen.why if chosen else "",
        contract=contract,
        manifest=Manifest.model_validate(manifest) if manifest else None,
        rows_without_target=int(sealed[1].get("rows_without_target", 0)) if sealed else 0,
        plan=Plan.model_validate(plan) if plan else None,
        profile=_result(Profile, events, "profile_table"),
        preparation=preparation,
        steps_tried=_result(StepsTried, events, "try_steps"),
        lineage=_lineage(place, preparation),
        skipped=read_skipped(events),
        stages=stages,
        turns=read_turns(events),
        leaderboard=leaderboard(events, contract),
        winner=None,
        rounds=round_facts(events),
        attempts=tuple(Attempt(**e.model_dump(exclude={"kind", "seq", "at"}), event=e.seq) for e in events if isinstance(e, AttemptMade)),
        reviews=tuple(
            ReviewFact(stage=e.stage, verdict=e.verdict, findings=tuple(e.findings), back_to=e.back_to, event=e.seq)
            for e in events
            if isinstance(e, Reviewed)
        ),
        objections=_objections(events),
        evaluation=_result(Evaluation, events, "evaluate", **having),
        slices=_result(Slices, events, "find_slices", **having),
        explanation=_result(Explanation, events, "explain", **having),
        standings=_result(Standings, events, "compare_models", **({"leader": holdout.candidate} if holdout else {})),
        nested=_result(Nested, events, "nested_score"),
        curve=_result(LearningCurve, events, "learning_curve", **having),
        search=read_search(events),
        structure=_result(Structure, events, "examine_structure", **having),
        holdout=_holdout(holdout),
        optimism=_optimism(last(events, OptimismEstimated)),
        looks=_looks(place.vault / "ledger.jsonl"),
        sections={str(slot): str(text) for slot, text in (_json(place.sections) or {}).items()},
        resumes=tuple(
            Resume(**e.model_dump(include={"turn", "stage", "away_s", "in_flight", "damage"}), event=e.seq)
            for e in events
            if isinstance(e, RunResumed)
        ),
        parent=next((e.parent for e in reversed(events) if isinstance(e, RunForked)), None),
        held=held(events),
        asked=asked(events),
        fallbacks=tuple(one for one in fallbacks if not one.what),
        degradations=tuple(one for one in fallbacks if one.what),
        models=model_uses(events),
        machine=machine_use(events),
        foreseen=foreseen(last(events, CostForecast)),
        warned=tuple(Warned(told=warning(e), event=e.seq) for e in events if isinstance(e, BudgetWarned)),
        prices=prices_of(started.settings if started else {}),
        least_usd=sum(e.usd or 0.0 for e in events if isinstance(e, ModelCalled)),
        by_stage={use.stage: use for use in stage_uses(events)},
        plots=list_plots(place),
        package=_result(Package, events, "package_model"),
        grown=_grown(events),
        events=len(events),
    )
    return facts.model_copy(update={"winner": read_winner(place, facts.selected) if facts.selected else None})


def _lineage(place: RunDir, preparation: Preparation | None) -> Lineage | None:
    """Where the columns of the last preparation come from, as its kernel wrote it; None where it told nothing that can be read."""
    if preparation is None:
        return None
    try:
        content = read_regular(place.work / "lineage" / f"{preparation.name}.json", MAX_LINEAGE_BYTES, inside=place.work)
        return Lineage.model_validate_json(content)
    except (OSError, ValueError, RecursionError):
        return None


def _objections(events: Sequence[Event]) -> tuple[Objection, ...]:
    closed = {e.id: e for e in events if isinstance(e, ObjectionAnswered)}
    found = []
    for e in events:
        if isinstance(e, ObjectionRaised):
            answer = closed.get(e.id)
            told = {**answer.model_dump(include={"status", "by", "answer", "evidence"}), "answered": answer.seq} if answer else {}
            found.append(Objection(id=e.id, findings=tuple(e.findings), back_to=e.back_to, event=e.seq, **told))
    return tuple(found)


def _result(kind: type[F], events: Sequence[Event], tool: str, **having: Any) -> F | None:
    """The last good result of a tool whose fields equal `having`, as a fact with the event that it came by."""
    result = last_result(events, tool, **having)
    return kind.model_validate({**result[1], "event": result[0]}) if result else None


def _grown(events: Sequence[Event]) -> Grown | None:
    found = _result(Grown, events, "finish")
    return found if found is not None and found.rows else None


def _holdout(event: HoldoutScored | None) -> Holdout | None:
    return Holdout.model_validate({**event.model_dump(exclude={"kind", "seq", "at"}), "event": event.seq}) if event else None


def _optimism(event: OptimismEstimated | None) -> Optimism | None:
    return Optimism.model_validate({**event.model_dump(exclude={"kind", "seq", "at", "resamples"}), "event": event.seq}) if event else None


def _looks(ledger: Path) -> tuple[Look, ...]:
    lines = ledger.read_text(encoding="utf-8").split("\n")[:-1] if ledger.exists() else []
    return tuple(Look.model_validate_json(line) for line in lines)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
