"""`mlteam report`: all documents or one, and what is told where the run's record is not whole."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from team.cli import app
from team.documents import rebuild
from team.events import SCHEMA_VERSION
from team.rundir import RunDir
from tests.reports.written import Written, finished


def report(run: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["report", str(run), *words])


def test_one_document_is_built_alone(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.model.mkdir()
    (run.model / "pipeline.joblib").write_bytes(b"x")
    (run.work / "candidates" / "lightgbm-1").mkdir(parents=True)
    found = report(run.path, "--only", "card")
    assert found.exit_code == 0, found.output
    assert [path.name for path in run.reports.iterdir()] == ["model_card.md"]


def test_documents_of_the_same_run_are_the_same_bytes(tmp_path: Path) -> None:
    run = finished(tmp_path)
    kept = {}
    for _ in range(2):
        written = [path for name in ("html", "card", "notebook", "summary") for path in rebuild(run, name).paths]
        contents = {path: path.read_bytes() for path in written}
        assert kept in ({}, contents)
        kept = contents
    assert len(kept) == 4


def test_a_document_of_another_name_is_refused(tmp_path: Path) -> None:
    found = report(finished(tmp_path).path, "--only", "poster")
    assert found.exit_code != 0
    assert "no document 'poster', expected one of html, paper, card, notebook, summary" in str(found.exception)


def test_a_damaged_line_is_told_in_what_the_rest_allows(tmp_path: Path) -> None:
    run = finished(tmp_path)
    lines = run.events.read_bytes().split(b"\n")
    lines[4] = lines[4][:20]
    damaged = b"\n".join(lines)
    run.events.write_bytes(damaged)
    run.manifest.write_text("{")
    run.sections.write_text(json.dumps({"summary": "It was 0.7777 before that line was lost. Mass decides."}))
    written = rebuild(run, "html")
    assert written.paths == [run.report]
    assert any("events.jsonl, line 5" in problem for problem in written.problems)
    assert any("manifest.json cannot be read" in problem for problem in written.problems)
    page = run.report.read_text()
    assert "0.9777" in page
    assert "events.jsonl, line 5" in page
    assert "Mass decides." in page
    assert "0.7777" not in page
    assert run.events.read_bytes() == damaged, "the run itself is left as it is"
    assert rebuild(run, "notebook").paths == [run.notebook]
    assert not run.notebook.is_symlink()
    assert json.loads(run.notebook.read_text())["nbformat"] == 4


def test_a_model_that_is_gone_is_told(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert any(f"{run.model} is gone" in problem for problem in rebuild(run, "summary").problems)
    assert any(f"{run.work / 'candidates'} is gone" in problem for problem in rebuild(run, "summary").problems)


def test_files_that_are_good_json_and_something_else_are_passed_over_and_told(tmp_path: Path) -> None:
    run = finished(tmp_path)
    sealed = json.loads(run.contract.read_text())
    run.contract.write_text(json.dumps(sealed | {"weather": "fair"}))
    run.plan.write_text(json.dumps({"approach": 3}))
    run.sections.write_text("[1]")
    written = rebuild(run, "html")
    assert written.paths == [run.report]
    assert [problem.split(",")[0].split(" (")[0] for problem in written.problems[:3]] == [
        "contract.json has fields that this version does not know",
        "plan.json cannot be read",
        "sections.json cannot be read",
    ]
    assert "Predicting Sex" in " ".join(run.report.read_text(encoding="utf-8").replace("<em>", "").split())
    assert json.loads(run.contract.read_text()) == sealed | {"weather": "fair"}, "the run itself is left as it is"


def of_tomorrow(run: RunDir) -> bytes:
    """Make a run one of a later version: of each kind of difference one."""
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    events[0] |= {"schema_version": 999, "planet": "Mars"}
    scored = next(event for event in events if event["kind"] == "candidate_scored")
    scored["mood"] = {"good": 0.4321}
    meant_otherwise = next(event for event in events if event["kind"] == "model_called")
    meant_otherwise["input_tokens"] = {"seen": 1, "heard": 2}
    events.insert(3, {"kind": "told_of_tomorrow", "seq": 9000, "at": 0.0, "what": "rain"})
    log = "".join(json.dumps(event) + "\n" for event in events).encode()
    run.events.write_bytes(log)
    run.contract.write_text(json.dumps(json.loads(run.contract.read_text()) | {"weather": "fair"}))
    return log


def test_a_run_of_a_later_version_gives_what_this_one_knows_of_it(tmp_path: Path) -> None:
    run = finished(tmp_path)
    log = of_tomorrow(run)
    found = report(run.path, "--only", "html")
    assert found.exit_code == 1
    told = str(found.exception)
    assert f"events.jsonl was written by a later mlteam (events of version 999; this one reads up to {SCHEMA_VERSION})" in told
    assert "1 event of a kind that it does not know ('told_of_tomorrow')" in told
    assert "2 fields that it does not know ('planet', 'mood')" in told
    assert "1 event that it reads otherwise" in told
    page = run.report.read_text(encoding="utf-8")
    assert "0.9777" in page, "the score"
    assert "written by a later mlteam" in page
    assert run.events.read_bytes() == log, "the run itself is left as it is"
    for name in ("card", "summary", "notebook"):
        assert len(rebuild(run, name).paths) == 1


def test_a_contract_of_a_later_version_that_means_something_else_is_passed_over(tmp_path: Path) -> None:
    run = finished(tmp_path)
    of_tomorrow(run)
    run.contract.write_text(json.dumps(json.loads(run.contract.read_text()) | {"task": "divination"}))
    written = rebuild(run, "html")
    assert written.paths == [run.report]
    assert any("contract.json cannot be read (it is of a version" in problem for problem in written.problems)


def test_prose_of_an_earlier_version_is_told_without_the_sentences_that_nothing_backs(tmp_path: Path) -> None:
    run = finished(tmp_path)
    first, rest = run.events.read_text().split("\n", 1)
    run.events.write_text(json.dumps(json.loads(first) | {"schema_version": 1}) + "\n" + rest)
    assert not any("an earlier mlteam" in problem for problem in rebuild(run, "summary").problems)
    run.sections.write_text(json.dumps({"summary": "It is 93.7 % sure. Mass decides."}))
    for name, path in (("html", run.report), ("card", run.reports / "model_card.md"), ("summary", run.reports / "summary.md")):
        written = rebuild(run, name)
        assert (written.paths, "an earlier mlteam wrote this run" in written.problems[0]) == ([path], True)
        text = path.read_text(encoding="utf-8")
        assert ("Mass decides." in text, "93.7" in text) == (True, False)


def test_prose_that_is_not_on_record_leaves_out_that_document_alone(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.sections.write_text(json.dumps({"summary": "It is 93.7 % sure."}))
    assert rebuild(run, "notebook").paths == [run.notebook]
    for name, called in (("summary", "the summary"), ("html", "the report"), ("card", "the model card")):
        written = rebuild(run, name)
        assert written.paths == []
        assert f"no {name}: {called} states '93.7 %', which nothing on record backs" in written.problems[-1]


def test_an_unfinished_run_has_all_documents_that_need_no_score(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("plan")
    for name in ("html", "card", "notebook", "summary"):
        written = rebuild(w.run, name)
        assert (len(written.paths), written.problems) == (1, [])


def test_a_log_whose_last_lines_are_gone_gives_what_the_rest_allows(tmp_path: Path) -> None:
    run = finished(tmp_path)
    run.sections.write_text(json.dumps({"summary": "It reaches 0.9777 on sealed rows. The column Mass decides."}))
    lines = run.events.read_text().splitlines(keepends=True)
    scored = next(number for number, line in enumerate(lines) if '"holdout_scored"' in line)
    run.events.write_text("".join(lines[: scored - 3]))
    written = rebuild(run, "html")
    assert written.paths == [run.report]
    assert any("the end of events.jsonl is gone" in problem for problem in written.problems)
    page = run.report.read_text(encoding="utf-8")
    assert "The column Mass decides." in page
    assert "It reaches" not in page
