"""Turn what a tool did into facts of the run's state, by checking the artefacts it left.

A kernel's word is not taken: candidates are scored here from their prediction files, and a file that breaks the
contract makes the call an error.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from team.events import (
    AttemptMade,
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    ObjectionAnswered,
    ObjectionRaised,
    OptimismEstimated,
    Reviewed,
    RoundEnded,
)
from team.objections import ObjectionFact, raised, unanswered
from team.rundir import RunDir, write_atomic
from team.solutions import MOST_ATTEMPTS, failed, scored
from team.stages import CandidateFact, HoldoutFact, ReviewFact, RoundFact, Stage, State
from team.vault import Vault
from tools.candidates import CANDIDATE_NAME, CODE, Candidate, standard_error
from tools.files import list_names, open_regular, read_regular
from tools.folds import rows_ratio
from tools.gain import judge_gain
from tools.optimism import most_candidates, selection_optimism
from tools.packaging import MAX_FILE_BYTES, PIPELINE
from tools.predictions import PredictionError

if TYPE_CHECKING:
    import numpy as np

MAX_RECORD_BYTES = 1 << 20
MOST_CANDIDATES = 2000
"""Of a run, the rejected ones counted."""


class HandedIn(NamedTuple):
    """A candidate that was written as code, and the score of what the host wrote for it."""

    name: str
    score: float


class Evidence:
    """Collects facts for one run."""

    def __init__(self, run: RunDir, vault: Vault, emit: Callable[[Event], Event]) -> None:
        self._run = run
        self._vault = vault
        self._emit = emit
        self._rejected: set[str] = set()

    def of_candidates(self, state: State, handed_in: HandedIn | None = None) -> tuple[State, list[str]]:
        """Score candidates that are new below `work/candidates/`.

        Args:
            handed_in: the one that was written as code and has just been scored in quarantine.

        Returns:
            The state with them on its leaderboard, and one line for each that was rejected, with the reason.
        """
        known = {c.name for c in state.candidates} | self._rejected
        new = [name for name in self._names() if CANDIDATE_NAME.fullmatch(name) and name not in known]
        new = new[: max(0, MOST_CANDIDATES - len(known))]
        facts, problems = [], []
        for name in new:
            try:
                facts.append(self._score(name, state, handed_in))
            except (PredictionError, ValueError, OSError) as error:
                self._rejected.add(name)
                problems.append(f"candidate {name!r} is rejected: {_reason(error)}")
        for fact in facts:
            self._emit(CandidateScored(**fact.model_dump()))
        if not facts:
            return state, problems
        state = state.model_copy(update={"candidates": [*state.candidates, *facts]})
        self.write_leaderboard(state)
        return state, problems

    def of_recorded(self, state: State, scored: list[CandidateScored]) -> State:
        """The state with candidates that were scored before the run was cut off, as the log says."""
        known = {c.name for c in state.candidates}
        facts = [CandidateFact(**one.model_dump(exclude={"seq", "at", "kind"})) for one in scored if one.name not in known]
        if not facts:
            return state
        state = state.model_copy(update={"candidates": [*state.candidates, *facts]})
        self.write_leaderboard(state)
        return state

    def _names(self) -> list[str]:
        try:
            return list_names(self._run.work / "candidates", self._run.work, 2 * MOST_CANDIDATES)
        except OSError:  # there are none, or something else lies in their place
            return []

    def _score(self, name: str, state: State, handed_in: HandedIn | None) -> CandidateFact:
        assert state.stage is not None
        folder = self._run.work / "candidates" / name
        record = Candidate.model_validate_json(read_regular(folder / "candidate.json", MAX_RECORD_BYTES, self._run.work))
        if reason := self._vault.contract.constraints.refuses(record.family):
            raise PredictionError(reason)
        inside = {member.name for member in record.members} | set(record.stack.inputs if record.stack else ())
        if self._vault.contract.constraints.by_family and (strange := inside - {c.name for c in state.candidates}):
            raise PredictionError(f"it is made of {', '.join(sorted(strange))}, which the host has not taken for a candidate")
        found = self._vault.out_of_fold.score(self._oof(name))
        pooled, by_fold = found.score, found.fold_scores
        if record.family == CODE and not (handed_in and handed_in.name == name and math.isclose(handed_in.score, pooled, rel_tol=1e-9)):
            raise PredictionError("code is scored by submit_candidate alone, and these are not the predictions that it wrote")
        return CandidateFact(
            name=name,
            family=record.family[:40],
            score=pooled,
            std_error=standard_error(by_fold, self._vault.contract.repeats),
            fold_scores=by_fold,
            stage=state.stage,
            seconds=max(0.0, record.fit_seconds),
            share=record.share,
            device=record.device,
            decision=found.decision,
            latency_ms=record.latency_ms,
            size_mb=record.size_mb,
            disparity=self._vault.out_of_fold.disparity(found.values),
        )

    def digest_of(self, candidate: str) -> str:
        """Of the holdout predictions and the fitted model of a candidate, as they lie there now; what is not there counts as nothing."""
        digest = hashlib.sha256()
        for path in (self._run.work / "predictions" / f"{candidate}.parquet", self._run.work / "fitted" / candidate / PIPELINE):
            with suppress(OSError), open_regular(path, MAX_FILE_BYTES, inside=self._run.work) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            digest.update(b"\0")
        return digest.hexdigest()

    def bar_unknown(self, state: State) -> list[str]:
        """Take no candidate from what lies there now and was not scored, as when code of a role may have written it; their names."""
        known = {c.name for c in state.candidates} | self._rejected
        strange = [name for name in self._names() if name not in known]
        self._rejected |= set(strange)
        return strange

    def forget(self, names: Iterable[str]) -> None:
        """Candidates of these names are new when they come again."""
        self._rejected -= set(names)

    def write_leaderboard(self, state: State) -> None:
        if not self._vault.sealed:
            return
        contract = self._vault.contract
        order = sorted(state.candidates, key=lambda c: c.score, reverse=contract.direction == "maximize")
        rows = ",\n ".join(c.model_dump_json() for c in order)
        write_atomic(
            self._run.leaderboard, f'{{"metric": "{contract.metric}", "direction": "{contract.direction}", "candidates": [\n {rows}\n]}}'
        )

    def of_result(self, state: State, tool: str, result: dict[str, Any]) -> State:
        """The state after a tool gave a good result.

        Raises:
            PredictionError: when what the result speaks of breaks the contract.
        """
        update: dict[str, Any] = {"results": {**state.results, tool: result}}
        match tool:
            case "record_plan":
                update["planned"] = True
            case "seal_holdout":
                update["sealed"] = True
            case "profile_table":
                update["profiled"] = True
            case "prepare":
                update["prepared"] = True
            case "evaluate":
                state = self.of_predictions(state, str(result["candidate"]))
            case "submit_candidate":
                if result["candidate"]["name"] not in {c.name for c in state.candidates}:
                    raise PredictionError("what was written to work/candidates is not there any more; submit it under another name")
            case "review":
                update["reviews"] = [*state.reviews, fact := self._review(state, result)]
                if fact.back_to is not None:
                    update["objections"] = [*state.objections, self._object(state, fact)]
            case "score_holdout":
                self._tell_optimism(state, str(result["candidate"]))
                update["holdout"] = HoldoutFact(**result)
                self._emit(HoldoutScored(**result))
            case "write_section":
                update["sections"] = sorted({*state.sections, str(result["slot"])})
            case "build_report":
                update["reported"] = True
            case "finish":
                final = state.holdout
                if final is None or result["candidate"] != final.candidate:
                    scored = final.candidate if final else "none yet"
                    raise PredictionError(f"the candidate that was scored on the holdout ({scored}) is the one to refit")
                update["refitted"], update["refit_failure"] = str(result["candidate"]), None
            case "package_model":
                update["packaged"] = True
            case "track_run":
                update["tracked"] = True
                if kept := result.get("kept"):
                    waits = ", ".join(result.get("waits") or [str(result["server"])])
                    reason = f"{waits} did not take the run: {result['why']}; the record waits in {kept}"
                    reason += f". Type: mlteam track {self._run.path}"
                    self._emit(FellBack(stage=Stage.RELEASE, role="release_manager", reason=reason))
        return state.model_copy(update=update)

    def of_predictions(self, state: State, candidate: str) -> State:
        """The state with a candidate that can be scored, because its holdout predictions are on disk.

        Raises:
            PredictionError: when they are not, or break the contract.
        """
        if not CANDIDATE_NAME.fullmatch(candidate):
            raise PredictionError(f"{candidate!r} is no candidate name")
        self._vault.check_holdout(self._run.work / "predictions" / f"{candidate}.parquet")
        unfit = {name: reason for name, reason in state.unfit.items() if name != candidate}
        return state.model_copy(update={"evaluated": [*(n for n in state.evaluated if n != candidate), candidate], "unfit": unfit})

    def _object(self, state: State, review: ReviewFact) -> ObjectionFact:
        fact = raised(state.objections, review.findings, str(review.back_to))
        self._emit(ObjectionRaised(id=fact.id, stage=review.stage, findings=fact.findings, back_to=fact.back_to))
        return fact

    def of_answer(self, state: State, close: Callable[[ObjectionFact], ObjectionFact]) -> State:
        """The state with its open objections closed, as far as `close` closes them."""
        if not unanswered(state.objections):
            return state
        after = [close(one) if one.status == "open" else one for one in state.objections]
        for before, now in zip(state.objections, after, strict=True):
            if before is not now and now.status != "open":
                told = now.model_dump(include={"id", "by", "answer", "evidence"})
                self._emit(ObjectionAnswered(status=now.status, **told))
        return state.model_copy(update={"objections": after})

    def _review(self, state: State, result: dict[str, Any]) -> ReviewFact:
        assert state.stage is not None
        fact = ReviewFact(
            stage=state.stage,
            visit=state.visit,
            verdict=result["verdict"],
            findings=result["findings"],
            back_to=Stage(result["back_to"]) if result["back_to"] else None,
        )
        self._emit(Reviewed(stage=fact.stage, verdict=fact.verdict, findings=fact.findings, back_to=fact.back_to))
        return fact

    def _tell_optimism(self, state: State, candidate: str) -> None:
        """Put on record what the score of the candidate that was taken owes to having been picked; nothing where that cannot be told.

        A file of predictions that does not give the score on record any more is left out: the sandbox can write to it.
        """
        contract, sign = self._vault.contract, 1.0 if self._vault.contract.direction == "maximize" else -1.0
        labels, folds = self._vault.rows.labels(), self._vault.rows.validation().folds[0]
        rows, groups = folds >= 0, self._vault.rows.groups("train")
        y, units = labels[rows], self._vault.rows.units("train")
        units = None if units is None else units[rows]

        def predictions(name: str) -> np.ndarray:
            decided = self._vault.out_of_fold.score(self._oof(name))
            return self._vault.rows.validation().averaged(decided.values)[rows]

        def still_scores(one: CandidateFact) -> bool:
            try:
                return math.isclose(self._vault.out_of_fold.score(self._oof(one.name)).score, one.score, rel_tol=1e-9)
            except (PredictionError, ValueError, OSError):
                return False

        most = most_candidates(contract.metric, contract.task, y)
        ranked = sorted(state.candidates, key=lambda c: -sign * c.score)[:most]
        usable = [partial(predictions, one.name) for one in ranked if still_scores(one)]
        taken = next((one for one in state.candidates if one.name == candidate), None)
        by = None if groups is None else groups[rows]
        try:
            found = selection_optimism(contract.metric, contract.task, y, usable, groups=by, units=units, seed=contract.seed)
        except (PredictionError, ValueError, OSError):
            return
        if taken is not None and found is not None:
            corrected = taken.score - sign * found.optimism
            self._emit(OptimismEstimated(candidate=candidate, score=taken.score, corrected=corrected, **found.model_dump()))

    def _oof(self, name: str) -> Path:
        return self._run.work / "candidates" / name / "oof.parquet"

    def of_attempt(self, state: State, arguments: Mapping[str, Any], problem: str | None) -> State:
        """The state with a model that a role wrote as a node of its tree.

        Args:
            arguments: of the call that handed it in.
            problem: why it could not be scored, or None.
        """
        if len(state.attempts) >= MOST_ATTEMPTS:
            return state
        mine = next((c for c in state.candidates if c.name == arguments["name"]), None)
        if problem is not None or mine is None:
            fact = failed(state.attempts, arguments, problem or "its predictions were not taken")
        else:
            contract, validation = self._vault.contract, self._vault.rows.validation()
            sign = 1.0 if contract.direction == "maximize" else -1.0
            others = state.model_copy(update={"candidates": [c for c in state.candidates if c is not mine]})
            other = next((c for c in others.candidates if c.name == arguments.get("parent")), None) or _best(others, sign)
            differences = [sign * (a - b) for a, b in zip(mine.fold_scores, other.fold_scores, strict=False)] if other else []
            gain = sign * (mine.score - other.score) if other else 0.0
            ratio = rows_ratio(validation.folds[0], contract, validation.moments)
            compared = differences, gain, other.name if other else None, ratio, self._row_error(mine, other)
            fact = scored(state.attempts, arguments, mine.score, mine.std_error, *compared)
        self._emit(AttemptMade(**fact.model_dump()))
        return state.model_copy(update={"attempts": [*state.attempts, fact]})

    def of_round(self, before: State, after: State, families: list[str], trials: int = 0) -> State:
        """Close a round of the optimise loop: what it gained, the noise of that, and how much would be more than chance.

        The gain is the difference of the best scores, judged by the differences of the two candidates over the same folds and by
        how many were tried (`tools.gain`).

        Args:
            trials: of the round, as the kernel counted them; a word that can only make the judgement stricter.
        """
        contract = self._vault.contract
        sign = 1.0 if contract.direction == "maximize" else -1.0
        old, new = _best(before, sign), _best(after, sign)
        tried = max(trials, len(after.candidates) - len(before.candidates))
        gain = noise = margin = 0.0
        if old is not None and new is not None and old.name != new.name:
            differences = [sign * (a - b) for a, b in zip(new.fold_scores, old.fold_scores, strict=False)]
            validation = self._vault.rows.validation()
            ratio = rows_ratio(validation.folds[0], contract, validation.moments)
            found = judge_gain(sign * (new.score - old.score), differences, ratio, max(1, tried), row_error=self._row_error(new, old))
            gain, noise, margin = found.gain, found.std_error, found.margin
        fact = RoundFact(
            round=len(after.rounds) + 1, visit=after.visit, gain=gain, noise=noise, families=families, margin=margin, candidates=tried
        )
        self._emit(RoundEnded(round=fact.round, gain=gain, noise=noise, margin=margin, candidates=tried))
        return after.model_copy(update={"rounds": [*after.rounds, fact]})

    def _row_error(self, one: CandidateFact, other: CandidateFact | None) -> float:
        """Standard error of the difference of two scores by the rows of a single fold; 0 where there are more folds, which tell more, and
        where it cannot be told."""
        from tools.comparing import paired_error

        contract, validation = self._vault.contract, self._vault.rows.validation()
        rows = validation.folds[0] >= 0
        if other is None or min(len(one.fold_scores), len(other.fold_scores)) > 1 or contract.predicts == "groups":
            return 0.0
        units, groups = self._vault.rows.units("train"), self._vault.rows.groups("train")
        units, groups = (None if each is None else each[rows] for each in (units, groups))
        y = self._vault.rows.labels()[rows]
        try:
            first, second = (validation.averaged(self._vault.out_of_fold.score(self._oof(each.name)).values)[rows] for each in (one, other))
            return paired_error(contract.metric, contract.task, y, first, second, units=units, groups=groups, seed=contract.seed)
        except (PredictionError, ValueError, OSError):
            return 0.0


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):  # whose own words quote the record and span lines
        first = error.errors(include_url=False, include_input=False)[0]
        return f"candidate.json: {'.'.join(map(str, first['loc'])) or 'the record'}: {first['msg']}"
    return str(error)


def _best(state: State, sign: float) -> CandidateFact | None:
    return max(state.candidates, key=lambda c: sign * c.score, default=None)
