"""A run as its trackers get it."""

from __future__ import annotations

from team.errors import MlteamError
from team.events import RunStarted
from team.log import read_events
from team.rundir import RunDir
from team.stages import State
from tools.contract import Contract
from tools.run_record import CandidateRecord, RunRecord

EXPERIMENT = "mlteam"


def run_record(run: RunDir, contract: Contract, state: State) -> RunRecord:
    """Parameters, scores and candidates of the run.

    Raises:
        MlteamError: when the log says nowhere that the run began, or is damaged.
    """
    events = list(read_events(run.events))
    started = next((e for e in events if isinstance(e, RunStarted)), None)
    if started is None:
        raise MlteamError(f"{run.events} does not say when the run began. The log is damaged or was written by another version.")
    asked, holdout = started.settings, state.holdout
    params = {
        "source": asked["source"],
        "target": contract.target,
        "task": contract.task,
        "metric": contract.metric,
        "seed": contract.seed,
        "folds": contract.folds,
        "rows_train": contract.rows_train,
        "rows_holdout": contract.rows_holdout,
        "model": asked["model"],
        "time_s": asked["time"],
        "trials": asked["trials"],
    }
    metrics = {f"holdout_{name}": float(getattr(holdout, name)) for name in ("score", "low", "high", "looks")} if holdout else {}
    return RunRecord(
        experiment=EXPERIMENT,
        run=started.run,
        began_ms=int(started.at * 1000),
        ended_ms=int(events[-1].at * 1000),
        params={name: str(value) for name, value in params.items() if value is not None},
        metrics=metrics,
        tags={"candidate": holdout.candidate if holdout else "", "refitted": state.refitted or ""},
        candidates=[
            CandidateRecord(
                name=c.name,
                metrics={"cv_score": c.score, "cv_std_error": c.std_error, "fit_seconds": c.seconds},
                params={"family": c.family, "stage": c.stage.value},
                fold_scores=c.fold_scores,
            )
            for c in state.candidates
        ],
    )
