"""Whether a system that refuses a table refuses every table: exit code 2 is that of a command line nobody understands, too.

A task that expects refusals names a sound table of the same columns as its control. A refusal of it counts as one where the same command
line takes the sound table: it ends well, or is still at it when the refusal would long have been there.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from evals.grading import Grader, Order
from evals.launching import WORK, Job, launch
from tools.files import remove_tree

TIMES, LEAST_S = 3.0, 10.0
"""The sound table is looked at for so many times the seconds of the refusal, and so many more."""
REASON = 300
_known: dict[str, str] = {}
"""What systems said to a sound table; they are asked once in each process that makes attempts."""


def refuses_all(job: Job, python: Path, refused_s: float) -> str:
    """Why a refusal does not count; empty where the system takes a sound table.

    Args:
        refused_s: seconds that its refusal took.

    Raises:
        MlteamError: when the sound table cannot be drawn.
    """
    key = f"{job.system.model_dump_json()} {job.task.control} {job.budget_s} {job.model} {job.jail}"
    if key not in _known:
        _known[key] = _asked(job, python, refused_s)
    return _known[key]


def _asked(job: Job, python: Path, refused_s: float) -> str:
    folder = Path(tempfile.mkdtemp(prefix="control-", dir=job.out / WORK))
    try:
        table, log = folder / "system" / "table", folder / "log.txt"
        table.mkdir(parents=True)
        (folder / "system" / "out").mkdir()
        sound = replace(job, task=job.task.model_copy(update={"source": job.task.control}))
        with Grader() as grader:
            grader.draw(Order(task=sound.task, seed=job.seed, fold=job.fold, folder=table, environments=job.environments))
            ended = launch(sound, python, folder / "system", log, limit_s=TIMES * refused_s + LEAST_S)
        if ended.stopped or not ended.code:
            return ""
        last = next((line.strip() for line in reversed(ended.tail.splitlines()) if line.strip()), "without a word")
        return f"exit code {ended.code} for a sound table too, so this refuses the command rather than the data: {last[-REASON:]}"
    finally:
        remove_tree(folder)
