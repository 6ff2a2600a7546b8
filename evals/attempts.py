"""Attempts: one row for each time that a system tried one task with one seed, kept so that a run of a suite that was cut off goes on.

`attempts.jsonl` in the folder of an eval is the truth, one line of JSON an attempt, appended and forced to the disk as it ends; Parquet and
JSON are written from it for whoever reads tables.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from team.errors import UsageError
from tools.workspace import write_text

NAME = "attempts.jsonl"
SCHEMA_VERSION = 1
"""Of a row. A newer one is refused: it may mean by a name what is not meant here."""
Status = Literal["ok", "refused", "failed", "crashed", "timeout", "out_of_memory", "over_budget", "invalid"]
"""How an attempt ended: with predictions that count; with a refusal in words (exit code 2); with an error of its own (another code); by a
signal or a traceback; ended by the harness when it took too long; killed for want of memory; with predictions that came too late; or with
predictions that the grader does not take. `over_budget` keeps its score, beside the status."""


class Key(NamedTuple):
    """What makes two attempts the same one."""

    suite: str
    task: str
    system: str
    seed: int
    fold: int
    budget_s: float


class Attempt(BaseModel):
    """What one system reached on one task, or why it reached nothing."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    schema_version: int = SCHEMA_VERSION
    suite: str
    task: str
    system: str
    seed: int
    fold: int = 0
    """0 where the task has one split."""
    budget_s: float
    """Seconds that the system was given."""
    status: Status
    reason: str = ""
    """Why it did not end well, in one line; empty where it did."""
    metric: str
    direction: Literal["max", "min"]
    score: float | None = None
    """On the rows whose labels the grader alone has."""
    low: float | None = None
    high: float | None = None
    """Bounds of the 95 % bootstrap interval over those rows."""
    wall_s: float
    cpu_s: float
    """Of the system's processes, all together."""
    peak_mb: float
    """Most memory that the system's processes held at once, in MiB."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    dollars: float | None = None
    """None where nobody knows."""
    rows_train: int = 0
    rows_test: int = 0
    data: str = ""
    """Digest of what was drawn, answers and metric included (`Drawn.digest`): attempts are set against each other where it is the same.
    Empty where nobody knows it, as in rows of older versions."""
    report: str = ""
    """The report of the run, as a path below the folder of the eval; empty where the system writes none."""
    traces: str = ""
    """The spans of the run, as a path below the folder of the eval; empty where nobody traces the eval, or the system writes none."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of the system's packages, by name."""
    finished: str
    """ISO 8601, in UTC."""
    medal: Literal["gold", "silver", "bronze", "none"] | None = None
    """That the score would have had in a competition of Kaggle; None where there is no leaderboard."""
    warnings: list[str] = []
    """What the system said was wrong with the data; its own word."""
    right: bool | None = None
    """Whether the outcome is one that the task expects, such as a clear refusal; None where the task expects nothing but a score."""

    @property
    def key(self) -> Key:
        return Key(self.suite, self.task, self.system, self.seed, self.fold, self.budget_s)


def differ(attempts: Iterable[Attempt]) -> bool:
    """Whether attempts were made on different rows, as far as is known, so that their scores must not be compared."""
    return len({attempt.data for attempt in attempts if attempt.data}) > 1


class Attempts:
    """The attempts of one folder. The latest of a key counts; a last line that was not written to its end is as if it were not there.

    Reading writes nothing, so any number of readers may look at a folder that an eval is writing to; only one process may `append`.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: the folder of an eval, or its `attempts.jsonl`; need not exist.

        Raises:
            UsageError: when a line is no attempt, or one of a newer mlteam.
        """
        self.path = path if path.suffix == ".jsonl" else path / NAME
        self._known: dict[Key, Attempt] = {}
        text = self.path.read_bytes() if self.path.exists() else b""
        self._whole = text.rfind(b"\n") + 1
        for number, line in enumerate(text[: self._whole].splitlines(), 1):
            if (version := _version(line)) > SCHEMA_VERSION:
                raise UsageError(
                    f"{str(self.path)!r}, line {number}, was written by a newer mlteam: schema {version}, and this one reads up to"
                    f" {SCHEMA_VERSION}. Upgrade mlteam, or name another folder."
                )
            try:
                self._keep(Attempt.model_validate_json(line))
            except ValidationError as error:
                what = error.errors()[0]
                raise UsageError(
                    f"{str(self.path)!r}, line {number}, is no attempt ({'.'.join(map(str, what['loc'])) or 'JSON'}: {what['msg']})."
                    " Remove the line, or name another folder with --out DIR."
                ) from None

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def append(self, attempt: Attempt) -> None:
        """Add a row, which is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.truncate(self._whole)  # what a kill left half-written
            file.write(attempt.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._whole = file.tell()
        self._keep(attempt)

    def write_parquet(self, path: Path | None = None) -> list[Path]:
        """Write the rows as tables: `attempts.parquet` and `attempts.json`.

        Args:
            path: of the Parquet file; the JSON gets the same name with another ending. None puts both beside the rows.

        Returns:
            the two files.
        """
        import pandas as pd

        path = path or self.path.with_suffix(".parquet")
        rows = [attempt.model_dump() for attempt in self]
        columns = {name: [row[name] for row in rows] for name in Attempt.model_fields}
        for name in ("versions", "warnings"):
            columns[name] = [json.dumps(row[name], sort_keys=True) for row in rows]
        table = pd.DataFrame(columns).astype({name: kind for name, kind in _KINDS.items() if name in columns})
        partial = path.with_name(f".{path.name}.partial")
        table.to_parquet(partial, index=False)
        partial.replace(path)
        write_text(path.with_suffix(".json"), json.dumps(rows, indent=1))
        return [path, path.with_suffix(".json")]

    def _keep(self, attempt: Attempt) -> None:
        self._known.pop(attempt.key, None)
        self._known[attempt.key] = attempt


def _version(line: bytes) -> int:
    """The schema of a row; 1 of what is no row, which is told as that."""
    try:
        document = json.loads(line)
    except ValueError:
        return SCHEMA_VERSION
    found = document.get("schema_version", SCHEMA_VERSION) if isinstance(document, dict) else SCHEMA_VERSION
    return found if isinstance(found, int) else SCHEMA_VERSION


_KINDS = {
    **dict.fromkeys(("seed", "fold", "tokens_in", "tokens_out", "rows_train", "rows_test"), "Int64"),
    **dict.fromkeys(("budget_s", "score", "low", "high", "wall_s", "cpu_s", "peak_mb", "dollars"), "Float64"),
    "right": "boolean",
}
"""Columns whose type would else hang on whether a value is missing."""
