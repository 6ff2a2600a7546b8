"""The real program: in a pseudo-terminal with editing and a status line, and with pipes, where it speaks plain lines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from team.events import ApprovalDecided, ConstraintAdded, RunPaused, RunResumed, UserSpoken
from team.log import read_events
from team.rundir import RunDir, list_runs
from team.settings import read_settings
from team.summary import read_summary

pytestmark = pytest.mark.slow
PENGUINS = Path(__file__).parents[3] / "evals" / "data" / "penguins.csv"
WAIT_S = 180
# Cursor positions are asked for, which no pseudo-terminal of a test answers; one family of models keeps runs short.
ENVIRONMENT = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "MLTEAM_FAMILIES": "linear", "COLUMNS": "80"}
CTRL_C = "\x03"


@contextmanager
def talking(*arguments: str | Path, columns: int = 80, **variables: str) -> Iterator[pexpect.spawn]:
    """`mlteam chat` on a terminal of its own; whatever happens, it is ended."""
    words = ["-m", "team.cli", "chat", *map(str, arguments)]
    environment = {**ENVIRONMENT, **variables}
    child = pexpect.spawn(sys.executable, words, env=environment, dimensions=(24, columns), timeout=WAIT_S, encoding="utf-8", echo=False)
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus)


def test_a_whole_session_with_a_pause_words_and_questions(tmp_path: Path) -> None:
    wish = f"predict the sex in {PENGUINS}, you have 5 seconds, never use column Region"
    with talking(wish, "--sandbox", "unsafe-local", "--out", tmp_path) as child:
        for shown in ("predict", "Sex", "column 'Region' is never used", "forecast", "the playbook costs nothing"):
            child.expect(shown)
        child.expect("Start\\?")
        child.send("you have 6 seconds\r")
        child.expect("at most 6 s")
        child.send("\r")
        child.expect("acquire")
        child.send(CTRL_C)
        child.expect("pausing at the next safe point")
        child.expect("paused. Enter or /resume goes on")
        child.send("the birds live in the cold\r")
        child.expect("kept for the team")
        child.send("/constraint never use column Island\r")
        child.expect("kept from the next turn on")
        child.send("/stat\t\r")
        child.expect("(acquire|analyse) · paused · no score yet · 6 s left")
        child.send("\r")
        child.expect("going on after")
        child.expect("you said, from turn")
        child.expect("status +done")
        child.expect("report +/")
        child.send("how good is it on the holdout?\r")
        child.expect("roc_auc .* on 68 sealed rows")
        child.send("never use column Species\r")
        child.expect("This run has ended")
        child.send("\r")
        child.expect("a fork of")
        child.send("/quit\r")
        assert ended(child) == 130
    run, fork = list_runs(tmp_path)
    assert {one.column for one in read_settings(fork.settings).constraint} == {"Region", "Island", "Species"}
    events = list(read_events(run.events))
    assert read_summary(run)["status"] == "done"
    assert [e.text for e in events if isinstance(e, UserSpoken)] == ["the birds live in the cold"]
    assert sum(isinstance(e, RunPaused) for e in events) == 1
    (added,) = [e for e in events if isinstance(e, ConstraintAdded)]
    assert (added.told, added.refused) == (["column 'Island' is never used"], "")
    assert "Island" not in (run.data / "schema.json").read_text()


def test_two_interruptions_stop_with_everything_saved_and_the_session_takes_it_up(tmp_path: Path) -> None:
    with talking(
        PENGUINS, "--target", "Sex", "--time", "5s", "--yes", "--sandbox", "unsafe-local", "--out", tmp_path, NO_COLOR="1"
    ) as child:
        child.expect("a plan is recorded")
        child.send(CTRL_C)
        child.expect("pausing")
        child.send(CTRL_C)
        child.expect("everything is saved")
        child.expect("mlteam resume")
        assert ended(child) == 130
    (run,) = list_runs(tmp_path)
    assert read_summary(run)["status"] == "interrupted"
    with talking("--run", "last", "--out", tmp_path) as child:
        child.expect("interrupted · no final score")
        child.send("which model is best?\r")
        child.expect("No candidate has been scored yet")
        child.send("/resume\r")
        child.expect("taken up after turn")
        child.expect("data scientist")
        child.send("/quit\r")
        assert ended(child) == 130
    assert any(isinstance(e, RunResumed) for e in read_events(run.events))


def test_calls_wait_for_the_word_of_the_user(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("approval: {tools: {record_plan: always, fetch_data: always}}")
    with talking(
        PENGUINS, "--target", "Sex", "--time", "5s", "--yes", "--config", config, "--sandbox", "unsafe-local", "--out", tmp_path / "runs"
    ) as child:
        child.expect("Allow record_plan to be called")
        child.send("/approve\r")
        child.expect("record_plan: allowed by chat")
        child.expect("a plan is recorded")
        child.expect("Allow fetch_data to be called")
        child.send("/reject not over this line\r")
        child.expect("fetch_data: refused by chat \\(not over this line\\)")
        child.send("/quit\r")
        ended(child)
    (run,) = list_runs(tmp_path / "runs")
    decided = [(e.tool, e.allowed, e.by) for e in read_events(run.events) if isinstance(e, ApprovalDecided)]
    assert decided[:2] == [("record_plan", True, "chat"), ("fetch_data", False, "chat")]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}], ids=["dumb", "no colour"])
def test_on_poor_terminals_nothing_is_coloured(run: RunDir, variables: dict[str, str]) -> None:
    with talking("--run", run.path, **variables) as child:
        child.expect("Ask about it")
        child.send("/leaderboard\r")
        child.expect("dummy-1")
        child.send("/quit\r")
        assert ended(child) == 0
        seen = str(child.before)
    assert not re.search(r"\x1b\[(?:3|4|9)\d(?:;\d+)*m", seen)


def test_with_pipes_it_speaks_plain_lines_and_ends_with_its_input(run: RunDir) -> None:
    done = piped("/status\nwhich model is best?\n/nonsense\n/leaderboard\n", "--run", run.path)
    assert done.returncode == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", done.stdout)
    assert "in cross-validation" in done.stdout
    assert "there is no command /nonsense" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "spoken", "told"),
    [
        (["/no/such.csv", "--yes"], "", "no such file"),
        ([], "", "there is nobody to answer"),
        (["--run", "nothing"], "", "is no run directory"),
        (["a.csv", "--run", "last"], "", "exclude each other"),
        ([str(PENGUINS), "--metric", "vibes", "--yes"], "", "unknown metric 'vibes'"),
        ([f"predict plumage in {PENGUINS}"], "\n", "There is no column 'plumage'"),
    ],
)
def test_bad_input_is_told_in_words_and_leaves_nothing(tmp_path: Path, arguments: list[str], spoken: str, told: str) -> None:
    done = piped(spoken, *arguments, "--out", tmp_path / "runs")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert told in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def piped(spoken: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "team.cli", "chat", *map(str, arguments)]
    return subprocess.run(words, input=spoken, capture_output=True, text=True, timeout=WAIT_S, env=ENVIRONMENT, check=False)
