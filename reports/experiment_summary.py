"""The experiment on one page of Markdown, with the commands that make it again."""

from __future__ import annotations

from pathlib import Path

from reports.commands import predict_command, repeat_command, replay_commands, run_command, said_by_no_option
from reports.facts import RunFacts, read_facts
from reports.figures import compact, metric_title, task_title
from reports.ledger import Ledger, check, read_ledger
from reports.markdown_page import MarkdownPage
from reports.paper_sections import title
from team.rundir import RunDir, write_atomic

MOST_CANDIDATES = 12


def write_summary(run: Path) -> Path:
    """Write `reports/summary.md` of the run directory `run`.

    Raises:
        MlteamError: when the event log is damaged, naming the line; when a figure is not on record (`UnbackedFigure`).
    """
    place = RunDir(run)
    place.reports.mkdir(exist_ok=True)
    path = place.reports / "summary.md"
    facts = read_facts(place.path)
    write_atomic(path, render(facts, read_ledger(place.path, facts.events)))
    return path


def render(facts: RunFacts, ledger: Ledger) -> str:
    """The summary as text, held against the ledger."""
    page = MarkdownPage(title(facts))
    stands = f" and stands in stage {facts.stage}" if facts.stage and facts.status == "unfinished" else ""
    page.say(f"Run {facts.name}: {facts.status.replace('_', ' ')}{stands}.{f' {facts.reason}' if facts.reason else ''}")
    if c := facts.contract:
        judged = f"{task_title(c)}, judged by {metric_title(c.metric)} ({c.direction}d)"
        page.say(f"{judged}, {c.rows_train:,} rows to learn from, {c.rows_holdout:,} sealed.")
    if h := facts.holdout:
        interval = f"{100 * h.level:g} % interval {compact(h.low)} to {compact(h.high)}"
        page.say(f"{h.candidate} has {compact(h.score)} on {h.n:,} sealed rows ({interval}).")
    if text := facts.sections.get("summary"):
        page.say(text)
    if facts.leaderboard:
        page.heading("Candidates")
        rows = [(row.name, row.family, compact(row.score), compact(row.std_error)) for row in facts.leaderboard[:MOST_CANDIDATES]]
        page.table(["Candidate", "Family", "Out of fold", "Standard error"], rows)
    if text := facts.sections.get("limitations"):
        page.heading("Limitations")
        page.say(text)
    page.heading("Make it again")
    page.say("The run, with every setting written out:")
    page.command(run_command(facts))
    if left := said_by_no_option(facts):
        page.say(left)
    page.say("What it did, done again in a clean sandbox and compared:")
    page.command(repeat_command(facts))
    page.say("Its notebook, executed from top to bottom:")
    page.command(replay_commands(facts))
    if facts.package:
        page.say("Predictions for new rows:")
        page.command(predict_command(facts))
    if facts.manifest:
        page.say("The data has this SHA-256:")
        page.command(facts.manifest.sha256)
    page.table(["Made with", "Version"], [(name, version) for name, version in facts.versions.items()])
    check(ledger, "the summary", page.said)
    return page.text()
