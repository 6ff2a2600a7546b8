"""Runs that are cut off for real, and go on."""

from __future__ import annotations

import collections
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from team.checkpoint import read_cut_off
from team.cli import main
from team.errors import MlteamError, UsageError
from team.events import CandidateScored, HoldoutScored, RunEnded, RunForked, RunResumed, ToolCalled, ToolReturned, UserSpoken
from team.forking import fork
from team.log import read_events
from team.run import go_on, resume, start
from team.rundir import RunDir
from team.settings import load_settings
from team.summary import read_summary
from team.vault import Vault
from tests.team.commands import command, follow, follow_on, lines, log_size, running

pytestmark = pytest.mark.slow
SETTINGS: dict[str, Any] = {
    "source": "sklearn:iris",
    "target": "target",
    "time": "200s",
    "trials": 2,
    "folds": 2,
    "families": "linear,extra_trees,lightgbm",
    "sandbox": "unsafe-local",
}
KILLED_AT = (
    lambda e: e["kind"] == "tool_called" and e["tool"] == "seal_holdout",
    lambda e: e["kind"] == "progress_made" and e["facts"].get("candidate") == "extra_trees-1",
    lambda e: e["kind"] == "candidate_scored" and e["family"] == "lightgbm",
    lambda e: e["kind"] == "tool_called" and e["tool"] == "tune",
    lambda e: e["kind"] == "holdout_scored",
    lambda e: e["kind"] == "tool_called" and e["tool"] == "finish",
)
"""Moments: a host tool under way, a fit under way, between a cell's end and its call's, tuning, after the look, the refit."""


def interrupt(out: Path, words: list[str], moment: Any, number: int) -> tuple[Path, int, str]:
    """Run a command until a moment, send it a signal, and wait for its end; no process of it may be left."""
    known = {run: log_size(run) for run in out.glob("*/")}
    with running(words) as process:
        run = follow_on(process, *known.popitem(), moment) if known else follow(process, out, moment)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    return run, process.returncode, err


