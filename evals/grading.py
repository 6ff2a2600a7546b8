"""The grader: a process that alone holds the labels of the rows to predict, and scores what a system made of those rows.

It draws the task from its source, writes what the system may see, and keeps the answers in its own memory, which no process of the
same user may read; on disk they are nowhere but in the source. It reads one line of JSON and answers with one, twice: first what to draw
and where to, then where the predictions are. It ends after that, and when its input ends, as it does where the harness is killed.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pydantic import BaseModel

from evals.suite import Task
from team.errors import MlteamError

RESAMPLES, FEWEST_RESAMPLES, DRAWN_ROWS = 500, 100, 25_000_000
"""Of an interval, while they draw no more rows in all: over a quarter of a million it is so narrow that more would tell nothing."""
CELL_BYTES = 64
"""What a cell of predictions takes at most, on average."""
_PR_SET_DUMPABLE = 4


class Order(BaseModel):
    """What to draw."""

    task: Task
    seed: int
    fold: int
    folder: Path
    """Gets train.csv, test.csv and meta.json."""
    environments: Path


class Facts(BaseModel):
    """What may be known of what was drawn."""

    metric: str
    direction: Literal["max", "min"]
    rows_train: int
    rows_test: int
    data: str
    """`Drawn.digest` of it."""


class Grade(BaseModel):
    """What predictions are worth."""

    score: float | None = None
    low: float | None = None
    high: float | None = None
    medal: Literal["gold", "silver", "bronze", "none"] | None = None
    reason: str = ""
    """Why they are worth nothing; empty where they have a score."""


class Grader:
    """The harness's end of a grader. A context manager: the process is gone when it is left.

    Raises:
        MlteamError: on drawing, when the task cannot be had; says why.
    """

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evals.grading"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/", text=True
        )

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        self._process.wait()

    def draw(self, order: Order) -> Facts:
        return Facts.model_validate(self._ask(order.model_dump_json()))

    def grade(self, predictions: Path) -> Grade:
        return Grade.model_validate(self._ask(json.dumps(str(predictions))))

    def _ask(self, line: str) -> Mapping[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # what it ended with is told below
        answer = self._process.stdout.readline()
        if not answer:
            raise MlteamError(f"the grader ended with code {self._process.wait()} and without a word; its standard error says more.")
        told: dict[str, Any] = json.loads(answer)
        if "error" in told:
            raise MlteamError(told["error"])
        return told


def read_predictions(path: Path, rows: int, columns: int) -> Any:
    """The table that a system left, which may be anything.

    Raises:
        ValueError: when it is no table of about this size; says what was found.
    """
    import pandas as pd

    from tools.files import open_regular

    try:
        with open_regular(path, limit=(1 << 16) + CELL_BYTES * (rows + 1) * (columns + 2)) as file:
            return pd.read_csv(io.BytesIO(file.read()))
    except FileNotFoundError:
        raise ValueError("there is no predictions.csv") from None
    except OSError as error:
        raise ValueError(f"predictions.csv is {error.strerror or error}") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"predictions.csv is no table: {str(error).strip().splitlines()[0][:200]}") from None


def graded(meta: dict[str, Any], answers: Any, path: Path) -> Grade:
    """The score with its bootstrap interval; a grade with a reason for what cannot be scored."""
    from evals.quality_score import as_arrays
    from tools.metrics import bootstrap_interval, score

    try:
        predictions = read_predictions(path, len(answers), max(len(meta["classes"]), answers.shape[1]))
        y, said, units = as_arrays(meta, predictions, answers)
        value = score(meta["metric"], meta["task"], y, said, units=units)
    except ValueError as error:
        return Grade(reason=str(error))
    resamples = max(FEWEST_RESAMPLES, min(RESAMPLES, DRAWN_ROWS // max(1, len(answers))))
    try:
        interval = bootstrap_interval(meta["metric"], meta["task"], y, said, units=units, resamples=resamples)
    except ValueError:  # too few rows to draw from; the score stands
        return Grade(score=value)
    return Grade(score=value, low=interval.low, high=interval.high)


def main() -> None:
    """Serve one attempt."""
    from evals.drawing import draw
    from evals.medals import leaderboard, medal
    from tools.metrics import metric_for
    from tools.spec import InputRefused

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    answers_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def tell(document: str) -> None:
        answers_to.write(document + "\n")
        answers_to.flush()

    order = Order.model_validate_json(sys.stdin.readline())
    try:
        drawn = draw(order.task, order.seed, order.fold, order.environments)
        drawn.write(order.folder)
    except (InputRefused, MlteamError, OSError, ValueError) as error:
        tell(json.dumps({"error": f"task {order.task.name!r} cannot be drawn: {error}"}))
        return
    upwards = metric_for(drawn.meta["metric"], drawn.meta["task"]).direction == "maximize"
    direction: Literal["max", "min"] = "max" if upwards else "min"
    facts = Facts(
        metric=drawn.meta["metric"],
        direction=direction,
        rows_train=drawn.meta["rows"],
        rows_test=len(drawn.answers),
        data=drawn.digest(order.folder),
    )
    tell(facts.model_dump_json())
    if place := sys.stdin.readline():
        grade = graded(drawn.meta, drawn.answers, Path(json.loads(place)))
        if grade.score is not None and (scores := leaderboard(order.task.competition)):
            grade = grade.model_copy(update={"medal": medal(grade.score, direction, scores)})
        tell(grade.model_dump_json())


if __name__ == "__main__":
    main()
