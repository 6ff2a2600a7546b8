"""A run's record to its trackers, by way of the outbox: what one of them does not take now waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tools.host import RunPaths
from tools.trackers import outbox
from tools.trackers.contract import OWN as PATIENT
from tools.trackers.contract import NotSent, Patience, Written
from tools.trackers.fanout import EVERY_S, Fanout
from tools.trackers.places import OWN, make_tracker
from tools.trackers.run_record import RunRecord


def fanout(run: RunPaths, places: Sequence[str], every_s: float = EVERY_S) -> Fanout:
    """The trackers of these names, beginning with the run's own store, which every run is written to."""
    names = dict.fromkeys((OWN, *places))
    return Fanout({name: partial(make_tracker, name, run) for name in names}, {OWN: PATIENT}, every_s)


def deliver(run: RunPaths, kept: outbox.Kept, patience: Patience, trackers: Fanout | None = None) -> dict[str, Written | NotSent]:
    """Send what was put into the outbox to those that wait for it, and strike off those that took it."""
    found = (trackers or fanout(run, kept.places)).finish(kept.record, outbox.attachments(run), patience, kept.places)
    outbox.strike_off(run, {name for name, outcome in found.items() if isinstance(outcome, Written)})
    return found


def told(found: dict[str, Written | NotSent]) -> str:
    """Why trackers did not take the record; with their names where several did not."""
    failed = {name: outcome for name, outcome in found.items() if isinstance(outcome, NotSent)}
    return "; ".join(str(error) if len(failed) == 1 else f"{name}: {error}" for name, error in failed.items())


def record_everywhere(run: RunPaths, record: RunRecord, patience: Patience, trackers: Fanout) -> dict[str, Written | NotSent]:
    """Write a record to the run's own store and to all its trackers at once; what is not taken stays in the outbox."""
    if waiting := [name for name in trackers.names if name != OWN]:
        outbox.keep(run, outbox.Kept(places=waiting, record=record))
    found = trackers.finish(record, outbox.attachments(run), patience)
    if waiting:
        outbox.strike_off(run, {name for name, outcome in found.items() if isinstance(outcome, Written)})
    return found
