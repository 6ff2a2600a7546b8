"""Untrusted candidates: each fold in a fresh sandbox that never had the labels which score it.

A module that a role wrote could look for labels, remember rows from one fold to the next, patch the libraries around it,
or print whatever score it likes. So every fold gets a new sandbox with two folders of its own: one with the fold's
training rows, its validation rows without the target, and the module; one that is empty and takes the predictions.
Nothing of other folds is there and nothing of the run's work folder. The predictions are read after the sandbox has
ended, checked like any other file of a sandbox, and scored here.

Two things stay possible. A role has seen the training labels, so it could write them into its code: that deceives the
leaderboard, but not the final score, whose labels no role has seen. And libraries ship public datasets with their labels,
which any code in a sandbox can find.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from team.events import Event, KernelChanged
from team.rundir import RunDir
from team.sandbox import CellResult, Kernel, Limits, open_kernel
from team.sandbox.contract import Launcher
from team.sandbox.ending import to_the_end
from team.timings import Timings
from team.vault import Vault
from tools.candidates import CODE_FILE
from tools.contract import Split
from tools.deadline import Deadline
from tools.files import remove_tree
from tools.predictions import PredictionError, encode_predictions, read_predictions
from tools.spec import ToolFailed, ToolSpec, registry
from tools.submission import PREDICTIONS_FILE, VALIDATION, FoldPrediction, Scored, code_candidate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tools.folds import Part, Validation

INTERRUPT_S = 1.0
"""How long a fold that met its deadline may take to end after an interrupt. Nothing of its sandbox is needed any more."""
WARM_UP = "import pandas, sklearn.compose, sklearn.ensemble, sklearn.linear_model, sklearn.pipeline, skrub, tools.columns, tools.modelcode"
"""What nearly every module imports. A sandbox that waits for its fold does so meanwhile, before any code of a role runs in it."""
WARM_UP_S = 30.0
LEAST_S = 0.1
"""With less time than this no fold is begun."""
MORE_TIME = "Nothing is kept. Submit a lighter model, or give the call a larger time_s while the search has it."
SAMPLE_ROWS, SAMPLED_FROM = 1_000, 3_000
"""A module is tried on so many rows first where a fold has that many."""
EXPONENT, TOLERANCE, NOTICEABLE_S = 1.1, 1.5, 0.5
"""How fits grow with their rows as a rule, how far off that may be before a module is refused by it, and what is too short to tell."""
TOLD_CHARS = 5000
PRINTED_CHARS = 1500


class Journal(Protocol):
    """Told of what happens; the call that is going on is one (`ongoing.py`)."""

    def emit(self, event: Event) -> Event: ...
    def progress(self, facts: Mapping[str, Any]) -> None: ...
    def journal(self, tool: str, code: str, cell: CellResult, *, timings: Timings) -> None: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Fold:
    """One fold of the contract."""

    part: Part
    number: int
    """From 1, as people count."""
    of: int
    learn: np.ndarray
    """Positions of the training rows that a fit may see."""
    check: np.ndarray
    """Positions of the rows to predict, in the order in which they are handed over."""

    def __str__(self) -> str:
        return f"fold {self.number} of {self.of}"


@dataclass(frozen=True)
class Room:
    """A fold's sandbox, ready for its cell."""

    fold: Fold
    work: Path
    kernel: Kernel
    sandbox: AsyncExitStack
    """Closed, it ends the sandbox with everything that runs in it."""
    everything: AsyncExitStack
    """Closed, it removes the folders as well."""


