"""The computations behind `profile_table`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.contract import Column
from tools.eda import ColumnProfile, TargetShare, Warned, top_values
from tools.features import numbers
from tools.preparation import looks_like_identifier
from tools.problem import Problem
from tools.survival import events_of, survival_curve
from tools.workspace import Workspace

if TYPE_CHECKING:
    pass

Array = np.ndarray[Any, np.dtype[Any]]

SAMPLE_ROWS = 5000
LEAK_AUC, LEAK_R2, LEAK_CONCORDANCE = 0.99, 0.99, 0.95
MANY_VALUES = 20
"""Different values from which ranks tell a copy of a target."""
FEW_ROWS = 200
FEW_EVENTS = 50
TWIN_CORRELATION = 0.9999


def sample(problem: Problem, rows: Array) -> Problem:
    """Some rows of a problem; the problem itself where these are all."""
    if len(rows) == problem.n_rows:
        return problem
    return replace(problem, X=problem.X.iloc[rows].reset_index(drop=True), y=problem.y[rows], folds=problem.folds[rows], validation=None)


def describe(column: Column, problem: Problem, association: float | None) -> ColumnProfile:
    """Facts of one column over all rows."""
    values = problem.X[column.name]
    present = values.dropna()
    low = middle = high = top = ""
    if column.kind == "numeric":
        present = present[np.isfinite(present.to_numpy())]
    if len(present) and column.kind in ("numeric", "datetime"):
        shown = [present.min(), present.quantile(0.5), present.max()]
        low, middle, high = (f"{v:.5g}" if column.kind == "numeric" else str(v)[:16] for v in shown)
    elif len(present) and column.kind in ("categorical", "boolean"):
        top = top_values(values, len(values))
    return ColumnProfile(
        column=column.name[:80],
        kind=column.kind,
        missing=round(float(values.isna().mean()), 4) if len(values) else 0.0,
        unique=int(present.nunique()),
        low=low,
        middle=middle,
        high=high,
        top=top,
        association=None if association is None else round(association, 4),
    )


def copies(problem: Problem) -> dict[str, float]:
    """Columns that have the target's ranks, or their reverse, with the R² of ranks, where that is too good to be known beforehand.

    A tree cannot tell these of a target with a long tail: it has too few leaves for what decides R² there.
    """
    from scipy.stats import spearmanr

    if problem.contract.predicts not in ("values", "quantiles") or len(np.unique(problem.y)) < MANY_VALUES:
        return {}
    found = {}
    for column in problem.schema.columns:
        values = problem.X[column.name]
        known = values.notna().to_numpy()
        if column.kind not in ("numeric", "datetime") or values.nunique() < MANY_VALUES or known.mean() < 0.5:
            continue
        ranked = values[known].rank().to_numpy()
        alike = float(np.nan_to_num(spearmanr(ranked, problem.y[known]).statistic)) ** 2
        if alike >= LEAK_R2:
            found[column.name] = alike
    return found


def target_distribution(problem: Problem) -> list[TargetShare]:
    """Class shares, or quantiles."""
    if problem.n_classes:
        shares = (
            problem.y.mean(axis=0) if problem.y.ndim == 2 else np.bincount(problem.y, minlength=problem.n_classes) / max(1, problem.n_rows)
        )
        order = np.argsort(-shares, kind="stable")[:20]
        return [TargetShare(label=problem.contract.classes[i][:40], value=round(float(shares[i]), 4)) for i in order]
    match problem.contract.predicts:
        case "risk":
            return _outlived(problem.y)
        case "scores" if problem.y.ndim == 1:
            return [TargetShare(label="labelled", value=round(float(problem.y.mean()), 4))]
        case "groups" | "scores":
            return []
    points = {"min": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "max": 1.0}
    return [TargetShare(label=name, value=float(f"{np.quantile(problem.y, q):.6g}")) for name, q in points.items()]


def _outlived(y: Array) -> list[TargetShare]:
    """Share of events, and of rows that outlive some of the event times by the estimate of Kaplan and Meier."""
    moments, outlive = survival_curve(y)
    places = np.unique(np.linspace(0, len(moments) - 1, 6).round().astype(int)) if len(moments) else np.empty(0, dtype=int)
    told = [TargetShare(label="event seen", value=round(float(events_of(y).mean()), 4))]
    return told + [TargetShare(label=f"outlive {moments[i]:.5g}", value=round(float(outlive[i]), 4)) for i in places]


def warnings(problem: Problem, part: Problem, found: dict[str, float]) -> list[Warned]:
    """What deserves a decision, the gravest first."""
    return [*_leaks(problem, found), *_columns(problem), *_twins(part), *_rows(problem, part), *_target(problem)]


def looks_like_counts(values: Array) -> bool:
    """Whether numbers may be counts of events: whole, none negative, small ones and repeated ones among them."""
    return bool((values >= 0).all() and (values % 1 == 0).all() and values.min() <= 1 and len(np.unique(values)) <= len(values) / 3)


def _target(problem: Problem) -> list[Warned]:
    """What else the target could be. It stays what it is taken for: only the user knows what a number means."""
    contract, counts = problem.contract, False
    if contract.task == "regression":
        counts = looks_like_counts(problem.y)
    elif contract.task == "multiclass" and all(label.isdecimal() for label in contract.classes):
        shares = np.bincount(problem.y, minlength=problem.n_classes)
        # Of counts the high ones are rare, of codes for classes any.
        counts = int(contract.classes[0]) <= 1 and problem.n_classes > 3 and shares[-1] < 0.25 * shares[: problem.n_classes // 2].max()
    if not counts:
        return []
    message = f"{contract.target[:60]!r} holds whole numbers from 0 or 1 up: if they count something, --task count suits them better"
    return [Warned(kind="other_task", columns=[contract.target], message=message)]


def too_good(problem: Problem) -> tuple[str, float]:
    """What associations are measured by, and from where on one is too good to be known before the target is."""
    limits = {"values": ("R²", LEAK_R2), "quantiles": ("R²", LEAK_R2), "risk": ("concordance", LEAK_CONCORDANCE)}
    return limits.get(problem.contract.predicts, ("ROC AUC", LEAK_AUC))


def _leaks(problem: Problem, found: dict[str, float]) -> list[Warned]:
    if not found:
        return []
    what, limit = too_good(problem)
    return [
        Warned(
            kind="possible_leak",
            columns=[name],
            message=f"{name[:60]!r} alone reaches {what} {value:.3f}: is it known before the target is?",
        )
        for name, value in found.items()
        if value >= limit
    ]


def _columns(problem: Problem) -> list[Warned]:
    groups: dict[str, list[str]] = {"constant": [], "all_missing": [], "identifier": [], "high_cardinality": [], "infinite": []}
    for column in problem.schema.columns:
        values = problem.X[column.name]
        distinct = values.nunique()
        if distinct == 0:
            groups["all_missing"].append(column.name)
        elif distinct == 1 and not values.isna().any():
            groups["constant"].append(column.name)
        elif looks_like_identifier(column, problem):
            groups["identifier"].append(column.name)
        elif column.kind == "categorical" and distinct > max(100, 0.2 * problem.n_rows):
            groups["high_cardinality"].append(column.name)
        if column.kind == "numeric" and np.isinf(values.to_numpy()).any():
            groups["infinite"].append(column.name)
    texts = {
        "constant": ("holds one value and says nothing", "hold one value and say nothing"),
        "all_missing": ("holds no value at all", "hold no value at all"),
        "identifier": ("numbers or names the rows and will not repeat", "number or name the rows and will not repeat"),
        "high_cardinality": ("is a category with very many values", "are categories with very many values"),
        "infinite": ("holds infinite values, which count as missing", "hold infinite values, which count as missing"),
    }
    return [
        Warned(
            kind=kind,
            columns=names[:20],
            message=f"{len(names)} columns {texts[kind][1]}: {', '.join(name[:40] for name in names[:5])}"
            if len(names) > 1
            else f"{names[0][:60]!r} {texts[kind][0]}",
        )
        for kind, names in groups.items()
        if names
    ]


def _twins(part: Problem) -> list[Warned]:
    """Pairs of columns that say the same: numbers by correlation, categories by equality."""
    import pandas as pd

    usable = [name for name in part.schema.of_kind("numeric")[:300] if part.X[name].nunique() > 2]
    pairs = []
    if len(usable) > 1:
        matrix = np.column_stack([numbers(part.X[name]) for name in usable])
        centre = np.nan_to_num(matrix - np.nanmean(matrix, axis=0))
        norms = np.linalg.norm(centre, axis=0)
        alike = np.abs(centre.T @ centre) / np.maximum(np.outer(norms, norms), 1e-300)
        for i, j in np.argwhere(np.triu(alike, 1) > TWIN_CORRELATION):
            pairs.append([usable[i], usable[j]])
    categorical = part.schema.of_kind("categorical")[:300]
    seen: dict[int, str] = {}
    for name in categorical:
        codes = pd.factorize(part.X[name])[0]
        key = hash(codes.tobytes())
        if key in seen and part.X[name].nunique() > 1:
            pairs.append([seen[key], name])
        seen.setdefault(key, name)
    return [Warned(kind="twin_columns", columns=pair, message=f"{pair[0][:40]!r} and {pair[1][:40]!r} say the same") for pair in pairs[:10]]


def _rows(problem: Problem, part: Problem) -> list[Warned]:
    told = []
    told_apart = part.plain_target if part.contract.predicts in ("groups", "scores") else part.y
    told_by = part.X[[column.name for column in part.schema.columns if not looks_like_identifier(column, part)]]
    repeated = float(told_by.assign(**{f"__target {i}": each for i, each in enumerate(np.atleast_2d(told_apart.T))}).duplicated().mean())
    if repeated > 0.005:
        told.append(
            Warned(
                kind="duplicate_rows",
                columns=[],
                message=f"{repeated:.1%} of rows repeat another, target included; copies may lie in several folds",
            )
        )
    if problem.contract.predicts == "risk" and (died := int(events_of(problem.y).sum())) < FEW_EVENTS:
        told.append(
            Warned(
                kind="few_events",
                columns=[str(problem.contract.event)],
                message=f"{died} events among {problem.n_rows} training rows: risk is learnt from events, so all models will be uncertain",
            )
        )
    if problem.contract.predicts == "classes":
        shares = np.bincount(problem.y, minlength=problem.n_classes) / max(1, problem.n_rows)
        rare = int(np.argmin(shares))
        if shares[rare] < 0.05:
            label = problem.contract.classes[rare][:40]
            told.append(
                Warned(
                    kind="imbalance",
                    columns=[problem.contract.target],
                    message=f"class {label!r} has {shares[rare]:.2%} of rows; accuracy would mislead",
                )
            )
    if problem.n_rows < FEW_ROWS:
        told.append(Warned(kind="few_rows", columns=[], message=f"{problem.n_rows} training rows: scores of all models will be uncertain"))
    return told


def plot(space: Workspace, problem: Problem) -> list[str]:
    """Target distribution, and missing values where there are any."""
    from tools import plots

    made = []
    if problem.contract.predicts not in ("groups", "scores"):
        plots.target_distribution(space.plots / "target.png", problem.contract, problem.y)
        made = ["plots/target.png"]
    missing = sorted(
        ((column.name, float(problem.X[column.name].isna().mean())) for column in problem.schema.columns), key=lambda pair: -pair[1]
    )
    missing = [pair for pair in missing if pair[1] > 0][:30]
    if missing:
        plots.bars(
            space.plots / "missing.png", "Missing values", [n for n, _ in missing], [100 * s for _, s in missing], "Missing, % of rows"
        )
        made.append("plots/missing.png")
    return made
