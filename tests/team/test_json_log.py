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
from team.events import Event, FellBack, MessageSpoken
from team.json_log import JsonView, install, installed, log_as, say, uninstall
from team.log import EventLog
from team.progress import progress_view
from tests.team.a_run import WHOLE


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
        "model_called", "repair_asked", "cell_executed", "kernel_changed", "tool_returned", "approval_asked", "fell_back", "turn_ended",
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
