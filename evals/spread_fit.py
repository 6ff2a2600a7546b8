"""One fold of one trial, fitted in a sandbox wherever an engine has room; a module of its own, since workers import what they do."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evals.engines.tracing import doing
from team.errors import MlteamError
from team.predict import workplace
from team.timings import Timings
from tools.fold_fits import FoldFit, read_fold
from tools.preparation import Preparation
from tools.workspace import Workspace, write_text

Array = np.ndarray[Any, np.dtype[Any]]

GRACE_S = 120.0
"""For a fit that cannot be cut short, beside its own time."""


@dataclass(frozen=True)
class Fit:
    """One fold of one trial, with all that a worker needs to know."""

    trial: int
    part: int
    data: str
    """The run's data folder, in one that all workers share."""
    sandbox: str
    family: str
    params: dict[str, Any]
    preparation: Preparation
    time_s: float


class _Bench:
    """In a worker's process: a sandbox that is kept from fit to fit, since starting one takes longer than many a fit."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._held = AsyncExitStack()
        self._open: tuple[str, str] | None = None
        self._kernel: Any = None
        self._work = Path()

    def fit(self, asked: Fit) -> tuple[FoldFit, Array]:
        return self._loop.run_until_complete(self._fit(asked))

    def close(self) -> None:
        self._loop.run_until_complete(self._held.aclose())
        self._loop.close()

    async def _fit(self, asked: Fit) -> tuple[FoldFit, Array]:
        await self._move(asked.sandbox, asked.data)
        file = Workspace(Path(asked.data), self._work).preparations / f"{asked.preparation.name}.json"
        write_text(file, asked.preparation.model_dump_json())
        words = f"{asked.family!r}, {asked.params!r}, {asked.preparation.name!r}, {asked.part}, {asked.time_s!r}"
        code = f"from tools.fold_fits import fit_fold\nfrom tools.show import show\nshow(fit_fold({words}))"
        job, timings = doing(), Timings()
        metadata = {"traceparent": job.traceparent} if job else None
        cell = await self._kernel.execute(code, timeout_s=asked.time_s + GRACE_S, on_output=timings.take, metadata=metadata)
        if job:
            job.spans += timings.spans
        if cell.result is None:
            raise MlteamError(f"{asked.family} failed on fold {asked.part}: {cell.evalue or cell.cause or cell.status}")
        return FoldFit.model_validate(cell.result), read_fold(self._work)

    async def _move(self, sandbox: str, data: str) -> None:
        """See to it that the sandbox is one of this kind over this data."""
        from team.sandbox import open_kernel
        from team.sandbox.choose import choose

        if self._open == (sandbox, data):
            return
        await self._held.aclose()
        self._held, self._open = AsyncExitStack(), None
        self._work = self._held.enter_context(workplace())
        # Whoever shares the cores out between workers does it by this variable.
        shared = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
        kind = choose(sandbox, trusted_code=True).kind  # all that runs there is the engine's own
        self._kernel = await self._held.enter_async_context(open_kernel(kind, work=self._work, data=Path(data), env=shared))
        self._open = (sandbox, data)


@functools.cache
def _bench() -> _Bench:
    made = _Bench()
    atexit.register(made.close)
    return made


def fit(asked: Fit) -> tuple[FoldFit, Array]:
    """Fit a fold in this process's sandbox; what it tells, and its predictions, float64.

    Raises:
        MlteamError: the fit failed in the sandbox.
    """
    return _bench().fit(asked)
