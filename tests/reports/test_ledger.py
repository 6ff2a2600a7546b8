"""Figures in prose, and what on record backs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.ledger import Backing, Ledger, read_ledger
from reports.quoted import figures, names_in
from team.events import MessageSpoken, ToolCalled, ToolReturned
from team.log import EventLog
from tests.hosting import Hosting
from tests.reports.written import examined, finished
from tools.documents import MOST_REFUSALS, SLOTS, build_report, write_section
from tools.spec import ToolRefused


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return read_ledger(finished(tmp_path_factory.mktemp("run")).path)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("It reaches 0.9777 (95 % interval 0.9483-0.9973).", ["0.9777", "95 %", "0.9483", "0.9973"]),
        ("On 12,345 rows, 3 per cent more, 1.2e-3 and −0.5.", ["12,345", "3 per cent", "1.2e-3", "0.5"]),
        ("lightgbm-1 and F1 over V14, age_65, R2; the 2nd; p <0.001", []),
        ("On 26 November 2026, in Section 3.2, Table 1 and 2026-11-26", []),
        ("0.5 is chance", []),
        ("It takes 12ms.", ["12"]),
        ("3 min 20 s, 2 h 5 min and 4 min", ["3 min 20 s", "2 h 5 min", "4 min"]),
        ("Ninety-eight per cent of one hundred and five, twelve of them.", ["Ninety-eight per cent", "one hundred and five", "twelve"]),
        ("It reaches zero point nine eight, two per cent more.", ["zero point nine eight", "two per cent"]),
        ("One of three, ten at most; a one-sided test, someone, often, five and six.", []),
    ],
)
def test_the_figures_of_a_text_are_its_numbers_without_names_dates_and_references(text: str, stated: list[str]) -> None:
    assert [figure.text for figure in figures(text)] == stated


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("two thousand three hundred", 2300.0),
        ("one hundred and five", 105.0),
        ("zero point nine eight", 0.981),
        ("twenty-one per cent", 0.213),
        ("a million", 1e6),
    ],
)
def test_a_number_in_words_is_held_against_the_record(text: str, value: float) -> None:
    assert Ledger([Backing(value, "somewhere")]).unbacked(f"It has {text} here.") == []
    assert Ledger([Backing(value * 1.2, "somewhere")]).unbacked(f"It has {text} here.") == [text.removeprefix("a ")]


def test_a_number_in_words_that_is_a_name_is_none() -> None:
    assert figures("The class twenty is rare", names_in(["twenty"])) == []
    assert [f.value for f in figures("The class twenty is rare")] == [20.0]


@pytest.mark.parametrize(("text", "value"), [("3 min 20 s", 200.4), ("2 h 5 min", 7523.0), ("53.1 kB", 53098), ("1.2 MB", 1_163_000)])
def test_durations_and_sizes_are_one_figure(text: str, value: float) -> None:
    assert Ledger([Backing(value, "somewhere")]).unbacked(text) == []
    assert Ledger([Backing(value * 1.2, "somewhere")]).unbacked(text) == [text.removesuffix(" kB").removesuffix(" MB")]


def test_a_name_with_digits_is_no_figure_where_the_record_has_it() -> None:
    assert [f.text for f in figures("The column 2020 sales and 2020 rows", names_in(["2020 sales"]))] == ["2020"]


@pytest.mark.parametrize("text", ["0.9777", "0.978", "0.98", "97.8 %", "67 rows", "333 rows in all", "0.049 wide", "20.1 per cent"])
def test_what_the_record_holds_is_backed_as_it_is_displayed(ledger: Ledger, text: str) -> None:
    assert ledger.unbacked(text) == []


@pytest.mark.parametrize(
    ("text", "lost"), [("0.985 of it", "0.985"), ("86 % are right", "86 %"), ("123 rows", "123"), ("a score of 0.9778", "0.9778")]
)
def test_what_it_does_not_hold_is_named(ledger: Ledger, text: str, lost: str) -> None:
    assert ledger.unbacked(f"lightgbm-1 has {text}, and 67 rows.") == [lost]


def test_the_place_of_a_number_is_told(ledger: Ledger) -> None:
    found = ledger.backing(figures("0.9777")[0])
    assert found is not None
    assert "score" in found.source
    assert found.source.startswith("event ")


def test_numbers_of_a_column_back_only_what_names_it(ledger: Ledger) -> None:
    assert ledger.unbacked("Alone it has 0.80.") == ["0.80"]
    assert ledger.unbacked("Alone, Mass has 0.80.") == []
    assert ledger.unbacked("0.80", prose=False) == []


def test_what_roles_say_backs_nothing(tmp_path: Path) -> None:
    run = examined(tmp_path)
    log = EventLog(run.events)
    said = {"approach": "I expect 0.7123.", "steps": []}
    log.append(MessageSpoken(turn=9, role="critic", text="0.7123"))
    log.append(ToolCalled(call="z", turn=9, role="critic", tool="record_plan", where="host", arguments=said))
    log.append(ToolReturned(call="z", tool="record_plan", status="ok", seconds=0.0, search_seconds=0.0, result=said, text=""))
    log.close()
    assert read_ledger(run.path).unbacked("0.7123") == ["0.7123"]


def test_sentences_with_such_figures_can_be_left_out(ledger: Ledger) -> None:
    assert ledger.without_unbacked("It has 0.9777. It is 86 % sure. So it is.\n\nAlways 0.123.") == "It has 0.9777. So it is."


def test_a_text_is_refused_twice_and_then_the_playbooks_stands(tmp_path: Path) -> None:
    h = Hosting(tmp_path, "sklearn:iris")
    h.host._prose = lambda: {slot: f"The {slot} of the playbook. It invents 0.123." for slot in SLOTS}
    log = EventLog(h.run.events)
    for attempt in range(MOST_REFUSALS):
        with pytest.raises(ToolRefused, match=r"nothing on record is '0\.87', '12 %'"):
            write_section(h.host, "result", "It has 0.87, 12 % better.")
        call = f"c{attempt}"
        log.append(ToolCalled(call=call, turn=1, role="writer", tool="write_section", where="host", arguments={"slot": "result"}))
        log.append(ToolReturned(call=call, tool="write_section", status="refused", seconds=0.0, search_seconds=0.0, result=None, text="no"))
    log.close()
    written = write_section(h.host, "result", "It has 0.87, 12 % better.")
    assert written.replaced == ["0.87", "12 %"]
    assert '"result": "The result of the playbook."' in h.run.sections.read_text()


def test_slots_that_nobody_wrote_get_the_playbooks_text(tmp_path: Path) -> None:
    run = finished(tmp_path)
    h = Hosting(tmp_path / "other", "sklearn:iris")
    h.host.run = run
    h.host._prose = lambda: {"abstract": "Of the playbook.", "summary": "Never used."}
    build_report(h.host)
    assert '"abstract": "Of the playbook."' in run.sections.read_text()
    assert "Never used" not in run.sections.read_text()
