"""The stage machine: which stage a run is in, who speaks next, and which facts end a stage. Pure, no I/O.

A stage ends on facts, which the conductor collects from validated artefacts, never on a word that a role said.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from team.events.findings import ScoredCandidate
from team.objections import ObjectionFact, unanswered
from team.solutions import AttemptFact
from tools.holdout_score import HoldoutScore

MAX_ROUNDS = 5
"""Rounds of the optimise loop."""
MAX_SEND_BACKS = 2
"""How often the critic may send work back in a run."""
MOST_OPTIMISE_TURNS = 6
"""Turns of the optimise loop after which it is given to the playbook, or ended."""
ROUNDS = 2
"""Rounds of a stage's speakers after which a stage that has no facts to end on is given to the playbook, or fails the run."""


class Stage(StrEnum):
    """The stages in their order."""

    PLAN = "plan"
    ACQUIRE = "acquire"
    ANALYSE = "analyse"
    PREPARE = "prepare"
    BASELINE = "baseline"
    TRAIN = "train"
    OPTIMISE = "optimise"
    SELECT = "select"
    DOCUMENT = "document"
    RELEASE = "release"


ORDER = tuple(Stage)
TRANSITIONS: dict[Stage, Stage | None] = dict(zip(ORDER, (*ORDER[1:], None), strict=True))
"""The way forward. The critic's way back goes from `train` and `select` to one of SEND_BACK_TO."""
SEND_BACK_TO: dict[Stage, tuple[Stage, ...]] = {
    Stage.TRAIN: (Stage.PREPARE, Stage.TRAIN),
    Stage.SELECT: (Stage.PREPARE, Stage.TRAIN, Stage.OPTIMISE),
}
SPEAKERS: dict[Stage, tuple[str, ...]] = {
    Stage.PLAN: ("planner",),
    Stage.ACQUIRE: ("data_scientist",),
    Stage.ANALYSE: ("data_scientist",),
    Stage.PREPARE: ("engineer",),
    Stage.BASELINE: ("engineer",),
    Stage.TRAIN: ("engineer", "critic"),
    Stage.OPTIMISE: ("engineer",),
    Stage.SELECT: ("engineer", "critic"),
    Stage.DOCUMENT: ("writer",),
    Stage.RELEASE: ("release_manager",),
}
"""Who speaks in a stage, in turn, until its facts are there."""


class CandidateFact(ScoredCandidate):
    """A candidate whose out-of-fold predictions the host has scored, as the state keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage


class RoundFact(BaseModel):
    """What one round of the optimise loop gained over the best before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    round: int
    visit: int
    gain: float
    """Improvement of the best score over the best before the round; positive is better."""
    noise: float
    """Standard error of the gain, paired over folds."""
    families: list[str]
    margin: float | None = None
    """What the gain must exceed, as that of the best of so many, to be real; None in rounds of older runs."""
    candidates: int = 0
    """How many were tried in the round."""

    @property
    def real(self) -> bool:
        """Whether the gain is more than chance gives; see `tools.gain`."""
        return self.gain > (self.noise if self.margin is None else self.margin)


class ReviewFact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage
    visit: int
    verdict: Literal["accept", "send_back"]
    findings: list[str]
    back_to: Stage | None = None


