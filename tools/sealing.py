"""Host tool: fix the score contract, split the rows, seal the holdout."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from pydantic import BaseModel

from tools.constraints import Constraints
from tools.contract import Contract, Split, TableSchema, Task, predicts
from tools.host import HostContext, Wish
from tools.spec import InputRefused, ToolRefused, tool

if TYPE_CHECKING:
    import pandas as pd

Word = TypeVar("Word", bound=str)
AFFIRMATIVE = {"1", "true", "yes", "y", "t", "positive", "pos"}
NEGATIVE = {"0", "false", "no", "n", "f", "negative", "neg", "-1"}


class ContractSealed(BaseModel):
    """The contract, as every later step must keep it."""

    task: Task
    target: str
    metric: str
    direction: str
    classes: list[str]
    positive: str | None
    split: str
    rows_train: int
    rows_holdout: int
    rows_without_target: int
    """Rows that were left out because their target is missing."""
    folds: int
    validation: str
    """The scheme of cross-validation in words, and why it was taken."""
    rows_in_gap: int
    """Rows between the training rows and the holdout, which neither side has."""
    features: int


@tool(where="host", timeout_s=3600)
def seal_holdout(
    ctx: HostContext,
    target: Annotated[str | None, "Column to predict. Leave out when the user named one."] = None,
    task: Annotated[Task | None, "Problem type. Leave out when the user named one, or to infer it from the target."] = None,
    metric: Annotated[
        str | None, "Metric that decides. Leave out when the user named one, or for the usual one of the problem type."
    ] = None,
    split: Annotated[
        Literal["stratified", "random", "group", "time"] | None, "How the holdout is taken; leave out for the fitting one."
    ] = None,
    column: Annotated[str | None, "Group or time column of such a split."] = None,
) -> ContractSealed:
    """Fix target, metric and split for good, and seal the holdout's labels. Nothing is shown before this is done."""
    import pandas as pd

    from tools.metrics import default_metric, metric_for, undefined_reason
    from tools.problem import encode_target
    from tools.schemes import check_left_out, check_scheme, chosen_scheme, described, gap_of, left_out_alone, metric_left_out
    from tools.splitting import check_target, infer_task, split_rows
    from tools.tables import days_come_first, infer_schema, label_text, moments, read_table

    if ctx.vault.sealed:
        raise ToolRefused("the contract is sealed already and cannot be changed.")
    if not ctx.run.manifest.exists():
        raise ToolRefused("there is no data yet: call fetch_data first.")
    wish = ctx.wish
    target = _agreed("target", wish.target, target)
    frame = read_table(next(ctx.run.vault.glob("source.*")))
    if target is None:
        raise ToolRefused(f"name the target. Columns: {', '.join(map(str, frame.columns[:60]))}.")
    _check_columns(frame, wish, target, column)
    barred = [str(name) for name in frame.columns if str(name) in wish.constraints.forbid]
    frame = frame.drop(columns=[name for name in barred if name != wish.constraints.sensitive])
    if isinstance(frame[target].dtype, pd.DatetimeTZDtype) or frame[target].dtype.kind in "mM":
        raise InputRefused(f"target {target!r} holds dates; store it as a number, such as days, or choose another --target.")
    values = frame[target]
    if not pd.api.types.is_numeric_dtype(values):
        # Labels are compared without the blanks around them, here and everywhere after.
        values = label_text(values).replace("", None)
    task = _agreed("task", wish.task, task) or infer_task(values)
    if wish.classes is not None and task != "ordinal":
        raise InputRefused(f"--classes is the order of an ordinal target, and this task is {task}. Add --task ordinal, or leave it out.")
    if predicts(task) == "classes":
        values = label_text(values).astype(object)
    check_target(values, task, 2 if left_out_alone(wish) else wish.folds)
    known = values.notna()
    rows = frame.assign(**{target: values})[known].reset_index(drop=True)
    alone = left_out_alone(wish)
    wanted = _agreed("metric", wish.metric, metric) or (default_metric(task) if not alone else metric_left_out(task))
    try:
        chosen = metric_for(wanted, task)
    except ValueError as error:
        raise (InputRefused if wish.metric else ToolRefused)(str(error)) from None
    if alone:
        check_left_out(chosen)

    _check_constraints(rows, target, task, wish.constraints)
    kind, by = _split_kind(wish, task, split, column)
    day_first = kind == "time" and days_come_first(rows[by].dropna().astype(str) if rows[by].dtype == object else rows[by])
    scheme = chosen_scheme(wish, kind, len(rows))
    plan = Split(kind=kind, column=by, holdout_fraction=wish.holdout, seed=wish.seed, day_first=day_first)
    if kind == "time":
        when = moments(rows[by], day_first)
        dated = not pd.api.types.is_numeric_dtype(when)
        plan = plan.model_copy(update={"dated": dated, "gap": gap_of(wish.gap, when, str(by))})
    train_at, holdout_at = split_rows(rows, target, task, plan)
    train, holdout = rows.iloc[train_at].reset_index(drop=True), rows.iloc[holdout_at].reset_index(drop=True)
    classes = _classes(rows[target], task, wish) if predicts(task) == "classes" else []
    contract = Contract(
        task=task,
        target=target,
        metric=wanted,
        direction=chosen.direction,
        classes=classes,
        positive=classes[1] if task == "binary" else None,
        split=plan,
        **scheme.fields(),
        rows_train=len(train),
        rows_holdout=len(holdout),
        features=[str(name) for name in rows.columns if str(name) not in (target, *barred)],
        seed=wish.seed,
        constraints=wish.constraints,
    )
    if not contract.features:
        raise InputRefused(f"the table has no column beside the target {target!r}; a model needs at least one.")
    _check_both_sides(train, holdout, contract)
    for side in (train, holdout):
        if reason := undefined_reason(wanted, task, encode_target(side[target], contract)):
            raise (InputRefused if wish.metric else ToolRefused)(f"metric {wanted!r} does not serve here: {reason}. Choose another metric.")
    check_scheme(train, contract)
    schema = infer_schema(train, target)
    ctx.vault.seal(train, holdout, contract, TableSchema(columns=[column for column in schema.columns if column.name not in barred]))
    return ContractSealed(
        task=task,
        target=target,
        metric=wanted,
        direction=contract.direction,
        classes=classes[:50],
        positive=contract.positive,
        split=kind if by is None else f"{kind} by {by}",
        rows_train=len(train),
        rows_holdout=len(holdout),
        rows_without_target=int((~known).sum()),
        folds=contract.folds,
        validation=described(contract),
        rows_in_gap=len(rows) - len(train) - len(holdout),
        features=len(contract.features),
    )


