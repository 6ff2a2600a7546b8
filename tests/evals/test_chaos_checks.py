"""The checks of the chaos harness: a good run passes them all, and each kind of damage is told by the check it belongs to."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.chaos_checks import check_run
from team.run import start
from team.settings import load_settings

Events = list[dict[str, Any]]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole real run."""
    wish = {
        "source": "sklearn:iris",
        "target": "target",
        "time": "60s",
        "trials": 0,
        "folds": 2,
        "families": "linear,lightgbm",
        "sandbox": {"kind": "unsafe-local", "cpus": 1},
    }
    return Path(start(load_settings({**wish, "out": tmp_path_factory.mktemp("runs")}))["run"])


@pytest.fixture
def run(undisturbed: Path, tmp_path: Path) -> Path:
    """The same run once more, to be damaged."""
    return Path(shutil.copytree(undisturbed, tmp_path / "run"))


def change_log(run: Path, change: Callable[[Events], Events]) -> None:
    """Rewrite the log; events that were added or taken out leave no gap in the numbers."""
    path = run / "events.jsonl"
    events = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps({**event, "seq": seq}) + "\n" for seq, event in enumerate(events)))


def without(kind: str, **facts: Any) -> Callable[[Events], Events]:
    return lambda events: [e for e in events if not (e["kind"] == kind and facts.items() <= e.items())]


def doubled(kind: str) -> Callable[[Events], Events]:
    return lambda events: [e for event in events for e in ([event, event] if event["kind"] == kind else [event])]


def named(problems: list[str]) -> set[str]:
    """The checks that found something."""
    return {problem.partition(":")[0] for problem in problems}


def test_the_same_run_passes(run: Path, undisturbed: Path) -> None:
    assert check_run(run, undisturbed, same_calls=True) == []


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (without("turn_ended", turn=3), {"pairs", "events"}),
        (doubled("turn_started"), {"pairs", "events"}),
        (doubled("message_spoken"), {"events"}),
        (without("message_spoken"), {"events"}),
        (without("tool_returned", tool="review"), {"pairs", "events"}),
        (doubled("tool_returned"), {"pairs", "events"}),
        (without("stage_ended", stage="train"), {"pairs", "events"}),
        (doubled("candidate_scored"), {"candidates", "events"}),
        (without("candidate_scored", name="linear-1"), {"candidates", "events"}),
        (doubled("holdout_scored"), {"events", "holdout"}),
        (doubled("run_started"), {"pairs", "events"}),
        (without("cell_executed", cell=2), {"events", "cells"}),
        (doubled("cell_executed"), {"events", "cells"}),
        (without("run_ended"), {"finished", "result", "events"}),
        (doubled("run_ended"), {"finished", "events"}),
    ],
)
def test_an_event_that_is_lost_or_doubled_is_told(
    run: Path, undisturbed: Path, change: Callable[[Events], Events], checks: set[str]
) -> None:
    change_log(run, change)
    assert named(check_run(run, undisturbed, same_calls=True)) == checks


def test_events_in_another_order_are_told(run: Path, undisturbed: Path) -> None:
    def later(events: Events) -> Events:
        moved = next(e for e in events if e["kind"] == "stage_entered" and e["stage"] == "prepare")
        place = next(k for k, e in enumerate(events) if e["kind"] == "stage_entered" and e["stage"] == "baseline")
        return [*(e for e in events[:place] if e is not moved), moved, *events[place:]]

    change_log(run, later)
    assert named(check_run(run, undisturbed, same_calls=True)) == {"events"}


def test_a_gap_in_the_numbers_is_told(run: Path, undisturbed: Path) -> None:
    lines = (run / "events.jsonl").read_text().splitlines(keepends=True)
    place = next(k for k, line in enumerate(lines) if '"kind":"progress_made"' in line)
    (run / "events.jsonl").write_text("".join(lines[:place] + lines[place + 1 :]))
    assert named(check_run(run, undisturbed, same_calls=True)) == {"order"}


