"""Predict new rows with a packaged model, inside a sandbox: the host never unpickles what a kernel wrote."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from team.errors import MlteamError, UsageError
from team.rundir import RunDir
from team.sandbox.ending import to_the_end
from tools.conformal import Conformal
from tools.contract import Contract
from tools.conversion import LONGEST, MOST_TOLD, by_its_own_name, choice_of
from tools.curves import Curves
from tools.files import open_regular, read_regular, remove_tree
from tools.finishing import PredictResult
from tools.formats.contract import Choice
from tools.package.manifest import MAX_DESCRIPTION_BYTES, Manifest, PackageDamaged, verify
from tools.packaging import CURVES_FILE, INTERVALS_FILE, PACKAGE_FILES
from tools.quantiles import column_of
from tools.sources.contract import files_folder
from tools.sources.spelling import spelt
from tools.spec import InputRefused, registry
from tools.tables import TableError

MAX_PREDICTIONS_BYTES = 16 * 2**30
ROWS = "rows"
"""Folder of the rows to predict, as the sandbox sees it."""


def predict(
    run: RunDir,
    rows: Path | str,
    output: Path,
    *,
    sandbox: str = "auto",
    interval: float | None = None,
    at: Sequence[float] | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> int:
    """Write one prediction per row of `rows` to `output`, in input order, and return their number.

    Args:
        rows: spelt as a run's SOURCE is, with the options behind it. What they leave open is read as the run's own source was, where that
            fits, and else guessed.
        interval: share of true values that should lie between the columns `low` and `high`, which are written with it.
        at: times; of each the column `survival_<time>` is written, the chance that the event has not happened by then.
        tell: gets what was found of the rows when they were read, a sentence at a time.

    Raises:
        UsageError: when the run has no package, the rows cannot be read or lack columns, `output` cannot be written, or there are no
            intervals of that level or curves at those times.
        MlteamError: when the model fails.
    """
    return asyncio.run(apredict(run, rows, output, sandbox=sandbox, interval=interval, at=at, tell=tell))


async def apredict(
    run: RunDir,
    rows: Path | str,
    output: Path,
    *,
    sandbox: str = "auto",
    interval: float | None = None,
    at: Sequence[float] | None = None,
    tell: Callable[[str], None] = lambda note: None,
) -> int:
    """Like `predict`, inside a running event loop."""
    from team.sandbox import open_kernel
    from team.sandbox.choose import choose, make_launcher
    from tools.families import weights

    source = str(rows)
    inside = _check(run, source, output)
    if interval is not None:
        _check_interval(run, interval)
    if at is not None:
        _check_times(run, at)
    # Loading a pipeline executes what its maker put into it, and a run directory may come from anybody.
    kind = choose(sandbox, trusted_code=False).kind
    with workplace() as work:
        package = _unpack(run, work / "model")
        with workplace() as vault:
            came = await _fetched(source, vault)
            files_folder(vault).rename(work / ROWS)
        spec = registry()["predict_rows"]
        asked = {
            "model": "model",
            "rows": f"{ROWS}/{came[0]}" if len(came) == 1 else ROWS,
            "output": "predictions.csv",
            "options": inside or None,
            "dialect": None if package.dialect is None else package.dialect.model_dump(exclude_none=True),
            "decision": package.decision,
            "interval": interval,
            "at": None if at is None else list(at),
        }
        # Never what the run's own settings name: they could show a stranger's pipeline any folder.
        shown = weights.folder()
        launcher = make_launcher(kind, weights=shown.resolve() if shown and shown.is_dir() else None)
        async with open_kernel(launcher, work=work) as kernel:
            cell = await kernel.execute(spec.cell(asked), timeout_s=spec.timeout_s)
        if cell.result is None:
            if cell.ename == "ToolRefused":
                raise UsageError(by_its_own_name((cell.evalue or "")[:2000], source, came, ROWS))
            raise MlteamError(f"the model failed on {source!r}: {cell.evalue or cell.cause or cell.status}")
        try:
            predicted = PredictResult.model_validate(cell.result)
        except ValidationError as error:
            raise MlteamError(f"the model of run {run.name!r} gave a result of the wrong shape: {error.errors()[0]['msg']}") from None
        temporary = output.with_name(f".{output.name}.tmp")
        try:
            with open_regular(work / "predictions.csv", MAX_PREDICTIONS_BYTES, inside=work) as predictions, temporary.open("wb") as target:
                shutil.copyfileobj(predictions, target)
            temporary.replace(output)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UsageError(f"cannot write {str(output)!r}: {error.strerror or error}. Name another file with -o FILE.") from None
    for note in predicted.notes[:MOST_TOLD]:
        tell(note[:LONGEST])
    return predicted.rows


async def _fetched(source: str, vault: Path) -> list[str]:
    """Bring a source into a folder; the names of its files. A cancellation ends a download.

    Raises:
        UsageError: when it cannot be had.
    """
    from tools.sources import fetch

    stopped = threading.Event()

    def heard(**facts: object) -> None:
        if stopped.is_set():
            raise InputRefused("nobody waits for it any more.")

    try:
        came = await to_the_end(asyncio.to_thread(fetch, source, vault, heard), stopped.set)
    except InputRefused as error:
        if stopped.is_set():
            raise asyncio.CancelledError from None
        raise UsageError(str(error)) from None
    return [file.name for file in came.files]


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A folder for the sandbox that is removed whatever the sandbox did to it."""
    folder = Path(tempfile.mkdtemp(prefix="mlteam-"))
    try:
        yield folder
    finally:
        remove_tree(folder)


