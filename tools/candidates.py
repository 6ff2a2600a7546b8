"""Candidates: what was fitted, how it scored out of fold, and where that is written."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from tools.calibration import Calibration
from tools.casualties import Share
from tools.device import Device
from tools.spec import ToolRefused
from tools.stack import Stack
from tools.workspace import Workspace, write_text

if TYPE_CHECKING:
    import numpy as np

    from tools.problem import Problem

    Array = np.ndarray[Any, np.dtype[Any]]

ENSEMBLE = "ensemble"
"""Family name of weighted averages."""
CODE = "code"
"""Family name of models that a role wrote as a module."""
CODE_FILE = "candidate.py"
"""The module in the folder of such a candidate."""
BEFORE = "uncalibrated.parquet"
"""Out-of-fold predictions as they were before a calibration."""
CANDIDATE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


class CandidateSpec(BaseModel):
    """Everything that determines a candidate, apart from the data and the seed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str
    params: dict[str, Any]
    preparation: str
    share: Share = 1.0


class Member(BaseModel):
    """A candidate inside an ensemble."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    weight: float
    """Above 0; the members' weights sum to 1."""


class Candidate(BaseModel):
    """`candidate.json` in a candidate's folder, beside `oof.parquet` with its out-of-fold predictions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    family: str
    params: dict[str, Any]
    preparation: str
    metric: str
    score: float
    """The contract's metric of the pooled out-of-fold predictions."""
    std_error: float
    """Standard deviation of the fold scores over the square root of their number in one repeat."""
    fold_scores: list[float]
    n_folds: int
    """Fits of all repeats; under leave-one-out one a row, or a group."""
    fit_seconds: FiniteFloat
    """Seconds to fit all folds, added up: folds that were fitted side by side took less of the clock."""
    predict_ms_per_row: FiniteFloat
    latency_ms: FiniteFloat | None = None
    """Milliseconds of predicting a single row, by the last fold's fit and as many of them as a refit averages."""
    size_mb: FiniteFloat | None = None
    """MB of that on file, uncompressed."""
    iterations: list[int] = []
    """Best iteration of each fold, for iterative families."""
    cut_short: bool = False
    """Whether the deadline, or want of memory, ended an iterative fit before it had converged."""
    device: Device = "cpu"
    """What all folds were fitted on; `cpu` where one was not."""
    members: list[Member] = []
    stack: Stack | None = None
    """The second layer of an ensemble that has one."""
    share: Share = 1.0
    """Share of the rows that every fit of it gets; below 1 where memory did not reach for all of them."""
    calibration: Calibration | None = None
    """What its probabilities went through, for metrics that look at their level: in `oof.parquet` each fold's through what the others
    taught."""
    decision: list[FiniteFloat] = []
    """One multiplier a class that decides which is called, for metrics of labels; empty for the most probable class. What the host
    scores by it finds itself."""
    repeats: int = 1
    """How often the rows were dealt to folds."""

    @property
    def refit_seconds(self) -> float:
        """About how long one fit on all rows takes: a fold's fit, on as many more rows."""
        return self.fit_seconds / self.repeats / max(1, self.n_folds / self.repeats - 1)

    @property
    def spec(self) -> CandidateSpec:
        return CandidateSpec(name=self.name, family=self.family, params=self.params, preparation=self.preparation, share=self.share)


class CandidateFacts(BaseModel):
    """A candidate in a tool's result."""

    name: str
    family: str
    score: float
    std_error: float
    seconds: float
    cut_short: bool
    share: Share = 1.0
    device: Device = "cpu"


class Skipped(BaseModel):
    """A family or configuration that was not trained, and why."""

    name: str
    reason: str
    known_as: str | None = None
    """The candidate that has this configuration already."""


def facts(candidate: Candidate) -> CandidateFacts:
    return CandidateFacts(
        name=candidate.name,
        family=candidate.family,
        score=candidate.score,
        std_error=candidate.std_error,
        seconds=round(candidate.fit_seconds, 2),
        cut_short=candidate.cut_short,
        share=candidate.share,
        device=candidate.device,
    )


def families_first(records: Sequence[Candidate], known: Collection[str] = ()) -> list[Candidate]:
    """The best of each family, then all others: what errs differently is worth most.

    Args:
        records: the best first.
        known: families that are there already.
    """
    seen = set(known)
    firsts: list[Candidate] = []
    others: list[Candidate] = []
    for record in records:
        (others if record.family in seen else firsts).append(record)
        seen.add(record.family)
    return firsts + others


