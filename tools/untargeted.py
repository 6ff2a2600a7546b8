"""Seal a holdout where no column is predicted: for groups of rows, and for anomalies.

The holdout has nothing to hide but what it will be scored against, which the host makes of the features and keeps: the rows as points
for groups, the panel's word for anomalies. Where the user names a label of anomalies, that takes the panel's place; it serves scoring
alone, no family is shown it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tools.contract import Contract, Split, Task, predicts
from tools.spec import InputRefused, ToolRefused
from tools.wishes import agreed, check_columns, check_constraints, check_settings, split_kind, without_forbidden

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.contract import TableSchema
    from tools.host import HostContext
    from tools.sampling import FittingRows
    from tools.sealing import ContractSealed

FEWEST_ROWS_A_FOLD = 5


def seal_without_target(
    ctx: HostContext,
    frame: pd.DataFrame,
    task: Task,
    label: str | None,
    metric: str | None,
    split: Literal["stratified", "random", "group", "time"] | None,
    column: str | None,
    *,
    sampled: FittingRows,
) -> ContractSealed:
    """Fix the contract of a `cluster` or `anomaly` task, and seal.

    Args:
        frame: the table as it was fetched.
        label: of anomalies, the column that says which rows are some.
        sampled: what `frame` was taken from.

    Raises:
        InputRefused, ToolRefused: as `seal_holdout` does.
    """
    from tools.columns import days_come_first, infer_schema
    from tools.fold_ids import enter_folds
    from tools.metrics import default_metric, metric_for, metric_name
    from tools.schemes import chosen_scheme, folds_there, usual_folds
    from tools.sealing import ContractSealed, check_defined
    from tools.splitting import split_rows
    from tools.views import narrowed

    wish = ctx.wish
    check_columns(frame, wish, label, column, wish.event)
    if wish.event is not None:
        raise InputRefused(f"event column {wish.event!r} is for survival; a {task} task has none. Leave --event out.")
    if task == "cluster" and label is not None:
        raise (InputRefused if wish.target else ToolRefused)(
            f"--target {label!r}: groups are found without a target. Leave --target out, or use --task multiclass."
        )
    check_settings(wish, task)
    frame, barred = without_forbidden(frame, wish)
    check_constraints(frame, label, task, wish)
    rows = frame.reset_index(drop=True)
    positive, without = None, 0
    if label is not None:
        rows, positive = _labelled(rows, label)
        without = len(frame) - len(rows)
    folds = wish.folds or usual_folds(len(rows))
    if len(rows) < FEWEST_ROWS_A_FOLD * (folds + 1):
        raise InputRefused(f"{len(rows)} rows for {folds} folds; expected at least {FEWEST_ROWS_A_FOLD * (folds + 1)}. Bring more.")
    wanted = agreed("metric", wish.metric, metric and metric_name(metric)) or ("roc_auc" if label is not None else default_metric(task))
    try:
        chosen = metric_for(wanted, task)
    except ValueError as error:
        raise (InputRefused if wish.metric else ToolRefused)(str(error)) from None
    kind, by = split_kind(wish, label, split, column)
    day_first = kind == "time" and days_come_first(rows[by].dropna().astype(str) if rows[by].dtype == object else rows[by])
    scheme = chosen_scheme(wish, kind, len(rows))
    if wish.validation == "stratified" and label is None:
        raise InputRefused("--validation stratified deals what is predicted evenly, and no column is predicted here; leave it out.")
    if scheme.repeats > 1 or scheme.leave_one_out or wish.gap or wish.window:
        raise InputRefused("--repeats, leave-one-out, --gap and --window are for tasks with a target to score; leave them out.")
    plan = Split(kind=kind, column=by, holdout_fraction=wish.holdout, seed=wish.seed, day_first=day_first)
    train_at, holdout_at = split_rows(rows, label, plan)
    train, holdout = rows.iloc[train_at].reset_index(drop=True), rows.iloc[holdout_at].reset_index(drop=True)
    contract = Contract(
        task=task,
        target=label or "",
        metric=wanted,
        direction=chosen.direction,
        positive=positive,
        split=plan,
        **scheme.fields(),
        rows_train=len(train),
        rows_holdout=len(holdout),
        sampled_from=sampled.sampled_from,
        sampled_by=sampled.sampled_by,
        features=[str(name) for name in rows.columns if str(name) not in (label, *barred)],
        seed=wish.seed,
        constraints=wish.constraints,
    )
    contract = contract.model_copy(update={"folds": folds_there(train, contract)})
    contract, schema, _ = narrowed(contract, infer_schema(train[contract.features], None))
    enter_folds(ctx.run.manifest, train, holdout, contract)
    if label is None:
        train, holdout, contract = _with_reference(train, holdout, contract, schema)
    check_defined((train, holdout), contract, wish)
    ctx.vault.seal(train, holdout, contract, schema)
    return ContractSealed.of(contract, len(rows), without)


def _labelled(rows: pd.DataFrame, label: str) -> tuple[pd.DataFrame, str]:
    """The rows whose label is known, as 1 for anomalies and 0, and the value that stands for them."""
    from tools.class_order import ordered_classes
    from tools.columns import label_text

    texts = label_text(rows[label]).replace("", None)
    kept = rows[texts.notna()].reset_index(drop=True)
    values = texts.dropna().reset_index(drop=True).astype(object)
    counts = values.value_counts()
    if len(counts) != 2 or counts.min() < 2:
        found = ", ".join(f"{name!r} {count}" for name, count in counts.head(5).items())
        raise InputRefused(
            f"label {label!r} holds {found}; expected two values, with two rows of each at least. Leave --target out for none."
        )
    # Whatever a label says, the rarer one is the unusual; of equally many, the one that affirms.
    positive = str(counts.index[-1]) if counts.iloc[0] > counts.iloc[-1] else ordered_classes(values, "binary")[1]
    return kept.assign(**{label: (values == positive).astype("int64").to_numpy()}), positive


def _with_reference(
    train: pd.DataFrame, holdout: pd.DataFrame, contract: Contract, schema: TableSchema
) -> tuple[pd.DataFrame, pd.DataFrame, Contract]:
    """Both sides with the columns that predictions are scored against, and the contract that names them."""
    import numpy as np

    from tools.columns import coerce
    from tools.detector_panel import NAMES, crossed_panel_scores, panel_scores
    from tools.folds import make_folds
    from tools.preparation import choose_columns
    from tools.problem import Problem
    from tools.space import Space, has_say

    problem = Problem(contract, schema, coerce(train, schema), np.zeros(len(train)), make_folds(train, contract))
    columns = [c for c in choose_columns(problem, name="reference", drop=[], text=True, dates=True).columns if has_say(c)]
    if not columns:
        raise InputRefused("no column tells rows apart: all are texts, constant, identifiers or categories of very many values.")
    space = Space(columns).fit(problem.X)
    known, sealed = space.transform(problem.X), space.transform(coerce(holdout, schema))
    if predicts(contract.task) == "groups":
        made, kept = known, sealed
        names = [f"__point_{i + 1}" for i in range(known.shape[1])]
    else:
        made, kept = crossed_panel_scores(known, problem.folds, contract.seed), panel_scores(known, sealed, contract.seed)
        names = [f"__panel_{name}" for name in NAMES]
    taken = set(contract.features) & set(names)
    if taken:
        raise InputRefused(f"column {min(taken)!r} has a name that is needed here; rename it.")
    return _joined(train, made, names), _joined(holdout, kept, names), contract.model_copy(update={"reference": names})


def _joined(rows: pd.DataFrame, made: np.ndarray, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([rows, pd.DataFrame(made, columns=names)], axis=1)
