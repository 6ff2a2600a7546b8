"""What the user asked, held against the table before anything is sealed."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from tools.constraints import Constraints
from tools.contract import Contract, TableSchema, Task, predicts
from tools.host import Wish
from tools.spec import InputRefused, ToolRefused

if TYPE_CHECKING:
    import pandas as pd

Word = TypeVar("Word", bound=str)


def check_settings(wish: Wish, task: Task) -> None:
    """Refuse settings that belong to other tasks.

    Raises:
        InputRefused: naming the setting and the task.
    """
    if wish.classes is not None and task != "ordinal":
        raise InputRefused(f"--classes is the order of an ordinal target, and this task is {task}. Leave one of the two out.")
    if wish.quantiles and task != "quantile":
        raise InputRefused(f"--quantiles are predicted of numbers by --task quantile, and this task is {task}. Leave one of the two out.")
    if task != "forecast" and (wish.series or wish.horizon or wish.known):
        raise InputRefused(f"--series, --horizon and --known belong to a forecast, and this task is {task}; leave them out.")
    if task == "forecast" and (wish.gap or wish.validation not in (None, "time")):
        raise InputRefused("the backtests of a forecast are its last horizons; leave --gap and --validation out.")
    if task == "forecast" and wish.holdout != type(wish).holdout:
        raise InputRefused(
            f"--holdout {wish.holdout:g} is a share of rows, and a forecast seals the last horizon of every series. Leave it out, or name"
            " the steps with --horizon."
        )


def without_forbidden(frame: pd.DataFrame, wish: Wish) -> tuple[pd.DataFrame, list[str]]:
    """The table without the columns that no model may see, and their names; one whose groups are compared stays, and is no feature."""
    barred = [str(name) for name in frame.columns if str(name) in wish.constraints.forbid]
    return frame.drop(columns=[name for name in barred if name != wish.constraints.sensitive]), barred


def agreed(what: str, fixed: Word | None, proposed: Word | None) -> Word | None:
    if fixed is not None and proposed is not None and proposed != fixed:
        raise ToolRefused(f"the user fixed {what}={fixed!r}; it cannot be {proposed!r}. Leave `{what}` out.")
    return fixed if fixed is not None else proposed


def check_columns(
    frame: pd.DataFrame, wish: Wish, target: str | None, column: str | None, event: str | None, labels: Sequence[str] = ()
) -> None:
    """Refuse names of columns that are not there, or that are what is predicted where only a feature serves.

    Args:
        labels: columns that the target was made of, which the table has not any more.
    """
    names = [str(name) for name in frame.columns]
    answers = dict.fromkeys(labels, "a label of --target")
    _check_answers(wish, answers | {name: what for name, what in ((target, "the target"), (event, "the event column")) if name})
    for what, name, mine in (
        ("target", target, wish.target),
        ("event column", event, wish.event),
        ("group column", wish.group, wish.group),
        ("time column", wish.time_column, wish.time_column),
        ("column", column, None),
        *(("forbidden column", name, name) for name in wish.constraints.forbid),
        ("sensitive column", wish.constraints.sensitive, wish.constraints.sensitive),
        *(("monotone column", name, name) for name in wish.constraints.monotone),
    ):
        if name is None or name in names:
            continue
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        near += [n for n in names if n.lower() == name.lower() and n not in near]
        hint = f"Nearest: {', '.join(near)}." if near else f"Columns: {', '.join(names[:30])}{', …' if len(names) > 30 else ''}."
        raise (InputRefused if mine else ToolRefused)(f"{what} {name!r} is not in the table. {hint}")
    needed = [("group column", wish.group), ("time column", wish.time_column), ("split column", column)]
    for what, name in (*needed, *(("column of a series", name) for name in wish.series)):
        if name in wish.constraints.forbid:
            raise InputRefused(f"--forbid takes {name!r} away, which is the {what}. Leave it out of --forbid, or name another {what}.")


def _check_answers(wish: Wish, answers: Mapping[str, str]) -> None:
    """Refuse answers where features are asked for: a model is shown none, so what is asked of them would be kept by saying nothing."""
    constraints = wish.constraints
    for name in constraints.forbid:
        if what := answers.get(name):
            raise InputRefused(f"--forbid takes {name!r} away, which is {what}. Leave it out of --forbid, or name another {_bare(what)}.")
    for name in constraints.monotone:
        if what := answers.get(name):
            raise InputRefused(f"--monotone names {name!r}, which is {what}; expected a column that models learn from.")
    if constraints.sensitive and (what := answers.get(constraints.sensitive)):
        raise InputRefused(
            f"--sensitive names {constraints.sensitive!r}, which is {what}; expected a column that says which group a row belongs to."
        )


def _bare(what: str) -> str:
    return what.removeprefix("the ").removeprefix("a ").partition(" of ")[0]


def split_kind(
    wish: Wish, stratum: str | None, split: str | None, column: str | None
) -> tuple[Literal["stratified", "random", "group", "time", "given"], str | None]:
    if wish.own_split:
        return "given", None
    if wish.group and wish.time_column:
        raise InputRefused("--group and --time-column cannot be combined; choose the one that matters when the model is used.")
    if wish.group:
        return "group", wish.group
    if wish.time_column:
        return "time", wish.time_column
    if split == "group" or split == "time":
        if column is None:
            raise ToolRefused(f"a split by {split} needs `column`.")
        return ("group", column) if split == "group" else ("time", column)
    if split == "random" or stratum is None:
        return "random", None
    return "stratified", None


def check_constraints(rows: pd.DataFrame, target: str | None, task: Task, wish: Wish) -> None:
    """Refuse constraints that no model can meet, and objectives that nothing can be weighed by, before anything is fitted."""
    from tools.columns import infer_schema
    from tools.constraints import FLOORS
    from tools.families import learners

    constraints = wish.constraints
    if constraints.sensitive and predicts(task) not in ("classes", "values"):
        raise InputRefused(f"--sensitive compares classes that are called, or values; a {task} task has neither. Leave it out.")
    if constraints.monotone:
        check_directions(task, infer_schema(rows, target), constraints)
    if "fairness" in wish.objectives:
        _check_groups(rows, constraints)
    left = [name for name in constraints.allowed(learners(task)) if name not in FLOORS]
    if not left:
        reasons = "; ".join(dict.fromkeys(reason for name in learners(task) if (reason := constraints.refuses(name))))
        given = {"--interpretable": constraints.interpretable, "--monotone": constraints.monotone, "--families": constraints.families}
        cure = " or ".join(option for option, value in given.items() if value) or "a constraint"
        known = ", ".join(name for name in learners(task) if name not in FLOORS)
        there = f" Families of a {task} task: {known}." if constraints.families else ""
        raise InputRefused(f"no model family is left: {reasons}. Leave out {cure}.{there}")


def check_directions(task: Task, schema: TableSchema, constraints: Constraints) -> None:
    """Refuse monotone constraints that a task has no direction for, or no family a way to keep, and those on what is no number.

    Args:
        schema: of the columns that models learn from.

    Raises:
        InputRefused: naming the column, or the task.
    """
    if not constraints.monotone:
        return
    if task == "multiclass":
        raise InputRefused("--monotone is for two classes or numbers: of several classes none is up. Leave it out.")
    if task == "ordinal":
        raise InputRefused(
            "--monotone is for two classes or numbers: no family here keeps ordered classes to it. Leave it out, or use --task regression."
        )
    if task == "quantile":  # medians and other quantiles in leaves break the order that splits keep to
        raise InputRefused("--monotone cannot be kept by quantiles. Leave it out, or use --task regression.")
    kinds = {column.name: column.kind for column in schema.columns}
    for name in constraints.monotone:
        if (kind := kinds.get(name)) not in ("numeric", "boolean"):
            what = f"a {kind} column" if kind else "no column that models learn from"
            raise InputRefused(f"--monotone names {name!r}, which is {what}; only numbers have a direction. Leave it out of --monotone.")


def _check_groups(rows: pd.DataFrame, constraints: Constraints) -> None:
    """Refuse fairness as an objective where the search cannot see the groups, or they are too few or too small to differ."""
    from tools.columns import infer_schema
    from tools.fairness import FEWEST, groups_of

    name = str(constraints.sensitive)
    cure = "Leave fairness out of --objectives, or name another --sensitive column"
    kept = name in constraints.forbid or (constraints.no_text and name in infer_schema(rows[[name]], None).of_kind("text"))
    if kept:
        raise InputRefused(
            f"fairness is weighed by the sensitive column {name!r}, which --forbid or another constraint keeps from the search."
            f" {cure}; without it the report compares the groups all the same."
        )
    sizes = Counter(groups_of(rows[name]).tolist())
    large = sum(size >= FEWEST for size in sizes.values())
    if large < 2:
        largest = ", ".join(f"{group!r} {size}" for group, size in sizes.most_common(3))
        raise InputRefused(
            f"fairness needs two groups of {FEWEST} rows and more, and the sensitive column {name!r} has {large}; its largest: {largest}."
            f" {cure}."
        )


def check_something_to_learn_from(train: pd.DataFrame, contract: Contract, schema: TableSchema) -> None:
    """Refuse a table in which no column tells rows apart."""
    import numpy as np

    from tools.columns import coerce
    from tools.preparation import choose_columns
    from tools.problem import Problem, encode_target

    nowhere = np.full(len(train), -1, dtype=np.int64)
    problem = Problem(contract, schema, coerce(train, schema), encode_target(train, contract), nowhere)
    try:
        choose_columns(problem, name="default", drop=[], text=True, dates=True)
    except ToolRefused as error:
        raise InputRefused(f"{error} Bring a table with other columns.") from None


def check_both_sides(train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract) -> None:
    """A group or time split can leave one side without what scoring needs."""
    for side, rows in (("training", train), ("holdout", holdout)):
        found = rows[contract.target].nunique()
        if contract.predicts == "classes" and found < 2:
            cure = "Use another --group or --time-column, or a larger --holdout"
            raise InputRefused(
                f"the {contract.split.kind} split leaves one class of {contract.target!r} in the {side} rows; expected at least two."
                f" {cure if contract.split.kind != 'given' else 'Leave --own-split out'}."
            )
    if len(train) < 2 * contract.folds:
        raise InputRefused(
            f"the split leaves {len(train)} training rows for {contract.folds} folds; expected at least {2 * contract.folds}."
            " Bring more rows, or use fewer --folds or a smaller --holdout."
        )