def standard_error(scores: list[float], repeats: int = 1) -> float:
    """Standard deviation over the square root of the number of scores in one repeat; 0 for fewer than two scores.

    The folds of another repeat are the same rows dealt anew: they tell the spread better, and bring no row that was not there.
    """
    if len(scores) < 2:
        return 0.0
    mean = sum(scores) / len(scores)
    return float((sum((s - mean) ** 2 for s in scores) / (len(scores) - 1) / max(1.0, len(scores) / repeats)) ** 0.5)


def paired_error(new: list[float], old: list[float], repeats: int = 1) -> float:
    """Standard error of the fold-wise differences of two candidates over the same folds."""
    return standard_error([a - b for a, b in zip(new, old, strict=False)], repeats)


def write_candidate(space: Workspace, candidate: Candidate, problem: Problem, oof: Array, before: Array | None = None) -> None:
    """Write a candidate's folder under a temporary name and rename it, replacing one of the same name.

    Args:
        oof: out-of-fold predictions of all repeats, (repeats · n, k) or (repeats · n,), NaN in rows that no fold validates.
        before: the same before they were calibrated, for candidates with a calibration.
    """
    import numpy as np

    from tools.predictions import write_predictions

    staging = space.candidates / f".{candidate.name}.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    folds = np.concatenate(problem.scheme.folds)
    write_predictions(staging / "oof.parquet", problem.contract, oof, folds)
    if before is not None and candidate.calibration is not None:
        write_predictions(staging / BEFORE, problem.contract, before, folds)
    write_text(staging / "candidate.json", candidate.model_dump_json(indent=1))
    final = space.candidates / candidate.name
    if final.exists():
        shutil.rmtree(final)
    os.replace(staging, final)


def load_candidate(space: Workspace, name: str) -> Candidate:
    """The record of a candidate.

    Raises:
        ToolRefused: when there is none of that name, naming those there are.
    """
    path = space.candidates / name / "candidate.json"
    if path.parent.parent == space.candidates and not path.is_file() and space.recorded is not None:
        _take_recorded(space.recorded / "candidates" / name, path.parent)
    if path.parent.parent != space.candidates or not path.is_file():
        there = ", ".join(c.name for c in leaderboard(space)) or "none; call train_baselines or train first"
        raise ToolRefused(f"no candidate {name!r}; candidates here: {there}.")
    return Candidate.model_validate_json(path.read_text(encoding="utf-8"))


def load_oof(space: Workspace, name: str, problem: Problem) -> Array:
    """Out-of-fold predictions of a candidate, (n, k) or (n,), the mean over repeats; NaN in rows that no fold validates."""
    return problem.scheme.averaged(load_repeats(space, name, problem))


def load_repeats(space: Workspace, name: str, problem: Problem, file: str = "oof.parquet") -> Array:
    """Out-of-fold predictions of a candidate in all repeats, (repeats · n, k) or (repeats · n,)."""
    from tools.predictions import read_predictions

    rows, partial = problem.n_rows * problem.scheme.repeats, bool((problem.folds < 0).any())
    return read_predictions(space.candidates / name / file, problem.contract, rows, partial=partial)


def load_code(space: Workspace, candidate: Candidate) -> str:
    """The module of a candidate that was written as code.

    Raises:
        ToolRefused: when it is gone, or is not what was scored.
    """
    from tools.modelcode import digest

    path = space.candidates / candidate.name / CODE_FILE
    code = path.read_bytes().decode() if path.is_file() else ""
    if digest(code) != candidate.params.get("sha256"):
        raise ToolRefused(f"{CODE_FILE} of {candidate.name!r} is not the code that was scored; submit it under another name.")
    return code


def leaderboard(space: Workspace) -> list[Candidate]:
    """All candidates, the best first; equal scores by name."""
    records = []
    for path in _records(space.candidates):
        try:
            records.append(Candidate.model_validate_json(path.read_text(encoding="utf-8")))
        except (ValidationError, UnicodeDecodeError):  # free-form code wrote it; it is nobody's candidate
            continue
    sign = -1.0 if space.contract.direction == "maximize" else 1.0
    return sorted(records, key=lambda c: (sign * c.score, c.name))


def _take_recorded(recorded: Path, folder: Path) -> None:
    if recorded.is_dir():
        shutil.copytree(recorded, folder)
        print(f"candidate {folder.name!r} was not made again in the time; the recorded one is used")


def _records(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/candidate.json") if not path.parent.name.startswith("."))


def free_name(space: Workspace, stem: str) -> str:
    """`<stem>-<n>` with the smallest n from 1 that no candidate has."""
    n = 1
    while (space.candidates / f"{stem}-{n}").exists():
        n += 1
    return f"{stem}-{n}"