def _agreed(what: str, fixed: Word | None, proposed: Word | None) -> Word | None:
    if fixed is not None and proposed is not None and proposed != fixed:
        raise ToolRefused(f"the user fixed {what}={fixed!r}; it cannot be {proposed!r}. Leave `{what}` out.")
    return fixed if fixed is not None else proposed


def _check_columns(frame: pd.DataFrame, wish: Wish, target: str, column: str | None) -> None:
    names = [str(name) for name in frame.columns]
    for what, name, mine in (
        ("target", target, wish.target),
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
    needed = {"target": target, "group column": wish.group, "time column": wish.time_column, "split column": column}
    for what, name in needed.items():
        if name in wish.constraints.forbid:
            raise InputRefused(f"--forbid takes {name!r} away, which is the {what}. Leave it out of --forbid, or name another {what}.")
    if both := sorted({*wish.constraints.forbid} & {*wish.constraints.monotone, target}):
        raise InputRefused(f"{both[0]!r} stands in --monotone and in --forbid. Leave it out of one of them.")


def _split_kind(
    wish: Wish, task: Task, split: str | None, column: str | None
) -> tuple[Literal["stratified", "random", "group", "time"], str | None]:
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
    if split == "random" or predicts(task) != "classes":
        return "random", None
    return "stratified", None


def _classes(labels: pd.Series, task: Task, wish: Wish) -> list[str]:
    """The classes in the order of the contract, which of ordinal ones only numbers and the user can tell.

    Raises:
        InputRefused: when the order is not known, or is not that of the labels.
    """
    found = _ordered_classes(labels, task)
    if task != "ordinal":
        return found
    if wish.classes is None:
        if all(_number(label) for label in found):
            return found
        raise InputRefused(
            f"target {labels.name!r} has the labels {', '.join(found[:20])}, whose order is not known."
            " Name them from the lowest to the highest with --classes, as in --classes low,mid,high."
        )
    if len(set(wish.classes)) < len(wish.classes) or set(wish.classes) != set(found):
        strange, missing = [c for c in wish.classes if c not in found], [c for c in found if c not in wish.classes]
        parts = [f"no row has {', '.join(map(repr, strange))}"] if strange else []
        parts += [f"it lacks {', '.join(map(repr, missing[:20]))}"] if missing else []
        raise InputRefused(
            f"--classes {','.join(wish.classes)}: expected every class of target {labels.name!r} once;"
            f" {' and '.join(parts) or 'a class stands there twice'}."
        )
    return list(wish.classes)


def _number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def _check_constraints(rows: pd.DataFrame, target: str, task: Task, constraints: Constraints) -> None:
    """Refuse constraints that no model can meet, before anything is fitted."""
    from tools.constraints import ALWAYS
    from tools.families import all_names
    from tools.tables import infer_schema

    if constraints.monotone:
        if task == "multiclass":
            raise InputRefused("--monotone is for two classes or numbers: of several classes none is up. Leave it out.")
        kinds = {column.name: column.kind for column in infer_schema(rows, target).columns}
        for name in constraints.monotone:
            if name == target or kinds[name] not in ("numeric", "boolean"):
                what = "the target" if name == target else f"a {kinds[name]} column"
                raise InputRefused(f"--monotone names {name!r}, which is {what}; only numbers have a direction.")
    left = [name for name in constraints.allowed(all_names()) if name not in ALWAYS]
    if not left:
        reasons = "; ".join(dict.fromkeys(reason for name in all_names() if (reason := constraints.refuses(name))))
        raise InputRefused(f"no model family is left: {reasons}. Leave out --interpretable, --monotone or --families.")


def _ordered_classes(labels: pd.Series, task: Task) -> list[str]:
    """Class labels in a stable order: numbers by value, text by letter; of two, the positive one last.

    Positive is the affirmative word (1, yes, true) or, failing that, the rarer class.
    """
    counts = labels.value_counts()
    names = [str(name) for name in counts.index]
    if task == "binary":
        words = [name.strip().lower() for name in names]
        affirmative = [n for n, w in zip(names, words, strict=True) if w in AFFIRMATIVE]
        negative = [n for n, w in zip(names, words, strict=True) if w in NEGATIVE]
        if len(affirmative) == 1:
            return [next(n for n in names if n != affirmative[0]), affirmative[0]]
        if len(negative) == 1:
            return [negative[0], next(n for n in names if n != negative[0])]
        return sorted(names, key=lambda name: (-counts[name], name))
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)


def _check_both_sides(train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract) -> None:
    """A group or time split can leave one side without what scoring needs."""
    for side, rows in (("training", train), ("holdout", holdout)):
        found = rows[contract.target].nunique()
        if contract.predicts == "classes" and found < 2:
            raise InputRefused(
                f"the {contract.split.kind} split leaves one class of {contract.target!r} in the {side} rows; expected at least two."
                " Use another --group or --time-column, or a larger --holdout."
            )
    if len(train) < 2 * contract.folds:
        raise InputRefused(
            f"the split leaves {len(train)} training rows for {contract.folds} folds; expected at least {2 * contract.folds}."
            " Bring more rows, or use fewer --folds or a smaller --holdout."
        )