def _unpack(run: RunDir, folder: Path) -> Manifest:
    """Copy the packaged files, which must be those that were packaged, and nothing that lies beside them; what the package says of itself.

    Raises:
        UsageError: when one is missing, a link, or another.
    """
    folder.mkdir()
    try:
        wanted = (*PACKAGE_FILES, INTERVALS_FILE, CURVES_FILE)
        return verify(run.model, inside=run.path, only=wanted, into=folder)
    except PackageDamaged as error:
        raise UsageError(f"the package of run {run.name!r} cannot be used: {error}. Run the team again.") from None


def _check_interval(run: RunDir, level: float) -> None:
    """Refuse an interval that the package cannot give before a sandbox is opened."""
    if levels := _levels(run):
        known = ", ".join(map(column_of, levels))
        tail = (1 - level) / 2
        asked = f"run the team again with --quantiles {tail:.4g},{1 - tail:.4g}" if 0 < level < 1 else "name a level between 0 and 1"
        raise UsageError(
            f"--interval {level:g}: run {run.name!r} predicts quantiles, which are ends of intervals already: {known}."
            f" Leave --interval out and take two of these columns, or {asked}."
        )
    if not (run.model / INTERVALS_FILE).is_file():
        raise UsageError(
            f"--interval {level:g}: run {run.name!r} has no intervals; they are made for regression, counts and forecasts. Leave it out."
        )
    try:
        content = read_regular(run.model / INTERVALS_FILE, MAX_DESCRIPTION_BYTES, inside=run.path)
        Conformal.model_validate_json(content).interval(np.zeros(1), level)
    except (OSError, ValidationError):
        raise UsageError(f"{INTERVALS_FILE} of run {run.name!r} cannot be read. Run the team again.") from None
    except ValueError as error:
        raise UsageError(f"--{error}.") from None


def read_times(text: str) -> list[float]:
    """Times that stand in a text with commas between them.

    Raises:
        UsageError: naming what is no number.
    """
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            raise UsageError(f"--at {text!r}: {part.strip()!r} is no time; expected numbers with commas between, such as 12,24.") from None
    return found


def _check_times(run: RunDir, at: Sequence[float]) -> None:
    """Refuse times at which the package knows no chance before a sandbox is opened."""
    if not (run.model / CURVES_FILE).is_file():
        raise UsageError(f"--at: run {run.name!r} has no survival curves; runs of survival tasks make them. Leave it out.")
    try:
        until = Curves.model_validate_json(read_regular(run.model / CURVES_FILE, MAX_DESCRIPTION_BYTES, inside=run.path)).until
    except (OSError, ValidationError):
        raise UsageError(f"{CURVES_FILE} of run {run.name!r} cannot be read. Run the team again.") from None
    for time in at:
        if not 0 <= time <= until:
            raise UsageError(f"--at {time:g}: expected times between 0 and {until:g}, the last that the run observed.")


def _levels(run: RunDir) -> list[float]:
    """The levels of the quantiles that a run predicts; empty where it predicts none, or its contract cannot be read."""
    try:
        return Contract.model_validate_json(read_regular(run.contract, MAX_DESCRIPTION_BYTES, inside=run.path)).quantiles
    except (OSError, ValueError):
        return []


def _check(run: RunDir, source: str, output: Path) -> dict[str, str]:
    """Refuse what can be refused before anything is fetched; what the spelling says of the source's inside."""
    if not (run.model / "model.json").is_file():
        raise UsageError(
            f"run {run.name!r} has no packaged model: it did not reach its end. `mlteam show {run.path}` says how far it came."
        )
    if not output.parent.is_dir():
        raise UsageError(f"folder {str(output.parent)!r} of the output does not exist. Make it, or name another file with -o FILE.")
    if output.is_dir():
        raise UsageError(f"output {str(output)!r} is a directory, expected a file name. Name one with -o FILE.")
    try:
        inside = {name: value for name, value in choice_of(spelt(source).options).items() if value is not None}
        Choice.of(inside)
    except InputRefused as error:
        raise UsageError(str(error)) from None
    except TableError as error:
        raise UsageError(f"{source}: {error}. Leave it out, and it is read as the run's source was.") from None
    return inside
