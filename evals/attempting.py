"""One attempt: a system, a task, a seed, a fold. A function of one argument that can be sent to another process or another machine."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from evals import jail
from evals.attempts import Attempt, Key, Status
from evals.environments import interpreter
from evals.grading import Facts, Grade, Grader, Order
from evals.our_run import JAILED
from evals.suite import Task
from evals.supervising import Ended, supervise
from evals.systems.contract import System, Usage
from team.sandbox.environment import tools_package
from tools.files import open_regular, remove_tree
from tools.memory import WORDS

REFUSED = 2
SIGNALLED, KILLED = 128, 137
REPORTS, WORK = "reports", "work"
MOST_REPORT_BYTES, MOST_USAGE_BYTES = 64 << 20, 1 << 16
REASON = 400


@dataclass(frozen=True)
class Job:
    """What to attempt, and with what means."""

    suite: str
    task: Task
    system: System
    seed: int
    fold: int
    budget_s: float
    out: Path
    """Folder of the eval."""
    environments: Path
    """Where virtual environments are kept."""
    model: str = ""
    threads: int = 1
    grace_s: float = 60.0
    """Seconds beyond the budget that an attempt may take before it counts as an overrun. At twice both it is ended."""
    memory_mb: int | None = None
    """MiB that the system's processes may take together; None leaves it to the machine."""
    jail: Literal["bubblewrap", "none"] = "bubblewrap"

    @property
    def key(self) -> Key:
        return Key(self.suite, self.task.name, self.system.name, self.seed, self.fold, self.budget_s)

    def __str__(self) -> str:
        fold = f", fold {self.fold}" if self.task.split.parts > 1 else ""
        return f"{self.task.name}: {self.system.name}, seed {self.seed}{fold}"


def attempt(job: Job) -> Attempt:
    """Let the system try, grade what it returns, and say how it went.

    Raises:
        MlteamError: when the attempt could not be made for reasons that are not the system's: the source cannot be had, or the
            environment cannot be made. There is no row then, and it is tried again the next time.
    """
    python = Path(sys.executable)
    if job.system.packages:
        python = interpreter(job.environments, job.system.environment or re.sub(r"\W", "_", job.system.name), job.system.packages)
    place = job.out / WORK
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="attempt-", dir=place))
    try:
        shown, out, log = folder / "system" / "table", folder / "system" / "out", folder / "log.txt"
        shown.mkdir(parents=True)
        out.mkdir()
        with Grader() as grader:
            order = Order(task=job.task, seed=job.seed, fold=job.fold, folder=shown, environments=job.environments)
            facts = grader.draw(order)
            ended = _run(job, python, folder / "system", log)
            status, reason = outcome(job, ended)
            grade = Grade()
            if status in ("ok", "over_budget"):
                grade = grader.grade(out / "predictions.csv")
                if grade.reason:
                    status, reason = "invalid", grade.reason
        return _row(job, facts, ended, status, reason, grade, out, python)
    finally:
        remove_tree(folder)


def _run(job: Job, python: Path, folder: Path, log: Path) -> Ended:
    filled = {
        "{python}": str(python),
        "{table}": str(folder / "table"),
        "{out}": str(folder / "out"),
        "{seconds}": f"{job.budget_s:g}",
        "{seed}": str(job.seed),
        "{threads}": str(job.threads),
        "{model}": job.model,
    }
    command = [_filled(word, filled) for word in job.system.command]
    if job.jail == "bubblewrap":
        own = [python.parent.parent] if job.system.packages else []
        command = jail.jailed(command, folder, [*own, *job.system.shows], network=job.system.network)
    return supervise(
        command,
        cwd=folder,
        env=_environment(job, folder),
        log=log,
        limit_s=2 * (job.budget_s + job.grace_s),
        memory_mb=job.memory_mb,
    )


def _filled(word: str, places: Mapping[str, str]) -> str:
    return re.sub(r"\{[a-z]+\}", lambda found: places.get(found[0], found[0]), word)


