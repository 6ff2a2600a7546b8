"""What a run was held to, and what a person was asked, as the report tells it."""

from __future__ import annotations

from pathlib import Path

from reports.facts import read_facts
from reports.html import write_report
from team.constraint import ForbidColumn
from team.events import ApprovalDecided, ConstraintAdded, Event, RunStarted
from team.log import EventLog
from team.rundir import create_run
from team.settings import load_settings


def _written(tmp_path: Path, *events: Event, **settings: object) -> Path:
    run = create_run(tmp_path, "t")
    log = EventLog(run.events)
    document = load_settings({"source": "t.csv", **settings}).model_dump(mode="json")
    log.append(RunStarted(run=run.name, settings=document, versions={}))
    for event in events:
        log.append(event)
    log.close()
    return run.path


def test_every_constraint_is_listed_with_how_it_is_kept_and_what_it_kept_out(tmp_path: Path) -> None:
    later = ForbidColumn(column="<b>name</b>", said="never use <b>name</b>")
    added = ConstraintAdded(constraints=[later.model_dump(mode="json")], told=[later.told], excluded=["tree-1"], gone=["<b>name</b>"])
    late = ConstraintAdded(constraints=[{"kind": "device"}], told=["CPU only"], refused="the final score is taken")
    run = _written(tmp_path, added, late, forbid="age", constraint=["linear models only, at most 2 GB"])
    held = read_facts(run).held
    assert [one.kind for one in held] == ["forbid_column", "families", "memory", "forbid_column", "device"]
    assert held[0].excluded == ("column age",)
    assert held[3].excluded == ("column <b>name</b>", "candidate tree-1")
    assert held[4].refused == "the final score is taken"
    page = write_report(run).read_text(encoding="utf-8")
    assert "<b>name</b>" not in page
    for text in ("linear models only", "the sandbox&#39;s own limit", "candidate tree-1", "not kept: the final score is taken"):
        assert text in page


def test_every_word_of_a_person_is_listed(tmp_path: Path) -> None:
    decided = ApprovalDecided(call="c", tool="track_run", allowed=False, by="terminal", reason="not today")
    run = _written(tmp_path, decided)
    assert [(one.tool, one.allowed, one.by) for one in read_facts(run).asked] == [("track_run", False, "terminal")]
    assert "not today" in write_report(run).read_text(encoding="utf-8")