class HoldoutFact(HoldoutScore):
    """The look at the holdout."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class State(BaseModel):
    """Where a run stands. Everything that a decision rests on is here and in the run directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Stage | None = Stage.PLAN
    """None when the last stage has ended."""
    visits: dict[Stage, int] = {Stage.PLAN: 1}
    turns_in_visit: int = 0
    send_backs: int = 0
    search_spent: bool = False
    """No further search call can start."""
    trials_spent: bool = False
    """No further tuning trial can start."""

    planned: bool = False
    sealed: bool = False
    profiled: bool = False
    prepared: bool = False
    candidates: list[CandidateFact] = []
    rounds: list[RoundFact] = []
    attempts: list[AttemptFact] = []
    """Models that roles wrote as code, those that failed included."""
    reviews: list[ReviewFact] = []
    objections: list[ObjectionFact] = []
    """Of the critic; a stage does not end while one is open."""
    dropped: dict[str, str] = {}
    """Families that are not fitted any more in this run, and why."""
    unfit: dict[str, str] = {}
    """Candidates that could not be fitted on all training rows, and why."""
    evaluated: list[str] = []
    """Candidates whose holdout predictions are on disk and fit the contract."""
    digests: dict[str, str] = {}
    """Of evaluated candidates: what predictions and model were when `evaluate` had just written them, where the contract binds families."""
    holdout: HoldoutFact | None = None
    sections: list[str] = []
    reported: bool = False
    refitted: str | None = None
    refit_failure: str | None = None
    """Why the last call of `finish` did not work."""
    packaged: bool = False
    tracked: bool = False
    results: dict[str, dict[str, Any]] = {}
    """The last good result of every tool, as the roles saw it."""

    @property
    def visit(self) -> int:
        return self.visits.get(self.stage, 0) if self.stage else 0

    def review(self) -> ReviewFact | None:
        """The critic's review in this visit of the stage."""
        found = [r for r in self.reviews if r.stage == self.stage and r.visit == self.visit]
        return found[-1] if found else None


def speaker(state: State) -> str:
    """Name of the role that speaks next."""
    if state.stage is None:
        raise ValueError("the run has ended: nobody speaks")
    names = SPEAKERS[state.stage]
    return names[state.turns_in_visit % len(names)]


def outcome(state: State) -> str | None:
    """The fact that ends the current stage, in words, or None while it goes on."""
    review = state.review()
    if review is not None and review.verdict == "send_back":
        return f"sent back to {review.back_to} by the critic"
    if unanswered(state.objections):
        return None
    match state.stage:
        case Stage.PLAN if state.planned:
            return "a plan is recorded"
        case Stage.ACQUIRE if state.sealed:
            return "the data is fetched, the contract is fixed and the holdout is sealed"
        case Stage.ANALYSE if state.profiled:
            return "the training table is profiled"
        case Stage.PREPARE if state.prepared:
            return "a preparation is validated on training rows"
        case Stage.BASELINE if any(c.stage == Stage.BASELINE for c in state.candidates):
            return "a baseline is scored"
        case Stage.TRAIN if review is not None and (state.search_spent or any(c.stage == Stage.TRAIN for c in state.candidates)):
            return "candidates are scored and the critic accepts them"
        case Stage.TRAIN if review is not None and _all_known(state):
            return "all that may be trained is among the baselines, and the critic accepts them"
        case Stage.OPTIMISE:
            return _optimised(state)
        case Stage.SELECT if state.holdout is not None and review is not None:
            return "the final candidate is accepted and scored on the holdout"
        case Stage.DOCUMENT if state.reported:
            return "the report is written"
        case Stage.RELEASE if state.packaged:
            return "the refitted model is packaged"
    return None


def _all_known(state: State) -> bool:
    """Whether `train` had nothing to fit, since all that it was asked for, and the contract allows, was there already."""
    skipped = state.results.get("train", {}).get("skipped", [])
    return bool(skipped and state.candidates) and all(one.get("known_as") for one in skipped)


def _optimised(state: State) -> str | None:
    here = [r for r in state.rounds if r.visit == state.visit]
    if state.search_spent:
        return "the search time is spent"
    if state.trials_spent:
        return "the tuning trials are spent"
    if here and not here[-1].families:
        return "nothing was left to tune"
    if here and not here[-1].real:
        return f"the gain of round {here[-1].round} is inside the noise"
    if len(state.rounds) >= MAX_ROUNDS:
        return f"{MAX_ROUNDS} rounds are done"
    return None


