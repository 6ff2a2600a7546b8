"""Kernel tool: decide which columns go into models, and prove the choice by running it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict

from tools.contract import Column, Contract, TableSchema
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace, write_text

if TYPE_CHECKING:
    from tools.problem import Problem

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
SAMPLE_ROWS = 5000
MOST_TOLD = 20
"""Made columns that a result names."""
OWN = "mlteam"
"""The package of our own steps."""


Reads = Literal["codes", "numbers", "risk", "none"]
"""What is one number a row of the target: a class code, a value, a signed time; or nothing is."""


class Dropped(BaseModel):
    """A column that is left out, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    reason: str


class Preparer(BaseModel):
    """A step, or a transformer that a package brings, as a preparation uses it; see `tools.preparers`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    package: str
    cross_fit: bool
    """Whether the rows that a model learns from get what it makes of them from fits on other rows; our own steps do so by themselves."""
    reads: Reads = "none"
    """What our own step may read of the target."""


class Preparation(BaseModel):
    """Which columns models see. How a column becomes numbers is each family's own affair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    columns: list[Column]
    dropped: list[Dropped]
    text: bool
    dates: bool
    preparers: list[Preparer] = []
    """What makes columns of these, fitted inside each fold, one after another: what packages bring, then our own steps."""
    made: list[Column] = []
    """The columns that the preparers make."""

    @property
    def seen(self) -> list[Column]:
        """The columns that a model's own encoder is given."""
        return self.made if self.preparers else self.columns


class PreparationResult(BaseModel):
    """A validated preparation."""

    name: str
    columns_in: int
    columns_used: int
    features_out: int
    """Width of the number matrix that the general vectorizer made of a sample."""
    kinds: dict[str, int]
    """Number of used columns of each kind."""
    dropped: list[Dropped]
    file: str
    preparers: list[str] = []
    """Names of the preparers that models get their columns from."""
    steps: list[str] = []
    """Steps that are fitted inside each fold, in the order in which they run."""
    made: list[str] = []
    """Columns that the steps make, the first ones by name."""
    lineage: str | None = None
    """File that tells from which raw columns, and by which steps, each prepared column comes."""
    not_there: list[str] = []
    """Names to be left out that no column has: those are out already."""


@tool(where="kernel", timeout_s=600)
def prepare(
    name: Annotated[str, "Name of the preparation, to be given to train and tune."] = "default",
    drop: Annotated[list[str], "Columns to leave out, such as leaks; orders.* for all that were gathered from a table 'orders'."] = [],
    text: Annotated[bool, "Whether text columns are used."] = True,
    dates: Annotated[bool, "Whether date columns are used."] = True,
    preparers: Annotated[list[str], "Transformers that installed packages bring, in their order, to be fitted inside each fold."] = [],
    steps: Annotated[
        list[str],
        "Steps fitted inside each fold, such as impute=knn, outliers=clip, make=ratios, encode=target, encode=hashing:city, scale=power, "
        "select=shadow, reduce=pca, resample=smote. Families prepare by themselves, so most tables need none.",
    ] = [],
) -> PreparationResult:
    """Choose the columns that models see and check that they can be turned into numbers.

    Constant, wholly missing and identifier-like columns are left out with the reason told; nothing else is unless asked.
    """
    from tools.problem import load_problem
    from tools.steps import is_step

    space = workspace()
    if not NAME.fullmatch(name):
        raise ToolRefused(f"preparation name {name!r} must be lower-case letters, digits, - and _, at most 40.")
    problem = load_problem(space)
    steps, preparers = [*steps, *(each for each in preparers if is_step(each))], [each for each in preparers if not is_step(each)]
    preparation = choose_columns(problem, name=name, drop=drop, text=text, dates=dates)
    if preparers or steps:
        preparation = with_preparers(problem, preparation, preparers, steps)
    width = _try(problem, preparation)
    path = space.preparations / f"{name}.json"
    write_text(path, preparation.model_dump_json(indent=1))
    traced = _trace(space, problem, preparation)
    kinds: dict[str, int] = {}
    for column in preparation.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    return PreparationResult(
        name=name,
        columns_in=len(problem.schema.columns),
        columns_used=len(preparation.columns),
        features_out=width,
        kinds=kinds,
        dropped=preparation.dropped,
        file=f"preparations/{name}.json",
        preparers=preparers,
        steps=[used.name for used in preparation.preparers if used.package == OWN],
        made=[column.name for column in preparation.made if column.name not in problem.X][:MOST_TOLD],
        lineage=traced,
        not_there=[name for name in drop if not name.endswith(".*") and name not in {column.name for column in problem.schema.columns}],
    )


