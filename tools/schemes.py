"""Validation schemes: what the user asked for as fields of the contract, whether the rows allow it, and how it is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tools.contract import Contract, FoldKind, Task
from tools.forecast import Window
from tools.host import Wish
from tools.spec import InputRefused

if TYPE_CHECKING:
    import pandas as pd

    from tools.metrics import Metric

SchemeName = Literal["kfold", "stratified", "group", "time", "loo", "repeated", "nested"]
"""What `--validation` takes."""
REPEATS = 5
"""Of `repeated`, where no number is given."""
MOST_LEFT_OUT = 500
"""Rows or groups that can be left out one by one: each costs every candidate a fit."""
SCORED_TOGETHER = 10
"""Folds that predictions under leave-one-out are scored in, since a single row has no ROC AUC and no spread."""
TINY, SMALL, LARGE = 80, 1_000, 50_000
"""Numbers of training rows between which there are 8, 5 and 3 folds."""
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
GAP = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)?\s*")


class Scheme(NamedTuple):
    """Fields of the contract that a scheme settles."""

    validation: FoldKind | None
    folds: int
    repeats: int
    leave_one_out: bool
    window: Window

    def fields(self) -> dict[str, Any]:
        return self._asdict()


def chosen_scheme(wish: Wish, split: str, rows: int, *, stratified: bool = False) -> Scheme:
    """What the user asked for, as the contract says it.

    Args:
        split: how the holdout is taken: random, stratified, group, time or given.
        rows: rows with a target, of which the holdout takes a part.
        stratified: whether there are classes, or events, that folds can hold the shares of.

    Raises:
        InputRefused: where wishes contradict each other, naming them and what to type instead.
    """
    _check_column(wish, split)
    alone = left_out_alone(wish)
    repeats = wish.repeats or (REPEATS if wish.validation == "repeated" else 1)
    if split == "time":
        if alone:
            raise InputRefused("leave-one-out would learn from later rows than it predicts; leave --time-column out, or use --folds 5.")
        if repeats > 1:
            raise InputRefused("folds in order of time are the same however often they are made; leave --repeats out.")
    elif wish.window or wish.gap:
        what = f"--window {wish.window}" if wish.window else f"--gap {wish.gap}"
        raise InputRefused(f"{what} is for folds in order of time; name the column that orders the rows with --time-column.")
    if alone and repeats > 1:
        raise InputRefused("leave-one-out is the same however often it is made; use --folds 5 with --repeats, or leave --repeats out.")
    kind: FoldKind | None = ("stratified" if stratified else "kfold") if split == "given" else None
    if wish.validation in ("kfold", "stratified", "group", "time"):
        kind = wish.validation  # type: ignore[assignment]  # one of the four
    learn = round(rows * (1 - wish.holdout))
    folds = max(2, min(SCORED_TOGETHER, learn // 2)) if alone else wish.folds or usual_folds(learn, split)
    return Scheme(kind, folds, repeats, alone, wish.window or "expanding")


def usual_folds(rows: int, split: str = "random") -> int:
    """How many folds there are where nobody says: more where rows are few, so that a fit has most of them, fewer where fits take long.

    Args:
        rows: that there are to learn from.
        split: how the holdout is taken. Groups and times are few as a rule, whatever the number of rows.
    """
    if split in ("group", "time") or rows < TINY:
        return 5
    return 8 if rows < SMALL else 5 if rows < LARGE else 3


def left_out_alone(wish: Wish) -> bool:
    """Whether the user asked for leave-one-out."""
    return wish.leave_one_out or wish.validation == "loo"


def metric_left_out(task: Task) -> str:
    """The usual metric of a problem type under leave-one-out: one of single rows, see `check_left_out`."""
    from tools.metrics import default_metric, find_metric

    usual = default_metric(task)
    return "log_loss" if find_metric(usual).compares_rows else usual


def check_left_out(metric: Metric) -> None:
    """Refuse a metric that leave-one-out gets wrong.

    A row that is left out makes its class rarer for the model that predicts it. So a model that knows the shares of the classes and
    nothing else ranks every positive row below every negative one, and has a ROC AUC of 0 (Airola and others 2011, Computational
    Statistics & Data Analysis 55).

    Raises:
        InputRefused: for a metric that compares rows with each other.
    """
    if metric.compares_rows:
        raise InputRefused(
            f"metric {metric.name!r} compares rows, and under leave-one-out each has a model of its own: one without skill would have a"
            " ROC AUC of 0. Use --metric log_loss, or --repeats in place of leave-one-out."
        )


def _check_column(wish: Wish, split: str) -> None:
    """Raise `InputRefused` where a scheme would part rows that the split keeps together, or needs a column that nobody named."""
    wanted = wish.validation
    for kind, option, harm in (("group", "--group", "part rows of one group"), ("time", "--time-column", "learn from later rows")):
        if wanted == kind and split != kind:
            raise InputRefused(f"--validation {kind} needs a column; name it with {option}.")
        if split == kind and wanted in {"kfold", "stratified", "group", "time"} - {kind}:
            raise InputRefused(f"--validation {wanted} would {harm}, which {option} rules out; leave one of the two out.")


def gap_of(text: str | None, when: pd.Series, name: str) -> float:
    """A gap in seconds for dates, else in the column's own unit; 0 for None.

    Args:
        text: a number, with a unit for dates: `7d`, `12h`.
        when: the time column, as `tools.columns.moments` gives it.

    Raises:
        InputRefused: for a unit where numbers order the rows, none where dates do, and what is neither.
    """
    import pandas as pd

    if text is None:
        return 0.0
    found, dates = GAP.fullmatch(text), not pd.api.types.is_numeric_dtype(when)
    if found is None or (found[2] is None) == dates:
        wanted = "a duration such as 12h, 7d or 2w" if dates else "a number without a unit"
        kind = "dates" if dates else "numbers"
        raise InputRefused(f"--gap {text!r} does not fit time column {name!r}, which holds {kind}; expected {wanted}.")
    return float(found[1]) * _UNITS.get(found[2] or "", 1.0)


def check_scheme(train: pd.DataFrame, contract: Contract) -> None:
    """Refuse a scheme that leaves a fit with nothing to learn, or takes more fits than can be made.

    Raises:
        InputRefused: naming the column or the number that does not serve.
    """
    from tools.folds import fold_ids, make_validation

    validation = make_validation(train, contract)
    ids = fold_ids(validation.folds[0])
    split = contract.split
    by = "the rows" if split.column is None else f"{split.kind} column {split.column!r}"
    if len(ids) < (1 if split.kind == "time" or contract.fold_kind == "given" or "folds" in contract.constraints.without else 2):
        raise InputRefused(f"{by} has too few distinct values among the training rows to cross-validate; use another column, or none.")
    if contract.fold_kind == "group" and contract.repeats > 1 and train[split.column].astype(str).nunique() <= contract.folds:
        raise InputRefused(f"{by} has no more values than there are folds, so every repeat would be the same; leave --repeats out.")
    parts = validation.parts
    if contract.leave_one_out and len(parts) > MOST_LEFT_OUT:
        what = "rows" if split.kind != "group" else f"values of {split.column!r}"
        raise InputRefused(
            f"leave-one-out over {len(parts)} {what} would fit every candidate as often; at most {MOST_LEFT_OUT} are left out one by one."
            " Use --folds 10 --repeats 3, which is as steady."
        )
    for part in parts:
        learn = train[contract.target].iloc[validation.rows(part)[0]]
        if len(learn) >= 2 and (contract.plain_numbers or learn.nunique() >= 2):
            continue
        why = (
            f"a fold whose {len(learn)} training rows hold fewer than two classes of {contract.target!r}"
            if contract.predicts == "classes"
            else f"a fold with {len(learn)} rows to learn from"
        )
        cure = "use a smaller --gap" if split.gap else "use another column, or none"
        raise InputRefused(f"{by} leaves {why}; {cure}.")


def folds_there(train: pd.DataFrame, contract: Contract) -> int:
    """How many folds there can be: where rows of a group stay together no more than the training rows have groups, but two at least."""
    if contract.fold_kind != "group":
        return contract.folds
    return min(contract.folds, max(2, int(train[contract.split.column].astype(str).nunique())))


def described(contract: Contract) -> str:
    """The scheme in words, and why it was taken."""
    split, kind = contract.split, contract.fold_kind
    if contract.forecast is not None:
        learn = "all earlier steps" if contract.forecast.window == "expanding" else "equally many of the latest earlier steps"
        what = f"backtests of the last {contract.folds} horizons, each learning from {learn}"
        return f"{what}; because the model will be used on what comes later"
    dealt = {
        "classes": "every class",
        "labels": "every label",
        "risk": "every outcome",
        "scores": "each label",
    }.get(contract.predicts, "the target's range")
    if contract.leave_one_out:
        one = "each row" if kind != "group" else f"each {split.column!r}"
        what = f"leave-one-out: {one} is predicted by a model that learned from all others, and scored in {contract.folds} folds"
    else:
        how = {
            "kfold": "of shuffled rows",
            "stratified": f"into which {dealt} is dealt evenly",
            "group": f"that never part the rows of one {split.column!r}",
            "time": f"in order of {split.column!r}, each learning from "
            + ("all earlier rows" if contract.window == "expanding" else "as many of the latest earlier rows as the first one has"),
            "given": "that the source itself brings",
        }[kind]
        what = f"{contract.folds} fold{'s' if contract.folds > 1 else ''} {how}"
    if split.gap:
        what += f", with a gap of {gap_told(contract)} before what it predicts"
    if contract.repeats > 1:
        what += f", dealt {contract.repeats} times anew"
    if kind == "given":
        return f"{what}; as was asked for, so that scores can be held against others of the same split"
    named = contract.validation is not None and split.kind != "given"
    asked = named or contract.repeats > 1 or contract.leave_one_out or contract.window != "expanding"
    reason = {
        "kfold": "because nothing that was said ties rows together",
        "stratified": {"risk": "because events must be on both sides", "scores": "because labelled anomalies must be on both sides"}.get(
            contract.predicts, "because the target holds classes"
        ),
        "group": f"because rows of one {split.column!r} belong together",
        "time": "because the model will be used on rows that come later",
    }[kind]
    return f"{what}; {'as was asked for' if asked else reason}"


def gap_told(contract: Contract) -> str:
    """The gap as a person says it: in days or hours where it is a duration."""
    gap = contract.split.gap
    if not contract.split.dated:
        return f"{gap:g}"
    for name, seconds in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if gap >= seconds and gap % seconds == 0:
            return f"{gap / seconds:g} {name if gap != seconds else name[:-1]}"
    return f"{gap:g} seconds"
