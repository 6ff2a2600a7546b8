"""A candidate that a role writes as code: handed in on the host, fitted fold by fold in sandboxes of its own.

The host cuts the folds and scores them (`team/quarantine.py`). A fold's sandbox finds a data folder like that of a small
run: training rows with the target, validation rows without, a contract and a schema, and the module.
"""

from __future__ import annotations

import ast
import os
import warnings
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from pydantic import BaseModel, Field, FiniteFloat

from tools.candidates import CANDIDATE_NAME, CODE, CODE_FILE, Candidate, CandidateFacts, facts, standard_error, write_candidate
from tools.contract import Contract
from tools.host import HostContext
from tools.spans import timed
from tools.spec import ToolRefused, tool
from tools.workspace import workspace

MAX_CODE_BYTES = 200_000
VALIDATION = "validation"
"""Table of the rows to predict in a fold's data folder."""
PREDICTIONS_FILE = "predictions.parquet"
"""What a fold leaves in its work folder."""


class Submission(BaseModel):
    """A scored candidate that was written as code."""

    candidate: CandidateFacts
    fold_scores: list[float]
    metric: str
    direction: str
    seconds: float


class FoldPrediction(BaseModel):
    """What a fold's sandbox says of its work. The predictions are on file."""

    rows: int
    fit_seconds: Annotated[FiniteFloat, Field(ge=0)]
    predict_seconds: Annotated[FiniteFloat, Field(ge=0)]


@dataclass(frozen=True)
class Scored:
    """A candidate as the host scored it, ready to be kept."""

    candidate: Candidate
    oof: bytes
    """`oof.parquet`."""


@tool(where="host", timeout_s=3600, searches=True)
async def submit_candidate(
    ctx: HostContext,
    name: Annotated[str, "Name of the new candidate: lower-case letters, digits, - and _."],
    code: Annotated[
        str,
        "Python module with make_model(), which returns a new scikit-learn estimator. Its fit(X, y) gets all feature columns as a"
        " DataFrame (numbers and booleans float64, dates datetime64, categories and text str or None) and class codes from 0 in"
        " the contract's order, or numbers. A classifier needs predict_proba.",
    ],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 120.0,
    idea: Annotated[str, "In one sentence, what is new in it and why that should help."] = "",
    parent: Annotated[str | None, "Candidate that it changes in one thing, or failed attempt that it mends; leave out for a draft."] = None,
) -> Submission:
    """Score a model that you write as code, each fold in a fresh sandbox that never sees the validation labels.

    From then on it is a candidate like any other: `ensemble`, `evaluate` and `finish` take it.
    """
    import time

    from tools.files import write_folder

    started = time.monotonic()
    _check_name(ctx, name)
    if parent is not None and parent not in (known := [*ctx.candidates(), *ctx.failed_attempts()]):
        raise ToolRefused(f"parent {parent!r} is no candidate and no failed attempt; there are: {', '.join(known) or 'none'}.")
    if reason := ctx.wish.constraints.refuses(CODE):  # those that the contract was sealed with
        raise ToolRefused(f"a model written as code cannot be taken: {reason}.")
    check_code(code)
    if (predicts := ctx.vault.contract.predicts) not in ("classes", "values"):
        raise ToolRefused(f"code is taken for classes and values; this task predicts {predicts}. Train its own families instead.")
    scored = await ctx.cross_validate(name, code, time_s)
    made = scored.candidate
    files = {"oof.parquet": scored.oof, "candidate.json": made.model_dump_json(indent=1).encode(), CODE_FILE: code.encode()}
    write_folder(ctx.run.work / "candidates" / name, files, inside=ctx.run.work)
    return _submission(made, ctx.vault.contract, time.monotonic() - started)


def _check_name(ctx: HostContext, name: str) -> None:
    """Raise `ToolRefused` for a name that no new candidate can have, before any time is spent on it."""
    if not CANDIDATE_NAME.fullmatch(name):
        raise ToolRefused(f"candidate name {name!r} must be lower-case letters, digits, - and _, at most 80, the first no - or _.")
    folder = ctx.run.work / "candidates"
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        raise ToolRefused("work/candidates is no folder of its own, so nothing is written there. Remove it with run_python first.")
    taken = ctx.candidates()
    if name in taken or os.path.lexists(folder / name):
        raise ToolRefused(f"candidate {name!r} is there already; choose another name. Taken: {', '.join(taken) or name}.")