def _trace(space: Workspace, problem: Problem, preparation: Preparation) -> str | None:
    """Write where the columns of a preparation come from, of steps by a fit on all training rows; None where a package's transformer
    does not tell."""
    from tools.lineage import lineage_of
    from tools.preparers import learn

    raw = [column.name for column in preparation.columns]
    if any(used.package != OWN for used in preparation.preparers):
        return None
    steps = learn(preparation.preparers, problem.X[raw], problem.y, problem.contract.seed).steps if preparation.preparers else []
    found = lineage_of(steps, raw)
    if found is None:
        return None
    write_text(space.lineage / f"{preparation.name}.json", found.model_dump_json(indent=1))
    return f"lineage/{preparation.name}.json"


def with_preparers(problem: Problem, preparation: Preparation, names: list[str], steps: list[str]) -> Preparation:
    """The preparation with what packages bring and with steps, tried on every fold: what fails there is not used anywhere.

    Raises:
        ToolRefused: when a preparer or step is not there, cannot be used, or fails; names it, and a preparer's package.
    """
    import numpy as np

    from tools.folds import fit_rows
    from tools.preparers import PreparerFailed, columns_in, learn, made_columns, prove, transform

    if names and (bound := problem.contract.constraints.monotone):
        column = next(iter(bound))
        raise ToolRefused(f"preparer {names[0]!r} would hide how the prediction follows {column!r}, which is bound; leave it out.")
    X, y, seed = problem.X[[column.name for column in preparation.columns]], problem.y, problem.contract.seed
    rows = np.random.default_rng(seed).permutation(problem.n_rows)[:SAMPLE_ROWS]
    used: list[Preparer] = []
    own = own_steps(problem, preparation, steps)
    try:
        for name in names:
            before = learn(used, X.iloc[rows], y[rows], seed).X if used else X.iloc[rows]
            used.append(prove(name, before, y[rows], seed))
        used += own
        made = made_columns(used, X, y, seed)
        for fold in problem.fold_ids:
            fitted = fit_rows(problem.folds, fold, problem.contract, problem.scheme.moments)
            of_fold = learn(used, X.iloc[fitted], y[fitted], seed)
            transform(of_fold.steps, X.iloc[problem.folds == fold], TableSchema(columns=columns_in(of_fold.X) if own else made))
    except (PreparerFailed, ValueError) as error:
        cure = "Prepare without it." if own else "Prepare without it, or mend the package."
        raise ToolRefused(f"{str(error).rstrip('.')}. {cure}") from None
    return preparation.model_copy(update={"preparers": used, "made": made})


def own_steps(problem: Problem, preparation: Preparation, specs: list[str]) -> list[Preparer]:
    """Steps as a preparation keeps them, in the order in which they run.

    Raises:
        ToolRefused: for what is no step, or would break what the contract binds.
    """
    from tools.steps import in_order, parsed

    contract = problem.contract
    try:
        ordered = in_order(specs)
    except ValueError as error:
        raise ToolRefused(str(error)) from None
    found = []
    for spec in ordered:
        step, way, columns = parsed(spec)
        if reason := _bars(contract, step, way):
            raise ToolRefused(f"step {spec!r} {reason}; leave it out.")
        if (step, way) == ("impute", "interpolate") and not columns:
            spec += f":{','.join(_order(problem, preparation))}"
        elif contract.forecast is not None and not columns:
            spec += f":{','.join(c.name for c in preparation.columns if c.name not in contract.forecast.keys)}"
        found.append(Preparer(name=spec, package=OWN, cross_fit=False, reads=_reads(contract)))
    return found


