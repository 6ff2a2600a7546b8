"""An eval's queue in numbers, while attempts wait, are made and end."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from evals.launching import Job
from evals.queue_metrics import QueueMetrics
from evals.suite import Task
from evals.systems.contract import System
from team.exposition import text
from tests.evals.attempted import attempt

TASK = {"name": "rows", "source": "rows.csv", "target": "y", "task": "binary", "metric": "roc_auc", "licence": "CC0", "why": "small"}


def jobs(*systems: str) -> list[Job]:
    task = Task.model_validate(TASK)
    made = (System(name=name, command=("true",), why="for this test") for name in systems)
    return [Job("tiny", task, system, 0, 0, 5.0, Path("out"), Path("environments")) for system in made]


def values(queue: QueueMetrics, name: str) -> dict[tuple[str, ...], float]:
    (family,) = (one for one in queue.families() if one.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_a_job_waits_until_it_is_asked_for_and_runs_until_it_ends() -> None:
    queue = QueueMetrics("tiny")
    handed = queue.begin(jobs("a", "b", "c"), skipped=4)
    seen: list[Any] = [values(queue, "mlteam_eval_jobs")]
    first = next(handed)
    next(handed)
    seen.append(values(queue, "mlteam_eval_jobs"))
    queue.ended(first.system.name, attempt("rows", "a", 0.9, dollars=0.5))
    seen.append(values(queue, "mlteam_eval_jobs"))
    assert seen == [{("tiny", "waiting"): waits, ("tiny", "running"): runs} for waits, runs in ((3, 0), (1, 2), (1, 1))]
    assert values(queue, "mlteam_eval_skipped") == {("tiny",): 4}


def test_attempts_by_system_and_how_they_ended() -> None:
    queue = QueueMetrics("tiny")
    list(queue.begin(jobs("a", "a", "b"), skipped=0))
    queue.ended("a", attempt("rows", "a", 0.9, dollars=0.5))
    queue.ended("a", attempt("rows", "a", None, dollars=None))
    queue.ended("b", "the jail does not work here")
    assert values(queue, "mlteam_eval_attempts") == {("tiny", "a", "ok"): 1, ("tiny", "a", "failed"): 1, ("tiny", "b", "not_made"): 1}
    assert values(queue, "mlteam_eval_cost_dollars") == {("tiny", "a"): 0.5}
    assert values(queue, "mlteam_eval_attempt_seconds")["tiny", "a", "30.0"] == 2


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say() -> None:
    queue = QueueMetrics("tiny")
    list(queue.begin(jobs("a"), skipped=0))
    queue.ended("a", attempt("rows", "a", 0.9))
    checked = subprocess.run(["promtool", "check", "metrics"], input=text(queue.families), text=True, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
