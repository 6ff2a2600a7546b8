"""The real program in a pseudo-terminal with editing and a status line: whole sessions, from a wish to the questions after the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from team.events import ApprovalDecided, ConstraintAdded, RunPaused, RunResumed, UserSpoken
from team.log import read_events
from team.rundir import list_runs
from team.settings import read_settings
from team.summary import read_summary
from tests.team.chat.terminal import CTRL_C, PENGUINS, ended, piped, printed, see, talking

pytestmark = pytest.mark.slow


def test_a_whole_session_with_a_pause_words_and_questions(tmp_path: Path) -> None:
    wish = f"predict the sex in {PENGUINS}, you have 5 seconds, never use column Region"
    with talking(wish, "--sandbox", "unsafe-local", "--out", tmp_path, columns=100) as child:
        see(child, "predict", "Sex", "column 'Region' is never used", "forecast", "the playbook costs nothing", "Start?")
        child.send("you have 6 seconds\r")
        see(child, "at most 6 s")
        child.send("\r")
        see(child, "acquire")
        child.send(CTRL_C)
        see(child, "pausing at the next safe point", "paused. Enter or /resume goes on", "or say what to change.")
        assert 60 < max(map(len, printed(child, "/help", "with everything saved"))) <= 100
        child.setwinsize(24, 60)
        assert 40 < max(map(len, printed(child, "/help", "with everything saved"))) <= 60
        child.send("the birds live in the cold\r")
        see(child, "kept for the team")
        child.send("/constraint never use column Island\r")
        see(child, "kept from the next turn on")
        child.send("/stat\t\r")
        child.expect("(acquire|analyse) · paused · no score yet · 6 s left")
        child.send("\r")
        see(child, "going on after", "you said, from turn", "status done", "report /")
        child.send("how good is it on the holdout?\r")
        see(child, "roc_auc", "sealed rows")
        child.send("never use column Species\r")
        see(child, "This run has ended")
        child.send("\r")
        see(child, "a fork of")
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
        see(child, "a plan is recorded")
        child.send(CTRL_C)
        see(child, "pausing")
        child.send(CTRL_C)
        see(child, "everything is saved", "mlteam resume")
        assert ended(child) == 130
    (run,) = list_runs(tmp_path)
    assert read_summary(run)["status"] == "interrupted"
    with talking("--run", "last", "--out", tmp_path) as child:
        see(child, "interrupted · no final score")
        child.send("which model is best?\r")
        see(child, "No candidate has been scored yet")
        child.send("/resume\r")
        see(child, "taken up after turn", "data scientist")
        child.send("/quit\r")
        assert ended(child) == 130
    assert any(isinstance(e, RunResumed) for e in read_events(run.events))


def test_calls_wait_for_the_word_of_the_user_while_another_reads_the_log(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("approval: {tools: {record_plan: always, fetch_data: always}}")
    log = tmp_path / "log.jsonl"
    words = ("--target", "Sex", "--time", "5s", "--yes", "--config", config, "--sandbox", "unsafe-local", "--out", tmp_path / "runs")
    with talking(PENGUINS, *words, "--log-format", "json", log=log) as child:
        see(child, "Allow record_plan to be called")
        child.send("/approve\r")
        see(child, "record_plan: allowed by chat", "a plan is recorded", "Allow fetch_data to be called")
        child.send("/reject not over this line\r")
        see(child, "fetch_data: refused by chat (not over this line)")
        child.send("/quit\r")
        ended(child)
    (run,) = list_runs(tmp_path / "runs")
    decided = [(e.tool, e.allowed, e.by) for e in read_events(run.events) if isinstance(e, ApprovalDecided)]
    assert decided[:2] == [("record_plan", True, "chat"), ("fetch_data", False, "chat")]
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["run"] for line in told if line["logger"] == "mlteam.run"} == {run.name}
    assert [line["tool"] for line in told if line.get("event") == "approval_decided"][:2] == ["record_plan", "fetch_data"]


def test_a_log_that_would_be_written_over_the_session_is_refused() -> None:
    with talking(PENGUINS, "--log-format", "json") as child:
        child.expect("2>chat.jsonl")
        assert ended(child) == 2


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
