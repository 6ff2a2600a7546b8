"""Commands that show something: of the run, wherever it stands, and of the conversation."""

from __future__ import annotations

import asyncio
from pathlib import Path

from reports.facts import read_facts
from team.chat.answers import decisions, link, spent
from team.chat.cell_view import cell_lines
from team.chat.command import STAGES, Talk, command, run_of
from team.chat.status import status_line
from team.errors import UsageError
from team.overview import figure
from team.roles import NAMES

LEADERS = 10
DECISIONS = 12


@command("/plan")
def plan(talk: Talk, _: str) -> None:
    """What the team plans to do, and the risks it sees."""
    found = read_facts(run_of(talk).path).plan
    if found is None:
        raise UsageError("no plan is recorded yet; the planner makes it in the first stage.")
    steps = "\n".join(f"{n}. {step}" for n, step in enumerate(found.steps, 1))
    risks = "\n".join(f"risk: {risk}" for risk in found.risks)
    talk.tell(f"{found.approach}\n{steps}\n{risks}".strip())


@command("/status")
def status(talk: Talk, _: str) -> None:
    """Where the run stands: stage, role, best score, time left, cost."""
    run = run_of(talk)
    now = talk.board.glance()
    talk.tell(f"{status_line(now)}\nturn {now.turns}, {run.path}")


@command("/leaderboard")
def leaderboard(talk: Talk, _: str) -> None:
    """Candidates, best first, by the score that the host computed."""
    run = run_of(talk)
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
    run = run_of(talk)
    found = decisions(run, about)
    if not found:
        raise UsageError(f"no decision is about {about!r}." if about else "nothing has been decided yet.")
    talk.tell("\n".join(found[-DECISIONS:]) + f"\nevents: {link(run.events)}")


@command("/cost")
def cost(talk: Talk, _: str) -> None:
    """Calls, tokens and dollars by role and model."""
    aside = "price unknown" if talk.aside_usd is None else f"${talk.aside_usd:.4f}"
    talk.tell(f"{spent(run_of(talk))}\nquestions beside the turns: {aside}")


@command("/show CELL")
def show(talk: Talk, text: str) -> None:
    """A cell that was executed, with what it printed; without a number, the last one."""
    talk.tell("\n".join(cell_lines(run_of(talk), text)), cut=True)


@command("/open report", ("report", "notebook", "folder"))
async def open_(talk: Talk, text: str) -> None:
    """The report, built as far as the run has come, as a link; `notebook` and `folder` too."""
    from reports.html import write_report
    from reports.notebook import write_notebook

    run = run_of(talk)
    if text == "folder":
        talk.tell(link(run.path))
        return
    write = {"": write_report, "report": write_report, "notebook": write_notebook}.get(text)
    if write is None:
        raise UsageError(f"/open {text}: expected report, notebook or folder.")
    if not run.contract.exists():
        raise UsageError("there is nothing to report before the data are sealed.")
    talk.tell(f"building the {text or 'report'} …")
    # In a thread: it takes seconds, in which the user may type.
    talk.tell(link(await asyncio.to_thread(write, run.path)))


@command("/save [FILE]")
def save(talk: Talk, text: str) -> None:
    """Write this conversation to a file; the run itself is always saved."""
    path = Path(text).expanduser() if text else (talk.run.path / "chat.txt" if talk.run else Path("chat.txt"))
    try:
        path.write_text(talk.transcript(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"/save: cannot write {str(path)!r}: {error.strerror}. Name another file.") from None
    talk.tell(f"written to {link(path)}")
