"""Commands in a report can be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

from reports.commands import predict_command, replay_commands, run_command
from reports.facts import read_facts
from tests.reports.written import Written


def test_every_setting_that_is_not_open_is_written_out(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start(source="my data.csv", target="it's; rm -rf /", trials=20, out="runs/")
    facts = read_facts(w.run.path)
    words = shlex.split(run_command(facts))
    assert words[:3] == ["mlteam", "run", "my data.csv"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options == {
        "--target": "it's; rm -rf /",
        "--time": "30s",
        "--trials": "20",
        "--model": "playbook",
        "--sandbox": "auto",
        "--seed": "0",
        "--holdout": "0.2",
        "--folds": "5",
    }
    assert predict_command(facts) == f"mlteam predict runs/{w.run.name} ROWS.csv -o predictions.csv"
    assert replay_commands(facts).startswith(f"cd runs/{w.run.name}\n")


def test_the_command_is_one_that_the_command_line_understands(tmp_path: Path) -> None:
    from typer.main import get_command

    from team.cli import app

    with Written(tmp_path) as w:
        w.start(goal="find out", metric="f1", group="g", time_column="t", trials=3)
    words = shlex.split(run_command(read_facts(w.run.path)))
    command = get_command(app).commands["run"]  # type: ignore[attr-defined]
    parsed = command.make_context("run", words[2:]).params
    assert (parsed["goal"], parsed["time"], parsed["time_column"], parsed["trials"]) == ("find out", "30s", "t", 3)