class Quarantine:
    """Cross-validates modules for one run."""

    def __init__(
        self, run: RunDir, vault: Vault, sandbox: str | Launcher, limits: Limits, journal: Journal, env: Mapping[str, str] | None = None
    ) -> None:
        self._env = env or {}
        self._run, self._vault, self._journal = run, vault, journal
        self._sandbox, self._limits = sandbox, limits.model_copy(update={"interrupt_s": INTERRUPT_S})

    async def cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        """Fit a module on every fold and score what it predicts for the rows that it did not see.

        Raises:
            ToolFailed: naming the fold that did not work out, or the time that all of them would need.
            SandboxUnavailable: when no sandbox could be started.
        """
        task = await asyncio.to_thread(_Task, self._run, self._vault, name, code, Deadline(time_s), time_s)
        async with aclosing(self._rooms(task)) as rooms:
            async for room in rooms:
                await self._fit(task, room)
        return await asyncio.to_thread(task.scored)

    async def _rooms(self, task: _Task) -> AsyncGenerator[Room]:
        """A room for each fold in turn. While one is in use, the next is made ready, so that its start costs no time."""
        ahead: asyncio.Task[Room] | None = None
        try:
            for fold in task.folds:
                ahead = ahead or asyncio.ensure_future(self._open(task, fold))
                room = await ahead
                following = task.folds[fold.number : fold.number + 1]
                ahead = asyncio.ensure_future(self._open(task, following[0])) if following else None
                try:
                    yield room
                finally:
                    await room.everything.aclose()
        finally:
            if ahead is not None:
                await to_the_end(_abandon(ahead))

    async def _open(self, task: _Task, fold: Fold) -> Room:
        def on_event(change: str, facts: dict[str, Any]) -> None:
            self._journal.emit(KernelChanged(change=change, facts={**facts, "candidate": task.name, "fold": fold.number}))

        async with AsyncExitStack() as everything:
            folder = Path(tempfile.mkdtemp(prefix=".fold-", dir=self._run.path))
            everything.push_async_callback(_remove, folder)
            data, work = folder / "data", folder / "work"
            data.mkdir()
            work.mkdir()
            await to_the_end(asyncio.to_thread(task.write, fold, data))
            sandbox = await everything.enter_async_context(AsyncExitStack())
            opened = open_kernel(self._sandbox, work=work, data=data, limits=self._limits, env=self._env, on_event=on_event)
            kernel = await sandbox.enter_async_context(opened)
            # However it ends, the fold's own cell imports what it needs and tells what it cannot.
            await kernel.execute(WARM_UP, timeout_s=WARM_UP_S)
            return Room(fold, work, kernel, sandbox, everything.pop_all())

    async def _fit(self, task: _Task, room: Room) -> None:
        """Run one fold's cell, end its sandbox, and take over its predictions."""
        spec, left = registry()["predict_fold"], task.deadline.remaining()
        if left < LEAST_S:
            raise ToolFailed(f"the {task.time_s:g} s were over before {room.fold}. {MORE_TIME}")
        if room.fold.number == 1 and len(room.fold.learn) >= SAMPLED_FROM:
            await self._try_out(task, room, spec, left)
            left = task.deadline.remaining()
        code, timings = spec.cell({}), Timings()
        cell = await room.kernel.execute(code, max(LEAST_S, left), timings.take, self._journal.metadata)
        await room.sandbox.aclose()
        self._journal.journal(spec.name, code, cell, timings=timings)
        facts = _facts(room.fold, cell, left)
        try:
            score = await asyncio.to_thread(task.take, room, facts, cell.seconds)
        except PredictionError as error:
            raise ToolFailed(f"{_printed(room.fold, cell)}{room.fold} failed: {error}") from None
        progress = {"candidate": task.name, "fold": room.fold.number, "folds": room.fold.of, "seconds": round(cell.seconds, 2)}
        self._journal.progress(progress if score is None else {**progress, "score": score})
        task.check_time(room.fold)

    async def _try_out(self, task: _Task, room: Room, spec: ToolSpec, left: float) -> None:
        """Fit the module on a few rows first: what fails there fails at once, and what it takes tells what all folds will take.

        Raises:
            ToolFailed: when it fails, or all folds would take longer than there is time.
        """
        code, timings = spec.cell({"sample": SAMPLE_ROWS}), Timings()
        cell = await room.kernel.execute(code, left, timings.take, self._journal.metadata)
        self._journal.journal(spec.name, code, cell, timings=timings)
        facts = _facts(room.fold, cell, left)
        growth = len(room.fold.learn) / SAMPLE_ROWS
        needed = (facts.fit_seconds * growth**EXPONENT + facts.predict_seconds * growth) * room.fold.of
        self._journal.progress({"candidate": task.name, "sample_rows": SAMPLE_ROWS, "expected_seconds": round(needed, 1)})
        if facts.fit_seconds > NOTICEABLE_S and needed > TOLERANCE * task.deadline.remaining():
            raise ToolFailed(
                f"on {SAMPLE_ROWS:,} rows a fit takes {facts.fit_seconds:.1f} s, so {room.fold.of} folds of {len(room.fold.learn):,} rows"
                f" would take about {needed:.0f} s and {task.deadline.remaining():.0f} s are left. Make it lighter. {MORE_TIME}"
            )


