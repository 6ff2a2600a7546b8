"""One attempt: a system, a task, a seed, a fold. A function of one argument that can be sent to another process or another machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evals import jail
from evals.attempts import Attempt, Status
from evals.control import refuses_all
from evals.engines.tracing import doing
from evals.grading import Facts, Grade, Grader, Order
from evals.launching import WORK, Job, launch, prepared
from evals.suite import Task
from evals.supervising import Ended
from evals.systems.contract import Usage
from team.pricing import listed_price
from tools.files import open_regular, remove_tree
from tools.memory import WORDS

REFUSED = 2
SIGNALLED, KILLED = 128, 137
REPORTS, TRACES = "reports", "traces"
MOST_REPORT_BYTES, MOST_USAGE_BYTES = 64 << 20, 1 << 16
MOST_NAME = 100
"""Characters of a system's name in names of files."""
REASON = 400
FEW_WORDS = 60
"""Characters of a last line that says enough."""
TRACEBACK = "Traceback (most recent call last)"


def attempt(job: Job) -> Attempt:
    """Let the system try, grade what it returns, and say how it went.

    Raises:
        MlteamError: when the attempt could not be made for reasons that are not the system's: the source cannot be had, or the
            environment cannot be made. There is no row then, and it is tried again the next time.
    """
    python = prepared(job)
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
            ended = launch(job, python, folder / "system", log)
            status, reason = outcome(job, ended)
            if status == "refused" and job.task.control and (said := refuses_all(job, python, ended.wall_s)):
                status, reason = "failed", said
            grade = Grade()
            if status in ("ok", "over_budget"):
                grade = grader.grade(out / "predictions.csv")
                if grade.reason:
                    status, reason = "invalid", grade.reason
        # Of a path it matters what it names, and not where this attempt was.
        reason = reason.replace(f"{folder / 'system'}/", "")
        return _row(job, facts, ended, status, reason, grade, out, python)
    finally:
        remove_tree(folder)


def outcome(job: Job, ended: Ended) -> tuple[Status, str]:
    """How an attempt went by how its process ended, and why."""
    said = [line.strip() for line in ended.tail.splitlines() if line.strip()]
    last, words = (said[-1] if said else "without a word")[-REASON:], _last_words(said)
    trace = TRACEBACK in ended.tail
    if ended.stopped == "timeout":
        allowed = f"at twice {job.budget_s:g} s to use and {job.grace_s:g} s of grace"
        return "timeout", f"ended after {ended.wall_s:.0f} s, {allowed}; last it said: {words}"
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
        return "crashed", f"ended by signal {ended.code - SIGNALLED}; last it said: {words}"
    return ("crashed" if trace else "failed"), f"exit code {ended.code}: {(_raised(ended.tail) or last)[:REASON]}"


def _last_words(said: Sequence[str]) -> str:
    """The end of what was printed: a line, and those before it where it is short, as the last one of a paragraph is."""
    words = ""
    for line in reversed(said):
        words = f"{line} {words}".strip()
        if len(words) >= FEW_WORDS:
            break
    return words[-REASON:] or "without a word"


def _raised(tail: str) -> str:
    """The exception that the last traceback ends in, whatever was printed behind it; empty where there is none."""
    behind = tail.rpartition(TRACEBACK)[2].splitlines()[1:] if TRACEBACK in tail else []
    return next((line.strip() for line in behind if line.strip() and not line.startswith((" ", "\t"))), "")


def judged(task: Task, status: Status, grade: Grade, direction: str, warnings: Sequence[str]) -> tuple[bool | None, str]:
    """Whether an outcome is the right one, and why it is not; None where the task expects nothing but a score.

    Args:
        direction: `max` or `min`, of the metric.
        warnings: what the system said was wrong with the data.
    """
    if not task.expect:
        return None, ""
    if status not in task.expect:
        return False, f"{' or '.join(task.expect)} would have been right"
    if status != "ok":
        return True, ""
    if task.tells and not any(task.tells in one for one in warnings):
        return False, f"it does not tell what is wrong with the data: {task.tells}"
    if task.floor is not None:
        sign = 1.0 if direction == "max" else -1.0
        bounds = [bound for bound in (grade.low, grade.high) if bound is not None] or [grade.score or task.floor]
        worst = min(bounds, key=lambda bound: sign * bound)
        if sign * worst <= sign * task.floor:
            return False, f"not told from who knows nothing: the interval reaches {worst:.4g}, and {task.floor:g} is what that scores"
    return True, ""


