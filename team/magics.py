"""`%load_ext team`: in a cell `%%team` runs the team on what the cell says, and `%team COMMAND` is the command line.

%%team r                                %team runs
source = customers.csv                  %team show last
target = churn                          %team predict last new.csv -o predictions.csv
time = 5m
I care about the ones we would lose.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from team.api import Play, run
from team.chat.agreement import few, known_columns
from team.chat.wish import read_by_model, read_wish
from team.cli import app, main
from team.conducting import anywhere, conduct
from team.errors import MlteamError, UsageError
from team.frame_source import is_frame
from team.models import make_client
from team.result import RunResult
from team.sentences import read_constraints
from team.settings import Settings, load_settings
from team.terminal import one_line

_SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*[=:]\s*(\S.*?)\s*")
NO_COMMANDS = ("chat", "serve")
"""Commands that want a terminal of their own, or do not end."""


def load(ipython: Any) -> None:
    """Register the magics with a shell."""

    def team(line: str, cell: str | None = None) -> Any:
        """`%team COMMAND ARGUMENTS` as on a command line; `%%team [NAME]` over a cell with settings and a wish."""
        if cell is None:
            return command(shlex.split(line))
        name, given, told = understood(*read_cell(line, cell, ipython.user_ns))
        if told:
            print(f"understood: {'; '.join(told)}")
        result = run(given.pop("source"), **given)
        if name is None:
            return result
        ipython.push({name: result})
        return None

    ipython.register_magic_function(team, "line_cell", "team")


def read_cell(line: str, cell: str, variables: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """What `%%team` is to do.

    Lines `setting = value` are settings of the run; everything else is the wish. The value of `source` may be a variable that holds a
    DataFrame.

    Args:
        line: behind `%%team`: the variable that gets the result, and settings too.
        variables: those of the notebook.

    Returns:
        The variable, if one is named, and the arguments of `run`.

    Raises:
        UsageError: for a word that is neither.
    """
    name, given, wish = None, {}, []
    for word in shlex.split(line):
        if setting := _setting(word):
            given.update(setting)
        elif word.isidentifier() and name is None:
            name = word
        else:
            raise UsageError(f"%%team {line}: {word!r} is no setting and no name for the result. Write %%team NAME setting=value ...")
    for text in cell.splitlines():
        if setting := _setting(text):
            given.update(setting)
        elif text.strip() and not text.lstrip().startswith("#"):
            wish.append(text.strip())
    if wish:
        given.setdefault("goal", " ".join(wish))
    source = given.get("source")
    if isinstance(source, str) and is_frame(variables.get(source)):
        given |= {"source": variables[source], "name": source}
    return name, given


def understood(name: str | None, given: dict[str, Any]) -> tuple[str | None, dict[str, Any], list[str]]:
    """What the words of a cell say beside its settings, which have the last word: read as `mlteam chat` reads them, by rules, or by the
    planner's model.

    Returns:
        The variable, the arguments of `run`, and what was read in the words, to be told.

    Raises:
        UsageError: there is no source, or the words name a column that the table does not have.
    """
    words = str(given.get("goal") or "")
    source: Any = given["source"] if "source" in given else read_wish(words).source
    if source is None:
        raise UsageError("%%team: there is no source. Add a line: source = FILE.csv, or the name of a DataFrame.")
    given = {**given, "source": source}
    if not words:
        return name, given, []
    columns = list(map(str, source.columns)) if is_frame(source) else known_columns(source)
    wish, told = read_wish(words, columns), []
    settings = load_settings({**{k: given[k] for k in ("model", "models", "prices") if k in given}, "source": "-"})
    try:
        wish = anywhere(read_by_model(settings, wish, columns, make_client, lambda _: None))
    except MlteamError as error:
        told.append(f"by rules alone, since the model did not read it ({one_line(str(error))})")
    if wish.named is not None and "target" not in given:
        raise UsageError(f"%%team: there is no column {wish.named!r}. Columns: {few(columns)}. Add a line: target = COLUMN.")
    read = {key: value for key, value in wish.settings.items() if key not in given and key != "name"}
    if "target" in given:
        read.pop("task", None)
    told += [f"{key} {value:g} s" if key == "time" else f"{key} {value}" for key, value in read.items()]
    if constraints := read_constraints(words, columns).constraints:
        before = given.get("constraint", [])
        before = [before] if isinstance(before, (str, dict)) else before
        read["constraint"] = [*before, *(one.model_dump(mode="json") for one in constraints)]
        told += [one.told for one in constraints]
    return name, {**given, **read}, told


def command(arguments: list[str]) -> RunResult | None:
    """A command of `mlteam`; those that play a run are shown and interrupted as cells are, and give its result.

    Raises:
        MlteamError: what the command says when it fails.
    """
    first = next(iter(arguments), "--help")
    if first in NO_COMMANDS:
        raise UsageError(f"%team {first} needs a terminal. In a notebook use %%team, and r.resume().")
    if first in _PLAYED and not {"-h", "--help", "--json"} & set(arguments):
        return _PLAYED[first](_parameters(first, arguments[1:]))
    said, told = io.StringIO(), io.StringIO()
    # Commands start event loops of their own, which the thread of a cell cannot.
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told), ThreadPoolExecutor(1) as pool:
        code = pool.submit(_exit_code, arguments or ["--help"]).result()
    print(said.getvalue(), end="")
    if code:
        message = told.getvalue().strip().removeprefix("mlteam: ")
        raise (UsageError if code == UsageError.exit_code else MlteamError)(
            message or f"`mlteam {shlex.join(arguments)}` ended with {code}."
        )
    print(told.getvalue(), end="")
    return None


def _exit_code(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _parameters(name: str, arguments: list[str]) -> dict[str, Any]:
    """What the command line makes of the arguments of a command."""
    from typer.main import get_command

    group: Any = get_command(app)
    try:
        return dict(group.commands[name].make_context(name, arguments).params)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer brings its own copy of click, so there is no class to name
            raise
        raise UsageError(f"%team {name}: {error.format_message()} `%team {name} --help` lists the options.") from None


def _run(given: dict[str, Any]) -> RunResult:
    settings = {name: value for name, value in given.items() if name in Settings.model_fields}
    play = Play(load_settings(settings, given["config"]), None)
    return play.ended(conduct(play))


def _resume(given: dict[str, Any]) -> RunResult:
    from team.api import load_run

    return load_run(given["run"], given.get("out") or Path("runs")).resume(sandbox=given["sandbox"])


_PLAYED = {"run": _run, "resume": _resume}


def _setting(text: str) -> dict[str, Any] | None:
    found = _SETTING.fullmatch(text)
    if found is None or found[1] not in Settings.model_fields:
        return None
    value = found[2]
    # Lists and mappings as in a settings file; everything else is read as on a command line.
    return {found[1]: yaml.safe_load(value) if value[0] in "[{" else value.strip("\"'")}
