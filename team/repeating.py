"""A run done again from its record: the cells that it executed, in a clean sandbox, and whether the same scores come of them.

Nothing of the run is changed and its holdout is not looked at: candidates are scored on the training rows, as they were, and of the
sealed rows the predictions are held beside those that were scored. Models that roles wrote as code ran in sandboxes of their own; they
are taken over from the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from team.cells import read_cells
from team.errors import MlteamError, UsageError
from team.events import CandidateScored, Event, HoldoutScored, RunStarted, ToolReturned
from team.log import read_events
from team.out_of_fold import OutOfFold
from team.rows import Rows
from team.rundir import RunDir
from team.sandbox import CellResult, Kernel
from tools.candidates import CODE, CODE_FILE, Candidate
from tools.files import read_regular, remove_tree, write_folder
from tools.predictions import PredictionError, read_predictions
from tools.spec import registry

TOLERANCE = 1e-6
"""Of a score, as a share of it (or of one, where it is smaller): what another order of additions may change."""
SLACK = 2.0
"""How many times its recorded time a search may take, so that a busier machine comes as far."""
LEFT_OUT = ("predict_rows", "predict_fold", "submit_candidate")
"""Tools whose cells ran elsewhere."""
CANDIDATE_FILES = ("candidate.json", "oof.parquet", "uncalibrated.parquet", CODE_FILE)
MOST_FILE_BYTES, MOST_RECORD_BYTES = 1 << 30, 1 << 20
LEAST_S = 120.0
SOURCE = "source"
"""Folder of the vault in which the source lies as it was fetched."""
MOST_NAMED = 3
"""Sums that are told of a source of many files."""
_TIME = re.compile(r"\btime_s=(\d+(?:\.\d+)?)")
Verdict = Literal["agrees", "differs", "missing", "taken over"]


class Agreement(BaseModel):
    """A score on record, and the one that came of doing it again."""

    name: str
    recorded: float
    again: float | None
    verdict: Verdict
    why: str = ""
    """Of one that does not agree, what the record tells of it."""


class CellAgain(BaseModel):
    """A cell that ended otherwise than it had."""

    cell: int
    tool: str
    was: str
    now: str
    why: str


class Repetition(BaseModel):
    """What came of doing a run again."""

    run: str
    sandbox: str
    cells: int
    """That were executed."""
    seconds: float
    tolerance: float
    data: str
    """Whether the source is the one of the manifest, in words."""
    versions: dict[str, tuple[str, str]]
    """Of what differs: then and now."""
    scores: list[Agreement]
    predictions: str
    """Of the sealed rows, beside those that were scored, in words; empty where none were."""
    predictions_agree: bool | None
    more: list[str]
    """Candidates that were made beyond those on record."""
    cells_that_differ: list[CellAgain]

    @property
    def agrees(self) -> bool:
        """Whether everything on record came again."""
        return all(one.verdict in ("agrees", "taken over") for one in self.scores) and self.predictions_agree is not False


def repeat(run: RunDir, *, sandbox: str = "auto", tolerance: float = TOLERANCE, slack: float = SLACK) -> Repetition:
    """Do a run again and compare.

    Args:
        tolerance: how far a score may be off, as a share of it.
        slack: factor of the time of searches.

    Raises:
        UsageError: when the run has nothing to do again, or its data is not what it was.
        MlteamError: when the event log is damaged.
        SandboxUnavailable: when no sandbox can be had.
    """
    return asyncio.run(arepeat(run, sandbox=sandbox, tolerance=tolerance, slack=slack))


async def arepeat(run: RunDir, *, sandbox: str = "auto", tolerance: float = TOLERANCE, slack: float = SLACK) -> Repetition:
    """Like `repeat`, inside a running event loop."""
    from team.sandbox import open_kernel
    from team.sandbox.choose import choose, make_launcher

    events = list(read_events(run.events))
    cells = [cell for cell in read_cells(run.cells) if cell["tool"] not in LEFT_OUT and cell["status"] in ("ok", "error")]
    if not cells or not run.contract.exists():
        raise UsageError(
            f"run {run.name!r} sealed no rows and executed no cell, so there is nothing to do again. See: mlteam show {run.path}"
        )
    data = _checked_data(run)
    scored = [event for event in events if isinstance(event, CandidateScored)]
    kind = choose(sandbox, trusted_code=False).kind  # a run directory may come from anybody
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="mlteam-replay-"))
    try:
        view = _view(run, scratch / run.name)
        for one in scored:
            if one.family == CODE:
                _take_over(run, view, one.name)
        async with open_kernel(make_launcher(kind), work=view.work, data=view.data) as kernel:
            otherwise = [told for cell in cells if (told := await _again(kernel, cell, events, slack)) is not None]
        words, agree = _predictions(run, view, events, tolerance)
        return Repetition(
            run=run.name,
            sandbox=kind,
            cells=len(cells),
            seconds=round(time.monotonic() - began, 2),
            tolerance=tolerance,
            data=data,
            versions=_versions(events),
            scores=_scores(run, view, scored, tolerance),
            predictions=words,
            predictions_agree=agree,
            more=sorted(_made(view) - {one.name for one in scored}),
            cells_that_differ=otherwise,
        )
    finally:
        remove_tree(scratch)


def _checked_data(run: RunDir) -> str:
    """What is known of the source, in words.

    Raises:
        UsageError: when it is not the one that the run read.
    """
    try:
        files = json.loads(run.manifest.read_text(encoding="utf-8"))["files"]
        read = {one["name"]: one["sha256"] for one in files}
    except (OSError, ValueError, KeyError, TypeError):
        return "not checked: the manifest is damaged, or of a run that named no files"
    for name, wanted in read.items():
        path = run.vault / SOURCE / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return f"not checked: {path} cannot be read ({error.strerror})"
        if found != wanted:
            raise UsageError(
                f"{path} has SHA-256 {found}, and the run read {wanted}: it is not its data any more."
                " Bring the file back, or start a new run: mlteam run SOURCE"
            )
    if not read:
        return "not checked: the source is none of files"
    shown = ", ".join([*list(read.values())[:MOST_NAMED], *(["…"] if len(read) > MOST_NAMED else [])])
    return f"what the run read ({len(read)} {'file' if len(read) == 1 else 'files'}, SHA-256 {shown})"


def _view(run: RunDir, path: Path) -> RunDir:
    """A run directory with the rows of this one and an empty work folder; what the run's end brought is not shown."""
    view = RunDir(path)
    for folder in (view.data, view.work):
        folder.mkdir(parents=True)
    shutil.copyfile(run.contract, view.contract)
    for entry in run.data.iterdir():
        shutil.copyfile(entry, view.data / entry.name)
    return view


