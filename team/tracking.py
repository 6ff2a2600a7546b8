"""Records that trackers have not taken yet: sent by command, or by a later run."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.rundir import RunDir, list_runs
from team.stages import State
from team.tracking_record import run_record
from tools.trackers import outbox
from tools.trackers.contract import BY_COMMAND, IN_A_RUN, NotSent, Written
from tools.trackers.places import lacking, read_places
from tools.trackers.run_record import RunRecord
from tools.trackers.sending import deliver, told

QUICK_S = 20.0
"""Seconds that a run spends at its end on what waits for its trackers, beside the request that is under way then."""


def track(run: RunDir, tracker: str | None = None) -> dict[str, Any]:
    """Send the record that waits in the run's outbox to its trackers.

    Args:
        tracker: send it to these instead. When nothing waits, the record is made from the run directory, so that a run can be sent
            to a server that came later, and again to one that lost it.

    Returns:
        One document: `run`, `server` (the trackers, with commas between them), `sent`, and of what was sent `run_id`, `candidates`
        and `artefacts`.

    Raises:
        UsageError: for a tracker that is none, a run in use, and one that has no final score to record.
        PrerequisiteMissing: when a tracker cannot be reached; the record waits for it.
        MlteamError: when a tracker refuses the record; it waits all the same.
    """
    with run.lock():
        kept = _waiting(run)
        if tracker is not None:
            places = _places(tracker)
            record = kept.record if kept else _finished(run)
            waits = [*(kept.places if kept else ()), *places]
            outbox.keep(run, outbox.Kept(places=list(dict.fromkeys(waits)), record=record))
            kept = outbox.Kept(places=list(places), record=record)
        if kept is None:
            return {"run": str(run.path), "server": None, "sent": False}
        found = deliver(run, kept, BY_COMMAND)
        errors = {name: outcome for name, outcome in found.items() if isinstance(outcome, NotSent)}
        if errors:
            names = ", ".join(errors)
            said = f"{names} did not take the run: {told(found)}. The record waits in {outbox.place(run)}"
            if all(error.answered for error in errors.values()):
                raise MlteamError(f"{said}; type the same again when that is mended.") from None
            raise PrerequisiteMissing(f"{said}; start the server and type: mlteam track {run.path}") from None
    written = [outcome for outcome in found.values() if isinstance(outcome, Written)]
    sent = {"run_id": written[0].run_id, "candidates": len(kept.record.candidates), "artefacts": max(one.artefacts for one in written)}
    return {"run": str(run.path), "server": ", ".join(found), "sent": True, **sent}


def send_waiting(run: RunDir, places: tuple[str, ...]) -> list[str]:
    """At the end of `run`: send what waits for the same trackers in its outbox, and in those of the runs beside it.

    Only what is quick is sent, and what fails is left for later: nothing is raised.

    Returns:
        Names of the runs that were sent.
    """
    sent: list[str] = []
    until, up = time.monotonic() + QUICK_S, set(places)
    for other in [run, *(r for r in list_runs(run.path.parent) if r.path != run.path)]:
        left = until - time.monotonic()
        if left <= 0 or not up:
            break
        try:
            kept = outbox.read(other)
            waiting = [name for name in kept.places if name in up] if kept else []
            if kept is None or not waiting:
                continue
            # This process holds the lock of its own run.
            with contextlib.nullcontext() if other is run else other.lock():
                found = deliver(other, kept.model_copy(update={"places": waiting}), IN_A_RUN._replace(total_s=left))
            if any(isinstance(outcome, Written) for outcome in found.values()):
                sent.append(other.name)
            # Of one that does not answer, the other runs would fare no better.
            up -= {name for name, outcome in found.items() if isinstance(outcome, NotSent) and not outcome.answered}
        except Exception:  # another run's outbox is no reason for this one to fail; `mlteam track` tells what is wrong there
            continue
    return sent


def _waiting(run: RunDir) -> outbox.Kept | None:
    try:
        return outbox.read(run)
    except outbox.DamagedOutbox as error:
        raise UsageError(f"{error}. Remove the file and type: mlteam track {run.path} --tracker URI") from None


def _places(text: str) -> tuple[str, ...]:
    try:
        places = read_places(text)
    except ValueError as error:
        raise UsageError(f"tracker: {error}.") from None
    if lacks := lacking(places):
        raise PrerequisiteMissing(f"{lacks}.")
    return places


def _finished(run: RunDir) -> RunRecord:
    state = State.model_validate(run.read_checkpoint()["state"]) if run.checkpoint.exists() else State()
    contract = run.read_contract()
    if state.holdout is None or contract is None:
        raise UsageError(
            f"run {run.name!r} has no final score yet, so there is nothing to record. `mlteam show {run.path}` says how far it is."
        )
    return run_record(run, contract, state)
