"""Several trackers at once: none waits for another, nobody waits for any, and one that was down catches up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from team.rundir import RunDir
from tests.contracts.tracker import record
from tests.tools.trackers.keeping import Keeping
from tools.trackers import outbox
from tools.trackers.contract import NOTHING, Attachments, Patience, Tracker, Written
from tools.trackers.fanout import Fanout
from tools.trackers.run_record import RunRecord
from tools.trackers.sending import told

SOON = Patience(1, 0.2)


class Failing(Tracker):
    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        raise RuntimeError("s3cr3t")


def test_one_that_hangs_or_fails_is_no_matter_of_the_others() -> None:
    hangs, works = Keeping(), Keeping()
    hangs.free.clear()
    trackers = Fanout({"hangs": lambda: hangs, "fails": Failing, "works": lambda: works, "unmade": lambda: 1 / 0})  # type: ignore[dict-item,return-value]  # as packages may
    began = time.monotonic()
    trackers.offer(lambda: record("r", "a", status="running"), trackers.names)
    works.until(lambda: len(works.records) == 1)
    found = trackers.finish(record("r"), NOTHING, SOON, within_s=2.0)
    assert time.monotonic() - began < 30
    assert [isinstance(found[name], Written) for name in ("hangs", "fails", "works", "unmade")] == [False, False, True, False]
    assert told(found) == "hangs: it is too slow; fails: it failed (RuntimeError); unmade: it failed (ZeroDivisionError)"
    assert [one.status for one in works.records] == ["running", "finished"]
    assert "works" not in trackers.streaming
    hangs.free.set()


def test_of_records_that_come_quickly_the_newest_is_written_and_the_last_one_is_not_followed() -> None:
    slow = Keeping()
    slow.free.clear()
    trackers = Fanout({"slow": lambda: slow}, every_s=0.0)
    for count in range(50):
        trackers.offer(lambda count=count: record("r", "a", status="running", points=count), ("slow",))  # type: ignore[misc]
    slow.free.set()
    slow.until(lambda: len(slow.records) > 0 and len(slow.records[-1].points) == 49)
    assert len(slow.records) <= 3
    assert trackers.streaming == ("slow",)
    trackers.finish(record("r"), NOTHING, Patience(1, 30.0))
    assert slow.records[-1].status == "finished"


def test_a_tracker_that_is_back_gets_what_it_missed_while_the_run_goes_on() -> None:
    back = Keeping()
    back.up = False
    trackers = Fanout({"back": lambda: back}, every_s=0.01)
    trackers.offer(lambda: record("r", "a b", status="running"), ("back",))
    back.until(lambda: back.tries >= 2)
    with back.changed:
        back.up = True
    back.until(lambda: len(back.records) == 1)
    assert [one.name for one in back.records[0].candidates] == ["a", "b"]


def test_an_outbox_of_before_is_read_and_those_that_took_it_are_struck_off(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    kept = outbox.Kept(places=["http://h:1", "wandb"], record=record("r"))
    outbox.keep(run, kept)
    assert outbox.read(run) == kept
    assert outbox.strike_off(run, {"wandb", "never there"}) == ["http://h:1"]
    now = outbox.read(run)
    assert now is not None
    before = now.model_dump(mode="json", exclude={"places"}) | {"schema_version": 1, "server": "http://h:1"}
    for new in ("status", "points", "dataset"):
        del before["record"][new]
    assert outbox.Kept.model_validate(before).places == ["http://h:1"]
    assert outbox.strike_off(run, {"http://h:1"}) == []
    assert outbox.read(run) is None
    outbox.place(run).write_text('{"schema_version": 2, "places": [], "record": {}}')
    with pytest.raises(outbox.DamagedOutbox, match="places"):
        outbox.read(run)
