"""Kernel tool: try steps of a preparation one after another, and keep those that gain more than chance in cross-validation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le
from pydantic import BaseModel

from tools.show import progress
from tools.spans import timed
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

if TYPE_CHECKING:
    from tools.contract import Contract
    from tools.deadline import Deadline
    from tools.families.fitted import Fitted
    from tools.families.setting import Array
    from tools.folds import Part
    from tools.preparation import Preparation
    from tools.problem import Problem
    from tools.workspace import Workspace

ROUNDS, LEARNING_RATE = 80, 0.1
"""Of boosting, for every step alike: the same rounds without early stopping, so that nothing but the step differs."""
REPEATS, REPEATED_ROWS = 3, 5_000
"""How often rows are dealt to folds anew where they are at most so many: five folds alone tell a large gain from noise only."""
STEP_COSTS = 1.5
"""How much longer a fit takes with steps before it, about."""
MOST_ROWS = 20_000
"""Rows that a fit learns from; beyond, a share of them tells."""
CHANCE = 0.05
"""How often a step may be kept where none of those tried is better."""
FEWEST_ROWS = 200
"""Below this, folds are too small to tell a gain from noise."""
MOST_SUGGESTED = 4
GATHER = "gather="
"""Before the name of a table whose rows were joined as counts, means and ranges: tried like a step, with its columns and without."""


class TriedStep(BaseModel):
    """One step, on top of those that were kept before it."""

    step: str
    score: float | None
    """Cross-validated with it, by the metric of the contract; None where it could not be used."""
    gain: float
    """Above 0 is better."""
    std_error: float
    margin: float
    """What the gain must exceed to be more than chance, by the number of steps that are tried."""
    p: float
    kept: bool
    why: str = ""
    """Why it could not be used."""


class StepsTried(BaseModel):
    """Which steps are worth it."""

    steps: list[str]
    """Those that were kept: give them to `prepare`, and train on that preparation."""
    tried: list[TriedStep]
    not_tried: list[str]
    """For want of time."""
    left_out: list[str] = []
    """Tables, as in `orders.*`, whose gathered columns do not gain: give them to `prepare` as `drop`."""
    family: str
    """Whose quick fits were compared."""
    metric: str
    before: float | None
    """Score without any step; None where there was nothing to try."""
    after: float | None
    seconds: float


@tool(where="kernel", timeout_s=3600, searches=True)
def try_steps(
    steps: Annotated[
        list[str],
        "Steps to try, such as make=ratios, or gather=TABLE for columns that were gathered; leave out for what the table suggests.",
    ] = [],
    preparation: Annotated[str, "Preparation to begin with."] = "default",
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 20.0,
) -> StepsTried:
    """Try steps of a preparation on the contract's folds and tell which of them gain more than chance; no other is worth using."""
    from tools.deadline import Deadline, DeadlineReached
    from tools.families import load_libraries
    from tools.folds import rows_ratio
    from tools.gain import judge_gain
    from tools.preparation import load_preparation
    from tools.problem import load_problem
    from tools.steps import in_order

    deadline, space = Deadline(time_s), workspace()
    problem = load_problem(space)
    contract = problem.contract
    if reason := _unfit(problem):
        raise ToolRefused(f"steps cannot be compared here: {reason}. Call prepare without any.")
    base = load_preparation(space, preparation, problem)
    name = _judge(contract)
    tables = _gathered(base)
    try:
        # Steps are tried as they are told, the most promising first; how they run is another order.
        in_order([step for step in steps if step not in tables])
    except ValueError as error:
        raise ToolRefused(str(error)) from None
    waiting = list(dict.fromkeys(steps)) or [*tables, *suggested(problem, base)]
    tables = {step: columns for step, columns in tables.items() if step in waiting}
    number, sign = len(waiting), 1.0 if contract.direction == "maximize" else -1.0
    kept: list[str] = []
    tried: list[TriedStep] = []
    before: float | None = None
    after: float | None = None
    fold_scores: list[float] = []
    load_libraries([name])
    try:
        with deadline.alarm():
            problem = _dealt_anew(problem, space, name, base, number, deadline)
            if waiting:
                before, fold_scores = _cross_validated(name, problem, _with_steps(problem, base, tables, kept), deadline)
                after = before
            while waiting:
                # One that cannot be done in time tells nothing, and costs the search the time all the same.
                if tried and deadline.elapsed() / (len(tried) + 1) > deadline.remaining():
                    break
                step = waiting[0]
                try:
                    made = _with_steps(problem, base, tables, [*kept, step])
                    score, scores = _cross_validated(name, problem, made, deadline)
                except ToolRefused as error:
                    found = TriedStep(step=step, score=None, gain=0.0, std_error=0.0, margin=0.0, p=1.0, kept=False, why=str(error)[:300])
                else:
                    ratio = rows_ratio(problem.folds, contract, problem.scheme.moments)
                    differences = [sign * (new - old) for new, old in zip(scores, fold_scores, strict=True)]
                    gain = judge_gain(sign * (score - float(after or 0.0)), differences, ratio, number, CHANCE)
                    keeps = gain.real and gain.std_error > 0
                    told: dict[str, Any] = {"gain": gain.gain, "std_error": gain.std_error, "margin": gain.margin, "p": gain.p}
                    found = TriedStep(step=step, score=score, kept=keeps, **told)
                    if keeps:
                        kept, after, fold_scores = [*kept, step], score, scores
                tried.append(found)
                waiting.pop(0)
                progress(tried=step, kept=found.kept)
    except (DeadlineReached, KeyboardInterrupt):
        pass  # what was tried until then stands
    return StepsTried(
        steps=in_order([step for step in kept if step not in tables]),
        tried=tried,
        not_tried=waiting,
        left_out=[f"{one.step.removeprefix(GATHER)}.*" for one in tried if one.step in tables and not one.kept],
        family=name,
        metric=contract.metric,
        before=before,
        after=after,
        seconds=round(deadline.elapsed(), 2),
    )


