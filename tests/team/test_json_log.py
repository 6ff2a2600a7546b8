"""JSON logs: each line of stderr is one object, with where it happened; nothing secret, nothing that acts on a terminal."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from team.asking import terminal_asker
from team.cli import main
from team.events import Event, FellBack, MessageSpoken, RunResumed
from team.json_log import JsonView, install, installed, log_as, say, uninstall
from team.log import EventLog, read_events
from team.progress import progress_view
from team.rundir import RunDir
from team.trace_ids import TraceIds
from team.trace_place import TracePlace
from tests.team.a_run import STARTED, WHOLE, logged, made_run


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    made = io.StringIO()
    install(made)
    yield made
    uninstall()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def follow(path: Path, *events: Event) -> list[Event]:
    """Log events with the view that a command would take as their subscriber."""
    path.mkdir(exist_ok=True)
    log = EventLog(path / "events.jsonl")
    with progress_view() as view:
        assert isinstance(view, JsonView)
        log.subscribe(view)
        told = [log.append(event) for event in events]
    log.close()
    return told


def test_each_event_is_a_line_that_says_where_it_happened(tmp_path: Path, stream: io.StringIO) -> None:
    told = follow(tmp_path, *WHOLE)
    found = lines(stream)
    assert [line["event"] for line in found] == [event.kind for event in told]
    assert {line["run"] for line in found} == {"a-run"}
    for line, event in zip(found, told, strict=True):
        assert abs(datetime.fromisoformat(line["timestamp"]).timestamp() - event.at) < 0.001
        assert line["logger"] == "mlteam.run"
    spoken = next(line for line in found if line["event"] == "message_spoken")
    assert {name: spoken[name] for name in ("level", "message", "stage", "turn", "role")} == {
        "level": "INFO", "message": "I train.", "stage": "train", "turn": 1, "role": "engineer",
    }  # fmt: skip
    ended = found[-1]
    assert "turn" not in ended
    assert (ended["status"], ended["seconds"]) == ("done", 9.0)


def test_facts_stand_beside_the_message_and_long_texts_stay_in_the_log(tmp_path: Path, stream: io.StringIO) -> None:
    follow(tmp_path, *WHOLE)
    found = {line["event"]: line for line in reversed(lines(stream))}
    assert (found["model_called"]["input_tokens"], found["model_called"]["usd"]) == (700, 0.25)
    assert (found["tool_returned"]["tool"], found["tool_returned"]["status"]) == ("train", "ok")
    assert "briefing" not in found["turn_started"]
    assert "settings" not in found["run_started"]
    assert "arguments" not in found["tool_called"]


def test_what_went_wrong_is_a_warning(tmp_path: Path, stream: io.StringIO) -> None:
    follow(tmp_path, *WHOLE)
    warned = [line["event"] for line in lines(stream) if line["level"] == "WARNING"]
    assert set(warned) == {
        "model_called", "budget_warned", "repair_asked", "cell_executed", "kernel_changed", "tool_returned", "approval_asked", "fell_back",
        "turn_ended",
    }  # fmt: skip
    follow(tmp_path / "another", WHOLE[-1].model_copy(update={"status": "failed", "reason": "no model came of it"}))
    assert lines(stream)[-1]["level"] == "ERROR"
    assert lines(stream)[-1]["message"] == "run ended: failed, no model came of it"


def test_what_libraries_log_and_warn_of_goes_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("disk %s is %d %% full", "a", 91)
    logging.getLogger("some.library").info("chatter")
    try:
        raise ValueError("no number")
    except ValueError:
        logging.getLogger("other").exception("it failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("soon gone", DeprecationWarning, stacklevel=1)
    first, second, third = lines(stream)
    assert (first["level"], first["logger"], first["message"]) == ("WARNING", "some.library", "disk a is 91 % full")
    assert second["exception"].splitlines()[-1] == "ValueError: no number"
    assert (third["logger"], "soon gone" in third["message"]) == ("py.warnings", True)


def test_lines_have_the_ids_of_their_trace(tmp_path: Path, stream: io.StringIO) -> None:
    told = follow(tmp_path, *WHOLE)
    place = TracePlace("a-run")
    assert [(line["trace_id"], line["span_id"]) for line in lines(stream)] == [place(event) for event in told]


def test_what_is_logged_within_a_turn_says_so(tmp_path: Path, stream: io.StringIO) -> None:
    with progress_view() as view:
        for event in logged(tmp_path / "events.jsonl", WHOLE[:5]):
            assert isinstance(view, JsonView)
            view(event)
        logging.getLogger("library").warning("slow")
    logging.getLogger("library").warning("after it")
    *_, turn, during, after = lines(stream)
    assert {name: during[name] for name in ("run", "stage", "turn", "role")} == {
        "run": "a-run", "stage": "train", "turn": 1, "role": "engineer",
    }  # fmt: skip
    assert (during["trace_id"], during["span_id"]) == (turn["trace_id"], turn["span_id"])
    assert "run" not in after


def test_a_run_that_is_taken_up_goes_on_in_its_trace(tmp_path: Path, stream: io.StringIO) -> None:
    run = RunDir(made_run(tmp_path, events=WHOLE[:6]))
    resumed = RunResumed(times=1, turn=0, stage="train", away_s=5.0)
    with progress_view(run) as view:
        for event in logged(run.events, [resumed]):
            assert isinstance(view, JsonView)
            view(event)
    (line,) = lines(stream)
    first = next(read_events(run.events))
    assert line["trace_id"] == f"{TraceIds.of('a-run', first.at).trace:032x}"
    assert (line["run"], line["stage"]) == ("a-run", "train")


def test_what_somebody_wrote_is_left_out_where_content_is_not_captured(tmp_path: Path, stream: io.StringIO) -> None:
    quiet = STARTED.model_copy(update={"settings": {"capture_content": False, "time": 60.0}})
    follow(tmp_path, quiet, *WHOLE[1:])
    written = stream.getvalue()
    for words in ("I train.", "the server hung up", "no answer", "no call", "the model did not answer"):
        assert words not in written
    assert {line["message"] for line in lines(stream) if line["event"] == "message_spoken"} == {"message spoken"}
    assert any(line.get("input_tokens") == 700 for line in lines(stream))


def test_secrets_are_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", 'sk-"quoted"-123456')
    stream = io.StringIO()
    install(stream)
    try:
        logging.getLogger("library").warning('sent sk-"quoted"-123456 along')
        follow(tmp_path, MessageSpoken(turn=1, role="critic", text='it is sk-"quoted"-123456'))
    finally:
        uninstall()
    assert "123456" not in stream.getvalue()
    assert [line["message"] for line in lines(stream)] == ["sent [redacted] along", "it is [redacted]"]


def test_a_line_is_one_line_and_moves_no_cursor(tmp_path: Path, stream: io.StringIO) -> None:
    text = "first\nsecond\u2028third \x1b[2J \u202e \x9b \ud800"
    follow(tmp_path, MessageSpoken(turn=1, role="critic", text=text), FellBack(stage="plan", role="critic", reason="x" * 9_000))
    written = stream.getvalue()
    assert written.count("\n") == 2
    assert not any(mark in written for mark in "\x1b\u202e\u2028\x9b")
    assert lines(stream)[0]["message"].startswith("first\nsecond\u2028third \x1b[2J")
    assert len(lines(stream)[1]["message"]) == 2_000


def test_nothing_is_left_behind(stream: io.StringIO) -> None:
    uninstall()
    assert not installed()
    assert not say("nobody hears this")
    logging.getLogger("mlteam.run").info("nor this")
    assert stream.getvalue() == ""


def test_nobody_is_asked_where_no_terminal_is_drawn_on() -> None:
    assert terminal_asker(JsonView()) is None


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0), capsys.readouterr().err


def test_a_command_that_fails_says_so_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, err = called(capsys, "resume", "none", "--out", str(tmp_path), "--log-format", "json")
    (line,) = err.splitlines()
    found = json.loads(line)
    assert code == 2
    assert (found["level"], found["logger"], found["exit_code"]) == ("ERROR", "mlteam.command", 2)
    assert "is no run directory" in found["message"]
    assert not installed(), "the next command of this process says for itself"


def test_the_variable_asks_for_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTEAM_LOG_FORMAT", "json")
    _, err = called(capsys, "resume", "none", "--out", str(tmp_path))
    assert json.loads(err)["level"] == "ERROR"
    _, err = called(capsys, "resume", "none", "--out", str(tmp_path), "--log-format", "text")
    assert err.startswith("mlteam: ")
    monkeypatch.setenv("MLTEAM_LOG_FORMAT", "xml")
    code, err = called(capsys, "resume", "none", "--out", str(tmp_path))
    assert (code, err) == (2, "mlteam: MLTEAM_LOG_FORMAT 'xml': expected text or json.\n")


def test_a_format_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "run", "rows.csv", "--log-format", "yaml") == (2, "mlteam: --log-format 'yaml': expected text or json.\n")
    assert log_as(None) == "text"