def _row(job: Job, facts: Facts, ended: Ended, status: Status, reason: str, grade: Grade, out: Path, python: Path) -> Attempt:
    usage = _usage(out)
    free = job.jail == "bubblewrap" and job.system.network is False  # nobody can be paid from there
    right, why = judged(job.task, status, grade, facts.direction, usage.warnings)
    return Attempt(
        suite=job.suite,
        task=job.task.name,
        system=job.system.name,
        seed=job.seed,
        fold=job.fold,
        budget_s=job.budget_s,
        status=status,
        reason=" ".join((reason or why).split()),
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
        dollars=0.0 if usage.dollars is None and free else _dollars(job, usage),
        rows_train=facts.rows_train,
        rows_test=facts.rows_test,
        data=facts.data,
        report=_keep(job, usage.report, out, REPORTS, ".html"),
        traces=_keep(job, usage.traces, out, TRACES, ".jsonl") if doing() else "",
        versions={**usage.versions, **_versions(job, python), **(jail.facts() if job.jail == "bubblewrap" else {"jail": "none"})},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        warnings=usage.warnings,
        right=right,
    )


def _usage(out: Path) -> Usage:
    """What the system tells of itself; nothing where that cannot be read."""
    try:
        with open_regular(out / "usage.json", MOST_USAGE_BYTES, inside=out) as file:
            return Usage.model_validate_json(file.read())
    except (OSError, ValidationError):
        return Usage()


def _dollars(job: Job, usage: Usage) -> float | None:
    """What the tokens cost: the system's own word, else by the list's price of its model; None where nobody knows one.

    The price is that of short requests, with nothing taken from a cache.
    """
    spec = job.system.model or job.model
    if usage.dollars is not None or usage.tokens_in is None or usage.tokens_out is None or job.system.network != "model" or "," in spec:
        return usage.dollars
    price = listed_price(spec)
    return None if price is None or price.hours else float(price.charge(usage.tokens_in, usage.tokens_out, 0, 0))


def _keep(job: Job, told: str, out: Path, kind: str, ending: str) -> str:
    """Keep a file that the system names below its own folder; its place below the folder of the eval."""
    if not told or not Path(told).is_relative_to(out):
        return ""
    try:
        with open_regular(Path(told), MOST_REPORT_BYTES, inside=out) as file:
            content = file.read()
    except OSError:
        return ""
    system = re.sub(r"[^A-Za-z0-9._-]", "_", job.system.name)
    if len(system) > MOST_NAME:
        system = f"{system[:MOST_NAME]}-{hashlib.sha256(job.system.name.encode()).hexdigest()[:8]}"
    place = Path(kind) / f"{job.task.name}-{system}-{job.seed}-{job.fold}-{job.budget_s:g}{ending}"
    (job.out / kind).mkdir(exist_ok=True)
    (job.out / place).write_bytes(content)
    return str(place)


def _versions(job: Job, python: Path) -> dict[str, str]:
    """Of the packages that make the system what it is."""
    found: dict[str, Any] = {}
    if job.system.packages:  # pinned, and what pip made of it
        paths = [str(path) for path in python.parent.parent.glob("lib/python*/site-packages")]
        names = [re.split(r"[\[=<>~!@ ;]", package, maxsplit=1)[0] for package in job.system.bare or job.system.packages]
        for each in importlib.metadata.distributions(path=paths):
            name = each.metadata["Name"]
            if name and re.sub(r"[-_.]+", "-", name).lower() in {re.sub(r"[-_.]+", "-", one).lower() for one in names}:
                found[name] = each.version
        return found
    return {name: importlib.metadata.version(name) for name in job.system.versions}
