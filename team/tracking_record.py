"""A run as trackers get it, made of its events and of where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from team.errors import MlteamError
from team.events import (
    CandidateScored,
    Event,
    ModelCalled,
    ProgressMade,
    RoundEnded,
    RunForked,
    RunStarted,
    StageEnded,
    ToolCalled,
    ToolReturned,
)
from team.log import read_events
from team.rundir import RunDir
from team.stages import CandidateFact, State
from tools.candidates import Candidate
from tools.contract import Contract, TableSchema
from tools.files import read_regular
from tools.trackers.run_record import CandidateRecord, DatasetRecord, Point, RunRecord, Status

EXPERIMENT = "mlteam"
MOST_TRIALS = 2000
MOST_PARAMS = 90
"""Parameters of a candidate; MLflow takes a hundred at once."""
_ASKED = ("source", "model", "seed", "time", "trials")
_RECORD_BYTES = 1 << 20
_NAME = re.compile(r"[\w.\- /]{1,100}")


class History:
    """What events say of a run over time. Give it every event in order; one that it has had is passed over.

    Args:
        run: the run directory's name, for a run that began as another one's.
    """

    def __init__(self, run: str, events: Iterable[Event] = ()) -> None:
        self._name, self._seq = run, -1
        self.run: str | None = None
        """The run's name; None until the run has begun."""
        self.began_ms = self.last_ms = 0
        self.asked: dict[str, Any] = {}
        self.points: list[Point] = []
        self._maximize = True
        self._best: float | None = None
        self._scored = self._trials = self._tokens = 0
        self._usd = 0.0
        self._tuned: dict[str, str] = {}
        for event in events:
            self(event)

    def __call__(self, event: Event) -> None:
        if event.seq <= self._seq:
            return
        self._seq, self.last_ms = event.seq, int(event.at * 1000)
        match event:
            case RunStarted():
                self.run, self.began_ms, self.asked = event.run, self.last_ms, event.settings
            case RunForked():
                self.run, self.began_ms, self.asked = self._name, self.last_ms, {**self.asked, **event.changed}
            case CandidateScored():
                better = self._best is None or (event.score > self._best) == self._maximize
                self._best = event.score if better else self._best
                self._point("cv_score", event.score, self._scored)
                self._point("best_cv_score", self._best, self._scored)
                self._scored += 1
            case RoundEnded():
                self._point("round_gain", event.gain, event.round)
            case StageEnded():
                self._point(f"seconds/{event.stage}", event.seconds, event.visit)
            case ModelCalled() if event.input_tokens or event.output_tokens:
                self._tokens += event.input_tokens + event.output_tokens
                self._point("tokens", self._tokens, event.turn)
                if event.usd is not None:
                    self._usd += event.usd
                    self._point("usd", self._usd, event.turn)
            case ToolCalled() if event.tool == "tune":
                self._tuned[event.call] = str(event.arguments.get("family", ""))
            case ProgressMade() if event.call in self._tuned:
                self._trial(self._tuned[event.call], event.facts)
            case ToolReturned() if event.tool == "seal_holdout" and event.result:
                self._maximize = event.result["direction"] == "maximize"
            case _:
                pass

    def _trial(self, family: str, facts: dict[str, Any]) -> None:
        number, score = facts.get("trial"), facts.get("score")
        if isinstance(number, int) and isinstance(score, (int, float)) and self._trials < MOST_TRIALS and _NAME.fullmatch(family):
            self._trials += 1
            self._point(f"tuning/{family}", score, number)

    def _point(self, name: str, value: float | None, step: int) -> None:
        if value is not None:
            self.points.append(Point(name=name, value=value, step=step, at_ms=self.last_ms))


def run_record(run: RunDir, contract: Contract, state: State, status: Status = "finished") -> RunRecord:
    """Parameters, scores and candidates of the run, and how they came to be.

    Raises:
        MlteamError: when the log says nowhere that the run began, or is damaged.
    """
    return record_of(run, History(run.name, read_events(run.events)), contract, state, status)


def record_of(run: RunDir, history: History, contract: Contract, state: State, status: Status) -> RunRecord:
    """The same of what was read of the log already."""
    if history.run is None:
        raise MlteamError(f"{run.events} does not say when the run began. The log is damaged or was written by another version.")
    asked, holdout = history.asked, state.holdout
    params = {
        "source": asked["source"],
        "target": contract.target,
        "task": contract.task,
        "metric": contract.metric,
        "seed": contract.seed,
        "folds": contract.folds,
        "validation": contract.fold_kind,
        "repeats": contract.repeats,
        "rows_train": contract.rows_train,
        "rows_holdout": contract.rows_holdout,
        "model": asked["model"],
        "time_s": asked["time"],
        "trials": asked["trials"],
    }
    metrics = {f"holdout_{name}": float(getattr(holdout, name)) for name in ("score", "low", "high", "looks")} if holdout else {}
    return RunRecord(
        experiment=EXPERIMENT,
        run=history.run,
        status=status,
        began_ms=history.began_ms,
        ended_ms=history.last_ms,
        params={name: str(value) for name, value in params.items() if value is not None},
        metrics=metrics,
        tags={"candidate": holdout.candidate if holdout else "", "refitted": state.refitted or ""},
        candidates=[_candidate(run, fact) for fact in state.candidates],
        points=list(history.points),
        dataset=_dataset(run, contract),
    )


def _candidate(run: RunDir, fact: CandidateFact) -> CandidateRecord:
    measured = {"latency_ms": fact.latency_ms, "size_mb": fact.size_mb}
    params = {"family": fact.family, "stage": fact.stage.value, "device": fact.device}
    if fact.share < 1:
        params["share"] = str(fact.share)
    path = run.work / "candidates" / fact.name / "candidate.json"
    try:
        chosen = _chosen(path, run.work, path.stat().st_mtime_ns)
    except OSError:
        chosen = {}
    return CandidateRecord(
        name=fact.name,
        metrics={
            "cv_score": fact.score,
            "cv_std_error": fact.std_error,
            "fit_seconds": fact.seconds,
            **{name: value for name, value in measured.items() if value is not None},
        },
        params={**params, **chosen},
        fold_scores=fact.fold_scores,
    )


@lru_cache(maxsize=1024)
def _chosen(path: Path, work: Path, changed_ns: int) -> dict[str, str]:
    """A candidate's own parameters, as the kernel wrote them: texts to look at, which decide nothing."""
    try:
        params = Candidate.model_validate_json(read_regular(path, _RECORD_BYTES, work)).params
    except (OSError, ValueError):
        return {}
    flat = {f"param.{name}": value if isinstance(value, str) else json.dumps(value, default=str) for name, value in params.items()}
    return dict([one for one in flat.items() if _NAME.fullmatch(one[0])][:MOST_PARAMS])


def _dataset(run: RunDir, contract: Contract) -> DatasetRecord | None:
    """What the manifest and the schema say of the data; None where they are not there, or damaged."""
    try:
        manifest = json.loads(run.manifest.read_text(encoding="utf-8"))
        kinds = TableSchema.model_validate_json((run.data / "schema.json").read_text(encoding="utf-8"))
        columns: dict[str, str] = {column.name: column.kind for column in kinds.columns}
        if contract.target is not None:
            columns[contract.target] = "target"
        name = str(manifest["source"]).partition("#")[0].rstrip("/").rpartition("/")[2] or "data"
        return DatasetRecord(
            name=name[:200],
            digest=manifest["sha256"],
            source=manifest["source"],
            rows=manifest["rows"],
            columns=columns,
            target=contract.target,
        )
    except (OSError, ValueError, KeyError):
        return None