def test_another_score_is_told(run: Path, undisturbed: Path) -> None:
    def better(events: Events) -> Events:
        events[-1]["summary"]["holdout"]["score"] -= 1e-12
        return events

    change_log(run, better)
    assert named(check_run(run, undisturbed, same_calls=True)) == {"result"}


def test_a_resume_that_the_report_does_not_tell_of_is_told(run: Path, undisturbed: Path) -> None:
    resumed = {"kind": "run_resumed", "at": 0.0, "times": 1, "turn": 1, "stage": "plan", "away_s": 1.0}
    change_log(run, lambda events: [*events[:20], resumed, *events[20:]])
    assert named(check_run(run, undisturbed, same_calls=True)) == {"documents"}


def replaced(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        text = (run / path).read_text()
        assert old in text, f"{path} has no {old!r} to damage"
        (run / path).write_text(text.replace(old, new, 1))

    return change


def appended(path: str, text: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        (run / path).parent.mkdir(exist_ok=True)
        with (run / path).open("a") as file:
            file.write(text)

    return change


def look_twice(run: Path) -> None:
    ledger = run / "vault/ledger.jsonl"
    ledger.write_text(2 * ledger.read_text())


def trace_twice(run: Path) -> None:
    first = (run / "traces.jsonl").read_text().splitlines()[0]
    appended("traces.jsonl", f"{first}\n")(run)


def track_twice(run: Path) -> None:
    with sqlite3.connect(run / "mlflow.db") as store:
        store.execute("update runs set status = 'RUNNING' where name = 'linear-1'")
    store.close()


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (replaced("reports/report.html", 'class="big">', 'class="big">1'), {"documents"}),
        (replaced("reports/report.html", "<span>linear-1</span>", "<span>linear-2</span>"), {"documents"}),
        (replaced("notebook.ipynb", "show(profile_table())", "show()"), {"documents"}),
        (lambda run: (run / "notebook.ipynb").unlink(), {"documents", "files"}),
        (lambda run: (run / "leaderboard.json").write_text('{"candidates": []}'), {"candidates"}),
        (appended("cells.jsonl", '{"torn": '), {"readable"}),
        (appended("traces.jsonl", "{\n"), {"readable"}),
        (appended(".checkpoint.json.tmp", "{"), {"files", "half written"}),
        (appended("data/all.parquet.tmp", "x"), {"files", "half written"}),
        (appended(".fold-1/left", "x"), {"files", "half written"}),
        (look_twice, {"holdout"}),
        (track_twice, {"tracked"}),
        (trace_twice, {"traced"}),
    ],
)
def test_damage_to_a_file_is_told(run: Path, undisturbed: Path, change: Callable[[Path], None], checks: set[str]) -> None:
    change(run)
    assert named(check_run(run, undisturbed, same_calls=True)) == checks


def test_a_damaged_log_is_told_and_nothing_else_is_asked(run: Path, undisturbed: Path) -> None:
    with (run / "events.jsonl").open("a") as log:
        log.write("{}\n")
    assert named(check_run(run, undisturbed, same_calls=True)) == {"log"}


@pytest.fixture
def locked(run: Path) -> Iterator[None]:
    with (run / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@pytest.mark.usefixtures("locked")
def test_a_lock_that_is_held_is_told(run: Path, undisturbed: Path) -> None:
    assert named(check_run(run, undisturbed, same_calls=True)) == {"lock"}


def test_other_calls_are_no_loss_where_a_kernel_was_killed(run: Path, undisturbed: Path) -> None:
    call = {"call": "again", "turn": 3, "role": "engineer", "tool": "prepare", "where": "kernel", "arguments": {}}
    made = [
        {"kind": "tool_called", "at": 0.0, **call},
        {"kind": "tool_returned", "at": 0.0, "call": "again", "tool": "prepare", "status": "died", "seconds": 1.0},
    ]
    change_log(run, lambda events: [*events[:30], *made, *events[30:]])
    assert check_run(run, undisturbed, same_calls=False) == []
    assert named(check_run(run, undisturbed, same_calls=True)) == {"events"}
