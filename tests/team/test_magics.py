"""`%team` and `%%team` in a real IPython shell, and what a cell is read as."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from team.errors import MlteamError, UsageError
from team.magics import read_cell, understood
from tests.model_server import Say, served
from tests.team.scored import scored

FRAME = pd.DataFrame({"x": [1, 2], "y": [0, 1]})


def test_lines_with_a_setting_are_settings_and_the_rest_is_the_wish() -> None:
    cell = "source = data.csv\n# a remark\ntarget: churn\nmodels = {engineer: 'playbook'}\nFind those\nwho would leave: soon."
    name, given = read_cell("r time=5m", cell, {})
    assert name == "r"
    assert given == {
        "time": "5m",
        "source": "data.csv",
        "target": "churn",
        "models": {"engineer": "playbook"},
        "goal": "Find those who would leave: soon.",
    }


def test_a_source_may_be_a_frame_of_the_notebook() -> None:
    _, given = read_cell("", "source = people", {"people": FRAME})
    assert given["source"] is FRAME
    assert given["name"] == "people"


@pytest.mark.parametrize(("line", "cell", "told"), [("", "target = y", "no source"), ("a b", "source = x.csv", "'b' is no setting")])
def test_what_is_missing_or_strange_is_said(line: str, cell: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        understood(*read_cell(line, cell, {}))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("age,Churn,plan\n1,0,a\n2,1,b\n")
    return path


def test_the_words_of_a_cell_are_read_as_in_the_chat(table: Path) -> None:
    cell = f"Predict churn in {table}, I care about recall.\nYou have 2 minutes. Never use column plan."
    name, given, told = understood(*read_cell("r", cell, {}))
    assert name == "r"
    assert (given["source"], given["target"], given["metric"], given["time"]) == (str(table), "Churn", "recall", 120.0)
    assert [one["kind"] for one in given["constraint"]] == ["forbid_column"]
    assert told == ["target Churn", "metric recall", "time 120 s", "column 'plan' is never used"]


def test_a_setting_has_the_last_word_and_words_about_a_frame_know_its_columns() -> None:
    _, given, _ = understood(*read_cell("", "source = people\ntarget = x\ntime = 5m\nPredict y in ten minutes.", {"people": FRAME}))
    assert (given["target"], given["time"]) == ("x", "5m")
    _, given, _ = understood(*read_cell("", "source = people\nconstraint = linear models only\nPredict Y, CPU only.", {"people": FRAME}))
    assert given["target"] == "y"
    assert [one if isinstance(one, str) else one["kind"] for one in given["constraint"]] == ["linear models only", "device"]


def test_a_column_that_is_not_there_is_told_before_anything_runs(table: Path) -> None:
    with pytest.raises(UsageError, match=r"no column 'revenue'\. Columns: age, Churn, plan\. Add a line: target"):
        understood(*read_cell("", f"predict revenue in {table}", {}))


def test_a_model_that_plays_the_planner_reads_the_words_too(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with served(lambda seen: Say('{"target": "Churn", "metric": "recall", "time": "90s"}')) as (url, _):
        cell = f"source = {table}\nmodel = openai:m@{url}/v1\nWhich of them would we lose?"
        _, given, told = understood(*read_cell("", cell, {}))
    assert (given["target"], given["metric"], given["time"]) == ("Churn", "recall", 90.0)
    assert told == ["target Churn", "metric recall", "time 90 s"]


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    made = InteractiveShell()
    try:
        made.run_line_magic("load_ext", "team")
        yield made
    finally:
        made.history_manager.end_session()
        InteractiveShell.clear_instance()


def failure(shell: InteractiveShell, code: str) -> Any:
    with capture_output():
        return shell.run_cell(code).error_in_exec


def test_a_command_prints_what_the_command_line_prints(shell: InteractiveShell, tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.8)
    with capture_output() as shown:
        shell.run_line_magic("team", f"runs --out {tmp_path}")
        shell.run_line_magic("team", "show --help")
        shell.run_line_magic("team", "")
    assert run.name in shown.stdout
    assert "Usage: mlteam show" in shown.stdout
    assert "Commands:" in shown.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("show nothing", "'nothing' is no run directory"),
        ("nonsense", "No such command 'nonsense'"),
        ("run --time", "%team run --help"),
        ("run nowhere.csv --sandbox moon", "sandbox='moon'"),
        ("resume nothing", "'nothing' is no run directory"),
        ("chat x.csv", "needs a terminal"),
    ],
)
def test_bad_input_is_one_message(shell: InteractiveShell, line: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failure(shell, f"%team {line}")
    assert isinstance(error, UsageError)
    assert told in str(error)
    assert error._render_traceback_() == [f"UsageError: {error}"]


def test_an_error_shows_no_traceback_and_nothing_that_acts_on_a_terminal() -> None:
    assert MlteamError("a \x1b[2J b")._render_traceback_() == ["MlteamError: a  b"]


def test_a_cell_without_a_table_fails_with_its_name(shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = failure(shell, "%%team\nsource = nowhere.csv\ntarget = y\nsandbox = unsafe-local")
    assert isinstance(error, UsageError)
    assert "nowhere.csv" in str(error)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_run_is_the_function_also_when_the_module_was_imported() -> None:
    import team
    import team.run
    from team import run

    assert isinstance(run, types.FunctionType)
    assert team.run is run
    assert isinstance(sys.modules["team.run"], types.ModuleType)
