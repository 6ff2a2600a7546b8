"""Run a suite: every system on every task, for every seed and fold, skipping what was finished before.

The harness keeps what attempts come to, and nothing else: it holds no label, and what it is killed in the middle of is tried again.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from evals import jail
from evals.attempting import attempt
from evals.attempts import Attempt, Attempts
from evals.drawing import parts
from evals.engines import Engine, WorkerLost
from evals.eval_trace import eval_of
from evals.launching import WORK, Job
from evals.queue_metrics import QueueMetrics
from evals.suite import Suite
from evals.systems.contract import System
from team.errors import MlteamError, UsageError
from tools.files import remove_tree
from tools.metrics import METRICS


@dataclass(frozen=True)
class Plan:
    """What is to be tried, and with what means; fields that are not explained here are those of `Job`."""

    suite: Suite
    systems: tuple[System, ...]
    budget_s: float
    seeds: int
    out: Path
    environments: Path
    folds: int | None = None
    """Folds of each task that are tried at most; None takes all."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks that are tried; empty takes all."""
    model: str = ""
    threads: int = 1
    grace_s: float = 60.0
    memory_mb: int | None = None
    jail: Literal["bubblewrap", "none"] = "bubblewrap"

    def jobs(self) -> list[Job]:
        """In an order in which what is there after a part of them can be compared: all systems on all tasks, seed by seed.

        Raises:
            UsageError: for a task that the suite does not have.
        """
        tasks = [self.suite.task(name) for name in self.tasks] or list(self.suite.tasks)
        return [
            Job(
                suite=self.suite.name,
                task=task,
                system=system,
                seed=seed,
                fold=fold,
                budget_s=self.budget_s,
                out=self.out,
                environments=self.environments,
                model=self.model,
                threads=self.threads,
                grace_s=self.grace_s,
                memory_mb=self.memory_mb,
                jail=self.jail,
            )
            for seed in range(self.seeds)
            for task in tasks
            for fold in parts(task.split, self.folds)
            for system in self.systems
            if not (task.task and system.tasks) or task.task in system.tasks
        ]


@dataclass
class Went:
    """How an eval went."""

    attempts: Attempts
    new: int = 0
    skipped: int = 0
    faults: list[tuple[Job, str]] = field(default_factory=list)
    """Attempts that could not be made, through no fault of a system; they have no row and are tried again the next time."""
    untraced: list[str] = field(default_factory=list)
    """What collectors of traces did not take, in words."""


class Watch(Protocol):
    """Who is told how an eval goes."""

    def planned(self, missing: int, skipped: int) -> None:
        """So many attempts are to be made, and so many were there before."""

    def began(self, job: Job) -> None: ...
    def ended(self, done: int, of: int, job: Job, row: Attempt | str) -> None:
        """With its row, or with the reason why it could not be made."""


def run_plan(
    plan: Plan, engine: Engine, watch: Watch | None = None, jobs_at_once: int | None = None, queue: QueueMetrics | None = None
) -> Went:
    """Make the attempts that are missing.

    Args:
        watch: is told of each, in this thread.
        queue: counts them as they wait, are made and end.

    Raises:
        UsageError: when another eval writes to the same folder, or the plan cannot be run.
        SandboxUnavailable: when systems cannot be jailed here and the plan asks for it.
    """
    jobs = plan.jobs()
    if not jobs:
        raise UsageError("none of these systems can do any of these tasks; name others with --systems or --tasks.")
    if plan.jail == "bubblewrap":
        jail.require()
    with _alone(plan.out):
        went = Went(Attempts(plan.out))
        remove_tree(plan.out / WORK)
        missing = [job for job in jobs if job.key not in went.attempts]
        went.skipped = len(jobs) - len(missing)
        queue = queue or QueueMetrics(plan.suite.name)
        facts = {"systems": tuple(system.name for system in plan.systems), "budget_s": plan.budget_s, "seeds": plan.seeds}
        facts |= {"attempts": len(missing), "skipped": went.skipped}
        if watch is not None:
            watch.planned(len(missing), went.skipped)
        waiting = _begun(queue.begin(missing, went.skipped), watch)
        with ExitStack() as stack:
            stack.callback(remove_tree, plan.out / WORK)
            trace = stack.enter_context(eval_of(plan.out, plan.suite.name, facts, went.untraced.append))
            results = stack.enter_context(closing(engine.run(attempt, waiting, jobs_at_once)))
            for number, (job, result) in enumerate(results, 1):
                if isinstance(result, WorkerLost):
                    result = _lost(job, result)
                if isinstance(result, Attempt):
                    went.attempts.append(result)
                    went.new += 1
                elif isinstance(result, MlteamError):
                    went.faults.append((job, str(result)))
                else:
                    went.faults.append((job, f"{type(result).__name__}: {result}"))
                row = result if isinstance(result, Attempt) else went.faults[-1][1]
                queue.ended(job.system.name, row)
                if trace is not None:
                    trace.ended(job, row)
                if watch is not None:
                    watch.ended(number, len(missing), job, row)
        went.attempts.write_parquet()
    return went


def _begun(jobs: Iterable[Job], watch: Watch | None) -> Iterator[Job]:
    for job in jobs:
        if watch is not None:
            watch.began(job)
        yield job


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """The folder of an eval, for one process that writes to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{str(out)!r} is no folder; name another with --out DIR.") from None
    except FileNotFoundError as error:  # a file system that takes no folders
        raise UsageError(f"{str(out)!r} cannot be made ({error.strerror}); name another with --out DIR.") from None
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another eval writes to {str(out)!r}; wait for it, or name another folder with --out DIR.") from None
        yield


def _lost(job: Job, error: Exception) -> Attempt:
    """The row of an attempt that took the process which supervised it along."""
    metric = METRICS.get(job.task.metric or "")
    return Attempt(
        **job.key._asdict(),
        status="crashed",
        reason=str(error),
        metric=job.task.metric or "",
        direction="min" if metric and metric.direction == "minimize" else "max",
        wall_s=0.0,
        cpu_s=0.0,
        peak_mb=0.0,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        right=False if job.task.expect else None,
    )
