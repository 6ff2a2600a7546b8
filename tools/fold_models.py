"""The fits of a cross-validation on file, so that their average can stand for another fit on the training rows.

A bag of the folds' fits predicts about as well as one fit on all the rows that they share (Breiman 1996, "Bagging predictors"), and it is
there when the search ends. So a candidate whose fit is dear is scored on the holdout by it; see `tools.evaluation`.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import memory

if TYPE_CHECKING:
    from tools.candidates import Candidate
    from tools.families.fitted import Fitted
    from tools.problem import Problem
    from tools.workspace import Workspace

DEAR_S = 0.3
"""Seconds from which a fit is worth a file."""
MOST_FITS = 10
"""That are averaged: more would take longer to predict with than they are worth."""
MOST_MB = 128.0
"""Of one fit, pickled: forests on many rows are larger, and take longer to write than a part of the rows takes to fit."""
IN_MEMORY = 3.0
"""How many times its file a fit may take in memory while it is read."""
_OF = "of.json"


class FoldModels:
    """The folds' fits of a candidate that is being cross-validated, each on file when it is there; to be kept, or discarded.

    Args:
        stage: name of the folder that they lie in meanwhile; what an earlier search left there goes.
        dear_s: seconds from which a fit is worth a file.
    """

    def __init__(self, space: Workspace, stage: str, dear_s: float = DEAR_S) -> None:
        self._space, self._folder, self._dear_s = space, space.fold_models / f".{stage}.tmp", dear_s
        self.discard()

    def put(self, number: int, fitted: Fitted, seconds: float) -> None:
        """Write a fit that took so long, if that is worth it. Can be called from several threads, each with its own number."""
        if seconds < self._dear_s:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{number}.pickle"
        try:
            with path.open("wb") as file:
                pickle.dump(fitted, _Bounded(file), protocol=pickle.HIGHEST_PROTOCOL)
        except (_TooLarge, OSError):  # without it the candidate is fitted once more
            path.unlink(missing_ok=True)

    def keep(self, candidate: Candidate) -> None:
        """Keep them as those of a candidate that is on record now, or nothing where one of them is missing."""
        final = self._space.fold_models / candidate.name
        shutil.rmtree(final, ignore_errors=True)
        if not _are(self._folder, range(candidate.n_folds)):
            self.discard()
            return
        (self._folder / _OF).write_text(_mark(candidate), encoding="utf-8")
        os.replace(self._folder, final)

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def averageable(problem: Problem) -> bool:
    """Whether an average of folds' fits is a model of the training rows: each row was left out by one of them and is known to the others,
    and they were all made of the same past. Groups have numbers of their own in each fit, and what constraints hold a model to is measured
    on the model itself."""
    contract = problem.contract
    return (
        contract.predicts not in ("groups", "scores")
        and contract.forecast is None
        and contract.fold_kind != "time"
        and not contract.constraints.bounded
        and not contract.constraints.by_family
        and 2 <= len(problem.parts) <= MOST_FITS
        and bool((problem.folds >= 0).all())
    )


def instead_of_fits(space: Workspace, records: Iterable[Candidate], problem: Problem, refit_s: float | None) -> list[str]:
    """The candidates whose folds' fits are to be averaged in the place of a fit on all training rows: the dearest ones, until the fits that
    are left are foreseen to take no longer than `refit_s`.

    Args:
        refit_s: None where all are to be fitted.
    """
    if refit_s is None or not averageable(problem):
        return []
    chosen: list[str] = []
    records = sorted(records, key=lambda record: -record.refit_seconds)
    left, room = sum(record.refit_seconds for record in records), memory.room_mb()
    for record in records:
        if left <= refit_s:
            break
        needed = IN_MEMORY * _megabytes(space, record)
        if 0 < needed < room:
            chosen.append(record.name)
            left, room = left - record.refit_seconds, room - needed
    return chosen


def load_fold_models(space: Workspace, candidate: Candidate) -> list[Fitted]:
    """The fits of a candidate's folds, in their order.

    Raises:
        OSError, pickle.UnpicklingError: they are gone, or are no fits.
    """
    found = []
    for path in _paths(space.fold_models / candidate.name, range(candidate.n_folds)):
        with path.open("rb") as file:
            found.append(pickle.load(file))
    return found


def _megabytes(space: Workspace, candidate: Candidate) -> float:
    """Of the files of a candidate's folds; 0 where they are not all there, or are another's of its name."""
    folder, numbers = space.fold_models / candidate.name, range(candidate.n_folds)
    try:
        if (folder / _OF).read_text(encoding="utf-8") != _mark(candidate):
            return 0.0
        return sum(path.stat().st_size for path in _paths(folder, numbers)) / 1e6
    except OSError:
        return 0.0


def _mark(candidate: Candidate) -> str:
    """What tells a candidate from another of its name."""
    return json.dumps([candidate.spec.model_dump(mode="json"), candidate.fold_scores], sort_keys=True)


def _are(folder: Path, numbers: Sequence[int]) -> bool:
    return all(path.is_file() for path in _paths(folder, numbers))


def _paths(folder: Path, numbers: Sequence[int]) -> list[Path]:
    return [folder / f"{number}.pickle" for number in numbers]


class _TooLarge(Exception):
    """A pickle that is larger than a fit may be."""


class _Bounded:
    """A file that takes so many megabytes and no more."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MOST_MB * 1e6

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._left -= size
        if self._left < 0:
            raise _TooLarge
        self._file.write(data)
        return size
