"""Listing runs: every state is told, the newest comes first, and nothing that lies in the folder breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.events import RunEnded, RunStarted, TurnStarted
from team.inventory import Entry, disk_usage, list_entries, read_entry
from team.log import EventLog
from team.overview import listing
from team.rundir import RunDir, create_run
from tests.team.scored import nested, scored

WIDE = 1000


def began(out: Path, title: str = "data") -> RunDir:
    run = create_run(out, title)
    log = EventLog(run.events)
    log.append(RunStarted(run=run.name, settings={"source": "data.csv", "target": "y", "metric": None}, versions={}))
    log.close()
    return run


def ended(run: RunDir, status: str, reason: str = "") -> RunDir:
    log = EventLog(run.events)
    log.append(RunEnded(status=status, reason=reason, seconds=1.0))  # type: ignore[arg-type]  # as the log has it
    log.close()
    return run


def only(out: Path) -> Entry:
    (entry,) = list_entries(out)
    return entry


def test_a_finished_run_has_its_score_and_its_size(tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4)
    entry = only(tmp_path)
    assert (entry.name, entry.state, entry.metric, entry.model) == (run.name, "done", "roc_auc", "linear-1")
    assert entry.holdout is not None
    assert entry.holdout.low <= entry.holdout.score <= entry.holdout.high
    assert (entry.source, entry.target, entry.released) == ("sklearn:breast_cancer", "target", False)
    assert entry.bytes == disk_usage(run.path) > run.events.stat().st_size


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_ends_are_told(tmp_path: Path, status: str) -> None:
    ended(began(tmp_path), status, "why")
    assert (only(tmp_path).state, only(tmp_path).reason) == (status, "why")


def test_without_an_end_it_is_running_while_somebody_holds_it(tmp_path: Path) -> None:
    run = began(tmp_path)
    assert only(tmp_path).state == "stopped"
    with run.lock():
        assert only(tmp_path).state == "running"
        assert read_entry(run.path, held=True).state == "stopped"
    assert only(tmp_path).state == "stopped"


def test_an_end_that_turns_follow_is_none(tmp_path: Path) -> None:
    run = ended(began(tmp_path), "interrupted")
    log = EventLog(run.events)
    log.append(TurnStarted(turn=1, role="planner", stage="plan", briefing=""))
    log.close()
    assert only(tmp_path).state == "stopped"


def test_released_means_packaged(tmp_path: Path) -> None:
    run = ended(began(tmp_path), "done")
    run.model.mkdir()
    assert not only(tmp_path).released
    (run.model / "package.json").write_text("{}")
    assert only(tmp_path).released


def test_damage_is_told_and_hides_nobody(tmp_path: Path) -> None:
    good = scored(tmp_path, noise=0.4)
    log, contract, bare = began(tmp_path, "log"), began(tmp_path, "contract"), create_run(tmp_path, "bare")
    log.events.write_text('{"kind": "run_ended"}\n')
    contract.contract.write_text("{}")
    fifo = create_run(tmp_path, "fifo")
    fifo.events.mkdir()
    states = {entry.name: (entry.state, entry.reason) for entry in list_entries(tmp_path)}
    assert states.pop(good.name)[0] == "done"
    assert set(states) == {log.name, contract.name, bare.name, fifo.name}
    assert {state for state, _ in states.values()} == {"damaged"}
    assert states[bare.name][1] == "it has no event log"
    assert "line 1" in states[log.name][1]
    assert "damaged" in listing(list_entries(tmp_path), tmp_path, WIDE)


def test_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    elsewhere = scored(tmp_path / "elsewhere", noise=0.4)
    out = tmp_path / "runs"
    out.mkdir()
    (out / "linked").symlink_to(elsewhere.path)
    entry = only(out)
    assert (entry.name, entry.state, entry.bytes, entry.released) == ("linked", "link", 0, False)
    assert str(elsewhere.path) in entry.reason


def test_what_is_no_run_is_passed_over(tmp_path: Path) -> None:
    run = began(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "plots").mkdir()
    (tmp_path / ".20261125-101010-gone").mkdir()
    assert only(tmp_path).name == run.name
    assert list_entries(tmp_path / "nowhere") == []


def test_the_newest_comes_first_whatever_its_name(tmp_path: Path) -> None:
    old, new = began(tmp_path, "zebra"), began(tmp_path, "ant")
    renamed = new.path.rename(tmp_path / "a-name-of-my-own")
    assert [entry.name for entry in list_entries(tmp_path)] == [renamed.name, old.name]


def test_size_follows_no_link(tmp_path: Path) -> None:
    run = began(tmp_path)
    before = disk_usage(run.path)
    big = tmp_path / "big"
    big.write_bytes(b"x" * 1_000_000)
    (run.work / "link").symlink_to(big)
    (run.work / "loop").symlink_to(run.path)
    assert disk_usage(run.path) < before + 100_000


def test_no_depth_breaks_the_size(tmp_path: Path) -> None:
    run = began(tmp_path)
    before = disk_usage(run.path)
    with nested(run.work):
        assert only(tmp_path).bytes > before


def test_the_listing_fits_a_terminal_and_cuts_nothing(tmp_path: Path) -> None:
    scored(tmp_path, noise=0.4)
    began(tmp_path, "another")
    for width, columns in ((WIDE, {"when", "data", "metric", "model"}), (80, {"metric", "model"}), (58, set())):
        lines = listing(list_entries(tmp_path), tmp_path, width).splitlines()
        assert all(len(line) <= width for line in lines[:3])
        assert set(lines[0].split()) & {"when", "data", "metric", "model"} == columns
    assert "2 runs" in lines[4]
    assert "mlteam resume RUN" in lines[5]


def test_text_from_data_is_inert(tmp_path: Path) -> None:
    run = create_run(tmp_path, "data")
    log = EventLog(run.events)
    log.append(RunStarted(run=run.name, settings={"source": "\x1b[31m\u202e.csv", "target": "y"}, versions={}))
    log.close()
    text = listing(list_entries(tmp_path), tmp_path, WIDE)
    assert "\x1b" not in text
    assert "\u202e" not in text
