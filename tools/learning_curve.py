"""Kernel tool: a candidate's score on growing shares of the training rows, and whether more rows would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.candidates import BEFORE, CODE, ENSEMBLE, Candidate, load_candidate, load_repeats
from tools.degradation import Degradation
from tools.extras import Extras
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import numpy as np

    from tools.deadline import Deadline
    from tools.power_law import PowerLaw
    from tools.preparation import Preparation
    from tools.problem import Problem

LEVEL = 0.9
SIZES = 6
"""Sizes of the curve, of which the last one, all rows, is known already."""
FEWEST_SIZES = 4
SMALLEST_SHARE = 0.1
FEWEST_ROWS = 25
"""Of the smallest fit; and so many of each class."""
FEWEST_PER_CLASS = 4
FEWEST_FOLDS = 2
ROOM = 1.3
"""Over the estimate of what a fit takes."""
FEW_ROWS = 5000
"""So many rows take about as long as the iterations over them."""
PATIENCE = 10.0
"""How many times longer a notebook may take that is executed again."""
HARDLY = 0.5
"""Standard errors of the score that twice the rows must be able to gain; else they hardly help."""


class CurvePoint(BaseModel):
    """The mean score over folds of fits on so many rows."""

    rows: int
    score: float
    std_error: float
    """Over the folds that were fitted."""


class LearningCurveResult(BaseModel):
    """What more rows would bring, as far as the curve tells."""

    candidate: str
    fitted: str
    """The candidate whose configuration was fitted: of an ensemble, the member of the largest weight."""
    metric: str
    points: list[CurvePoint]
    """The last one is of the candidate's own fits on the same folds, with all rows that a fold leaves."""
    folds: int
    """How many folds were fitted, of those there are."""
    score: float
    """By the curve, with all rows."""
    doubled: float
    """By the curve, with twice the rows."""
    gain: float
    """What twice the rows bring in the metric's units, above 0 is better."""
    low: float
    high: float
    level: float
    """Of the interval of the gain."""
    noise: float
    """Standard error of the candidate's score, to judge the gain by."""
    verdict: Literal["likely", "hardly", "unclear"]
    """`likely`: the whole interval is above 0; `hardly`: all of it is below half a standard error of the score."""
    plots: list[str]
    seconds: float
    degraded: list[Degradation] = []
    """What is missing above because it could not be made."""


