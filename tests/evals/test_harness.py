"""An eval end to end: systems in their jail, the grader beside them, rows that outlive a kill, and cheats that gain nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evals.attempting import attempt, judged, outcome
from evals.attempts import Attempt, Attempts
from evals.engines import make_engine
from evals.grading import Grade
from evals.harness import Plan, Went, run_plan
from evals.launching import Job
from evals.listing import listing
from evals.queue_metrics import QueueMetrics
from evals.suite import Suite, Task
from evals.supervising import Ended, supervise
from evals.systems import PROBES, System, find_systems
from team.errors import MlteamError, UsageError
from tests.collector import collector
from tests.model_server import Reaction, Say, Seen, served

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose rows read the same wherever they are written, so that a cheat knows them again."""
    path = tmp_path_factory.mktemp("source") / "rows.csv"
    rows = pd.DataFrame({"number": range(80), "kind": ["red", "blue"] * 40})
    rows.assign(label=["yes" if number % 4 < 2 else "no" for number in rows["number"]]).to_csv(path, index=False)
    return path


def suite_of(table: Path) -> Suite:
    task = {
        "name": "rows",
        "source": str(table),
        "target": "label",
        "task": "binary",
        "metric": "roc_auc",
        "licence": "CC0",
        "why": "small",
    }
    return Suite.model_validate({"name": "tiny", "why": "for this test", "tasks": [task | {"licence": "CC0", "why": "small"}]})


def plan(table: Path, out: Path, names: list[str], **changes: Any) -> Plan:
    systems = tuple(find_systems(names))
    given = Plan(suite_of(table), systems, budget_s=5.0, seeds=1, out=out, environments=out / "environments", grace_s=PATIENCE_S)
    return replace(given, **changes)


def ran(given: Plan, queue: QueueMetrics | None = None) -> Went:
    engine = make_engine("local", 1)
    try:
        return run_plan(given, engine, queue=queue)
    finally:
        engine.close()


def job_of(table: Path, out: Path, command: list[str], **changes: Any) -> Job:
    """An attempt of a system that is this command."""
    system = System(name="own", command=tuple(command), why="for this test")
    given = Job("tiny", suite_of(table).tasks[0], system, 0, 0, 5.0, out, out / "environments", grace_s=PATIENCE_S)
    return replace(given, **changes)


@pytest.fixture(scope="module")
def queue() -> QueueMetrics:
    """What `went` was counted by."""
    return QueueMetrics("tiny")


@pytest.fixture(scope="module")
def went(table: Path, tmp_path_factory: pytest.TempPathFactory, queue: QueueMetrics) -> Went:
    """One eval of jailed systems, for all that is asked of it."""
    return ran(plan(table, tmp_path_factory.mktemp("eval"), ["dummy", "linear", *PROBES]), queue)


def test_an_eval_is_counted_as_it_goes(went: Went, queue: QueueMetrics) -> None:
    found = {family.name: {tuple(one.labels.values()): one.value for one in family.samples} for family in queue.families()}
    assert found["mlteam_eval_jobs"] == {("tiny", "waiting"): 0, ("tiny", "running"): 0}
    rows = {("tiny", row.system, row.status): 1.0 for row in went.attempts}
    assert found["mlteam_eval_attempts"] == rows


def row_of(went: Went, system: str) -> Attempt:
    return next(row for row in went.attempts if row.system == system)


@pytest.mark.bubblewrap
def test_simple_systems_are_scored_with_an_interval_and_what_they_took(went: Went) -> None:
    assert went.faults == []
    dummy, linear = row_of(went, "dummy"), row_of(went, "linear")
    assert (dummy.status, dummy.score, linear.status) == ("ok", 0.5, "ok")
    assert linear.low is not None
    assert linear.high is not None
    assert linear.score is not None
    assert linear.low <= linear.score <= linear.high
    assert (linear.rows_train, linear.rows_test, linear.direction) == (60, 20, "max")
    assert min(linear.wall_s, linear.cpu_s) > 0
    assert linear.peak_mb > 20
    assert linear.versions["jail"].startswith("bubblewrap")
    assert "scikit-learn" in linear.versions


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("boast", "there is no predictions.csv"),
        ("short", "19 predictions for 20 rows"),
        ("nan", "20 values of column proba_"),
    ],
)
def test_a_cheat_gets_no_score(went: Went, probe: str, reason: str) -> None:
    row = row_of(went, f"probe-{probe}")
    assert (row.status, row.score) == ("invalid", None)
    assert row.reason.startswith(reason)


