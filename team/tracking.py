"""A run as its trackers get it, and records that a tracking server has not taken yet: sent by command, or by a later run."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.events import RunStarted
from team.log import read_events
from team.rundir import RunDir, list_runs
from team.stages import State
from tools import outbox
from tools.contract import Contract
from tools.run_record import CandidateRecord, RunRecord
from tools.tracker import BY_COMMAND, IN_A_RUN, NotSent, check_address

EXPERIMENT = "mlteam"
QUICK_S = 10.0
"""Seconds that a run spends at its end on what waits for its server, beside the request that is under way then."""


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


def track(run: RunDir, server: str | None = None) -> dict[str, Any]:
    """Send the record that waits in the run's outbox to its server.

    Args:
        server: send it there instead. When nothing waits, the record is made from the run directory, so that a run can be sent
            to a server that came later, and again to one that lost it.

    Returns:
        One document: `run`, `server`, `sent`, and of what was sent `run_id`, `candidates` and `artefacts`.

    Raises:
        UsageError: for an address that is none, a run in use, and one that has no final score to record.
        PrerequisiteMissing: when the server cannot be reached; the record waits for it.
        MlteamError: when the server refuses the record; it waits all the same.
    """
    with run.lock():
        kept = _waiting(run)
        if server is not None:
            kept = outbox.Kept(server=_address(server), record=kept.record if kept else _finished(run))
            outbox.keep(run, kept)
        if kept is None:
            return {"run": str(run.path), "server": None, "sent": False}
        try:
            written = outbox.deliver(run, kept, BY_COMMAND)
        except NotSent as error:
            told = f"{kept.server} did not take the run: {error}. The record waits in {outbox.place(run)}"
            if error.answered:
                raise MlteamError(f"{told}; type the same again when that is mended.") from None
            raise PrerequisiteMissing(f"{told}; start the server and type: mlteam track {run.path}") from None
    sent = {"run_id": written.run_id, "candidates": len(kept.record.candidates), "artefacts": written.artefacts}
    return {"run": str(run.path), "server": kept.server, "sent": True, **sent}


def send_waiting(run: RunDir, server: str) -> list[str]:
    """At the end of `run`: send what waits for the same server in its outbox, and in those of the runs beside it.

    Only what is quick is sent, and what fails is left for later: nothing is raised.

    Returns:
        Names of the runs that were sent.
    """
    sent: list[str] = []
    until = time.monotonic() + QUICK_S
    for other in [run, *(r for r in list_runs(run.path.parent) if r.path != run.path)]:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            kept = outbox.read(other)
            if kept is None or kept.server != server:
                continue
            # This process holds the lock of its own run.
            with contextlib.nullcontext() if other is run else other.lock():
                outbox.deliver(other, kept, IN_A_RUN._replace(total_s=left))
            sent.append(other.name)
        except NotSent as error:
            if not error.answered:
                break  # the others would fare no better
        except Exception:  # another run's outbox is no reason for this one to fail; `mlteam track` tells what is wrong there
            continue
    return sent


def _waiting(run: RunDir) -> outbox.Kept | None:
    try:
        return outbox.read(run)
    except outbox.DamagedOutbox as error:
        raise UsageError(f"{error}. Remove the file and type: mlteam track {run.path} --tracker URI") from None


def _address(server: str) -> str:
    try:
        return check_address(server)
    except ValueError as error:
        raise UsageError(f"tracker: {error}.") from None


def _finished(run: RunDir) -> RunRecord:
    state = State.model_validate(run.read_checkpoint()["state"]) if run.checkpoint.exists() else State()
    contract = run.read_contract()
    if state.holdout is None or contract is None:
        raise UsageError(
            f"run {run.name!r} has no final score yet, so there is nothing to record. `mlteam show {run.path}` says how far it is."
        )
    return run_record(run, contract, state)