@tool(where="kernel", timeout_s=1800)
def learning_curve(
    candidate: Annotated[str, "Candidate whose configuration is fitted on growing shares of the rows."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 60.0,
) -> LearningCurveResult:
    """Fit a candidate on growing shares of the training rows and say whether twice as many rows would help, and by how much."""
    import numpy as np

    from tools.casualties import load_casualties
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import load_libraries
    from tools.power_law import fit_power_law
    from tools.preparation import load_preparation
    from tools.problem import load_problem

    space = workspace()
    if space.contract.forecast is not None:
        raise ToolRefused("learning_curve leaves out rows at random, and a series would have holes; its backtests tell how history helps.")
    # A notebook that is executed again goes on to the curve that the run had time for, on a slower machine too.
    deadline = Deadline(time_s if space.recorded is None else PATIENCE * time_s)
    problem = load_problem(space)
    if problem.contract.predicts in ("groups", "scores"):
        raise ToolRefused("there is no target here that rows could be judged by; examine_structure says what was found.")
    record = member_to_fit(space, candidate)
    if reason := load_casualties(space).dropped(record.family):
        raise ToolRefused(f"{record.family} is not fitted any more in this run: {reason}.")
    sign = -1.0 if problem.contract.direction == "maximize" else 1.0
    # Of the first repeat, whose folds the smaller fits have: the mean over repeats is better than a single model.
    before = record.calibration is not None and (space.candidates / record.name / BEFORE).is_file()
    oof = problem.scheme.by_repeat(load_repeats(space, record.name, problem, BEFORE if before else "oof.parquet"))[0]
    curve = _Curve(problem, load_preparation(space, record.preparation, problem), record, oof, deadline)
    load_libraries([record.family])
    try:
        with deadline.alarm(grace=0.1 * time_s):
            curve.run()
    except (DeadlineReached, KeyboardInterrupt):
        pass  # sizes that are whole count
    scores = np.array(curve.lines)
    if len(scores) < FEWEST_FOLDS:
        raise ToolRefused(
            f"{record.name!r} cannot be fitted on {FEWEST_FOLDS} folds at {FEWEST_SIZES - 1} sizes in {time_s:g} s;"
            f" give learning_curve about {max(ROOM * curve.needed, 2 * time_s):.0f} s."
        )
    law = fit_power_law(curve.rows, sign * scores, _least(problem.contract.metric), seed=problem.contract.seed)
    gain, low, high = law.gained(LEVEL)
    extras = Extras()
    plot = extras.make("the plot of the learning curve", lambda: _plot(space, candidate, problem, curve.rows, scores, sign, law))
    return LearningCurveResult(
        candidate=candidate,
        fitted=record.name,
        metric=problem.contract.metric,
        points=[
            CurvePoint(rows=int(n), score=_rounded(line.mean()), std_error=_rounded(line.std(ddof=1) / np.sqrt(len(line))))
            for n, line in zip(curve.rows, scores.T, strict=True)
        ],
        folds=len(scores),
        score=_rounded(sign * law.loss(law.rows, LEVEL)[0]),
        doubled=_rounded(sign * law.loss(2 * law.rows, LEVEL)[0]),
        gain=_rounded(gain),
        low=_rounded(low),
        high=_rounded(high),
        level=LEVEL,
        noise=_rounded(record.std_error),
        verdict=judge(low, high, record.std_error),
        plots=[plot] if plot else [],
        seconds=round(deadline.elapsed(), 2),
        degraded=extras.left_out,
    )


def judge(low: float, high: float, noise: float) -> Literal["likely", "hardly", "unclear"]:
    """Whether a gain between `low` and `high` helps, where scores are known to a standard error of `noise`."""
    if high < HARDLY * noise:
        return "hardly"
    return "likely" if low > 0 else "unclear"


def _least(metric: str) -> float:
    """The loss that no model undercuts, by the metric's range: a metric of a package may count in euros."""
    from tools.metrics import find_metric

    found = find_metric(metric)
    return -found.range[1] if found.direction == "maximize" else found.range[0]


def member_to_fit(space: Workspace, name: str) -> Candidate:
    """The candidate to fit: itself, or the heaviest member of an ensemble whose configuration can be fitted here."""
    record = load_candidate(space, name)
    if record.family == CODE:
        raise ToolRefused(f"{name!r} is written as code, whose folds are fitted in sandboxes of their own; name a candidate of a family.")
    if record.family != ENSEMBLE:
        return record
    members = [load_candidate(space, member.name) for member in sorted(record.members, key=lambda m: (-m.weight, m.name))]
    found = next((member for member in members if member.family != CODE), None)
    if found is None:
        raise ToolRefused(f"every member of {name!r} is written as code; name a candidate of a family.")
    return found


class _Curve:
    """Fits two folds size by size, then the others fold by fold on as many sizes as those two had time for."""

    def __init__(self, problem: Problem, preparation: Preparation, record: Candidate, oof: np.ndarray, deadline: Deadline) -> None:
        self.problem, self.preparation, self.record, self.deadline = problem, preparation, record, deadline
        self._shares = self._chosen()
        self._full = self._of_all_rows(oof)
        """Score with all rows by fold; those where the metric is undefined are left out."""
        self._scores: dict[int, list[float]] = {fold: [] for fold in self._full}
        self._seconds = [0.0] * len(self._shares)
        """What a fit of each size took."""

    @property
    def sizes(self) -> int:
        """How many sizes the first two folds have."""
        lengths = sorted((len(line) for line in self._scores.values()), reverse=True)
        return lengths[FEWEST_FOLDS - 1] if len(lengths) >= FEWEST_FOLDS else 0

    @property
    def rows(self) -> np.ndarray:
        import numpy as np

        shares = np.array([*self._shares[: self.sizes], 1.0])
        return np.maximum(1.0, shares * self.record.share * self._fold_rows())

    @property
    def lines(self) -> list[list[float]]:
        """Scores by size of each fold that has them all, the last one with all rows."""
        whole = {fold: line[: self.sizes] for fold, line in self._scores.items() if len(line) >= self.sizes}
        return [[*line, self._full[fold]] for fold, line in whole.items()] if self.sizes >= FEWEST_SIZES - 1 else []

    @property
    def needed(self) -> float:
        """About how many seconds the least curve takes, by what is known of it."""
        return FEWEST_FOLDS * sum(self._expected(size) for size in range(FEWEST_SIZES - 1))

    def run(self) -> None:
        # Under a time split the last fold has the most rows to learn from.
        folds = sorted(self._full, reverse=True)
        if self.needed > self.deadline.remaining():
            return
        for size in range(len(self._shares)):
            for fold in folds[:FEWEST_FOLDS]:
                if not self._affords(self._expected(size)) or not self._fit(fold, size):
                    return
        for fold in folds[FEWEST_FOLDS:]:
            for size in range(self.sizes):
                if size == 0 and not self._affords(sum(self._seconds[: self.sizes])):
                    return
                if not self._fit(fold, size):
                    return

    def _affords(self, seconds: float) -> bool:
        return ROOM * seconds <= self.deadline.remaining()

    def _expected(self, size: int) -> float:
        """Seconds of a fit, by one that was made on as many rows or on fewer, or else by those with all rows."""
        measured = next((i for i in range(size, -1, -1) if self._seconds[i]), None)
        if measured is None:
            return self._cost(self._shares[size]) * self.record.fit_seconds / max(1, self.record.n_folds)
        return self._seconds[measured] * self._cost(self._shares[size]) / self._cost(self._shares[measured])

    def _cost(self, share: float) -> float:
        """What a fit on a share of the rows takes of one on all: on few rows hardly less, since most of it goes into iterations."""
        fixed = 1 / (1 + self.record.share * self._fold_rows() / FEW_ROWS)
        return fixed + (1 - fixed) * share

    def _fit(self, fold: int, size: int) -> bool:
        """Fit one fold on one size; False when the time cut it short, which leaves no score."""
        from tools.candidates import CandidateSpec
        from tools.crossval import evaluate_candidate

        begun = self.deadline.elapsed()
        share = self._shares[size] * self.record.share
        spec = CandidateSpec(**{**self.record.spec.model_dump(), "name": "curve", "share": share})
        fitted = evaluate_candidate(spec, one_fold(self.problem, fold), self.preparation, self.deadline, pace=False)
        self._seconds[size] = max(self._seconds[size], self.deadline.elapsed() - begun)
        if fitted.candidate.cut_short:
            return False
        self._scores[fold].append(fitted.candidate.score)
        progress(fold=fold, share=round(share, 3), score=fitted.candidate.score)
        return True

    def _fold_rows(self) -> float:
        return float(len(self.problem.learn(self.problem.fold_ids[-1])))

    def _chosen(self) -> list[float]:
        """Shares of the rows below 1, ascending."""
        import numpy as np

        rows = self.record.share * self._fold_rows()
        rarest = np.bincount(self.problem.y).min() if self.problem.contract.predicts == "classes" else rows
        smallest = max(SMALLEST_SHARE, FEWEST_ROWS / rows, FEWEST_PER_CLASS / max(1.0, float(rarest)))
        if smallest > 0.5:
            raise ToolRefused(f"{rows:,.0f} rows a fold are too few for a learning curve: fits on half of them would tell nothing.")
        return [float(share) for share in np.geomspace(smallest, 1, SIZES)[:-1]]

    def _of_all_rows(self, oof: np.ndarray) -> dict[int, float]:
        """Scores of fits that are there already, calibrated and with their classes called by what the fold's own rows teach, as those of
        the other sizes are: what all folds taught would be better at the last size alone."""
        found = {}
        for fold in self.problem.fold_ids:
            alone = one_fold(self.problem, fold)
            predicted = alone.empty_oof()
            predicted[alone.folds == fold] = oof[self.problem.folds == fold]
            try:
                found[fold] = float(alone.score(alone.decide(alone.calibrate(predicted)[1])[1]))
            except ValueError:
                continue
        return found


def one_fold(problem: Problem, fold: int) -> Problem:
    """The problem of one fold alone: the rows that its fit may learn from, and those that it is validated on. One fit serves the whole
    fold, whatever the scheme is."""
    from dataclasses import replace

    import numpy as np

    from tools.folds import Validation

    learn = problem.learn(fold)
    rows = np.sort(np.concatenate([learn, np.flatnonzero(problem.folds == fold)]))
    folds = np.where(problem.folds[rows] == fold, fold, -1)
    moments = problem.scheme.moments
    alone = Validation(problem.contract, (folds,), None if moments is None else moments[rows])
    return replace(problem, X=problem.X.iloc[rows].reset_index(drop=True), y=problem.y[rows], folds=folds, validation=alone)


def _plot(space: Workspace, name: str, problem: Problem, rows: np.ndarray, scores: np.ndarray, sign: float, law: PowerLaw) -> str:
    import numpy as np

    from tools import plots

    grid = np.unique([*np.geomspace(rows[0], 2 * law.rows, 40), law.rows])
    curve = np.array([law.loss(n, LEVEL) for n in grid])
    path = space.plots / f"{name}-learning-curve.png"
    plots.learning_curve(path, problem.contract.metric, rows, scores, grid, sign * curve, law.rows)
    return f"plots/{path.name}"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