def first_words(out: Path) -> list[str]:
    options = [f"--{name}={value}" for name, value in SETTINGS.items() if name != "source"]
    return command("run", SETTINGS["source"], *options, f"--out={out}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], RunDir]:
    summary = start(
        load_settings({**SETTINGS, "sandbox": {"kind": "unsafe-local", "cpus": 1}, "out": tmp_path_factory.mktemp("undisturbed")})
    )
    return summary, RunDir(Path(summary["run"]))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed when its baselines were there."""
    out = tmp_path_factory.mktemp("cut")
    run, _, _ = interrupt(out, first_words(out), lambda e: e["kind"] == "stage_entered" and e["stage"] == "train", signal.SIGKILL)
    return run


@pytest.fixture
def mine(cut: Path, tmp_path: Path) -> RunDir:
    return RunDir(Path(shutil.copytree(cut, tmp_path / cut.name)))


def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(
    undisturbed: tuple[dict[str, Any], RunDir], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = None
    for moment in KILLED_AT:
        words = first_words(tmp_path) if run is None else command("resume", str(run))
        run, _, _ = interrupt(tmp_path, words, moment, signal.SIGKILL)
    assert run is not None
    with pytest.raises(SystemExit) as ended:
        main(["resume", str(run), "--json"])
    assert ended.value.code == 0
    summary, expected = json.loads(capsys.readouterr().out), undisturbed[0]
    for name in ("status", "holdout", "cv", "model", "candidates", "rounds", "baseline"):
        assert summary[name] == expected[name], name

    events = list(read_events(run / "events.jsonl"))
    assert [e.seq for e in events] == list(range(len(events)))
    called, returned = ([e.call for e in events if isinstance(e, kind)] for kind in (ToolCalled, ToolReturned))
    assert sorted(called) == sorted(returned)
    assert len(set(called)) == len(called)
    scored = {e.name: e.score for e in events if isinstance(e, CandidateScored)}
    assert scored == {e.name: e.score for e in read_events(undisturbed[1].events) if isinstance(e, CandidateScored)}
    assert [
        len(list(group)) for group in ([e for e in events if isinstance(e, CandidateScored) and e.name == name] for name in scored)
    ] == [1] * len(scored)
    assert sum(isinstance(e, HoldoutScored) for e in events) == 1
    assert len(Vault(RunDir(run)).looks) == 1
    assert [e.times for e in events if isinstance(e, RunResumed)] == list(range(1, len(KILLED_AT) + 1))
    assert not list(run.rglob(".*.tmp"))
    cells = [json.loads(line) for line in (run / "cells.jsonl").read_text().splitlines()]
    theirs = [json.loads(line) for line in undisturbed[1].cells.read_text().splitlines()]
    assert [(c["cell"], c["tool"]) for c in cells] == [(c["cell"], c["tool"]) for c in theirs]
    spans = [json.loads(line) for line in (run / "traces.jsonl").read_text().splitlines()]
    ids = {span["context"]["span_id"] for span in spans}
    assert len(ids) == len(spans)
    assert len({span["context"]["trace_id"] for span in spans}) == 1
    assert [span["name"] for span in spans if span["parent_id"] not in ids] == ["invoke_workflow mlteam"]
    assert sorted(span["attributes"]["gen_ai.tool.call.id"] for span in spans if span["name"].startswith("execute_tool")) == sorted(called)
    assert "resumed 6 times" in (run / "reports" / "report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stops_a_run_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    run, code, err = interrupt(tmp_path, first_words(tmp_path), lambda e: e["kind"] == "tool_called" and e["tool"] == "train", number)
    assert code == 130
    assert f"mlteam resume {run}" in err
    assert "Traceback" not in err
    assert (lines(run)[-1]["kind"], lines(run)[-1]["status"]) == ("run_ended", "interrupted")
    assert read_summary(RunDir(run))["status"] == "interrupted"
    assert read_cut_off(RunDir(run)).damage == []


def test_a_second_process_is_refused(mine: RunDir) -> None:
    with mine.lock(), pytest.raises(UsageError, match="in use by another process"):
        resume(mine)


def test_a_run_that_has_ended_is_not_resumed(undisturbed: tuple[dict[str, Any], RunDir]) -> None:
    with pytest.raises(UsageError, match="has ended"):
        resume(undisturbed[1])


def test_a_damaged_checkpoint_gives_way_to_the_one_before(mine: RunDir) -> None:
    # The kill may have fallen between the two files of a turn, so the folder says which is the newest.
    newest = max(mine.checkpoints.iterdir())
    mine.checkpoint.write_text('{"schema_version": 2, "state": ')
    newest.write_bytes(b"\x00\xff")
    found = read_cut_off(mine)
    assert found.checkpoint.turns == int(newest.stem) - 1
    assert found.damage == [
        "checkpoint.json is damaged (JSONDecodeError); an older one is used",
        f"{newest.name} is damaged (UnicodeDecodeError); an older one is used",
    ]
    assert {event.kind for event in found.tail} >= {"turn_started", "turn_ended", "tool_called", "tool_returned"}


def test_without_any_good_checkpoint_it_goes_on_from_the_log_alone(mine: RunDir) -> None:
    for path in (mine.checkpoint, *mine.checkpoints.iterdir()):
        path.write_text("{}")
    before = [e.call for e in read_events(mine.events) if isinstance(e, ToolReturned)]
    summary = resume(mine)
    assert summary["status"] == "done"
    events = list(read_events(mine.events))
    assert [e.call for e in events if isinstance(e, ToolReturned)][: len(before)] == before
    assert collections.Counter(e.call for e in events if isinstance(e, ToolCalled)).most_common(1)[0][1] == 1
    told = next(e for e in events if isinstance(e, RunResumed)).damage
    assert told[-1] == "no checkpoint is good: the run is gone through from its beginning"


def test_a_damaged_and_a_torn_event_are_passed_over_and_told(mine: RunDir) -> None:
    log = mine.events.read_bytes().split(b"\n")
    log[4] = b'{"kind": "nothing"}'
    mine.events.write_bytes(b"\n".join(log) + b'{"seq": 99, "ki')
    with pytest.raises(MlteamError, match="line 5"):
        list(read_events(mine.events))
    found = read_cut_off(mine)
    assert len(found.damage) == 2
    assert "last line was torn off" in found.damage[0]
    assert "line 5" in found.damage[1]
    assert len(list(read_events(mine.events))) == len(log) - 2
    assert (mine.path / "events.jsonl.damaged").exists()


def test_a_run_of_an_earlier_version_is_taken_up(mine: RunDir) -> None:
    now = json.loads(mine.checkpoint.read_text())
    old = {"schema_version": 1, **{key: now[key] for key in ("state", "usage", "turns", "thread")}}
    shutil.rmtree(mine.checkpoints)
    mine.checkpoint.write_text(json.dumps(old))
    found = read_cut_off(mine)
    assert (found.checkpoint.turns, found.checkpoint.events, found.damage) == (now["turns"], now["events"], [])


@pytest.mark.parametrize("where", ["checkpoint", "events"])
def test_a_run_of_a_later_version_is_refused_with_the_version(where: str, mine: RunDir) -> None:
    if where == "checkpoint":
        mine.checkpoint.write_text(json.dumps(json.loads(mine.checkpoint.read_text()) | {"schema_version": 99}))
    else:
        first, rest = mine.events.read_text().split("\n", 1)
        mine.events.write_text(json.dumps(json.loads(first) | {"schema_version": 99, "more": 1}) + "\n" + rest)
    with pytest.raises(MlteamError, match=r"later mlteam.*version 99"):
        read_cut_off(mine)


def test_what_a_killed_process_left_half_written_is_swept(mine: RunDir) -> None:
    for path in (".settings.yaml.tmp", "data/.contract.json.tmp", "work/.something.tmp"):
        (mine.path / path).write_text("half")
    (mine.path / ".fold-x" / "data").mkdir(parents=True)
    read_cut_off(mine)
    assert not list(mine.path.rglob(".*.tmp"))
    assert not (mine.path / ".fold-x").exists()


def test_a_fork_goes_on_from_a_step_with_other_settings_and_shares_what_both_read(undisturbed: tuple[dict[str, Any], RunDir]) -> None:
    parent = undisturbed[1]
    before = {path: path.read_bytes() for path in (parent.events, parent.checkpoint, parent.vault / "ledger.jsonl")}
    made, cut_off = fork(parent, "select", {"goal": "the same once more"})
    assert (made.data / "train.parquet").stat().st_ino == (parent.data / "train.parquet").stat().st_ino
    summary = go_on(made, cut_off)
    assert (summary["status"], summary["holdout"]["looks"], summary["forked_from"]) == ("done", 2, parent.name)
    assert summary["holdout"]["score"] == undisturbed[0]["holdout"]["score"]
    told = next(e for e in read_events(made.events) if isinstance(e, RunForked))
    assert (told.parent, told.changed["goal"]) == (parent.name, "the same once more")
    assert sum(isinstance(e, RunEnded) for e in read_events(made.events)) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_what_a_spread_search_finds_is_judged_in_a_fork(
    undisturbed: tuple[dict[str, Any], RunDir], capsys: pytest.CaptureFixture[str]
) -> None:
    parent = undisturbed[1]
    ledger = (parent.vault / "ledger.jsonl").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["eval", "tune", str(parent.path), "--family", "linear", "--trials", "2", "--jobs", "2", "--fork", "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    made = found["fork"]
    assert (made["status"], made["holdout"]["looks"], made["forked_from"]) == ("done", 2, parent.name)
    mine = RunDir(Path(made["run"]))
    scored = {e.name: e for e in read_events(mine.events) if isinstance(e, CandidateScored)}
    assert scored["linear-spread-1"].score == pytest.approx(found["score"], rel=1e-9)
    assert "linear-spread-1" not in {e.name for e in read_events(parent.events) if isinstance(e, CandidateScored)}
    said = next(e.text for e in read_events(mine.events) if isinstance(e, UserSpoken))
    assert said.startswith("linear-spread-1 was found by `mlteam eval tune` as the best of 2 trials of linear")
    assert found["leader"]["name"] in scored
    assert "linear-spread-1" in mine.report.read_text()
    assert (parent.vault / "ledger.jsonl").read_bytes() == ledger


@pytest.mark.parametrize(
    ("at", "changes", "message"),
    [
        ("nowhere", {}, "of entering plan, acquire"),
        ("999", {}, "checkpoints of turns 0 to"),
        ("train", {"metric": "accuracy"}, "Fork before it: at acquire"),
        ("train", {"tine": "5m"}, "no such setting"),
        ("train", {"sandbox.memory": 5}, "sandbox.memory"),
    ],
)
def test_a_fork_that_cannot_be_is_refused_and_leaves_nothing(
    at: str, changes: dict[str, Any], message: str, undisturbed: tuple[dict[str, Any], RunDir]
) -> None:
    out = undisturbed[1].path.parent
    before = sorted(out.iterdir())
    with pytest.raises(UsageError, match=message):
        fork(undisturbed[1], at, changes)
    assert sorted(out.iterdir()) == before
