"""What a spread search found: set against the run's own leader, and handed over to a fork of the run, which judges it as any candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.engines import Engine
from evals.spread import FOLDS, Search
from team.checkpoint import CutOff, read_checkpoint
from team.errors import MlteamError
from team.evidence import MAX_RECORD_BYTES
from team.forking import Brought, before_the_choice, fork
from team.rundir import RunDir
from team.stages import CandidateFact
from team.vault import Vault
from tools.candidates import Candidate, standard_error
from tools.files import read_regular
from tools.folds import rows_ratio
from tools.gain import Gain, judge_gain
from tools.studies import counted, without_password


class Leader(BaseModel):
    """The run's best candidate by the same folds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    score: float


class Found(BaseModel):
    """Where a study stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    family: str
    preparation: str
    studies: str
    """Where the study lies, without a password."""
    metric: str
    direction: str
    trials: int
    """That came to an end, those of earlier calls counted."""
    complete: int
    pruned: int
    failed: int
    trial: int | None = None
    """Number of the best one; None where none was completed."""
    score: float | None = None
    std_error: float | None = None
    params: dict[str, Any] = {}
    """Of the best one, as the study keeps them."""
    leader: Leader | None = None
    gain: Gain | None = None
    """Over the leader, as the best of so many trials."""


def known_to(run: RunDir, family: str, preparation: str) -> Candidate | None:
    """The run's best candidate of a family and preparation that was fitted on all rows; what its sandbox wrote is read as data alone."""
    contract = run.read_contract()
    sign = -1.0 if contract is not None and contract.direction == "maximize" else 1.0
    for fact in sorted((one for one in _candidates(run) if one.family == family), key=lambda one: sign * one.score):
        path = run.work / "candidates" / fact.name / "candidate.json"
        try:
            found = Candidate.model_validate_json(read_regular(path, MAX_RECORD_BYTES, inside=run.work))
        except (OSError, ValidationError):
            continue
        if (found.family, found.preparation, found.share) == (family, preparation, 1.0):
            return found
    return None


def found_in(run: RunDir, asked: Search, studies: str) -> Found:
    """What the study of a search came to, beside what the run has.

    Args:
        studies: where it lies.
    """
    from optuna.trial import TrialState

    contract, ended = asked.problem.contract, counted(asked.study)
    states = [trial.state for trial in ended]
    facts: dict[str, Any] = {
        "run": str(run.path),
        "family": asked.family.name,
        "preparation": asked.preparation.name,
        "studies": without_password(studies),
        "metric": contract.metric,
        "direction": contract.direction,
        "trials": len(ended),
        "complete": states.count(TrialState.COMPLETE),
        "pruned": states.count(TrialState.PRUNED),
        "failed": states.count(TrialState.FAIL),
    }
    if not facts["complete"]:
        return Found(**facts)
    best = asked.study.best_trial
    scores = best.user_attrs.get(FOLDS, [])
    facts |= {"trial": best.number, "score": best.value, "params": best.params}
    facts["std_error"] = standard_error(scores, contract.repeats) if scores else None
    sign = 1.0 if contract.direction == "maximize" else -1.0
    leader = max(_candidates(run), key=lambda one: sign * one.score, default=None)
    if leader is not None:
        facts["leader"] = Leader(name=leader.name, score=leader.score)
        validation = Vault(run).rows.validation()
        ratio = rows_ratio(validation.folds[0], contract, validation.moments)
        differences = [sign * (new - old) for new, old in zip(scores, leader.fold_scores, strict=False)]
        facts["gain"] = judge_gain(sign * (best.value - leader.score), differences, ratio, len(ended))
    return Found(**facts)


def hand_over(run: RunDir, asked: Search, engine: Engine, trials: int, out: Path | None = None) -> tuple[RunDir, CutOff]:
    """A fork of the run that has the best of the study among its candidates, and what it is to go on from.

    It stands where the run's candidate was chosen, so it chooses once more and looks at the holdout itself: its ledger counts the looks
    that were taken before.

    Args:
        trials: how many the best is the best of.

    Raises:
        UsageError: the run has trained nothing yet.
        MlteamError: the best could not be fitted once more.
    """
    at = before_the_choice(run)
    best, mine = asked.study.best_trial, asked.best
    try:
        evaluated = mine if mine is not None and mine.candidate.score == best.value else asked.again(engine, best)
    except MlteamError:
        raise
    except Exception as error:  # what a worker raised may be anything
        raise MlteamError(f"trial {best.number} could not be fitted again: {type(error).__name__}: {error}") from None
    by = f"`mlteam eval tune` as the best of {trials} trials of {asked.family.name}"
    return fork(run, str(at.turns), {}, out, Brought(evaluated.candidate, evaluated.oof, evaluated.before, by))


def told(found: Found) -> str:
    """The same for a terminal."""
    head = f"{found.family} with preparation {found.preparation}: {found.trials} trials"
    parts = [
        f"{count} {word}" for word, count in (("complete", found.complete), ("pruned", found.pruned), ("failed", found.failed)) if count
    ]
    lines = [f"{head} ({', '.join(parts)})" if parts else head]
    if found.score is None:
        return lines[0]
    error = "" if found.std_error is None else f" ± {found.std_error:.2g}"
    lines.append(f"best: {found.metric} {found.score:.5g}{error} over the run's folds (trial {found.trial})")
    if found.leader is not None and found.gain is not None:
        lines.append(f"the run's best: {found.metric} {found.leader.score:.5g} ({found.leader.name}); {_judged(found.gain)}")
    width = max((len(name) for name in found.params), default=0)
    lines += [
        f"  {name.ljust(width)}  {value:.6g}" if isinstance(value, float) else f"  {name.ljust(width)}  {value}"
        for name, value in found.params.items()
    ]
    return "\n".join(lines)


def _judged(gain: Gain) -> str:
    if gain.gain <= 0:
        return "nothing was gained over it"
    much = f"{gain.gain:.3g} better, ± {gain.std_error:.2g}"
    tried = f"the best of {gain.candidates}" if gain.candidates > 1 else "one trial"
    return f"{much}: more than chance gives {tried}" if gain.real else f"{much}: no more than chance may give {tried}"


def _candidates(run: RunDir) -> list[CandidateFact]:
    try:
        return read_checkpoint(run.checkpoint).state.candidates
    except (MlteamError, OSError):
        return []