def _bars(contract: Contract, step: str, way: str) -> str | None:
    """What the contract has against a step, or None."""
    forecast, constraints = contract.forecast, contract.constraints
    if forecast is not None and (step not in ("impute", "outliers") or way == "drop"):
        return "would not leave the moments of series as they are, and a forecast takes impute and outliers alone"
    if forecast is not None and forecast.past:
        return f"would need {forecast.past[0]!r} of the moments to come, which nobody knows ahead"
    if constraints.monotone:
        return f"would hide how the prediction follows {next(iter(constraints.monotone))!r}, which is bound"
    if constraints.interpretable and (step == "reduce" or way in ("hashing", "strings", "gap")):
        return "makes columns that nobody can read, and the contract asks for models that can be"
    return None


def _order(problem: Problem, preparation: Preparation) -> list[str]:
    """The column that orders the rows, and those that name a series."""
    contract = problem.contract
    if contract.forecast is not None:
        return [contract.forecast.time, *contract.forecast.series]
    dates = [column.name for column in preparation.columns if column.kind == "datetime"]
    named = contract.split.column if contract.split.kind == "time" else None
    if named in problem.X or len(dates) == 1:
        return [str(named)] if named in problem.X else dates
    raise ToolRefused("impute=interpolate needs the column that orders the rows: name it, as in impute=interpolate:when.")


def _reads(contract: Contract) -> Reads:
    """What a step may read of the target, as one number a row."""
    if contract.predicts == "classes":
        return "codes"
    return "risk" if contract.predicts == "risk" else "numbers" if contract.plain_numbers else "none"


def every_column(schema: TableSchema) -> Preparation:
    """All columns as they come, for models that choose among them in their own code."""
    return Preparation(name="raw", columns=schema.columns, dropped=[], text=True, dates=True)


def choose_columns(problem: Problem, *, name: str, drop: list[str], text: bool, dates: bool) -> Preparation:
    """Decide column by column, from the training rows.

    Raises:
        ToolRefused: when `drop` names a column that is not there but is spelled like one that is, or nothing would be left.
    """
    from tools.formats.gathering import gathered_tables

    known = [column.name for column in problem.schema.columns]
    of_tables = {f"{table}.*": columns for table, columns in gathered_tables(known).items() if f"{table}.*" not in known}
    drop = [column for asked in drop for column in of_tables.get(asked, [asked])]
    for asked in drop:
        # What is spelled like no column is none to be left out, and there is nothing that the caller may have meant.
        if asked not in known and (near := get_close_matches(asked, known, n=3)):
            raise ToolRefused(f"no column {asked!r}; there is {', '.join(map(repr, near))}.")
    forecast = problem.contract.forecast
    if forecast and (keys := [column for column in drop if column in forecast.keys]):
        raise ToolRefused(f"{', '.join(map(repr, keys))} says which moment of which series a row is, and stays. Leave it out of `drop`.")
    used, dropped = [], []
    for column in problem.schema.columns:
        reason = _reason(column, problem, drop, text, dates)
        if reason:
            dropped.append(Dropped(column=column.name, reason=reason))
        else:
            used.append(column)
    if not used:
        told = "; ".join(f"{d.column}: {d.reason}" for d in dropped[:10])
        raise ToolRefused(f"no column is left to learn from ({told}).{' Leave fewer out.' if drop or not (text and dates) else ''}")
    return Preparation(name=name, columns=used, dropped=dropped, text=text, dates=dates)


def _reason(column: Column, problem: Problem, drop: list[str], text: bool, dates: bool) -> str | None:
    if problem.contract.forecast and column.name in problem.contract.forecast.keys:
        return None
    if column.name in drop:
        return "asked"
    if column.kind == "text" and not text:
        return "text columns are off"
    if column.kind == "datetime" and not dates:
        return "date columns are off"
    split = problem.contract.split
    if split.kind == "group" and split.column == column.name:
        return "the group column of the split: its values do not come again"
    values = problem.X[column.name]
    if values.isna().all():
        return "all missing"
    distinct = values.nunique()
    if distinct == 1 and not values.isna().any():
        return "constant"
    if looks_like_identifier(column, problem):
        return "identifier-like: a different value in every row"
    return None


