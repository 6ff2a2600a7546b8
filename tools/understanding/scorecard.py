"""How good the table is, aspect by aspect, and what is known of it in sentences. Every figure comes from a fact beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tools.problem import Problem
from tools.understanding.drift import LEAST_LAG1
from tools.understanding.findings import Dependence, Drift, Gate, Grade, Missingness, Personal, Relation, Repeats

if TYPE_CHECKING:
    import pandas as pd

SENTINELS = (-9999.0, -999.0, -99.0, 999.0, 9999.0, 99999.0)
"""Numbers that stand for a missing value in many tables."""
COMMON = 0.01
"""Share of a column that such a number must have, and how far it must lie from all others, in standard deviations of these."""
FAR = 5.0
SPELT = ("categorical", "text")


def scorecard(
    problem: Problem,
    raw: pd.DataFrame,
    missing: Missingness | None,
    repeated: Repeats | None,
    gates: list[Gate],
    drifted: Drift | None,
    personal: list[Personal] | None,
) -> list[Grade]:
    """Grades from 0 to 100, each with its reason, and the mean of all as `overall`. What could not be looked at has no grade.

    Args:
        raw: the rows as they stand in the table.
    """
    grades = []
    if missing is not None:
        filled = 1 - float(problem.X.isna().to_numpy().mean()) if problem.X.shape[1] else 1.0
        grades.append(_grade("completeness", filled, f"{filled:.1%} of values are there; {missing.complete_rows:.0%} of rows have all"))
    if repeated is not None:
        once = 1 - max(repeated.exact, repeated.contradicting)
        told = f"{repeated.exact:.1%} of rows repeat another, {repeated.contradicting:.1%} have a twin with another target"
        grades.append(_grade("uniqueness", once, told))
    odd = invalid(problem, raw)
    share = len(odd) / max(1, len(problem.schema.columns))
    grades.append(
        _grade("validity", 1 - share, f"{', '.join(odd[:3])} looks wrong" if odd else "no infinite value and no stand-in for gaps")
    )
    spelt = variants(raw, [c.name for c in problem.schema.columns if c.kind in SPELT])
    share = len(spelt) / max(1, len(problem.schema.columns))
    told = f"{', '.join(map(repr, spelt[:3]))} spell values in more than one way" if spelt else "no value is spelt in two ways"
    grades.append(_grade("consistency", 1 - share, told))
    if problem.contract.predicts == "classes":
        shares = np.bincount(problem.y, minlength=problem.n_classes) / max(1, problem.n_rows)
        even = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum() / np.log(max(2, len(shares))))
        grades.append(_grade("balance", even, f"the rarest class has {shares.min():.1%} of rows"))
    if drifted is not None:
        apart = max(0.0, drifted.auc - 0.5) * 2 if drifted.verdict != "alike" else 0.0
        grades.append(_grade("stability", 1 - apart, f"training and sealed rows are {drifted.verdict} (ROC AUC {drifted.auc:.2f})"))
    ran = [gate for gate in gates if gate.verdict in ("pass", "fail")]
    if ran:
        failed = [gate.gate for gate in ran if gate.verdict == "fail"]
        passed = "the one gate that applies is passed" if len(ran) == 1 else f"all {len(ran)} gates that apply are passed"
        told = f"failed: {', '.join(failed)}" if failed else passed
        grades.append(_grade("no leaks", 1 - len(failed) / len(ran), told))
    if personal is not None:
        told = f"{_columns(len(personal))} personal data" if personal else "no personal data was found"
        grades.append(_grade("privacy", 1 - min(1.0, len(personal) / max(1, len(problem.schema.columns))), told))
    overall = sum(grade.grade for grade in grades) / len(grades)
    worst = min(grades, key=lambda grade: grade.grade)
    lowest = f"; the lowest is {worst.aspect}" if worst.grade < 100 else ""
    return [Grade(aspect="overall", grade=round(overall), why=f"the mean of the others{lowest}"), *grades]


def _grade(aspect: str, share: float, why: str) -> Grade:
    # Rounded down: only what is whole has 100.
    return Grade(aspect=aspect, grade=int(np.floor(100 * min(1.0, max(0.0, share)) + 1e-9)), why=why)


def _columns(count: int) -> str:
    return "a column holds" if count == 1 else f"{count} columns hold"


def invalid(problem: Problem, raw: pd.DataFrame) -> list[str]:
    """What is wrong with values of columns: infinite ones, and numbers that stand for a gap."""
    found = []
    for name in problem.schema.of_kind("numeric"):
        values = problem.X[name].to_numpy(dtype="float64")
        if np.isinf(values).any():
            found.append(f"{name[:40]!r} with infinite values")
            continue
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        for sentinel in SENTINELS:
            same = values == sentinel
            if COMMON <= same.mean() < 1 and (others := values[~same]).size > 10:
                spread = float(others.std())
                if abs(sentinel - float(others.mean())) > FAR * spread and abs(others - sentinel).min() > spread:
                    found.append(f"{name[:40]!r} with {sentinel:g}")
                    break
    return found


def variants(raw: pd.DataFrame, names: list[str]) -> list[str]:
    """Columns in which a value comes in two spellings, by capitals and blanks."""
    found = []
    for name in names:
        seen = raw[name].dropna().astype(str).unique()[:5000]
        if len({text.casefold().strip() for text in seen}) < len(seen) <= 0.5 * len(raw):
            found.append(name[:80])
    return found


def insights(
    missing: Missingness | None,
    repeated: Repeats | None,
    drifted: Drift | None,
    dependent: Dependence | None,
    related: list[Relation],
    gates: list[Gate],
    personal: list[Personal] | None,
) -> list[str]:
    """What is worth knowing, in sentences, the gravest first."""
    told = [f"The gate “{gate.gate}” fails: {gate.evidence}" for gate in gates if gate.verdict == "fail"]
    if personal:
        such = ":" if len(personal) == 1 else ", such as"
        told.append(f"{_columns(len(personal)).capitalize()} personal data{such} {personal[0].column!r} ({personal[0].kind}).")
    if drifted is not None and drifted.verdict != "alike":
        by = f", most by {', '.join(map(repr, drifted.columns))}" if drifted.columns else ""
        told.append(f"A model tells sealed rows from training rows with ROC AUC {drifted.auc:.2f}{by}.")
    if missing is not None and missing.verdict == "not random":
        tested = f" (Little's test, p = {missing.p_value:.2g})" if missing.p_value is not None and missing.p_value < 0.01 else ""
        with_target = f"; gaps of {', '.join(map(repr, missing.related[:3]))} go with the target" if missing.related else ""
        told.append(f"Values are not missing completely at random{tested}{with_target}: that they are missing may say something.")
    elif missing is not None and missing.verdict == "may be random":
        told.append(f"Values may be missing completely at random (Little's test, p = {missing.p_value:.2g}).")
    if repeated is not None and repeated.contradicting > 0.01:
        told.append(f"{repeated.contradicting:.1%} of rows have a twin with another target: no model can be right on all of them.")
    if repeated is not None and (repeated.near or 0) > 0.01:
        told.append(f"{repeated.near:.1%} of rows nearly repeat another.")
    if dependent is not None and dependent.dependent:
        by = f"time ({dependent.by!r})" if dependent.by else "the table's rows"
        how = "hangs together" if dependent.lag1 >= 0 else "alternates"
        if abs(dependent.lag1) < LEAST_LAG1:
            told.append(f"In the order of {by} the target hangs together over some rows (test of Ljung and Box over ten lags).")
        else:
            told.append(f"In the order of {by} the target {how}: autocorrelation {dependent.lag1:.2f} at a lag of one row.")
    if related and abs(related[0].value) > 0.9:
        pair = related[0]
        measure = {"pearson": "correlation", "spearman": "rank correlation", "cramers_v": "Cramér's V"}[pair.measure]
        told.append(f"{pair.column!r} and {pair.other!r} say nearly the same ({measure} {pair.value:.2f}).")
    return told