def _take_over(run: RunDir, view: RunDir, name: str) -> None:
    """Copy a candidate that was written as code from the record, where it is there."""
    folder = Path("candidates") / name
    files: dict[str, bytes] = {}
    for file in CANDIDATE_FILES:
        with contextlib.suppress(OSError):
            files[file] = read_regular(run.work / folder / file, MOST_FILE_BYTES, run.work)
    if files:
        write_folder(view.work / folder, files, view.work)


async def _again(kernel: Kernel, cell: dict[str, Any], events: Sequence[Event], slack: float) -> CellAgain | None:
    """Execute a cell; what is told where it ended otherwise than on record."""
    spec = registry().get(str(cell["tool"]))
    code, limit = str(cell["code"]), LEAST_S + 10.0 * slack * float(cell["seconds"])
    if spec is not None and "names" not in cell:
        code, limit = _patient(cell, code, events, slack), max(limit, spec.timeout_s)
    found: CellResult = await kernel.execute(code, timeout_s=limit)
    if found.status == cell["status"]:
        return None
    why = found.evalue or found.cause or ""
    return CellAgain(cell=int(cell["cell"]), tool=str(cell["tool"]), was=str(cell["status"]), now=found.status, why=why[:300])


def _patient(cell: dict[str, Any], code: str, events: Sequence[Event], slack: float) -> str:
    """The call with more time, and a search with as many trials as it had made."""
    if cell["tool"] == "tune" and "trials=" not in code:
        done = next((e.result for e in events if isinstance(e, ToolReturned) and e.call == cell["call"] and e.result), {})
        trials = int(done.get("trials_done", 0)) + int(done.get("trials_pruned", 0))
        if trials == 0:
            return code
        code = code.replace("tune(", f"tune(trials={trials}, ", 1) if "tune(family" in code else code
    return _TIME.sub(lambda found: f"time_s={float(found[1]) * slack:g}", code)


def _made(view: RunDir) -> set[str]:
    try:
        return {entry.name for entry in (view.work / "candidates").iterdir() if entry.is_dir() and not entry.is_symlink()}
    except OSError:
        return set()


