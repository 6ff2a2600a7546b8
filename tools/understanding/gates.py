"""The gates that look for leaks: each says pass or fail, and by what evidence. They run with every profile of the training table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column, Split, TableSchema
from tools.deadline import Deadline
from tools.extras import Extras
from tools.features import numbers
from tools.problem import Problem
from tools.spec import ToolRefused
from tools.understanding.findings import Dependence, Gate, GateName, Reading
from tools.understanding.giveaways import giveaways
from tools.understanding.order import groups, levels
from tools.understanding.repeats import across_the_split, repeated_rows

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

SHUFFLED_ROWS, SHUFFLED_COLUMNS, SHUFFLES, SHUFFLED_S = 1000, 40, 2, 20.0
"""Rows and columns of the table with a shuffled target, how often it is shuffled, and the seconds that its fits may take."""
CHANCE_ERRORS = 4.0
"""Standard errors above chance from which a score on a shuffled target is none by chance."""
EXACT, FEWEST_ROWS = 0.98, 20
"""Share of rows in which a gap and a class must go together, and of how many rows."""
STOOD_FOR, MANY_OTHERS = 0.2, 10
"""Share of rows that a number must have to stand for nothing, and how many different ones there must be."""
NOTHING = {"none", "n/a", "na", "nan", "null", "nil", "nothing", "not applicable", "unknown", "missing", "-", "--", "?"}
FEWEST_UNIQUE = 0.95
ORDER_MATTERS = 0.1
"""By how much the order of an identifier must beat chance (ROC AUC), or R² that it must reach."""
OVERLAPPING = 0.1
"""Share of sealed rows whose group is among the training rows before a random split fails."""


def run_gates(
    problem: Problem,
    part: Problem,
    holdout: pd.DataFrame,
    associations: dict[str, float],
    limit: tuple[str, float],
    readings: list[Reading],
    dependent: Dependence | None,
    associate: Callable[[Column, pd.Series], float | None],
    extras: Extras,
) -> list[Gate]:
    """All gates, failed ones first. One that could not be run says so and takes no other along.

    Args:
        problem: all training rows.
        part: a sample of them, for all but repeats on both sides.
        holdout: the sealed rows without their target.
        associations: how well each column alone predicts the target.
        limit: what that is measured by, and from where on it is too good.
        associate: measures the same of other values in the place of a column's.
    """
    keys = [one.column for one in readings if one.kind == "identifier"]
    made: list[tuple[GateName, Callable[[], Gate]]] = [
        ("duplicates across the split", lambda: across_the_split(problem, holdout, set(keys))),
        ("group or time overlap", lambda: overlap(part, holdout, dependent)),
        ("single feature", lambda: single_feature(part, associations, limit, set(keys))),
        ("known only after the outcome", lambda: after_the_outcome(part)),
        ("shuffled target", lambda: shuffled_target(part)),
        ("identifier that carries order", lambda: ordered_identifiers(part, keys, limit, associate)),
    ]
    found = []
    for name, run in made:
        gate = extras.make(f"the gate of {name}", run)
        found.append(gate or Gate(gate=name, verdict="not run", evidence="it could not be run; what is missing is told below."))
    rank = {"fail": 0, "not run": 1, "pass": 2, "not applicable": 3}
    return sorted(found, key=lambda gate: rank[gate.verdict])


def _untargeted(problem: Problem) -> bool:
    return problem.contract.predicts in ("groups", "scores")


def overlap(problem: Problem, holdout: pd.DataFrame, dependent: Dependence | None) -> Gate:
    """Whether rows that belong together, or later ones, lie on both sides of the split."""
    split, name = problem.contract.split, "group or time overlap"
    column = split.column
    if split.kind == "time" and column in problem.X and column in holdout:
        # Of many series each has its own last moment; the seal cuts them at the same steps before their ends.
        if problem.contract.forecast is not None and problem.contract.forecast.series:
            return Gate(gate=name, verdict="pass", evidence="every series is sealed from its own last horizon on.")
        last, first = problem.X[column].max(), holdout[column].min()
        told = f"the last training row is of {_moment(last)}, the first sealed one of {_moment(first)} ({column!r})."
        return Gate(gate=name, verdict="pass" if last < first else "fail", evidence=told, columns=[] if last < first else [column])
    if split.kind == "group" and column in problem.X and column in holdout:
        both = set(problem.X[column].astype(str)) & set(holdout[column].astype(str))
        told = f"{len(both)} values of {column!r} lie on both sides of the split."
        return Gate(gate=name, verdict="fail" if both else "pass", evidence=told, columns=[column] if both else [])
    if split.kind in ("time", "group"):
        return Gate(gate=name, verdict="not applicable", evidence=f"{column!r}, which the rows were split by, is kept from models.")
    if _untargeted(problem) or problem.contract.predicts == "labels":
        return Gate(gate=name, verdict="not applicable", evidence="there is no single target that rows could share.")
    told = "no column names those whom rows belong to, and the target does not hang together in time."
    found = [one for one in groups(problem.X.assign(**{"\0": problem.plain_target}), "\0") if one.sure]
    for one in found:
        among = float(holdout[one.column].astype(str).isin(set(problem.X[one.column].astype(str))).mean())
        if among > OVERLAPPING:
            told = (
                f"{among:.0%} of the sealed rows have a {one.column!r} that training rows have too, and the target is alike within it:"
                f" --group {one.column!r} keeps it on one side."
            )
            return Gate(gate=name, verdict="fail", evidence=told, columns=[one.column])
    if dependent is not None and dependent.dependent and dependent.by:
        told = (
            f"rows were dealt at random, and in the order of {dependent.by!r} the target hangs together"
            f" (autocorrelation {dependent.lag1:.2f}): --time-column {dependent.by!r} seals the latest rows."
        )
        return Gate(gate=name, verdict="fail", evidence=told, columns=[dependent.by])
    return Gate(gate=name, verdict="pass", evidence=told)


def _moment(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:19]


def single_feature(problem: Problem, associations: dict[str, float], limit: tuple[str, float], keys: set[str]) -> Gate:
    """Whether one column alone predicts the target too well, in all rows or in some of them (`tools.understanding.giveaways`)."""
    what, most = limit
    if not associations:
        return Gate(gate="single feature", verdict="not applicable", evidence="no column could be judged by itself.")
    name, value = max(associations.items(), key=lambda pair: pair[1])
    columns = [column for column, reached in associations.items() if reached >= most]
    told = f"the strongest column alone is {name[:60]!r} with {what} {value:.3f}; {most:g} is too good to be known beforehand."
    partly = giveaways(problem, {*columns, *keys, problem.contract.split.column or ""})
    if partly:
        told += f" In {partly[0].column[:60]!r} {partly[0].told}"
        others = f", and other columns ({len(partly) - 1}) give rows away too" if len(partly) > 1 else ""
        told += f"{others}: is that known beforehand?"
    columns += [one.column for one in partly]
    return Gate(gate="single feature", verdict="fail" if columns else "pass", evidence=told, columns=columns[:20])


def after_the_outcome(problem: Problem) -> Gate:
    """Whether a column is missing exactly where the target is one class, or where its values are all high or all low.

    Both ways count: a gap that only rows of one class have, and a value that only they have. What is known only after the outcome, such
    as the date of a cancellation, looks like that.
    """
    name = "known only after the outcome"
    by_class = problem.contract.predicts in ("classes", "risk")
    looked_at = [(column.name, *_absent(problem.X[column.name], column, stood_for=by_class)) for column in problem.schema.columns]
    gaps = {column: gap for column, gap, _ in looked_at if FEWEST_ROWS <= gap.sum() <= len(gap) - FEWEST_ROWS}
    stand_ins = {column: stand_in for column, _, stand_in in looked_at if stand_in}
    if _untargeted(problem) or not gaps:
        told = (
            "there is no target." if _untargeted(problem) else f"no column is missing in {FEWEST_ROWS} rows or more, and there in as many."
        )
        return Gate(gate=name, verdict="not applicable" if _untargeted(problem) else "pass", evidence=told)
    found, closest = [], (0.0, "")
    for target, what in _outcomes(problem):
        base = max(float(target.mean()), 1 - float(target.mean()))
        for column, gap in gaps.items():
            together = float((gap == target).mean())
            agree = max(together, 1 - together)
            closest = max(closest, (agree, column))
            missing, there = ("missing", "there")
            if stand_in := stand_ins.get(column):
                missing, there = stand_in, f"other than {stand_in}"
            if agree >= EXACT and agree > base + 0.5 * (1 - base):
                holds = "holds" if together > 0.5 else "does not hold"
                found.append((column, f"{column[:60]!r} is {missing} just where {what} {holds}, in {agree:.1%} of rows"))
                continue
            # Nothing is a fact as well where it is written as one: only what is there can be known too late.
            for side, where in ((~gap, there),) if stand_in else ((gap, missing), (~gap, there)):
                share = float(target[side].mean())
                # Of many classes a rare one may well lack what all others have now and then.
                pure = share if stand_in and problem.n_classes > 2 else max(share, 1 - share)
                # As many rows of one kind by chance: less than one in a million, for all columns together.
                doubtful = side.sum() * np.log(max(base, 1e-9)) > np.log(1e-6 / len(gaps))
                if pure >= 0.995 and not doubtful:
                    of_them = f"{'nearly ' if pure < 1 else ''}{'all' if share > 0.5 else 'none'} of them"
                    found.append((column, f"{column[:60]!r} is {where} in {int(side.sum()):,} rows, and {what} holds in {of_them}"))
                    break
    if not found:
        told = f"no gap goes with the outcome: the nearest, of {closest[1][:60]!r}, agrees with it in {closest[0]:.0%} of rows."
        return Gate(gate=name, verdict="pass", evidence=told)
    columns = list(dict.fromkeys(column for column, _ in found))
    more = f", and so for {len(columns) - 1} more" if len(columns) > 1 else ""
    told = f"{found[0][1]}{more}: is it known before the outcome is?"
    return Gate(gate=name, verdict="fail", evidence=told, columns=columns[:20])


def _absent(values: pd.Series, column: Column, *, stood_for: bool) -> tuple[Array, str]:
    """Where a column says nothing, and what it says there: a value that stands for nothing, or empty where it is missing.

    Of numbers 0 or -1 stands for nothing where it is the commonest of many: what was paid back is 0 until somebody pays.

    Args:
        stood_for: whether such values count; the upper half of a number is no outcome that would make them suspicious.
    """
    gap: Array = values.isna().to_numpy()
    if gap.sum() >= FEWEST_ROWS or not stood_for or column.kind not in ("numeric", "categorical"):
        return gap, ""
    counts = values.value_counts()
    if (
        column.kind == "numeric"
        and len(counts) > MANY_OTHERS
        and counts.index[0] in (0.0, -1.0)
        and counts.iloc[0] >= STOOD_FOR * len(values)
    ):
        return (values == counts.index[0]).to_numpy(), f"{counts.index[0]:g}"
    nothing = [level for level in counts.index if column.kind == "categorical" and str(level).strip().lower() in NOTHING]
    return (values.isin(nothing).to_numpy(), repr(nothing[0])) if nothing else (gap, "")


def _outcomes(problem: Problem) -> list[tuple[Array, str]]:
    """Yes-or-no questions about the target: each class of the commonest ten, or whether a number is in the upper half."""
    contract, y = problem.contract, problem.y
    if contract.predicts == "labels":
        return [(y[:, i] == 1, f"label {contract.classes[i][:40]!r}") for i in range(min(y.shape[1], 10))]
    if contract.predicts == "classes":
        common = [int(code) for code in np.argsort(-np.bincount(y), kind="stable")[:10]]
        asked = common[:1] if problem.n_classes == 2 else common
        return [(y == code, f"class {contract.classes[code][:40]!r}") for code in asked]
    if contract.event is not None:
        return [(y > 0, "the event")]
    middle = float(np.median(y))
    upper: tuple[Array, str] = (y > middle, f"a target above {middle:.4g}")
    return [upper, (y == 0, "a target of 0")] if (y == 0).mean() > 0.02 else [upper]


def shuffled_target(problem: Problem) -> Gate:
    """Fit a small tree on rows whose targets were shuffled, prepared, cross-validated and scored as every candidate is.

    What it scores above chance it can only have by looking at what it is to predict.
    """
    from sklearn.metrics import r2_score, roc_auc_score

    from tools.candidates import CandidateSpec
    from tools.crossval import evaluate_candidate, setting_for
    from tools.families import family
    from tools.preparation import choose_columns

    name = "shuffled target"
    if _untargeted(problem) or problem.contract.forecast is not None:
        told = "there is no target." if _untargeted(problem) else "a shuffled series is none; its backtests never see what follows."
        return Gate(gate=name, verdict="not applicable", evidence=told)
    problem = _plain(problem)
    try:
        preparation = choose_columns(problem, name="default", drop=[], text=False, dates=True)
    except ToolRefused:  # texts cost more, and are looked at where there is nothing else
        preparation = choose_columns(problem, name="default", drop=[], text=True, dates=True)
    params = family("tree").default(setting_for(problem, preparation))[0]
    spec = CandidateSpec(name="shuffled", family="tree", params=params, preparation="default")
    # Of two classes one tells all; of more each is judged against all others.
    codes = [int(code) for code in np.unique(problem.y)] if problem.n_classes else []
    codes = codes[1:] if len(codes) == 2 else codes
    scores = []
    for seed in range(SHUFFLES):
        shuffled = replace(problem, y=np.random.default_rng(seed).permutation(problem.y))
        oof = evaluate_candidate(spec, shuffled, preparation, Deadline(SHUFFLED_S)).oof
        scores += [roc_auc_score(shuffled.y == code, oof[:, code]) for code in codes] or [r2_score(shuffled.y, oof)]
    n, few = problem.n_rows, min((int((problem.y == code).sum()) for code in codes), default=0)
    error = np.sqrt((n + 1) / (12 * few * (n - few))) if codes else 1 / np.sqrt(n)
    # Classes of one shuffle are not independent: only shuffles are counted.
    reached, limit = float(np.mean(scores)), (0.5 if codes else 0.0) + CHANCE_ERRORS * float(error / np.sqrt(SHUFFLES))
    what = "ROC AUC" if codes else "R²"
    told = (
        f"a tree on {problem.n_rows:,} rows of {len(problem.schema.columns)} columns with shuffled targets reaches {what} {reached:.3f}"
        f" out of fold, in the mean of {SHUFFLES};"
        f" up to {limit:.3f} is chance."
    )
    return Gate(gate=name, verdict="pass" if reached <= limit else "fail", evidence=told)


def _plain(problem: Problem) -> Problem:
    """At most `SHUFFLED_ROWS` rows and `SHUFFLED_COLUMNS` columns, of classes or plain numbers, whose folds have no order."""
    contract = problem.contract
    schema = TableSchema(columns=problem.schema.columns[:SHUFFLED_COLUMNS])
    update: dict[str, Any] = {"split": Split(kind="random", holdout_fraction=0.2, seed=contract.seed), "validation": "kfold"}
    update |= {"repeats": 1, "leave_one_out": False, "folds": 3, "window": "expanding"}
    y = problem.y
    if contract.predicts == "labels":
        problem = problem.of_label(0)
        contract, y = problem.contract, problem.y
    if contract.predicts != "classes":
        update |= {"task": "regression", "metric": "rmse", "direction": "minimize", "quantiles": [], "event": None}
        y = np.asarray(problem.plain_target, dtype="float64")
    rows = np.sort(np.random.default_rng(0).permutation(problem.n_rows)[:SHUFFLED_ROWS])
    y = y[rows]
    if contract.predicts == "classes":
        counts = np.bincount(y, minlength=problem.n_classes)
        # A class of a few rows is in no fold's training rows at times.
        keep = counts[y] >= 9
        if len(np.unique(y[keep])) >= 2:
            rows, y = rows[keep], y[keep]
    folds = np.random.default_rng(1).permutation(np.arange(len(rows)) % 3)
    X = problem.X[[column.name for column in schema.columns]].iloc[rows].reset_index(drop=True)
    return Problem(contract.model_copy(update=update), schema, X, y, folds)


def ordered_identifiers(
    problem: Problem, keys: list[str], limit: tuple[str, float], associate: Callable[[Column, pd.Series], float | None]
) -> Gate:
    """Whether a number in an identifier says in which order rows came, and that order the target."""
    import pandas as pd

    name = "identifier that carries order"
    if _untargeted(problem) or problem.contract.predicts == "labels":
        return Gate(gate=name, verdict="not applicable", evidence="there is no single target that an order could tell.")
    what = limit[0]
    chance = 0.0 if what == "R²" else 0.5
    few = min(np.bincount(levels(pd.Series(problem.plain_target)))[1:].min(initial=problem.n_rows), problem.n_rows // 2) if chance else 0
    noise = CHANCE_ERRORS * float(np.sqrt((problem.n_rows + 1) / (12 * max(1, few) * max(1, problem.n_rows - few)))) if chance else 0.0
    judged: list[tuple[float, str]] = []
    # Copies of rows have their number again, which makes it no less a number of the rows.
    once = ~repeated_rows(problem.X)
    for column in problem.schema.columns:
        values = problem.X[column.name]
        if column.name not in keys or values.nunique() < FEWEST_UNIQUE * once.sum() or column.kind == "datetime":
            continue
        running = numbers(values) if column.kind == "numeric" else _running_number(values)
        if running is None:
            continue
        running = np.where(once, running, np.nan)
        if (value := associate(Column(name=column.name, kind="numeric", missing=0.0, unique=len(values)), pd.Series(running))) is not None:
            judged.append((value, column.name))
    if not judged:
        return Gate(gate=name, verdict="pass", evidence="no column of running numbers names the rows.")
    reached, strongest = max(judged)
    least = chance + max(ORDER_MATTERS, noise)
    columns = [column for value, column in judged if value >= least]
    told = f"the order of {strongest[:60]!r} alone reaches {what} {reached:.3f}; {least:.2f} would be more than chance."
    if columns:
        told += " Rows were numbered in an order that knows the target: forbid the column, or shuffle what numbers them."
    return Gate(gate=name, verdict="fail" if columns else "pass", evidence=told, columns=columns[:20])


def _running_number(values: pd.Series) -> Array | None:
    """The number in each text that has most values, the last of those; None where texts have none, or not as many."""
    import pandas as pd

    found = values.astype("str").str.findall(r"\d{1,15}")
    usual = int(found.map(len).mode().iloc[0])
    if usual == 0 or float((found.map(len) == usual).mean()) <= 0.9:
        return None
    parts = found.where(found.map(len) == usual)
    columns = [pd.to_numeric(parts.str[place], errors="coerce") for place in range(usual)]
    best = max(range(usual), key=lambda place: (columns[place].nunique(), place))
    return columns[best].to_numpy(dtype="float64")