def looks_like_identifier(column: Column, problem: Problem) -> bool:
    """Whether a column only numbers or names the rows.

    Categories without two rows alike; or whole numbers that are all different, count up in steps of one, and say
    nothing of the target (Spearman correlation within chance).
    """
    import numpy as np
    from scipy.stats import spearmanr

    values = problem.X[column.name].dropna()
    if len(values) < 30:
        return False
    if column.kind == "categorical":
        return bool(values.nunique() >= 0.99 * len(values))
    if column.kind != "numeric" or values.nunique() < len(values):
        return False
    numbers = values.to_numpy()
    whole = bool(np.isfinite(numbers).all() and (numbers % 1 == 0).all())
    # The holdout's rows leave gaps in a running number, so its range is only nearly filled.
    dense = np.ptp(numbers) < 2.5 * len(numbers)
    if not (whole and dense):
        return False
    y = problem.plain_target[values.index.to_numpy()]
    columns = y.T if y.ndim == 2 else [y]
    correlation = max(abs(float(np.nan_to_num(spearmanr(numbers, each).statistic))) for each in columns)
    return correlation < 3 / np.sqrt(len(numbers))


def _try(problem: Problem, preparation: Preparation) -> int:
    """Fit the general vectorizer on two thirds of a sample, transform the rest; give the matrix width."""
    import numpy as np

    from tools.preparers import columns_in, learn, transform
    from tools.vectorizing import vectorizer_for

    rows = np.random.default_rng(problem.contract.seed).permutation(problem.n_rows)[:SAMPLE_ROWS]
    cut = max(1, 2 * len(rows) // 3)
    known, unknown, seen = problem.X.iloc[rows[:cut]], problem.X.iloc[rows[cut:]], preparation.columns
    if preparation.preparers:
        names = [column.name for column in preparation.columns]
        learnt = learn(preparation.preparers, known[names], problem.y[rows[:cut]], problem.contract.seed)
        own = any(used.package == OWN for used in preparation.preparers)
        seen = columns_in(learnt.X) if own else preparation.made
        known, unknown = (transform(learnt.steps, part[names], TableSchema(columns=seen)) for part in (known, unknown))
    vectorizer = vectorizer_for(seen, text=preparation.text, dates=preparation.dates, rows=cut, seed=problem.contract.seed).fit(known)
    unseen = np.asarray(vectorizer.transform(unknown), dtype=np.float64)
    if not np.isfinite(unseen).all():
        raise ToolRefused(
            f"preparation {preparation.name!r} left numbers that are not finite in {int((~np.isfinite(unseen)).any(axis=0).sum())} columns."
        )
    return int(unseen.shape[1])


def load_preparation(space: Workspace, name: str, problem: Problem) -> Preparation:
    """Read a preparation; `default` is made when nobody has.

    Raises:
        ToolRefused: when there is none of that name, naming those there are, or when it makes columns behind which a prediction cannot be
            held to follow one, as the contract asks by now.
    """
    path = space.preparations / f"{name}.json"
    if NAME.fullmatch(name) and path.is_file():
        found = Preparation.model_validate_json(path.read_text(encoding="utf-8"))
        if found.preparers and (bound := problem.contract.constraints.monotone):
            used = ", ".join(each.name for each in found.preparers)
            raise ToolRefused(
                f"preparation {name!r} would hide how the prediction follows {next(iter(bound))!r}, which is bound, behind {used};"
                " use another."
            )
        return found
    if name == "default":
        preparation = choose_columns(problem, name=name, drop=[], text=True, dates=True)
        write_text(path, preparation.model_dump_json(indent=1))
        return preparation
    there = ", ".join(sorted(p.stem for p in space.preparations.glob("*.json"))) or "none; call prepare first"
    raise ToolRefused(f"no preparation {name!r}; preparations here: {there}.")