def _gathered(base: Preparation) -> dict[str, list[str]]:
    """The columns that were gathered from each table, by what trying them is called; none where nothing would be left without them, or
    where what a package brings was made of them."""
    from tools.formats.gathering import gathered_tables

    found = {f"{GATHER}{table}": columns for table, columns in gathered_tables(column.name for column in base.columns).items()}
    return found if not base.preparers and len(base.columns) > sum(map(len, found.values())) else {}


def _with_steps(problem: Problem, base: Preparation, tables: dict[str, list[str]], steps: list[str]) -> Preparation:
    """A preparation with steps, and of the columns that were gathered from tables only those whose `gather=TABLE` is among them."""
    from tools.preparation import own_steps

    without = {column for step, columns in tables.items() if step not in steps for column in columns}
    base = base.model_copy(update={"columns": [column for column in base.columns if column.name not in without]})
    chain = [*base.preparers, *own_steps(problem, base, [step for step in steps if step not in tables])]
    return base.model_copy(update={"preparers": chain, "made": base.seen})


def _dealt_anew(problem: Problem, space: Workspace, name: str, preparation: Preparation, number: int, deadline: Deadline) -> Problem:
    """The problem with rows dealt to folds several times, where they are few, the contract deals them once and at random, and a first
    fit says that there is time to try `number` steps so."""
    import time

    from tools.folds import make_validation

    contract, folds = problem.contract, len(problem.fold_ids)
    if contract.repeats > 1 or contract.fold_kind not in ("kfold", "stratified") or problem.n_rows > REPEATED_ROWS or not number:
        return problem
    began = time.monotonic()
    _quick_fit(name, problem, preparation, problem.parts[0], deadline)
    seconds = (number + 1) * folds * STEP_COSTS * (time.monotonic() - began)
    repeats = min(REPEATS, int(deadline.remaining() / max(seconds, 1e-9)))
    if repeats < 2:
        return problem
    contract = contract.model_copy(update={"repeats": repeats})
    return replace(problem, contract=contract, validation=make_validation(space.table("train"), contract))


def _unfit(problem: Problem) -> str | None:
    """Why a comparison would tell nothing, or None."""
    contract = problem.contract
    if contract.forecast is not None:
        return "the moments of a forecast take few steps"
    if contract.predicts in ("groups", "scores"):
        return "without a target nothing tells which is better"
    if contract.leave_one_out:
        return "leave-one-out has a fit for every row"
    if problem.n_rows < FEWEST_ROWS:
        return f"{problem.n_rows} rows are too few to tell a gain from noise"
    if len(problem.fold_ids) < 3:
        return "fewer than three folds leave nothing to tell noise by"
    return None


