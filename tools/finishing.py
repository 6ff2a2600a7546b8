"""Kernel tools: fit the chosen candidate on all rows and save it; predict new rows with a saved model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt
from pydantic import BaseModel

from tools.candidates import Candidate, load_candidate
from tools.degradation import Degradation
from tools.show import progress
from tools.spec import ToolRefused, tool
from tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    import pandas as pd

    from tools.conformal import Conformal
    from tools.curves import Curves
    from tools.formats.rows import Rows
    from tools.model import FittedModel
    from tools.problem import Problem


ON_SAMPLE = 0.3
"""Share of the time that fits on a sample get where fits on all rows come after them."""


class FinishResult(BaseModel):
    """The final model on file."""

    candidate: str
    rows: int
    members: list[str]
    files: list[str]
    bytes: int
    cut_short: bool
    seconds: float
    all_rows: int = 0
    """Rows of a table that only a sample of was in memory; 0 where all rows were."""
    grown: list[str] = []
    """Members that were fitted on all of them, piece by piece."""
    degraded: list[Degradation] = []
    """Members that were not."""


class PredictResult(BaseModel):
    """Predictions on file."""

    rows: int
    columns: list[str]
    output: str
    notes: list[str] = []
    """How the rows were read, a sentence each."""


@tool(where="kernel", timeout_s=1800)
def finish(
    candidate: Annotated[str, "The candidate that was scored on the holdout."],
    time_s: Annotated[float, "Wall-clock seconds for the call.", Ge(1), Le(86400)] = 300.0,
) -> FinishResult:
    """Fit the chosen candidate on all rows, holdout included, and save it. Needs open_holdout first."""
    import shutil

    from tools.attempt import Attempts
    from tools.deadline import Deadline, DeadlineReached
    from tools.growing import grow, is_sampled
    from tools.measuring import size_of
    from tools.model import fit_model, grace
    from tools.problem import load_problem
    from tools.saving import save_model

    deadline = Deadline(time_s)
    space = workspace()
    if not (space.data / "all.parquet").is_file():
        raise ToolRefused("the holdout is still sealed, so there are no rows to finish on: call open_holdout first.")
    if "refit" in space.contract.constraints.without:
        raise ToolRefused("the contract leaves the refit out. The model that was scored is there: package that.")
    record = load_candidate(space, candidate)
    problem = load_problem(space, "all")
    try:
        with Attempts(space, "finish", {"candidate": candidate, "time_s": time_s}) as attempts, deadline.alarm(grace(time_s)):
            most = Deadline(deadline.remaining() + grace(time_s))
            share = deadline.share(deadline.remaining() * (ON_SAMPLE if is_sampled(space) else 1.0))
            before = _scored(space, record)
            model = fit_model(
                space, record, problem, share, most=most, attempts=attempts, after=lambda name: progress(fitted=name), scored=before
            )
    except DeadlineReached:
        raise ToolRefused(f"{candidate!r} could not be fitted in {time_s:g} s; give finish a larger time_s.") from None
    grown = grow(space, model, problem, deadline)
    # More rows make trees larger, but one row takes no longer through a model of the same making than when it was evaluated.
    if told := problem.contract.constraints.exceeded(None, size_of(model)):
        raise ToolRefused(f"{candidate!r}, fitted on all rows, takes {told}. The model that was scored keeps to it: package that.")
    if problem.contract.predicts == "groups":
        _keep_numbers(space, candidate, model, problem)
    save_model(space.model, model, candidate, refitted=True)
    if not problem.contract.constraints.bounded:  # else the host measures this one, and needs the other where it is too slow or too large
        shutil.rmtree(space.fitted, ignore_errors=True)  # it was kept for the case that this fails
    files = sorted(path.name for path in space.model.iterdir())
    return FinishResult(
        candidate=candidate,
        rows=model.rows,
        members=[member.candidate.name for member in model.members],
        files=[f"model/{name}" for name in files],
        bytes=sum((space.model / name).stat().st_size for name in files),
        cut_short=any(fitted.cut_short for member in model.members for fitted in member.fits),
        seconds=round(deadline.elapsed(), 2),
        all_rows=grown.rows,
        grown=grown.members,
        degraded=grown.left,
    )


def _scored(space: Workspace, record: Candidate) -> FittedModel | None:
    """The model that was scored on the holdout, where a second layer has to know what it said of those rows, and it is still there."""
    import joblib

    path = space.fitted / record.name / "pipeline.joblib"
    if record.stack is None or not path.is_file():
        return None
    found: FittedModel = joblib.load(path)
    return found


def _keep_numbers(space: Workspace, candidate: str, model: FittedModel, problem: Problem) -> None:
    """Give the groups of the refitted model the numbers that the report knows them by: those of the model that was scored."""
    import joblib

    from tools.crossval import numbered_as

    path = space.fitted / candidate / "pipeline.joblib"
    if path.is_file():
        scored: FittedModel = joblib.load(path)
        for member, before in zip(model.members, scored.members, strict=True):
            X = problem.X[[column.name for column in member.preparation.columns]]
            member.fits = [numbered_as(before.fits[0], fitted, X) for fitted in member.fits]


@tool(where="kernel", timeout_s=3600)
def predict_rows(
    model: Annotated[str, "Folder of the saved model, with pipeline.joblib and model.json."],
    rows: Annotated[str, "Table of rows to predict, a file of any format or a folder."],
    output: Annotated[str, "CSV file to write."],
    decision: Annotated[list[float] | None, "Multiplier of each class that decides which is called; leave out for the model's own."] = None,
    interval: Annotated[float | None, "Share of true values that should lie between `low` and `high`, such as 0.9.", Gt(0), Lt(1)] = None,
    at: Annotated[list[float] | None, "Of risks: times by which the chance that no event has happened is told.", Len(1, 100)] = None,
    options: Annotated[dict[str, str] | None, "What to read inside, as behind a source's name, such as {'sheet': '2024'}."] = None,
    dialect: Annotated[dict[str, Any] | None, "How the rows were read that the model has learnt from; tried before any guess."] = None,
) -> PredictResult:
    """Predict a table with a saved model: one row per input row, in input order.

    A large table passes by in pieces: of text, JSON, Parquet, Arrow and ORC no more is in memory than is predicted at once.
    """
    import tempfile

    import joblib

    from tools.formats.again import Lost, read_again
    from tools.formats.dialect import Dialect
    from tools.tables import TableError

    folder = Path(model)
    if not (folder / "pipeline.joblib").is_file():
        raise ToolRefused(f"{model!r} holds no saved model; expected pipeline.joblib in it. `finish` makes one.")
    fitted: FittedModel = joblib.load(folder / "pipeline.joblib")
    before = None if dialect is None else Dialect.model_validate(dialect)
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".rows-", dir=path.parent) as place,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            # A forecast looks at all of its rows.
            beside = None if fitted.contract.forecast is not None else Path(place)
            read = read_again(Path(rows), options or {}, before, fitted.used, beside)
            count, columns, lost = 0, list[str](), Lost(fitted.used)
            for frame in _frames(read, fitted):
                table = _answered(folder, fitted, frame, decision, interval, at)
                lost.add(frame)
                table.to_csv(file, index=False, header=not columns)
                count, columns = count + len(table), list(table.columns)
        temporary.replace(path)
    except TableError as error:
        raise ToolRefused(str(error)) from None
    finally:
        temporary.unlink(missing_ok=True)
    return PredictResult(rows=count, columns=columns, output=output, notes=read.notes + lost.notes())


def _frames(rows: Rows, fitted: FittedModel) -> Iterator[pd.DataFrame]:
    """Rows, so many at a time as a model predicts at once."""
    import pandas as pd

    from tools.columns import coerce
    from tools.contract import TableSchema
    from tools.model import BATCH_ROWS

    if {column.name for column in fitted.used} - {*rows.names}:
        coerce(pd.DataFrame(columns=pd.Index(rows.names)), TableSchema(columns=fitted.used))  # which says what is missing
    return rows.frames([column.name for column in fitted.used], BATCH_ROWS)


def _answered(
    folder: Path, fitted: FittedModel, frame: pd.DataFrame, decision: list[float] | None, interval: float | None, at: list[float] | None
) -> pd.DataFrame:
    """The answers to some rows, with what was asked for beside them."""
    import pandas as pd

    from tools.answers import predicted_table

    table, contract = predicted_table(fitted, frame, decision), fitted.contract
    predictions = table["prediction"].to_numpy()
    if contract.one_number and interval is not None:
        table["low"], table["high"] = _calibration(folder).interval(predictions, interval)
    if contract.one_number and at is not None:
        chances = _curves(folder).survival(predictions, at)
        table = pd.concat([table, pd.DataFrame(chances, columns=[f"survival_{time:g}" for time in at])], axis=1)
    return table


def _curves(folder: Path) -> Curves:
    from tools.curves import Curves

    path = folder / "curves.json"
    if not path.is_file():
        raise ToolRefused(f"{str(folder)!r} holds no survival curves; package_model adds them where risks are predicted. Leave `at` out.")
    return Curves.model_validate_json(path.read_text(encoding="utf-8"))


def _calibration(folder: Path) -> Conformal:
    from tools.conformal import Conformal

    path = folder / "intervals.json"
    if not path.is_file():
        raise ToolRefused(f"{str(folder)!r} holds no intervals; package_model adds them where values are predicted. Leave `interval` out.")
    return Conformal.model_validate_json(path.read_text(encoding="utf-8"))
