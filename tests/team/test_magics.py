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
from team.magics import read_cell
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
        read_cell(line, cell, {})


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
