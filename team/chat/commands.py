"""What begins with a slash: a small function each, whose docstring is its help. Each works in a run and after it where that makes sense,
and says in one line why not where it does not."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import yaml
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from reports.facts import read_facts
from team.board import Board
from team.chat.answers import decisions, link, spent
from team.chat.status import status_line
from team.errors import UsageError
from team.overview import figure
from team.roles import NAMES
from team.rundir import RunDir
from team.setting_values import parse_seconds
from team.settings import Settings
from team.stages import ORDER
from team.steering import Steering

STAGES = [stage.value for stage in ORDER]
LEADERS = 10
DECISIONS = 12
CELL_LINES = 40


class Talk(Protocol):
    """What commands may do to a session."""

    aside_usd: Decimal | None
    """What questions beside the turns have cost."""

    @property
    def run(self) -> RunDir | None: ...
    @property
    def settings(self) -> Settings | None: ...
    @property
    def board(self) -> Board: ...
    @property
    def steering(self) -> Steering | None:
        """Of the run that is going on; None where none is."""

    def tell(self, text: str | RenderableType) -> None: ...
    async def ask(self, question: str) -> str: ...
    async def branch(self, at: str, changes: dict[str, Any]) -> None:
        """Leave the run as it is and go on with a fork of it from `at`."""

    async def take_up(self) -> None:
        """Go on with a run that is not going on."""

    async def question(self, role: str | None, text: str) -> None: ...
    async def constrain(self, text: str) -> None: ...
    def decide(self, approved: bool, why: str) -> bool:
        """Answer what waits for approval; False where nothing does."""

    async def quit(self) -> None: ...
    def transcript(self) -> str: ...


Do = Callable[[Talk, str], Awaitable[None] | None]


@dataclass(frozen=True)
class Command:
    """A command; `usage` shows its arguments, of which `options` can be completed."""

    name: str
    usage: str
    help: str
    do: Do
    options: Sequence[str] = ()


COMMANDS: dict[str, Command] = {}


def command(usage: str, options: Sequence[str] = ()) -> Callable[[Do], Do]:
    """Register a function as the command that `usage` begins with."""

    def register(do: Do) -> Do:
        name = usage.split()[0]
        COMMANDS[name] = Command(name, usage, " ".join(inspect.getdoc(do).split()) if do.__doc__ else "", do, options)  # type: ignore[union-attr]  # it has one
        return do

    return register


async def obey(talk: Talk, line: str) -> None:
    """Do what a line that begins with a slash asks for.

    Raises:
        UsageError: there is no such command, or it cannot be done now, saying why.
    """
    name, _, rest = line.strip().partition(" ")
    found = COMMANDS.get(name) or next((one for key, one in COMMANDS.items() if key.startswith(name)), None) if len(name) > 1 else None
    if found is None:
        raise UsageError(f"there is no command {name}; /help lists them.")
    done = found.do(talk, rest.strip())
    if done is not None:
        await done


def _run(talk: Talk) -> RunDir:
    if talk.run is None or not talk.run.events.exists():
        raise UsageError("there is no run yet: say what you want to predict, and from which table.")
    return talk.run


def _going(talk: Talk) -> Steering:
    if talk.steering is None:
        raise UsageError("no run is going on. /resume goes on with one that was stopped, /fork STAGE begins a new one from a stage of it.")
    return talk.steering


@command("/plan")
def plan(talk: Talk, _: str) -> None:
    """What the team plans to do, and the risks it sees."""
    found = read_facts(_run(talk).path).plan
    if found is None:
        raise UsageError("no plan is recorded yet; the planner makes it in the first stage.")
    steps = "\n".join(f"{n}. {step}" for n, step in enumerate(found.steps, 1))
    risks = "\n".join(f"risk: {risk}" for risk in found.risks)
    talk.tell(f"{found.approach}\n{steps}\n{risks}".strip())


@command("/status")
def status(talk: Talk, _: str) -> None:
    """Where the run stands: stage, role, best score, time left, cost."""
    run = _run(talk)
    now = talk.board.glance()
    talk.tell(f"{status_line(now)}\nturn {now.turns}, {run.path}")


@command("/leaderboard")
def leaderboard(talk: Talk, _: str) -> None:
    """Candidates, best first, by the score that the host computed."""
    run = _run(talk)
    rows = read_facts(run.path).leaderboard
    if not rows:
        raise UsageError("no candidate has been scored yet; baselines come first.")
    width = max(len(row.name) for row in rows[:LEADERS])
    lines = [
        f"{n:>2}  {row.name:{width}}  {figure(row.score)} ± {row.std_error:.2g}  {row.stage}" for n, row in enumerate(rows[:LEADERS], 1)
    ]
    more = f"\n{len(rows) - LEADERS} more in {link(run.leaderboard)}" if len(rows) > LEADERS else ""
    talk.tell("\n".join(lines) + more)


@command("/why [WORD]", (*STAGES, *NAMES))
def why(talk: Talk, about: str) -> None:
    """Who decided what, on which facts, from the event log; WORD narrows it to a stage, a role, a tool or a candidate."""
    run = _run(talk)
    found = decisions(run, about)
    if not found:
        raise UsageError(f"no decision is about {about!r}." if about else "nothing has been decided yet.")
    talk.tell("\n".join(found[-DECISIONS:]) + f"\nevents: {link(run.events)}")


@command("/cost")
def cost(talk: Talk, _: str) -> None:
    """Calls, tokens and dollars by role and model."""
    aside = "price unknown" if talk.aside_usd is None else f"${talk.aside_usd:.4f}"
    talk.tell(f"{spent(_run(talk))}\nquestions beside the turns: {aside}")


@command("/budget +5m")
def budget(talk: Talk, text: str) -> None:
    """Give the search more time; without an argument, say what is left."""
    now = talk.board.glance()
    if not text:
        _run(talk)
        talk.tell(f"{now.left_s:.0f} of {now.budget_s:g} s of search are left")
        return
    steering = _going(talk)
    try:
        seconds = parse_seconds(text.lstrip("+ "))
    except ValueError as error:
        raise UsageError(f"/budget {text}: {error}, as in /budget +5m.") from None
    if not 0 < seconds <= 86_400 - now.budget_s:
        raise UsageError(f"/budget {text}: expected more time, and a day in all at most.")
    if now.stage in ("select", "document", "release"):
        raise UsageError(f"the search is over in stage {now.stage}; /fork optimise time=10m goes back to it with more time.")
    steering.add_time(seconds)
    talk.tell(f"{seconds:g} s more, from the next turn on")


@command("/pause")
def pause(talk: Talk, _: str) -> None:
    """Wait at the next safe point: before the next tool call or turn. Ctrl-C does the same."""
    _going(talk).pause()
    talk.tell("pausing at the next safe point; /resume takes it back")


@command("/resume")
def resume(talk: Talk, _: str) -> Awaitable[None] | None:
    """Go on after a pause, or with a run that was stopped."""
    if talk.steering is not None:
        if not talk.steering.pausing:
            raise UsageError("the run is going on; /pause would hold it.")
        talk.steering.go_on()
        talk.tell("going on")
        return None
    _run(talk)
    return talk.take_up()


@command("/undo [TURN|STAGE]", STAGES)
async def undo(talk: Talk, to: str) -> None:
    """Go back: to the end of turn TURN, to where STAGE was entered, or by one turn. The run stays as it is; a fork goes on from there."""
    _run(talk)
    turns = talk.board.glance().turns
    at = to or str(turns - 2 if talk.steering else turns - 1)
    if at.startswith("-") or at == "0":
        raise UsageError("there is no turn to go back to yet.")
    await talk.branch(at, {})


@command("/fork STAGE [NAME=VALUE ...]", STAGES)
async def fork(talk: Talk, text: str) -> None:
    """Go on with a new run from where STAGE was entered (or from a number of turns), with other settings, such as time=10m."""
    _run(talk)
    try:
        at, *changes = shlex.split(text)
    except ValueError:
        raise UsageError("/fork: expected a stage, as in /fork optimise time=10m.") from None
    given = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"/fork: {change!r} is no setting; expected NAME=VALUE, such as time=10m.")
        given[name] = yaml.safe_load(value)
    await talk.branch(at, given)


@command("/constraint TEXT")
async def constraint(talk: Talk, text: str) -> None:
    """Something that must be kept, such as: never use column X; linear models only. It is enforced, not asked for."""
    if not text:
        raise UsageError("/constraint: say what must be kept, as in /constraint never use column X.")
    await talk.constrain(text)


@command("/ask ROLE QUESTION", NAMES)
async def ask(talk: Talk, text: str) -> None:
    """Ask one role something beside its turns; the answer changes nothing."""
    role, _, question = text.partition(" ")
    if role not in NAMES or not question.strip():
        raise UsageError(f"/ask: expected a role and a question; roles: {', '.join(NAMES)}.")
    _run(talk)
    await talk.question(role, question.strip())


@command("/approve")
def approve(talk: Talk, text: str) -> None:
    """Allow what the team asks for."""
    if not talk.decide(True, text):
        raise UsageError("nothing waits for approval.")


@command("/reject [WHY]")
def reject(talk: Talk, text: str) -> None:
    """Refuse what the team asks for."""
    if not talk.decide(False, text):
        raise UsageError("nothing waits for approval.")


@command("/show CELL")
def show(talk: Talk, text: str) -> None:
    """A cell that was executed, with what it printed; without a number, the last one."""
    from team.cells import read_cells

    run = _run(talk)
    cells = list(read_cells(run.cells))
    if not cells:
        raise UsageError("no cell has been executed yet.")
    number = text or str(cells[-1]["cell"])
    cell = next((one for one in cells if str(one["cell"]) == number), None)
    if cell is None:
        raise UsageError(f"/show {text}: there are cells 0 to {cells[-1]['cell']}.")
    printed = "".join(out.get("text", "") or str(out.get("data", {}).get("text/plain", "")) for out in cell["outputs"])
    lines = [*cell["code"].splitlines(), f"-- {cell['status']}, {cell['seconds']:.1f} s", *printed.splitlines()]
    cut = [f"… {len(lines) - CELL_LINES} more lines"] if len(lines) > CELL_LINES else []
    talk.tell("\n".join([*lines[:CELL_LINES], *cut, link(run.cells)]))


@command("/open report", ("report", "notebook", "folder"))
def open_(talk: Talk, text: str) -> None:
    """The report, built as far as the run has come, as a link; `notebook` and `folder` too."""
    from reports.html import write_report
    from reports.notebook import write_notebook

    run = _run(talk)
    if not run.contract.exists():
        raise UsageError("there is nothing to report before the data are sealed.")
    if text in ("", "report"):
        talk.tell(link(write_report(run.path)))
    elif text == "notebook":
        talk.tell(link(write_notebook(run.path)))
    elif text == "folder":
        talk.tell(link(run.path))
    else:
        raise UsageError(f"/open {text}: expected report, notebook or folder.")


@command("/save [FILE]")
def save(talk: Talk, text: str) -> None:
    """Write this conversation to a file; the run itself is always saved."""
    from pathlib import Path

    path = Path(text).expanduser() if text else (talk.run.path / "chat.txt" if talk.run else Path("chat.txt"))
    try:
        path.write_text(talk.transcript(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"/save: cannot write {str(path)!r}: {error.strerror}. Name another file.") from None
    talk.tell(f"written to {link(path)}")


@command("/help")
def help_(talk: Talk, _: str) -> None:
    """This list."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in COMMANDS.values():
        table.add_row(Text(one.usage), Text(one.help))
    talk.tell(table)


@command("/quit")
async def quit_(talk: Talk, _: str) -> None:
    """Leave; a run that is going on is stopped, with everything saved."""
    await talk.quit()


__all__ = ["COMMANDS", "Command", "Talk", "obey"]
