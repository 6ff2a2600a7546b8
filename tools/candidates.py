"""Candidates: what was fitted, how it scored out of fold, and where that is written."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from tools.casualties import Share
from tools.spec import ToolRefused
from tools.workspace import Workspace, write_text

if TYPE_CHECKING:
    import numpy as np

    from tools.problem import Problem

    Array = np.ndarray[Any, np.dtype[Any]]

ENSEMBLE = "ensemble"
"""Family name of weighted averages."""
FLOORS = ("dummy", "seasonal_naive")
"""Families that every other one must beat."""
CODE = "code"
"""Family name of models that a role wrote as a module."""
CODE_FILE = "candidate.py"
"""The module in the folder of such a candidate."""
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
    """Standard deviation of the fold scores over the square root of their number."""
    fold_scores: list[float]
    n_folds: int
    fit_seconds: FiniteFloat
    """Seconds to fit all folds."""
    predict_ms_per_row: FiniteFloat
    iterations: list[int] = []
    """Best iteration of each fold, for iterative families."""
    cut_short: bool = False
    """Whether the deadline, or want of memory, ended an iterative fit before it had converged."""
    members: list[Member] = []
    share: Share = 1.0
    """Share of the rows that every fit of it gets; below 1 where memory did not reach for all of them."""

    @property
    def refit_seconds(self) -> float:
        """About how long one fit on all rows takes: a fold's fit, on as many more rows."""
        return self.fit_seconds / max(1, self.n_folds - 1)

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


class Skipped(BaseModel):
    """A family or configuration that was not trained, and why."""

    name: str
    reason: str


def facts(candidate: Candidate) -> CandidateFacts:
    return CandidateFacts(
        name=candidate.name,
        family=candidate.family,
        score=candidate.score,
        std_error=candidate.std_error,
        seconds=round(candidate.fit_seconds, 2),
        cut_short=candidate.cut_short,
        share=candidate.share,
    )


def standard_error(scores: list[float]) -> float:
    """Standard deviation over the square root of the number; 0 for fewer than two."""
    if len(scores) < 2:
        return 0.0
    mean = sum(scores) / len(scores)
    return float((sum((s - mean) ** 2 for s in scores) / (len(scores) - 1) / len(scores)) ** 0.5)


def paired_error(new: list[float], old: list[float]) -> float:
    """Standard error of the fold-wise differences of two candidates over the same folds."""
    return standard_error([a - b for a, b in zip(new, old, strict=False)])


def write_candidate(space: Workspace, candidate: Candidate, problem: Problem, oof: Array) -> None:
    """Write a candidate's folder under a temporary name and rename it, replacing one of the same name.

    Args:
        oof: out-of-fold predictions, (n, k) or (n,), NaN in rows that no fold validates.
    """
    from tools.predictions import write_predictions

    staging = space.candidates / f".{candidate.name}.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    write_predictions(staging / "oof.parquet", problem.contract, oof, problem.folds)
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
    """Out-of-fold predictions of a candidate, NaN in rows that no fold validates."""
    from tools.predictions import read_predictions

    partial = bool((problem.folds < 0).any())
    return read_predictions(space.candidates / name / "oof.parquet", problem.contract, problem.n_rows, partial=partial)


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