@pytest.mark.bubblewrap
def test_the_same_for_every_row_is_worth_what_it_is(went: Went) -> None:
    assert (row_of(went, "probe-constant").status, row_of(went, "probe-constant").score) == ("ok", 0.5)


@pytest.mark.bubblewrap
def test_labels_are_nowhere_to_be_found(went: Went) -> None:
    row = row_of(went, "probe-labels")
    assert (row.status, row.score) == ("failed", None)
    assert "no file that can be read has the labels" in row.reason


@pytest.mark.bubblewrap
def test_what_is_finished_is_not_tried_again(went: Went, table: Path) -> None:
    out = went.attempts.path.parent
    again = ran(plan(table, out, ["dummy", "linear", *PROBES]))
    assert (again.new, again.skipped) == (0, 2 + len(PROBES))
    assert len(pd.read_parquet(out / "attempts.parquet")) == len(again.attempts)
    assert not (out / "work").exists()
    assert "probe-boast" in listing(again.attempts)


def test_the_cheat_that_looks_for_labels_is_a_real_one(table: Path, tmp_path: Path) -> None:
    """Without a jail, and with the source beside it, it finds them: what keeps it out is the jail."""
    job = replace(job_of(table, table.parent, ["true"]), system=find_systems(["probe-labels"])[0], jail="none")
    assert attempt(job).score == 1.0


