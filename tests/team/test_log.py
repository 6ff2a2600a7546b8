"""The event log: order, torn lines, damage, subscribers, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.errors import MlteamError
from team.events import FellBack, StageEntered
from team.log import EventLog, read_events


def fell_back(reason: str) -> FellBack:
    return FellBack(stage="plan", role="planner", reason=reason)


def test_events_come_back_in_order_with_place_and_time(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(StageEntered(stage="plan", visit=1))
    log.append(fell_back("why"))
    log.sync()
    log.close()
    events = list(read_events(tmp_path / "events.jsonl"))
    assert [e.seq for e in events] == [0, 1]
    assert [e.kind for e in events] == ["stage_entered", "fell_back"]
    assert 0 < events[0].at <= events[1].at


def test_a_torn_last_line_is_cut_off_and_the_log_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(fell_back("one"))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"kind":"fell_b')
    assert len(list(read_events(path))) == 1
    log = EventLog(path)
    log.append(fell_back("two"))
    log.close()
    assert [(e.seq, e.reason) for e in read_events(path) if isinstance(e, FellBack)] == [(0, "one"), (1, "two")]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind":"no_such_event"}\n')
    with pytest.raises(MlteamError, match="line 1"):
        list(read_events(path))


def test_subscribers_hear_of_events_in_order(tmp_path: Path) -> None:
    log, heard = EventLog(tmp_path / "events.jsonl"), []
    log.subscribe(lambda event: heard.append(event.seq))
    for reason in "abc":
        log.append(fell_back(reason))
    log.close()
    assert heard == [0, 1, 2]


def test_secrets_of_the_environment_never_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_TOKEN", 'sk-very"secret-value')
    log = EventLog(tmp_path / "events.jsonl")
    log.append(fell_back('the server said sk-very"secret-value is wrong'))
    log.close()
    text = (tmp_path / "events.jsonl").read_text()
    assert "secret-value" not in text
    assert "[redacted]" in text
    assert len(list(read_events(tmp_path / "events.jsonl"))) == 1


def test_half_a_surrogate_pair_of_a_model_does_not_end_the_log(tmp_path: Path) -> None:
    log, heard = EventLog(tmp_path / "events.jsonl"), []
    log.subscribe(heard.append)
    log.append(fell_back("broken \ud800 text"))
    log.close()
    assert [e.reason for e in read_events(tmp_path / "events.jsonl") if isinstance(e, FellBack)] == [heard[0].reason]
    assert "\ud800" not in heard[0].reason


def test_subscribers_see_no_secret_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    log, heard = EventLog(tmp_path / "events.jsonl"), []
    log.subscribe(heard.append)
    log.append(fell_back("key sk-0123456789 refused"))
    log.close()
    assert heard[0].reason == "key [redacted] refused"
