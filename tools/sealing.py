"""Host tool: fix the score contract, split the rows, seal the holdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel

from tools.class_order import classes_of
from tools.constraints import names_of
from tools.contract import ColumnKind, Contract, Split, TableSchema, Task, predicts
from tools.forecast import Forecast
from tools.given_split import NO_FOLD
from tools.host import HostContext, Wish
from tools.quantiles import LEVELS
from tools.spec import InputRefused, ToolRefused, tool
from tools.wishes import (
    agreed,
    check_both_sides,
    check_columns,
    check_constraints,
    check_settings,
    check_something_to_learn_from,
    split_kind,
    without_forbidden,
)
from tools.workspace import write_json

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES_TOLD = 50


class ContractSealed(BaseModel):
    """The contract, as every later step must keep it."""

    task: Task
    target: str
    event: str | None = None
    metric: str
    direction: str
    classes: list[str]
    positive: str | None
    quantiles: list[float] = []
    """Levels that are predicted of a quantile task."""
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
    forecast: Forecast | None = None
    """Series, horizon and covariates of a forecast, without the scales of its series."""
    why: list[str] = []
    """Why the problem is of its type and judged by its metric, and what else either could be."""

    @classmethod
    def of(cls, contract: Contract, rows: int, without_target: int) -> ContractSealed:
        """A contract as models are told of it.

        Args:
            rows: of the table that have a target, or need none.
            without_target: rows that were left out.
        """
        from tools.schemes import described

        split, forecast = contract.split, contract.forecast
        return cls(
            task=contract.task,
            target=contract.target,
            event=contract.event,
            metric=contract.metric,
            direction=contract.direction,
            classes=contract.classes[:MOST_CLASSES_TOLD],
            positive=contract.positive,
            quantiles=contract.quantiles,
            split=split.kind if split.column is None else f"{split.kind} by {split.column}",
            rows_train=contract.rows_train,
            rows_holdout=contract.rows_holdout,
            rows_without_target=without_target,
            folds=contract.folds,
            validation=described(contract),
            rows_in_gap=rows - contract.rows_train - contract.rows_holdout,
            features=len(contract.features),
            forecast=forecast.model_copy(update={"scales": {}}) if forecast else None,
        )


@tool(where="host", timeout_s=3600, lasting=True)
def seal_holdout(
    ctx: HostContext,
    target: Annotated[str | None, "Column to predict. Leave out when the user named one."] = None,
    task: Annotated[Task | None, "Problem type. Leave out when the user named one, or to infer it from the target."] = None,
    event: Annotated[str | None, "Of survival: the column that is 1 where the event happened and 0 where the time is censored."] = None,
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

    from tools.beyond import keep_sample
    from tools.columns import days_come_first, label_text, moments
    from tools.fold_ids import enter_folds
    from tools.foresight import plan_forecast
    from tools.given_split import given_split
    from tools.labels import joined, named_columns
    from tools.metrics import default_metric, metric_for, metric_name
    from tools.sampling import rows_that_fit
    from tools.schemes import (
        check_left_out,
        check_scheme,
        chosen_scheme,
        folds_there,
        gap_of,
        left_out_alone,
        metric_left_out,
        usual_folds,
    )
    from tools.splitting import check_events, check_target, infer_task, split_rows
    from tools.understanding.advice import alternatives, metric_reason, task_reason
    from tools.untargeted import seal_without_target
    from tools.views import narrowed

    if ctx.vault.sealed:
        raise ToolRefused("the contract is sealed already and cannot be changed.")
    if not ctx.run.manifest.exists():
        raise ToolRefused("there is no data yet: call fetch_data first.")
    wish = ctx.wish
    target = agreed("target", wish.target, target) or _named_by_the_source(ctx, wish)
    task = agreed("task", wish.named_task, task)
    # A series with rows left out is another series.
    memory_mb = None if task == "forecast" else wish.memory_mb
    fitting = rows_that_fit(ctx.run.vault, memory_mb, event or wish.event or target, wish.seed)
    frame, at = fitting.frame, fitting.at
    if fitting.told:
        _tell(ctx, fitting.told)
    if wish.mask_pii:
        frame, masked = without_personal(frame, wish, target, event, column)
        _tell(ctx, masked)
    if wish.own_split and task is not None and (task == "forecast" or predicts(task) in ("groups", "scores")):
        raise InputRefused(f"--own-split is for tasks with rows that have a target of their own; this task is {task}. Leave it out.")
    if task is not None and predicts(task) in ("groups", "scores"):
        return seal_without_target(ctx, frame, task, target, metric, split, column, sampled=fitting)
    if target is None:
        raise ToolRefused(f"name the target. Columns: {', '.join(map(str, frame.columns[:60]))}.")
    labels = named_columns(target, [str(name) for name in frame.columns])
    task = task or ("multilabel" if labels else None)
    if labels and task != "multilabel":
        raise InputRefused(f"--target {target} names {len(labels)} columns, which only --task multilabel predicts; this task is {task}.")
    if task == "multilabel":
        if not labels:
            strange = [name for name in names_of(target) if name not in map(str, frame.columns)]
            what = f"names {strange[0]!r}, which is no column" if strange and "," in target else "is no list of columns"
            raise InputRefused(
                f"target {target!r} {what}; expected the names of several 0/1 columns, as in --target a,b,c."
                f" Columns: {', '.join(map(str, frame.columns[:30]))}."
            )
        frame = frame.assign(**{target: joined(frame, labels)}).drop(columns=labels)
    event = agreed("event", wish.event, event)
    check_columns(frame, wish, target, column, event, labels)
    frame, barred = without_forbidden(frame, wish)
    task = _task_of(task, target, event, wish)
    if isinstance(frame[target].dtype, pd.DatetimeTZDtype) or frame[target].dtype.kind in "mM":
        raise InputRefused(f"target {target!r} holds dates; store it as a number, such as days, or choose another --target.")
    values = frame[target]
    if not labels and not pd.api.types.is_numeric_dtype(values):
        # Labels are compared without the blanks around them, here and everywhere after.
        values = label_text(values).replace("", None)
    task = task or infer_task(values)
    check_settings(wish, task)
    if predicts(task) == "classes":
        values = label_text(values).astype(object)
    known = values.notna()
    if event is not None:
        ends = _ends(frame[event])
        known &= ends.notna()
        frame = frame.assign(**{event: ends})
    alone = left_out_alone(wish)
    check_target(values[known], task, 1 if task == "forecast" else 2 if alone else wish.folds or usual_folds(int(known.sum())))
    rows = frame.assign(**{target: values})[known].reset_index(drop=True)
    if event is not None:
        check_events(rows[event])
    foresight = plan_forecast(rows, target, wish, column) if task == "forecast" else None
    forecast = foresight.forecast if foresight else None
    if foresight:
        rows = rows[foresight.kept].reset_index(drop=True)
    wanted = agreed("metric", wish.metric, metric and metric_name(metric)) or (default_metric(task) if not alone else metric_left_out(task))
    try:
        chosen = metric_for(wanted, task)
    except ValueError as error:
        raise (InputRefused if wish.metric else ToolRefused)(str(error)) from None
    if alone:
        check_left_out(chosen)

    check_constraints(rows, target, task, wish)
    stratum = event if event is not None else target if predicts(task) == "classes" else None
    kind, by = ("time", forecast.time) if forecast else split_kind(wish, stratum, split, column)
    day_first = kind == "time" and days_come_first(rows[by].dropna().astype(str) if rows[by].dtype == object else rows[by])
    if forecast:
        day_first = forecast.day_first
    scheme = chosen_scheme(wish, kind, len(rows), stratified=stratum is not None)
    given = given_split(ctx.run.vault, wish, at[known.to_numpy()]) if wish.own_split else None
    if given and given.folds:
        scheme = scheme._replace(validation="given", folds=len(set(given.folds) - {NO_FOLD}))
    if foresight:
        scheme = scheme._replace(folds=foresight.folds, window="expanding")  # its backtests cut their panels themselves
    plan = Split(kind=kind, column=by, holdout_fraction=wish.holdout, seed=wish.seed, day_first=day_first)
    if kind == "time" and not forecast:
        when = moments(rows[by], day_first)
        dated = not pd.api.types.is_numeric_dtype(when)
        plan = plan.model_copy(update={"dated": dated, "gap": gap_of(wish.gap, when, str(by))})
    train_at, holdout_at = (given.train, given.holdout) if given else split_rows(rows, stratum, plan, forecast)
    if forecast or given:
        plan = plan.model_copy(update={"holdout_fraction": len(holdout_at) / len(rows)})
    train, holdout = rows.iloc[train_at].reset_index(drop=True), rows.iloc[holdout_at].reset_index(drop=True)
    classes = classes_of(rows[target], task, wish) if predicts(task) == "classes" else labels
    contract = Contract(
        task=task,
        target=target,
        event=event,
        metric=wanted,
        direction=chosen.direction,
        classes=classes,
        positive=classes[1] if task == "binary" else None,
        quantiles=list(wish.quantiles or LEVELS) if task == "quantile" else [],
        split=plan,
        **scheme.fields(),
        given_folds=given.folds if given else "",
        rows_train=len(train),
        rows_holdout=len(holdout),
        sampled_from=fitting.sampled_from,
        sampled_by=fitting.sampled_by,
        features=[str(name) for name in rows.columns if str(name) not in (target, event, *barred)],
        seed=wish.seed,
        constraints=wish.constraints,
        forecast=forecast,
    )
    if (there := folds_there(train, contract)) < contract.folds:
        if wish.folds:
            _tell(ctx, f"The training rows have {there} values of {by!r}, so there are {there} folds and not the {wish.folds} asked for.")
        contract = contract.model_copy(update={"folds": there})
    if not contract.features:
        raise InputRefused(f"the table has no column beside the target {target!r}; a model needs at least one.")
    check_both_sides(train, holdout, contract)
    check_defined((train, holdout), contract, wish)
    check_scheme(train, contract)
    contract, schema, _ = narrowed(contract, _schema(train, contract).without(barred))
    check_something_to_learn_from(train, contract, schema)
    enter_folds(ctx.run.manifest, train, holdout, contract)
    if given:
        _tell(ctx, given.told)
    if fitting.told and not wish.mask_pii:  # rows beyond the sample lie in the vault as they came
        keep_sample(ctx.run.vault, at)
    ctx.vault.seal(train, holdout, contract, schema)
    why = [
        task_reason(frame[target], contract, named=wish.named_task is not None),
        metric_reason(contract, named=wish.metric is not None),
        *alternatives(rows[target], contract),
    ]
    return ContractSealed.of(contract, len(rows), int((~known).sum())).model_copy(update={"why": why})


def without_personal(
    frame: pd.DataFrame, wish: Wish, target: str | None, event: str | None, column: str | None
) -> tuple[pd.DataFrame, str]:
    """The table with personal data masked, and a sentence on that. What is predicted, or rows are split by, stays as it is."""
    from tools.understanding.personal import masked

    kept = {*(target or "").split(","), target, event, column, wish.group, wish.time_column, *wish.series}
    looked_at = [name for name in map(str, frame.columns) if name not in kept]
    clean, found = masked(frame[looked_at])
    told = ", ".join(f"{one.column!r} ({one.kind})" for one in found) or "nothing was found"
    return frame.assign(**{name: clean[name] for name in looked_at}), f"Personal data was masked: {told}."


def _named_by_the_source(ctx: HostContext, wish: Wish) -> str | None:
    """The target where nobody named one and the source itself does, which is told; None where it does not."""
    from tools.conversion import table_names
    from tools.sources.contract import record

    named = record(ctx.run.vault).target
    if named is None or named not in table_names(ctx.run.vault) or (wish.named_task and predicts(wish.named_task) in ("groups", "scores")):
        return None
    _tell(ctx, f"Nobody named a target, so {named!r} is predicted, which the source itself names as its target.")
    return named


def _tell(ctx: HostContext, told: str) -> None:
    """Enter into the manifest, which the report shows, what was decided of the rows and the target."""
    manifest = json.loads(ctx.run.manifest.read_text(encoding="utf-8"))
    notes = [note for note in manifest.get("notes", []) if note != told]
    write_json(ctx.run.manifest, {**manifest, "notes": [*notes, told]})


def check_defined(sides: tuple[pd.DataFrame, pd.DataFrame], contract: Contract, wish: Wish) -> None:
    """Refuse a metric that has no value on the training rows or on the holdout, and a package's that cannot judge models of these rows."""
    from tools.metrics import find_metric, undefined_reason
    from tools.metrics.trying import unusable
    from tools.problem import encode_target

    refused, metric = InputRefused if wish.metric else ToolRefused, find_metric(contract.metric)
    known = [encode_target(side, contract) for side in sides]
    for y in known:
        if reason := undefined_reason(contract.metric, contract.task, y):
            raise refused(f"metric {contract.metric!r} does not serve here: {reason}. Choose another metric.")
    if metric.package and (reason := unusable(metric, contract.task, known[0], len(contract.classes), contract.seed)):
        raise refused(f"{reason}. Mend the package, or choose another metric.")