def check_code(code: str) -> None:
    """Raise `ToolRefused` for a text that is no module with a `make_model`. Nothing of it is executed."""
    from tools.modelcode import ENTRY

    try:
        size = len(code.encode("utf-8"))
        if size > MAX_CODE_BYTES:
            raise ToolRefused(
                f"the code has {size:,} bytes; at most {MAX_CODE_BYTES:,} are taken. Leave data out of it: fit gets the rows."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange escapes; whoever runs the module is told
            module = ast.parse(code)
    except SyntaxError as error:
        shown = (error.text or "").strip()[:200]
        raise ToolRefused(f"the code is no Python: {error.msg}, line {error.lineno}: {shown}. Mend it and submit it again.") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ToolRefused(f"the code cannot be read ({type(error).__name__}: {error}). Write it more simply.") from None
    if not any(ENTRY in _defined(statement) for statement in module.body):
        raise ToolRefused(f"the code defines no {ENTRY} at its top level. Add `def {ENTRY}(): return ...`, which gives a new estimator.")


def _defined(statement: ast.stmt) -> list[str]:
    """Names that a statement of a module defines, as far as they stand in it."""
    match statement:
        case ast.FunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return [name]
    return []


@tool(where="kernel", timeout_s=3600)
def predict_fold(
    sample: Annotated[int | None, "Rows to try it on, with nothing written; leave out for the whole fold.", Ge(1)] = None,
) -> FoldPrediction:
    """Fit the module in the data folder on one fold's training rows and write its predictions for the validation rows."""
    import pickle
    import time

    from tools.columns import coerce
    from tools.modelcode import fit_code, load_module, told
    from tools.predictions import write_predictions
    from tools.problem import encode_target

    space = workspace()
    contract = space.contract
    schema = space.schema.without(contract.sealed_columns)  # an estimator is shown what it will be shown again
    rows, unseen, code = space.table("train"), space.table(VALIDATION), (space.data / CODE_FILE).read_bytes().decode()
    if sample is not None:
        rows, unseen = rows.sample(min(sample, len(rows)), random_state=0), unseen.head(sample)
    X, y, unseen = coerce(rows, schema), encode_target(rows, contract), coerce(unseen, schema)
    with told("importing the module failed", code):
        load_module(code)  # by itself, because what libraries take to load is no part of the fit
    started = time.monotonic()
    with timed("fit", family=CODE, rows=len(X), sample=None if sample is None else True):
        model = fit_code(code, X, y, len(contract.classes))
    fitted = time.monotonic()
    with told("the fitted model cannot be loaded again", code):
        model = pickle.loads(pickle.dumps(model))  # what is scored is what can be saved
    ready = time.monotonic()
    predicted = model.predict(unseen)
    if sample is None:
        write_predictions(space.work / PREDICTIONS_FILE, contract, predicted)
    return FoldPrediction(rows=len(unseen), fit_seconds=fitted - started, predict_seconds=time.monotonic() - ready)


def cross_validate(name: str, code: str) -> Submission:
    """Do again in this kernel what `submit_candidate` did: for the notebook of a run, when it is executed again.

    Raises:
        ToolRefused: in the run itself, where the candidate would be alone with the labels that score it.
    """
    import time

    from tools.modelcode import fit_code
    from tools.problem import load_problem

    space = workspace()
    if space.recorded is None:
        raise ToolRefused("in a run, code is scored in sandboxes of its own: call submit_candidate.")
    problem, started = load_problem(space), time.monotonic()
    oof, parts, predicting = problem.empty_oof(), problem.parts, 0.0
    for part in parts:
        learn, check = problem.scheme.rows(part)
        model = fit_code(code, problem.ahead(problem.X).iloc[learn].reset_index(drop=True), problem.y[learn], problem.n_classes)
        tick = time.monotonic()
        oof[part.repeat * problem.n_rows + check] = model.predict(problem.ahead(problem.X).iloc[check].reset_index(drop=True))
        predicting += time.monotonic() - tick
    seconds = time.monotonic() - started
    rows = int(problem.validated.sum()) * problem.scheme.repeats
    calibration, calibrated = problem.calibrate(oof)
    decision, decided = problem.decide(calibrated)
    score, by_fold = problem.score(decided), problem.fold_scores(decided)
    made = code_candidate(name, code, problem.contract, score, by_fold, len(parts), seconds, predicting / rows, decision)
    made = made.model_copy(update={"calibration": calibration})
    write_candidate(space, made, problem, calibrated, oof)
    (space.candidates / name / CODE_FILE).write_bytes(code.encode())
    return _submission(made, problem.contract, time.monotonic() - started)


def code_candidate(
    name: str,
    code: str,
    contract: Contract,
    score: float,
    fold_scores: list[float],
    n_folds: int,
    fit_seconds: float,
    seconds_a_row: float,
    decision: list[float],
) -> Candidate:
    """The record of a candidate that was written as code.

    Args:
        n_folds: fits of all repeats, folds without a score of their own included.
        fit_seconds: of all folds.
        seconds_a_row: of predicting.
        decision: multipliers that classes are called by.
    """
    from tools.modelcode import digest

    return Candidate(
        name=name,
        family=CODE,
        params={"sha256": digest(code)},
        preparation="raw",
        metric=contract.metric,
        score=score,
        std_error=standard_error(fold_scores, contract.repeats),
        fold_scores=fold_scores,
        n_folds=n_folds,
        repeats=contract.repeats,
        fit_seconds=fit_seconds,
        predict_ms_per_row=1000 * seconds_a_row,
        decision=decision,
    )


def _submission(made: Candidate, contract: Contract, seconds: float) -> Submission:
    return Submission(
        candidate=facts(made),
        fold_scores=made.fold_scores,
        metric=contract.metric,
        direction=contract.direction,
        seconds=round(seconds, 2),
    )
