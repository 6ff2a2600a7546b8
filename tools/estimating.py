"""How long the fits of a candidate are going to take, told from one on few rows before any of them begins."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tools.abreast import lanes_for
from tools.candidates import CandidateSpec
from tools.constraints import FLOORS
from tools.deadline import Deadline
from tools.families import family
from tools.families.setting import FitContext, Setting
from tools.preparers import fit_prepared

if TYPE_CHECKING:
    import pandas as pd

    from tools.families.base import Family
    from tools.families.fitted import Fitted
    from tools.preparation import Preparation
    from tools.problem import Problem

PILOT_ROWS = 1500
FIRST_ROWS = 50
"""Of the fit that nobody times: whatever a family imports, compiles and loads is paid for once, not for every fold."""
MANY_FITS, LEAST_ITERATIONS = 20, 15
"""More fits than these a candidate, as under leave-one-out, take long even where each is cut short after its fewest iterations."""
READING, LEAST_READ = 1.5, 50
"""How the time of models that read the table grows with its rows, attention being quadratic and the rest linear; fewest rows to tell it."""
GROWTH = 1.1
"""The same of the others."""


class Estimates:
    """Of the fits that one call makes of a problem with one preparation."""

    def __init__(self, problem: Problem, preparation: Preparation, setting: Setting) -> None:
        self._problem = problem
        self._preparation = preparation
        self._setting = setting
        self._begun: set[str] = set()

    def seconds(self, spec: CandidateSpec, deadline: Deadline) -> float:
        """Seconds that all fits of a family that cannot be cut short will take; 0 for others, but where fits are so many that the least
        of each adds up.

        Raises:
            DeadlineReached: when the time is over before that can be told.
        """
        model_family, n_rows = family(spec.family), spec.share * self._problem.n_rows
        fits = len(self._problem.parts)
        reads = model_family.reads
        if spec.family in FLOORS or (fits <= MANY_FITS and (model_family.iterative or (n_rows <= 2 * PILOT_ROWS and not reads))):
            return 0.0
        lanes = lanes_for(model_family, self._problem.fold_rows, self._setting, fits)
        setting = replace(self._setting, threads=max(1, self._setting.threads // lanes))  # as each of them will have
        least = LEAST_ITERATIONS if model_family.iterative else None
        if spec.family not in self._begun:
            self._begun.add(spec.family)
            with contextlib.suppress(Exception):  # what is wrong with the family, the fit that counts will tell
                self._fitted(spec, model_family, setting, FIRST_ROWS, deadline, least)
        rows = min(PILOT_ROWS, max(LEAST_READ, round(n_rows / 4))) if reads else PILOT_ROWS
        started = time.monotonic()
        fitted, X = self._fitted(spec, model_family, setting, rows, deadline, least)
        if reads:
            fitted.predict(X.head(max(1, round(len(X) * (self._problem.n_rows / self._problem.fold_rows - 1)))))
        growth = spec.share * self._problem.fold_rows / len(X)
        return (time.monotonic() - started) * growth ** (READING if reads else GROWTH) * math.ceil(fits / lanes)

    def _fitted(
        self, spec: CandidateSpec, model_family: Family, setting: Setting, rows: int, deadline: Deadline, iterations: int | None
    ) -> tuple[Fitted, pd.DataFrame]:
        """A fit on some of the rows, and these."""
        some = self._problem.some(rows)
        X = self._problem.X[[column.name for column in self._preparation.columns]].iloc[some]
        context = FitContext(deadline=deadline, iterations=iterations)
        y = self._problem.y[some]
        return fit_prepared(model_family, self._preparation.preparers, X, y, None, None, dict(spec.params), setting, context), X