def _scores(run: RunDir, view: RunDir, scored: Sequence[CandidateScored], tolerance: float) -> list[Agreement]:
    out_of_fold = OutOfFold(view, Rows(view))
    found: list[Agreement] = []
    for one in scored:
        again: float | None
        try:
            again = out_of_fold.score(view.work / "candidates" / one.name / "oof.parquet").score
        except (PredictionError, OSError, ValueError):
            again = None
        verdict: Verdict = "missing"
        if again is not None:
            verdict = "agrees" if abs(again - one.score) <= tolerance * max(1.0, abs(one.score)) else "differs"
            verdict = "taken over" if one.family == CODE and verdict == "agrees" else verdict
        off = {each.name for each in found if each.verdict in ("differs", "missing")}
        why = _why(run, one.name, off) if verdict in ("differs", "missing") else ""
        found.append(Agreement(name=one.name, recorded=one.score, again=again, verdict=verdict, why=why))
    return found


def _why(run: RunDir, name: str, off: set[str]) -> str:
    """What a candidate's record tells of why it might not come again."""
    try:
        record = Candidate.model_validate_json(read_regular(run.work / "candidates" / name / "candidate.json", MOST_RECORD_BYTES, run.work))
    except (OSError, ValueError):
        return ""
    members = [member.name for member in record.members if member.name in off]
    if members:
        return f"made of {', '.join(members)}"
    return "the clock had ended its fit" if record.cut_short else ""


def _predictions(run: RunDir, view: RunDir, events: Sequence[Event], tolerance: float) -> tuple[str, bool | None]:
    """How the predictions of the sealed rows stand beside those that were scored; no label is looked at."""
    import numpy as np

    holdout = next((event for event in reversed(events) if isinstance(event, HoldoutScored)), None)
    recorded = run.vault / "scored.parquet"
    contract = run.read_contract()
    if holdout is None or contract is None or not recorded.is_file():
        return "", None
    try:
        then = read_predictions(recorded, contract, contract.rows_holdout)
        again = view.work / "predictions" / f"{holdout.candidate}.parquet"
        now = read_predictions(again, contract, contract.rows_holdout, inside=view.work)
    except (PredictionError, OSError) as error:
        return f"{holdout.candidate} predicts nothing for the sealed rows: {error}", False
    largest = float(np.abs(then - now).max()) if then.size else 0.0
    same = largest <= tolerance * max(1.0, float(np.abs(then).max(initial=0.0)))
    if same:
        return f"{holdout.candidate} predicts the sealed rows as it did, so its score of {holdout.score:.6g} stands", True
    return f"{holdout.candidate} predicts the sealed rows otherwise, by up to {largest:.3g}", False


def _versions(events: Sequence[Event]) -> dict[str, tuple[str, str]]:
    """Distributions whose version is another than the run's, with both."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    differing = {}
    for name, then in (started.versions if started else {}).items():
        try:
            now = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # Python itself, and the prompts
        if now != then:
            differing[name] = (then, now)
    return differing


def told(repetition: Repetition) -> str:
    """A repetition as text."""
    r = repetition
    lines = [f"{r.cells} cells of run {r.run} were executed again in {r.seconds:.0f} s, in {r.sandbox}.", f"Data: {r.data}."]
    lines += [f"Version of {name}: {now}, and it was {then}." for name, (then, now) in r.versions.items()]
    width = max([len(one.name) for one in r.scores], default=0)
    for one in r.scores:
        now = "–" if one.again is None else f"{one.again:.6g}"
        lines.append(f"  {one.name:<{width}}  {one.recorded:>12.6g}  {now:>12}  {one.verdict}{f': {one.why}' if one.why else ''}")
    lines += [f"Made beyond those on record, since there was more time: {', '.join(r.more)}."] if r.more else []
    lines += [f"Cell {c.cell} ({c.tool}) ended as {c.now} and had ended as {c.was}: {c.why}" for c in r.cells_that_differ]
    lines += [f"{r.predictions}."] if r.predictions else []
    return "\n".join(lines)


def check(repetition: Repetition) -> None:
    """Raise where something on record did not come again.

    Raises:
        MlteamError: counting what differs.
    """
    if not repetition.agrees:
        off = [one.name for one in repetition.scores if one.verdict in ("differs", "missing")]
        what = f"{len(off)} of {len(repetition.scores)} scores ({', '.join(off)})" if off else "the predictions of the sealed rows"
        raise MlteamError(
            f"{what} did not come again within {repetition.tolerance:g}. Searches by the clock come as far as the machine lets them:"
            " try --slack with a larger factor."
        )