class _Task:
    """One module on its way through the folds."""

    def __init__(self, run: RunDir, vault: Vault, name: str, code: str, deadline: Deadline, time_s: float) -> None:
        import numpy as np
        import pandas as pd

        self.name, self.code, self.deadline, self.time_s = name, code, deadline, time_s
        self._vault, self._contract = vault, vault.contract
        self._schema = (run.data / "schema.json").read_bytes()
        self._rows = pd.read_parquet(run.data / "train.parquet")
        self._validation = vault.rows.validation()
        self.folds = _cut(self._rows, self._validation, self._schema)
        n, k = len(self._rows) * self._validation.repeats, len(self._contract.classes)
        self._oof = np.full((n, k) if k else n, np.nan)
        self._took: list[float] = []
        self._fitting = self._predicting = 0.0

    def write(self, fold: Fold, data: Path) -> None:
        """Fill a fold's data folder."""
        contract = self._contract
        learn, check = self._rows.iloc[fold.learn], self._rows.iloc[fold.check].drop(columns=contract.sealed_columns)
        learn.to_parquet(data / "train.parquet", index=False)
        check.to_parquet(data / f"{VALIDATION}.parquet", index=False)
        # How the rows were dealt to the folds is nothing that a fit needs.
        split = Split(kind="random", holdout_fraction=len(check) / len(self._rows), seed=0)
        plain = {"seed": 0, "split": split, "validation": None, "repeats": 1, "leave_one_out": False, "window": "expanding"}
        own = contract.model_copy(update={"rows_train": len(learn), "rows_holdout": len(check), **plain})
        (data / "contract.json").write_text(own.model_dump_json(indent=1), encoding="utf-8")
        (data / "schema.json").write_bytes(self._schema)
        (data / CODE_FILE).write_bytes(self.code.encode())

    def take(self, room: Room, facts: FoldPrediction, seconds: float) -> float | None:
        """Check a fold's predictions and keep them; returns their score where it is defined.

        Raises:
            PredictionError: when the file breaks the prediction schema.
        """
        fold = room.fold
        repeat = fold.part.repeat
        self._oof[repeat * len(self._rows) + fold.check] = read_predictions(
            room.work / PREDICTIONS_FILE, self._contract, len(fold.check), inside=room.work
        )
        self._took.append(seconds)
        # The sandbox knows what part of its time was fitting; more than all of it cannot have been.
        self._fitting += min(facts.fit_seconds, seconds)
        self._predicting += min(facts.predict_seconds, seconds)
        if fold.part.unit is not None:
            return None
        of_repeat = self._validation.by_repeat(self._oof)[repeat]
        return self._vault.out_of_fold.score_fold(fold.part.fold, of_repeat[self._validation.folds[repeat] == fold.part.fold], repeat)

    def check_time(self, fold: Fold) -> None:
        """Raise `ToolFailed` when the folds that are left cannot be done in time, by what those before them took."""
        mean, left = sum(self._took) / len(self._took), self.deadline.remaining()
        needed = mean * (fold.of - fold.number)
        if needed > left:
            raise ToolFailed(
                f"after {fold}: one takes about {mean:.1f} s, so those to come need about {needed:.1f} s and {left:.1f} s are left"
                f" of {self.time_s:g} s. {MORE_TIME}"
            )

    def scored(self) -> Scored:
        """The candidate, once every fold was taken."""
        import numpy as np

        calibration, oof = self._vault.out_of_fold.calibrate(self._oof)
        decided = self._vault.out_of_fold.decide(oof)
        score, by_fold = decided.score, decided.fold_scores
        rows = sum(len(fold.check) for fold in self.folds)
        seconds_a_row = self._predicting / max(1, rows)
        record = code_candidate(
            self.name, self.code, self._contract, score, by_fold, len(self.folds), self._fitting, seconds_a_row, decided.decision
        )
        record = record.model_copy(update={"calibration": calibration})
        return Scored(record, encode_predictions(self._contract, oof, np.concatenate(self._validation.folds)))


def _cut(rows: pd.DataFrame, validation: Validation, schema: bytes) -> list[Fold]:
    """The contract's folds of all repeats, each with its validation rows in an order that their own values give.

    In the file's order, position would tell: many tables are sorted by what is to be predicted.
    """
    import numpy as np
    import pandas as pd

    from tools.columns import coerce
    from tools.contract import TableSchema

    features = coerce(rows, TableSchema.model_validate_json(schema))
    hashes = pd.util.hash_pandas_object(features, index=False).to_numpy()
    ties = np.random.default_rng(validation.contract.seed).permutation(len(rows))
    parts = validation.parts
    folds = []
    for number, part in enumerate(parts, 1):
        learn, check = validation.rows(part)
        order = np.lexsort((ties[check], hashes[check]))
        folds.append(Fold(part, number, len(parts), learn, check[order]))
    return folds


def _facts(fold: Fold, cell: CellResult, given_s: float) -> FoldPrediction:
    """What a cell that went well says; it was given `given_s` seconds.

    Raises:
        ToolFailed: how it went otherwise, for the one who wrote the module; the last line says it shortest.
    """
    where = f"{_tail(cell.traceback)}\n" if cell.traceback else ""
    if cell.status == "timeout":
        what = f"{where}{fold} did not end in the {given_s:.1f} s that were left. {MORE_TIME}"
    elif cell.status == "died":
        what = f"{where}{fold} took its sandbox with it: {cell.cause}."
    elif cell.ename == "ToolFailed":
        what = f"{fold} failed: {_tail(cell.evalue or '')}"
    elif cell.status == "error":
        what = f"{where}{fold} failed: {(cell.ename or '')[:200]}: {(cell.evalue or '')[:500]}"
    else:
        try:
            return FoldPrediction.model_validate(cell.result)
        except ValidationError as error:
            what = f"{fold} failed: its cell showed no result of the right shape ({error.errors()[0]['msg']})."
    raise ToolFailed(_printed(fold, cell) + what)


def _printed(fold: Fold, cell: CellResult) -> str:
    text = "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream").strip()
    return f"{fold} printed:\n{_tail(text, PRINTED_CHARS)}\n" if text else ""


def _tail(text: str, limit: int = TOLD_CHARS) -> str:
    return text if len(text) <= limit else f"… {text[-limit:]}"


async def _remove(folder: Path) -> None:
    await to_the_end(asyncio.to_thread(remove_tree, folder))


async def _abandon(opening: asyncio.Task[Room]) -> None:
    """Leave a room that nobody will use, also while it is being made."""
    opening.cancel()
    await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().everything.aclose()