def missing(state: State, role: str) -> str | None:
    """What the stage still needs from a role, in words that name the tool; None where saying nothing more is an answer.

    In `optimise` it always is: a round without tuning ends the loop. To an objection of the critic words are an answer too.
    """
    unopposed = state.model_copy(update={"objections": []})
    if state.stage is None or outcome(unopposed) is not None or role not in SPEAKERS[state.stage]:
        return None
    review = state.review()
    match state.stage:
        case Stage.PLAN:
            return "`record_plan` has not recorded a plan"
        case Stage.ACQUIRE:
            return "`seal_holdout` has not fixed the contract" if "fetch_data" in state.results else "`fetch_data` has not run"
        case Stage.ANALYSE:
            return "`profile_table` has not run"
        case Stage.PREPARE:
            return "`prepare` has validated no preparation"
        case Stage.BASELINE:
            return "`train_baselines` has scored no baseline"
        case Stage.TRAIN if role == "engineer":
            tried = state.search_spent or _all_known(state) or any(c.stage == Stage.TRAIN for c in state.candidates)
            return None if tried else "`train` has scored no candidate"
        case Stage.SELECT if role == "engineer":
            return None if state.evaluated else "`evaluate` has written no predictions"
        case Stage.TRAIN | Stage.SELECT if review is None:
            return "`review` is not on record"
        case Stage.SELECT if state.evaluated and state.holdout is None:
            return "`score_holdout` has not been called"
        case Stage.DOCUMENT:
            return "`build_report` has not run"
        case Stage.RELEASE:
            return "`package_model` has not run" if state.refitted else "`finish` has refitted nothing"
    return None


def most_turns(stage: Stage) -> int:
    """Turns that a visit of a stage may take without the facts that end it.

    What did not work twice with a role, each time with its repairs, will not work the third time; a round of the optimise loop that
    is not the last one is none that did not work.
    """
    return MOST_OPTIMISE_TURNS if stage is Stage.OPTIMISE else ROUNDS * len(SPEAKERS[stage])


def stuck(state: State) -> bool:
    """Whether the stage has had its turns without the facts that end it."""
    return state.stage is not None and state.turns_in_visit >= most_turns(state.stage)


def after_turn(state: State) -> State:
    """Count the turn, and go to the next stage, or back, when the facts say so."""
    state = state.model_copy(update={"turns_in_visit": state.turns_in_visit + 1})
    if state.stage is None or outcome(state) is None:
        return state
    review = state.review()
    if review is not None and review.verdict == "send_back":
        return _enter(state.model_copy(update={"send_backs": state.send_backs + 1}), review.back_to)
    return _enter(state, TRANSITIONS[state.stage])


def _enter(state: State, stage: Stage | None) -> State:
    if stage is None:
        return state.model_copy(update={"stage": None, "turns_in_visit": 0})
    if stage is Stage.OPTIMISE and len(state.rounds) >= MAX_ROUNDS:
        return _enter(state, Stage.SELECT)
    visits = {**state.visits, stage: state.visits.get(stage, 0) + 1}
    return state.model_copy(update={"stage": stage, "visits": visits, "turns_in_visit": 0})


def go_back(state: State, stage: Stage) -> State:
    """Enter an earlier stage again, as when a constraint takes away what the work since then rests on."""
    return _enter(state, stage)


def skip(state: State) -> State:
    """Go on without the facts of this stage, as the conductor does when they cannot be had."""
    if state.stage is None:
        raise ValueError("the run has ended: there is no stage to skip")
    return _enter(state, TRANSITIONS[state.stage])


def may_send_back(state: State) -> tuple[Stage, ...]:
    """Where the critic may send the work now; empty when it may not."""
    if state.stage is None or state.holdout is not None or state.send_backs >= MAX_SEND_BACKS or state.search_spent:
        return ()
    back = SEND_BACK_TO.get(state.stage, ())
    return tuple(stage for stage in back if stage is not Stage.OPTIMISE or len(state.rounds) < MAX_ROUNDS)