def test_ends_are_told_apart(table: Path, tmp_path: Path) -> None:
    def ended(code: str, limit_s: float = PATIENCE_S, memory_mb: int | None = None) -> tuple[str, str, Ended]:
        end = supervise(
            [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, env={}, log=tmp_path / "log", limit_s=limit_s, memory_mb=memory_mb
        )
        return *outcome(job_of(table, tmp_path, ["true"], memory_mb=memory_mb), end), end

    assert ended("pass")[:2] == ("ok", "")
    refused = "import sys; sys.exit(print('mlteam: no rows to learn from', file=sys.stderr) or 2)"
    assert ended(refused)[:2] == ("refused", "mlteam: no rows to learn from")
    assert ended("1 / 0")[:2] == ("crashed", "exit code 1: ZeroDivisionError: division by zero")
    assert ended("import atexit; atexit.register(print, 'good bye')\n1 / 0")[1].endswith("ZeroDivisionError: division by zero")
    status, reason, _ = ended("import os; os.kill(os.getpid(), 11)")
    assert (status, "signal 11" in reason) == ("crashed", True)
    assert ended("import sys; sys.exit(7)")[0] == "failed"
    assert ended("raise MemoryError")[0] == "out_of_memory"
    status, reason, took = ended("b = [bytearray(1 << 24) for _ in range(30)]\nwhile True: b[0][0] = 1", memory_mb=200)
    assert (status, reason) == ("out_of_memory", "ended at more than 200 MiB")
    assert took.peak_mb > 200
    status, _, took = ended("while True: pass", limit_s=1.0)
    assert status == "timeout"
    assert took.wall_s >= 1
    assert took.cpu_s > 0
    spoken = replace(
        took, tail="before\nthe release manager now fits the candidate\nscored on all rows, with the same settings, as\n   it is.\n"
    )
    why = outcome(job_of(table, tmp_path, ["true"]), spoken)[1]
    assert why.endswith(
        "s of grace; last it said: the release manager now fits the candidate scored on all rows, with the same settings, as it is."
    )
    late = replace(took, stopped="", code=0, wall_s=6 + PATIENCE_S)
    assert outcome(job_of(table, tmp_path, ["true"]), late)[0] == "over_budget"


def test_a_robust_task_says_whether_the_outcome_is_right(table: Path, tmp_path: Path) -> None:
    job = job_of(table, tmp_path, ["{python}", "-I", "-S", "-c", "import sys; sys.exit(2)"], jail="none")
    assert attempt(replace(job, task=job.task.model_copy(update={"expect": ("refused",)}))).right is True


@pytest.mark.parametrize(
    ("more", "status", "bounds", "warnings", "right", "why"),
    [
        ({}, "ok", (0.4, 0.6), [], True, ""),
        ({}, "over_budget", (0.8, 0.9), [], False, "ok would have been right"),
        ({"expect": ("refused",)}, "ok", (0.8, 0.9), [], False, "refused would have been right"),
        ({"floor": 0.5}, "ok", (0.6, 0.8), [], True, ""),
        ({"floor": 0.5}, "ok", (0.5, 0.5), [], False, "the interval reaches 0.5, and 0.5 is what that scores"),
        ({"floor": 0.5}, "ok", (0.48, 0.9), [], False, "the interval reaches 0.48"),
        ({"floor": 0.5}, "refused", (None, None), [], False, ""),
        ({"floor": 0.5, "expect": ("ok", "refused")}, "refused", (None, None), [], True, ""),
        ({"tells": "single feature"}, "ok", (0.9, 1.0), ["shuffled target: too good"], False, "does not tell what is wrong"),
        ({"tells": "single feature"}, "ok", (0.4, 0.6), ["single feature: 'outcome' alone"], True, ""),
    ],
)
def test_predictions_in_time_are_right_where_they_are_worth_something(
    table: Path, more: dict[str, Any], status: Any, bounds: tuple[float | None, float | None], warnings: list[str], right: bool, why: str
) -> None:
    task = suite_of(table).tasks[0]
    assert judged(task, status, Grade(), "max", warnings) == (None, "")
    task = Task.model_validate({**task.model_dump(), "expect": ("ok",), **more})
    low, high = bounds
    found = judged(task, status, Grade(score=low, low=low, high=high), "max", warnings)
    assert (found[0], why in found[1]) == (right, True)
    if task.floor is not None and low is not None and high is not None:  # the same of an error, which is better where it is smaller
        mirrored = Grade(score=1 - low, low=1 - high, high=1 - low)
        assert judged(task, status, mirrored, "min", warnings)[0] == right


def test_only_predictions_can_be_held_to_a_score(table: Path) -> None:
    with pytest.raises(ValueError, match="expect must have ok"):
        Task.model_validate({**suite_of(table).tasks[0].model_dump(), "expect": ("refused",), "floor": 0.5})


def test_a_source_that_cannot_be_had_is_no_row(table: Path, tmp_path: Path) -> None:
    given = plan(table, tmp_path, ["dummy"], jail="none")
    broken = given.suite.model_copy(update={"tasks": (given.suite.tasks[0].model_copy(update={"source": str(tmp_path / "gone.csv")}),)})
    went = ran(replace(given, suite=broken))
    assert (went.new, len(went.attempts), len(went.faults)) == (0, 0, 1)
    assert "gone.csv" in went.faults[0][1]


def test_two_evals_do_not_write_to_one_folder(table: Path, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another eval writes"):
            ran(plan(table, tmp_path, ["dummy"], jail="none"))


@pytest.fixture
def words(table: Path, tmp_path: Path) -> list[str]:
    """`mlteam eval` over four seeds of a system that ends at once for the first two and then never, with a process of its own session."""
    suite = tmp_path / "tiny.yaml"
    suite.write_text(json.dumps(suite_of(table).model_dump(mode="json", exclude_none=True)))
    code = "import sys, pathlib, subprocess\nif int(sys.argv[1]) > 1:"
    code += "\n subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, start_new_session=True)"
    code += "\n while True: pathlib.Path('out/here').touch()\nsys.exit(2)"
    system = tmp_path / "slow.yaml"
    system.write_text(json.dumps({"name": "slow", "command": ["{python}", "-I", "-S", "-c", code, "{seed}"]}))
    words = ["eval", str(suite), f"--systems={system}", "--seeds=4", f"--out={tmp_path / 'eval'}", "--jail=none", "--time=600s"]
    return [sys.executable, "-m", "team.cli", *words]


@pytest.fixture
def victim(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def waited(what: str, there: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, f"waited {PATIENCE_S:g} s for {what}"
        os.sched_yield()


def test_a_kill_of_the_harness_loses_one_attempt(victim: subprocess.Popen[bytes], table: Path, tmp_path: Path) -> None:
    import psutil

    out = tmp_path / "eval"
    waited("the third attempt", lambda: list(out.glob("work/*/system/out/here")))
    below = psutil.Process(victim.pid).children(recursive=True)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert alive == [], "who worked for the harness ends with it"
    assert [row.seed for row in Attempts(out)] == [0, 1]
    quick = find_systems([str(tmp_path / "slow.yaml")])[0].model_copy(update={"command": ("{python}", "-I", "-S", "-c", "exit(2)")})
    again = ran(replace(plan(table, out, ["dummy"], jail="none"), systems=(quick,), seeds=4, budget_s=600.0))
    assert (again.skipped, again.new) == (2, 2)
    assert [row.seed for row in Attempts(out)] == [0, 1, 2, 3]


def test_ctrl_c_in_a_terminal_ends_everything_and_keeps_what_ended(words: list[str], tmp_path: Path) -> None:
    """Typed twice, as people do who want an end."""
    import pexpect
    import psutil

    out, environment = tmp_path / "eval", {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    child = pexpect.spawn(words[0], [*words[1:], "--jobs=2"], cwd=str(ROOT), env=environment, dimensions=(24, 500), encoding="utf-8")
    try:
        waited("the third and fourth attempt", lambda: len(list(out.glob("work/*/system/out/here"))) == 2)
        below = psutil.Process(child.pid).children(recursive=True)
        child.send("\x03\x03")
        child.expect(pexpect.EOF, timeout=PATIENCE_S)
    finally:
        child.close(force=True)
    assert child.exitstatus == 130
    assert f"mlteam: stopped; 2 of 4 attempts are kept in {out}. Go on with: mlteam eval {words[4]} --systems=" in child.before
    assert "Traceback" not in child.before
    assert child.before.rindex("\x1b[?25h") > child.before.rindex("\x1b[?25l"), "the cursor is there again"
    assert len(below) >= 6, "two workers, and a system and its process, beside a grader each"
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert alive == []
    assert sorted(row.seed for row in Attempts(out)) == [0, 1]
    assert not (out / "work").exists()


def test_the_grader_tells_why_a_task_cannot_be_drawn(table: Path, tmp_path: Path) -> None:
    job = job_of(table, tmp_path, ["true"], jail="none")
    with pytest.raises(MlteamError, match="has no column 'nope'"):
        attempt(replace(job, task=job.task.model_copy(update={"target": "nope"})))


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_a_smoke_eval_of_this_team_by_its_command(tmp_path: Path) -> None:
    """The whole way: a run in the jail, its predictions graded, its report kept, its cost known. Its model is asked from within the jail,
    where it alone is reached; one that is of no help costs tokens and not the result, since the playbook takes over."""
    asked: list[str] = []

    def react(request: Seen) -> Reaction:
        asked.append(request.path)
        return Say("I cannot help with that.")

    with served(react) as (url, _), collector() as (address, sent):
        words = ["eval", "smoke", "--tasks=breast_cancer", f"--systems=llm:openai:m@{url}/v1", "--time=5s", "--seeds=1", "--grace=385s"]
        done = subprocess.run(
            [sys.executable, "-m", "team.cli", *words, "--json", f"--out={tmp_path}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": address},
            stdout=subprocess.PIPE,
            check=True,
            timeout=390,
        )
    told = json.loads(done.stdout)
    (row,) = told["attempts"]
    assert (told["new"], told["faults"], row["status"], row["reason"]) == (1, [], "ok", "")
    assert row["score"] >= 0.5, "on a slow machine five seconds are enough for the baseline alone"
    assert set(asked) == {"/v1/chat/completions"}
    assert row["tokens_in"] == 10 * len(asked)
    assert (tmp_path / row["report"]).read_text(encoding="utf-8").startswith("<!")
    check_traces([span for seen in sent for part in seen.request.resource_spans for scope in part.scope_spans for span in scope.spans])


def check_traces(spans: list[Any]) -> None:
    """What a collector got of an eval of one attempt: its own trace, and that of the attempt's run, which it is linked to."""
    (whole,) = (span for span in spans if span.name == "eval smoke")
    (tried,) = (span for span in spans if span.name.startswith("attempt breast_cancer: llm:"))
    (run,) = (span for span in spans if span.name == "invoke_workflow mlteam")
    assert (whole.parent_span_id, tried.parent_span_id, run.parent_span_id) == (b"", whole.span_id, b"")
    assert tried.trace_id == whole.trace_id != run.trace_id
    assert [(link.trace_id, link.span_id) for link in tried.links] == [(run.trace_id, run.span_id)]
    facts = {one.key: one.value for one in tried.attributes}
    assert (facts["mlteam.status"].string_value, facts["mlteam.seed"].int_value) == ("ok", 0)
    assert facts["mlteam.score"].double_value >= 0.5
    assert whole.start_time_unix_nano <= tried.start_time_unix_nano <= run.start_time_unix_nano
    assert run.end_time_unix_nano <= tried.end_time_unix_nano <= whole.end_time_unix_nano
    of_the_run = [span for span in spans if span.trace_id == run.trace_id]
    assert {"stage train", "execute_tool seal_holdout", "chat m"} <= {span.name for span in of_the_run}
    ids = {span.span_id for span in of_the_run}
    assert all(span.parent_span_id in ids for span in of_the_run if span is not run)
