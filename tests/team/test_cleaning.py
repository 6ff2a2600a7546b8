"""Cleaning: what can be rebuilt goes, what cannot stays, whatever lies in the folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from reports.html import write_report
from reports.notebook import write_notebook
from team.cleaning import Cleaning, clean, plan_cleaning
from team.comparison import compare
from team.inventory import list_entries
from team.overview import cleaning_report, overview
from team.predict import predict
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from team.summary import read_summary
from tests.team.scored import nested, scored


def filled(run: RunDir, *, released: bool = True) -> RunDir:
    """Views, caches and, when it is released, a package, as a run leaves them."""
    for name in ("reports/report.html", "notebook.ipynb", "replay/candidates/x.json", "work/plots/a.png", "work/studies.db"):
        path = run.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for folder in (run.model, run.work / "model") if released else ():
        folder.mkdir()
        (folder / "pipeline.joblib").write_bytes(b"a pipeline")
    if released:
        files = [{"name": "pipeline.joblib", "bytes": 10, "sha256": hashlib.sha256(b"a pipeline").hexdigest()}]
        (run.model / "package.json").write_text(json.dumps({"files": files}))
    return run


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def actions(cleaning: Cleaning) -> dict[str, str]:
    return {plan.name: plan.action for plan in cleaning.runs}


def cleaned(out: Path, keep: int = 0) -> Cleaning:
    return clean(plan_cleaning(out, keep))


def test_of_a_released_run_only_views_and_caches_go(tmp_path: Path) -> None:
    run = filled(scored(tmp_path, noise=0.4))
    before = snapshot(run.path)
    planned = plan_cleaning(tmp_path, 0)
    assert snapshot(run.path) == before, "planning changes nothing"
    done = clean(planned)
    gone = set(before) - set(snapshot(run.path))
    assert gone == {
        "reports/report.html", "notebook.ipynb", "replay/candidates/x.json", "work/plots/a.png", "work/studies.db",
        "work/model/pipeline.joblib",
    }  # fmt: skip
    assert done.bytes == planned.bytes > 0
    assert all(content == before[name] for name, content in snapshot(run.path).items())
    (entry,) = list_entries(tmp_path)
    assert (entry.state, entry.released) == ("done", True)


def test_the_newest_are_kept_as_they_are(tmp_path: Path) -> None:
    runs = [filled(scored(tmp_path, noise=0.4)) for _ in range(3)]
    before = [snapshot(run.path) for run in runs]
    assert actions(cleaned(tmp_path, 2)) == {runs[0].name: "trim", runs[1].name: "keep", runs[2].name: "keep"}
    assert [snapshot(run.path) == was for run, was in zip(runs, before, strict=True)] == [False, True, True]
    assert actions(plan_cleaning(tmp_path, 0))[runs[0].name] == "keep", "there is nothing left to remove"


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_came_to_nothing_goes_whole(tmp_path: Path, status: str) -> None:
    run = filled(scored(tmp_path, noise=0.4, ended="interrupted"), released=False)
    run.events.write_text(run.events.read_text().replace('"interrupted"', f'"{status}"'))
    assert actions(cleaned(tmp_path, 1)) == {run.name: "keep"}
    assert run.path.exists()
    cleaned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_scored_or_released_never_goes_whole(tmp_path: Path) -> None:
    looked = filled(scored(tmp_path, noise=0.4, ended="failed"), released=False)
    released = filled(scored(tmp_path, noise=0.4, ended="interrupted"))
    assert actions(cleaned(tmp_path)) == {looked.name: "trim", released.name: "trim"}
    assert (looked.vault / "ledger.jsonl").exists()
    assert (released.model / "pipeline.joblib").exists()


def test_what_is_not_packaged_is_no_copy(tmp_path: Path) -> None:
    run = filled(scored(tmp_path, noise=0.4))
    (run.work / "model" / "pipeline.joblib").write_bytes(b"another")
    other = filled(scored(tmp_path, noise=0.4))
    (other.model / "pipeline.joblib").write_bytes(b"damaged")
    cleaned(tmp_path)
    assert (run.work / "model" / "pipeline.joblib").read_bytes() == b"another"
    assert (other.work / "model" / "pipeline.joblib").exists(), "the package is broken, so the copy may be all there is"


def test_runs_that_go_on_or_can_be_resumed_or_cannot_be_read_are_left_alone(tmp_path: Path) -> None:
    running, stopped, damaged = (filled(scored(tmp_path, noise=0.4, ended=end)) for end in ("done", None, "done"))
    damaged.events.write_text("{}\n")
    before = snapshot(tmp_path)
    with running.lock():
        done = cleaned(tmp_path)
    assert set(actions(done).values()) == {"keep"}
    assert {plan.name: plan.why.partition(":")[0] for plan in done.runs} == {
        running.name: "it is running", stopped.name: "cut off, so it can be resumed", damaged.name: "damaged",
    }  # fmt: skip
    assert snapshot(tmp_path) == before


def test_a_run_that_somebody_took_since_is_left_alone(tmp_path: Path) -> None:
    taken, changed = (filled(scored(tmp_path, noise=0.4, ended="interrupted"), released=False) for _ in range(2))
    planned = plan_cleaning(tmp_path, 0)
    assert set(actions(planned).values()) == {"remove"}
    filled_since = changed.model
    filled_since.mkdir()
    (filled_since / "package.json").write_text("{}")
    with taken.lock():
        done = clean(planned)
    assert taken.path.exists()
    assert changed.path.exists()
    problems = {plan.name: plan.problem for plan in done.runs}
    assert "in use by another process" in str(problems[taken.name])
    assert "it changed" in str(problems[changed.name])
    assert done.bytes == 0


def test_links_are_never_followed(tmp_path: Path) -> None:
    """Links in place of the run, of a folder in it, of what would go, and inside of what goes."""
    outside = tmp_path / "outside"
    precious = {name: outside / name / "precious.txt" for name in ("run", "reports", "work", "inside", "whole")}
    for path in precious.values():
        path.parent.mkdir(parents=True)
        path.write_text("precious")
    (outside / "work" / "plots").mkdir()
    (outside / "work" / "plots" / "plot.png").write_text("precious")
    before = snapshot(outside)
    out = tmp_path / "runs"
    run = filled(scored(out, noise=0.4))
    (run.reports / "report.html").unlink()
    run.reports.rmdir()
    run.reports.symlink_to(outside / "reports")
    run.work.rename(tmp_path / "work")
    run.work.symlink_to(outside / "work")
    (run.path / "replay" / "link").symlink_to(outside / "inside")
    whole = scored(out, noise=0.4, ended="interrupted")
    (whole.work / "link").symlink_to(outside / "whole")
    (whole.path / "link").symlink_to(outside / "whole")
    (out / "20260101-000000-linked").symlink_to(outside / "run")
    done = cleaned(out)
    assert snapshot(outside) == before
    assert actions(done) == {run.name: "trim", whole.name: "remove", "20260101-000000-linked": "keep"}
    assert run.reports.is_symlink()
    assert not (run.path / "replay").exists()
    assert not whole.path.exists()
    assert (out / "20260101-000000-linked").is_symlink()


def test_a_link_that_appears_after_planning_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "plots").mkdir(parents=True)
    (outside / "plots" / "plot.png").write_text("precious")
    out = tmp_path / "runs"
    run = filled(scored(out, noise=0.4))
    planned = plan_cleaning(out, 0)
    run.work.rename(tmp_path / "work")
    run.work.symlink_to(outside)
    clean(planned)
    assert (outside / "plots" / "plot.png").exists()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    run = filled(scored(tmp_path / "runs", noise=0.4))
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / ".lock").symlink_to(precious)
    (plan,) = cleaned(tmp_path / "runs").runs
    assert "a link in place of its lock" in str(plan.problem)
    assert precious.read_text() == "precious"
    assert run.notebook.exists()


def test_a_half_removed_run_is_removed_the_next_time(tmp_path: Path) -> None:
    run = scored(tmp_path, noise=0.4, ended="interrupted")
    for path in sorted(run.path.rglob("*"), reverse=True):
        if path != run.events:
            path.unlink() if path.is_file() else path.rmdir()
    assert actions(cleaned(tmp_path)) == {run.name: "remove"}
    assert not run.path.exists()


def test_what_cannot_be_removed_is_told_and_stops_nothing_else(tmp_path: Path) -> None:
    deep, other = (scored(tmp_path, noise=0.4, ended="interrupted") for _ in range(2))
    with nested(deep.work):
        done = cleaned(tmp_path)
        problems = {plan.name: plan.problem for plan in done.runs}
        assert problems[deep.name]
        assert problems[other.name] is None
        assert deep.events.exists()
        assert not other.path.exists()
        assert f"left   {deep.name}: .: " in cleaning_report(done)


def test_what_goes_and_what_is_kept_is_told(tmp_path: Path) -> None:
    filled(scored(tmp_path, noise=0.4))
    scored(tmp_path, noise=0.4, ended="interrupted")
    scored(tmp_path, noise=0.4)
    told = cleaning_report(plan_cleaning(tmp_path, 1))
    assert "reports, notebook.ipynb, replay, work/plots, work/studies.db, work/model" in told
    assert "interrupted before it had a model" in told
    assert "kept   1 run: one of the newest" in told
    assert "would free" in told
    assert "freed" in cleaning_report(cleaned(tmp_path, 1))
    assert "nothing to remove" in cleaning_report(plan_cleaning(tmp_path / "nowhere", 5))


@pytest.mark.slow
def test_a_cleaned_run_is_shown_reported_compared_and_predicts_as_before(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    settings = load_settings(
        {"source": "sklearn:iris", "target": "target", "out": out, "families": "linear,tree", "trials": 0, "sandbox": "unsafe-local"}
    )
    run = RunDir(Path(start(settings)["run"]))
    rows = tmp_path / "rows.csv"
    pd.read_parquet(run.data / "holdout.parquet").to_csv(rows, index=False)
    predict(run, rows, tmp_path / "before.csv", sandbox="unsafe-local")
    report, notebook = write_report(run.path).read_bytes(), write_notebook(run.path).read_bytes()
    kept = {
        name: (run.path / name).read_bytes() for name in ("contract.json", "events.jsonl", "vault/ledger.jsonl", "model/pipeline.joblib")
    }
    done = cleaned(out)
    assert {part.path for part in done.runs[0].parts} >= {"reports", "notebook.ipynb", "work/plots", "work/model"}
    assert kept == {name: (run.path / name).read_bytes() for name in kept}
    predict(run, rows, tmp_path / "after.csv", sandbox="unsafe-local")
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
    shown = read_summary(run)
    assert shown["report"] is None
    assert "holdout" in overview(shown)
    assert (write_report(run.path).read_bytes(), write_notebook(run.path).read_bytes()) == (report, notebook)
    assert read_summary(run)["report"] == str(run.report)
    assert [entry.released for entry in list_entries(out)] == [True]
    other = scored(out, noise=2.0, source="sklearn:iris")
    found = compare([run, other])
    assert found.pairs[0].better == "A"
    assert found.runs[0].winner.flat