def _environment(job: Job, folder: Path) -> dict[str, str]:
    """All that the system finds in its environment."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    threads = str(job.threads)
    counted = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MLTEAM_SANDBOX__CPUS")
    handed = {name: os.environ[name] for name in job.system.variables if name in os.environ}
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(tools_package().parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(counted, threads),
        **({JAILED: "1"} if job.jail == "bubblewrap" else {}),
        **handed,
    }


def outcome(job: Job, ended: Ended) -> tuple[Status, str]:
    """How an attempt went by how its process ended, and why."""
    said = [line.strip() for line in ended.tail.splitlines() if line.strip()]
    last = (said[-1] if said else "without a word")[-REASON:]
    trace = "Traceback (most recent call last)" in ended.tail
    if ended.stopped == "timeout":
        return "timeout", f"ended after {ended.wall_s:.0f} s, with {job.budget_s:g} s to use; last it said: {last}"
    if ended.stopped == "out_of_memory":
        return "out_of_memory", f"ended at more than {job.memory_mb:,} MiB"
    if ended.code == 0:
        if ended.wall_s > job.budget_s + job.grace_s:
            return "over_budget", f"took {ended.wall_s:.0f} s, with {job.budget_s:g} s to use and {job.grace_s:g} s of grace"
        return "ok", ""
    if ended.code == REFUSED and not trace:
        return "refused", last
    if ended.code == KILLED and ended.killed_for_memory:
        return "out_of_memory", "killed by the system, which had no memory left"
    if any(word in line.lower() for line in said[-3:] for word in (*WORDS, "memoryerror")):
        return "out_of_memory", last
    if ended.code > SIGNALLED:
        return "crashed", f"ended by signal {ended.code - SIGNALLED}; last it said: {last}"
    return ("crashed" if trace else "failed"), f"exit code {ended.code}: {last}"


def _row(job: Job, facts: Facts, ended: Ended, status: Status, reason: str, grade: Grade, out: Path, python: Path) -> Attempt:
    usage = _usage(out)
    return Attempt(
        suite=job.suite,
        task=job.task.name,
        system=job.system.name,
        seed=job.seed,
        fold=job.fold,
        budget_s=job.budget_s,
        status=status,
        reason=" ".join(reason.split()),
        metric=facts.metric,
        direction=facts.direction,
        score=grade.score,
        low=grade.low,
        high=grade.high,
        medal=grade.medal,
        wall_s=round(ended.wall_s, 3),
        cpu_s=round(ended.cpu_s, 3),
        peak_mb=round(ended.peak_mb, 1),
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        dollars=usage.dollars,
        rows_train=facts.rows_train,
        rows_test=facts.rows_test,
        report=_keep_report(job, usage.report, out),
        versions={**usage.versions, **_versions(job, python), **(jail.facts() if job.jail == "bubblewrap" else {"jail": "none"})},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        right=status in job.task.expect if job.task.expect else None,
    )


def _usage(out: Path) -> Usage:
    """What the system tells of itself; nothing where that cannot be read."""
    try:
        with open_regular(out / "usage.json", MOST_USAGE_BYTES, inside=out) as file:
            return Usage.model_validate_json(file.read())
    except (OSError, ValidationError):
        return Usage()


def _keep_report(job: Job, told: str, out: Path) -> str:
    """Keep the report that the system names below its own folder; its place below the folder of the eval."""
    if not told or not Path(told).is_relative_to(out):
        return ""
    try:
        with open_regular(Path(told), MOST_REPORT_BYTES, inside=out) as file:
            content = file.read()
    except OSError:
        return ""
    system = re.sub(r"[^A-Za-z0-9._-]", "_", job.system.name)
    place = Path(REPORTS) / f"{job.task.name}-{system}-{job.seed}-{job.fold}-{job.budget_s:g}.html"
    (job.out / REPORTS).mkdir(exist_ok=True)
    (job.out / place).write_bytes(content)
    return str(place)


def _versions(job: Job, python: Path) -> dict[str, str]:
    """Of the packages that make the system what it is."""
    found: dict[str, Any] = {}
    if job.system.packages:  # pinned, and what pip made of it
        paths = [str(path) for path in python.parent.parent.glob("lib/python*/site-packages")]
        names = [re.split(r"[\[=<>~!@ ;]", package, maxsplit=1)[0] for package in job.system.packages]
        for each in importlib.metadata.distributions(path=paths):
            name = each.metadata["Name"]
            if name and re.sub(r"[-_.]+", "-", name).lower() in {re.sub(r"[-_.]+", "-", one).lower() for one in names}:
                found[name] = each.version
        return found
    return {name: importlib.metadata.version(name) for name in job.system.versions}
