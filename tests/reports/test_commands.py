"""Commands in a report can be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from reports.commands import predict_command, replay_commands, run_command, said_by_no_option
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


def test_every_option_of_a_run_is_written_out_or_known_to_change_nothing() -> None:
    from typer.main import get_command

    from reports.commands import _CONSTRAINTS, _OPTIONS, ELSEWHERE
    from team.cli import app
    from team.settings import Settings

    options = {one.name for one in get_command(app).commands["run"].params}  # type: ignore[attr-defined]
    assert options & set(Settings.model_fields) - {"source"} == {*_OPTIONS, *_CONSTRAINTS, *ELSEWHERE}


@pytest.mark.parametrize("either", [{"preparers": "impute=knn,make=ratios"}, {"monotone": "age:+,price:-"}])
def test_what_the_command_gives_is_settled_as_the_run_was(tmp_path: Path, either: dict[str, str]) -> None:
    from typer.main import get_command

    from team.cli import app
    from team.settings import load_settings

    given = {"source": "d.csv", "target": "price", "quantiles": "0.1,0.9", "sampler": "random", **either}
    given |= {"pruner": "none", "objectives": "score,latency", "device": "cpu", "max_cost": "2.5", "max_tokens": 9000, "folds": "loo"}
    given |= {"without": "ensemble", "gap": "7d", "time_column": "when", "max_download": "5GB"}
    settled = load_settings(given, None)
    with Written(tmp_path) as w:
        w.start(**{**settled.model_dump(mode="json"), "models": {"critic": "openai:m", "request_s": 600.0}})
    assert said_by_no_option(read_facts(w.run.path)).startswith("No option says models.critic: ")
    words = shlex.split(run_command(read_facts(w.run.path)))
    parsed = get_command(app).commands["run"].make_context("run", words[2:]).params  # type: ignore[attr-defined]
    again = load_settings({name: value for name, value in parsed.items() if name in type(settled).model_fields}, None)
    differs = {name for name in type(settled).model_fields if getattr(again, name) != getattr(settled, name)}
    assert not differs