def _judge(contract: Contract) -> str:
    """The family whose quick fits are compared: boosted trees where they may be used, else a baseline that learns."""
    from tools.families import BASELINES, learners

    names = [name for name in dict.fromkeys(("lightgbm", "linear", *BASELINES[contract.task][1:])) if name in learners(contract.task)]
    allowed = contract.constraints.allowed(names)
    if not allowed:
        raise ToolRefused(f"none of {', '.join(names)} may be fitted under the contract, and no other is quick enough. Call prepare alone.")
    return allowed[0]


def suggested(problem: Problem, preparation: Preparation) -> list[str]:
    """Steps that the columns give a reason for, the most promising first: what families cannot find by themselves."""
    numeric = [c for c in preparation.columns if c.kind == "numeric" and c.unique > 2]
    dates = [c for c in preparation.columns if c.kind == "datetime"]
    keys = [c for c in preparation.columns if c.kind == "categorical" and 8 <= c.unique <= problem.n_rows / 5]
    found = ["make=dates"] if len(dates) > 1 else []
    if problem.contract.predicts != "labels":
        found += ["make=ratios", "make=interactions"] if len(numeric) > 1 else []
    found += [f"make=aggregates:{','.join(c.name for c in keys[:2])}"] if keys and numeric and not any("," in c.name for c in keys) else []
    return found[:MOST_SUGGESTED]


def _cross_validated(name: str, problem: Problem, preparation: Preparation, deadline: Deadline) -> tuple[float, list[float]]:
    """Score of quick fits over the folds of all repeats, and of each fold.

    Raises:
        DeadlineReached: when the time was over before every fold was done.
        ToolRefused: when a step fails.
    """
    oof = problem.empty_oof()
    for part in problem.parts:
        check, predicted = _quick_fit(name, problem, preparation, part, deadline)
        oof[part.repeat * problem.n_rows + check] = predicted
    _, decided = problem.decide(oof)
    return problem.score(decided), problem.fold_scores(decided)


def _quick_fit(name: str, problem: Problem, preparation: Preparation, part: Part, deadline: Deadline) -> tuple[Array, Array]:
    """Positions of the rows that a fit predicts, and what it says of them. Raises as `_cross_validated` does."""
    from tools.deadline import DeadlineReached
    from tools.folds import share_of

    share = min(1.0, MOST_ROWS / problem.n_rows)
    learn, check = problem.scheme.rows(part)
    learn = share_of(learn, share, problem.y, problem.contract)
    fitted = fit_quickly(name, problem, preparation, learn, deadline, n_rows=max(1, round(share * problem.n_rows)))
    if fitted.cut_short:
        raise DeadlineReached(f"{name} could not be fitted in full before the time was over")
    return check, fitted.predict(problem.X[[column.name for column in preparation.columns]].iloc[check])


def fit_quickly(name: str, problem: Problem, preparation: Preparation, learn: Array, deadline: Deadline, n_rows: int) -> Fitted:
    """A family on rows at positions `learn`: by its first configuration, with `ROUNDS` rounds where it has any.

    Args:
        n_rows: rows that its configuration is chosen for.

    Raises:
        DeadlineReached: when the time was over before.
        ToolRefused: when a step fails.
    """
    from tools.crossval import setting_for
    from tools.families import family
    from tools.families.setting import FitContext
    from tools.preparers import PreparerFailed, fit_prepared

    deadline.check()
    model, setting = family(name), replace(setting_for(problem, preparation), n_rows=n_rows)
    params = dict(model.default(setting)[0])
    params |= {"learning_rate": LEARNING_RATE} if "learning_rate" in params else {}
    X = problem.X[[column.name for column in preparation.columns]].iloc[learn]
    context = FitContext(deadline=deadline, iterations=ROUNDS if model.iterative else None, seed=setting.seed)
    try:
        with timed("fit", family=model.name, preparation=preparation.name, rows=len(X)):
            return fit_prepared(model, preparation.preparers, X, problem.y[learn], None, None, params, setting, context)
    except PreparerFailed as error:
        raise ToolRefused(str(error)) from None