def _schema(train: pd.DataFrame, contract: Contract) -> TableSchema:
    """What the columns are; of a forecast the names of series are categories, whatever they look like, and the time column is one."""
    from tools.columns import infer_schema

    found = infer_schema(train.drop(columns=contract.answers), None)
    forecast = contract.forecast
    if forecast is None:
        return found
    kinds: dict[str, ColumnKind] = dict.fromkeys(forecast.series, "categorical")
    kinds[forecast.time] = "numeric" if forecast.frequency.unit == "number" else "datetime"
    return TableSchema(
        columns=[
            column.model_copy(update={"kind": kinds[column.name], "day_first": forecast.day_first and column.name == forecast.time})
            if column.name in kinds
            else column
            for column in found.columns
        ]
    )


def _task_of(task: Task | None, target: str, event: str | None, wish: Wish) -> Task | None:
    """The problem type that was named, or that an event column says; a survival task has one, and no other has."""
    refuse = InputRefused if wish.task or wish.event else ToolRefused
    if event is not None and task not in (None, "survival"):
        raise refuse(f"event column {event!r} is for survival; a {task} task has none. Leave one of the two out.")
    if task == "survival" and event is None:
        raise refuse(
            "a survival task needs the column that is 1 where the event happened and 0 where the time is censored: name it with --event."
        )
    if event is not None and event == target:
        raise refuse(f"target and event are both {target!r}; expected the time until the event, and whether it happened.")
    return "survival" if event is not None else task


def _ends(column: pd.Series) -> pd.Series:
    """The event column as 1 and 0."""
    from tools.survival import read_events

    try:
        return read_events(column)
    except ValueError as error:
        raise InputRefused(f"event column {column.name!r} cannot be read: {error}.") from None
