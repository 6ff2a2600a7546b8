"""Kernels that were lost in a call: what took them is found out, put on record where fits ask for it, and said in a sentence.

The kernel notes in its work folder what it fits (`tools/attempt.py`). That note is not to be trusted, so all it decides is
which family this run is careful with from now on; the record itself lies in `data/`, which no sandbox can write to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from team.rundir import RunDir, write_atomic
from tools.attempt import FILE as ATTEMPT_FILE
from tools.attempt import Fit, read_attempt
from tools.candidates import CODE
from tools.casualties import FILE, Casualties, Casualty, Kind, of_the_rows

FITTING = ("train_baselines", "train", "tune", "evaluate", "finish", "nested_score")
"""Tools that note what they fit."""
ON_ALL_ROWS = ("evaluate", "finish")
"""Those that fit a given candidate on more rows than its folds had: that memory runs out there says little of its family."""
_HOW = {"memory": "ran out of memory", "crash": "crashed", "hang": "never came back"}


class Loss(NamedTuple):
    """How a call lost its kernel."""

    kind: Kind
    cause: str
    """What ended the kernel, in the host's words."""
    seconds: float


@dataclass(frozen=True)
class Account:
    """What became of it."""

    what: str
    """The family, or else the candidate or the tool, that the sentence is about."""
    sentence: str
    family: str | None = None
    """The family whose fit it was, when that is known."""
    next: Literal["smaller", "dropped"] | None = None
    """What is done with the family from now on."""


class Losses:
    """The record of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = run

    @property
    def record(self) -> Casualties:
        path = self._run.data / FILE
        return Casualties.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else Casualties()

    def account(self, tool: str, arguments: Mapping[str, Any], loss: Loss) -> Account:
        """Find out what a call was fitting when its kernel was lost, and file what follows from it."""
        fit = self._fit(tool, arguments)
        how = f"{_HOW[loss.kind]} ({_short(loss)})"
        if fit is None:
            subject = f"{tool} of {arguments['candidate']}" if tool in ON_ALL_ROWS else tool
            return Account(what=str(arguments["candidate"]) if tool in ON_ALL_ROWS else tool, sentence=f"{subject} {how}")
        if tool in ON_ALL_ROWS and (loss.kind == "memory" or fit.family == CODE):
            candidate = str(arguments["candidate"])
            part = "" if fit.candidate == candidate else f" when {fit.candidate} was fitted"
            return Account(what=candidate, sentence=f"{tool} of {candidate} {how}{part}", family=fit.family)
        one = Casualty(family=fit.family, kind=loss.kind, cause=_short(loss), tool=tool, share=fit.share)
        record = self.record
        record = record.model_copy(update={"fits": [*record.fits, one]})
        write_atomic(self._run.data / FILE, record.model_dump_json(indent=1))
        again = " again" if loss.kind == "memory" and len([f for f in record.fits if f.family == fit.family]) > 1 else ""
        if record.dropped(fit.family):
            told = f"{fit.family} {_HOW[loss.kind]}{again} in {tool} ({_short(loss)}): dropped"
            return Account(what=fit.family, sentence=told, family=fit.family, next="dropped")
        told = f"{fit.family} {how}: tried again on {of_the_rows(record.share(fit.family))}"
        return Account(what=fit.family, sentence=told, family=fit.family, next="smaller")

    def _fit(self, tool: str, arguments: Mapping[str, Any]) -> Fit | None:
        """The fit that was going on, if the note in the work folder speaks of this very call. The note is used up."""
        if tool not in FITTING:
            return None
        attempt = read_attempt(self._run.work)
        with contextlib.suppress(OSError):
            (self._run.work / ATTEMPT_FILE).unlink(missing_ok=True)
        if attempt is None or attempt.tool != tool or attempt.arguments != dict(arguments):
            return None
        return attempt.current


def _short(loss: Loss) -> str:
    return loss.cause.removeprefix("out of memory: ")[:160]
