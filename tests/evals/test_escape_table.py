"""The page of the escape suite says what was seen, and nothing that was seen acts in it."""

from __future__ import annotations

import json
from pathlib import Path

from evals.escape_table import Line, page, read_lines


def line(attack: str, where: str, outcome: str = "held", seen: str = "EPERM", group: str = "network") -> Line:
    return {"group": group, "attack": attack, "tries": "Connect.", "where": where, "outcome": outcome, "seen": seen}


def rows(*lines: Line) -> list[list[str]]:
    text = page(list(lines), ["Run by nobody."])
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in text.splitlines() if row.startswith("| `")]


def test_what_stopped_both_is_told_once_and_what_differs_for_each() -> None:
    same = rows(line("udp", "docker"), line("udp", "bubblewrap"), line("udp", "control", "through"))
    assert same == [["`udp`", "Connect.", "held", "held", "gets through", "EPERM"]]
    other = rows(line("udp", "docker", seen="EACCES"), line("udp", "bubblewrap"), line("udp", "control", "none", "no cloud"))
    assert other == [["`udp`", "Connect.", "held", "held", "none: no cloud", "docker: EACCES · bubblewrap: EPERM"]]


def test_what_got_through_and_what_was_not_run_stands_out() -> None:
    found = rows(
        line("udp", "bubblewrap", "through", "reached"), line("udp", "control", "held"), line("tcp", "control", "skipped", "no root")
    )
    assert found == [
        ["`udp`", "Connect.", "not here", "**through**", "**shows nothing**", "reached"],
        ["`tcp`", "Connect.", "not here", "not here", "none: no root", ""],
    ]


def test_the_last_line_of_a_place_counts_and_groups_keep_their_order() -> None:
    text = page([line("b", "docker", group="files"), line("a", "docker", "through"), line("a", "docker")], [])
    assert text.index("## Files") < text.index("## Network")
    assert "2 attacks" in text
    assert "through**" not in text.split("## Files")[1]


def test_lines_that_workers_wrote_side_by_side_stand_in_the_order_of_the_suite(tmp_path: Path) -> None:
    written: list[Line] = [
        {**line("b", "docker"), "number": 1},
        {**line("a", "docker"), "number": 0},
        {**line("b", "control"), "number": 1},
    ]
    record = tmp_path / "escape.jsonl"
    record.write_text("".join(json.dumps(one) + "\n" for one in written))
    assert [(one["attack"], one["where"]) for one in read_lines(record)] == [("a", "docker"), ("b", "docker"), ("b", "control")]


def test_what_was_seen_is_inert() -> None:
    (row,) = rows(line("x", "docker", seen="<script>|[a](b) `c` *d* \x1b[2J\u202e_e_" + "x" * 500))
    assert [character for character in "<>|[]`*\x1b\u202e" if character in row[5]] == []
    assert "script" in row[5]
    assert len(row[5]) < 350
