"""What a fitted model takes, measured by the host: its size on file, and the time of a row by the host's own clock.

The file is not loaded here. Two sandboxes, which no code of a role has touched and whose data folders are empty, are sent the same row
a cell in turn: one without a model, which tells the way there and back, and one that has loaded it. What the second takes beyond the first
is the model, and what else the machine does delays both alike. So code in the model can neither set the clock nor know a row early.

A busy machine scatters these differences. A bound is met only where the confidence limit of their median is within it; where that is
not to be told, more rows are sent, and where it still is not, the bound is not met: a promise of speed is not given by luck.
"""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from team.rundir import RunDir
from team.sandbox import Kernel, Limits, open_kernel
from team.sandbox.contract import Launcher
from tools.constraints import Constraints
from tools.files import open_regular
from tools.packaging import MAX_FILE_BYTES, PIPELINE

if TYPE_CHECKING:
    import pandas as pd

CALLS, MOST_CALLS = 15, 60
"""Rows that are sent at once, and in all where the first do not tell."""
WARM_UPS = 3
"""Cells of either sandbox that are not counted."""
UNSURE = 0.05
"""Chance to call a bound met, by the limit of the median, that is not: over all looks together."""
LOAD_S, CALL_S = 300.0, 60.0
_PICKLE, _ZLIB = b"\x80", b"\x78"


class Weighed(NamedTuple):
    """Measures of a model; None where no bound asks for one."""

    latency_ms: float | None
    """Median milliseconds of a row, beyond the way to the sandbox and back."""
    at_most_ms: float | None
    """Upper confidence limit of that median."""
    size_mb: float
    """MB of a million bytes, before compression."""

    def exceeded(self, constraints: Constraints) -> str | None:
        """What is too much, in words; None where the bounds are met, and that beyond what a busy machine scatters."""
        told = constraints.exceeded(self.latency_ms, self.size_mb)
        if told is None and (told := constraints.exceeded(self.at_most_ms, None)) is not None:
            return f"up to {told.replace(' for a row', f' for a row (the median is {self.latency_ms:.3g} ms)')}"
        return told


class CannotTell(Exception):
    """The model could not be measured; the message says why."""


class Scales:
    """Weighs models of one run.

    Args:
        launcher: makes the run's kind of sandbox.
        limits: of the run's sandbox.
        env: of its kernel.
    """

    def __init__(
        self, run: RunDir, launcher: Callable[[], Launcher], limits: Callable[[], Limits], env: Callable[[], Mapping[str, str]]
    ) -> None:
        self._run, self._launcher, self._limits, self._env = run, launcher, limits, env

    async def weigh(self, folder: Path, constraints: Constraints, *, refitted: bool = False) -> Weighed:
        """Measure the model in a folder below `work/`, as far as constraints bound it.

        Args:
            refitted: whether it has learnt from the holdout too, so that a forecast begins after that.

        Raises:
            CannotTell: there is no such file, it is stored in an unknown way, or the model does not predict a row.
            SandboxUnavailable: no sandbox could be started.
        """
        try:
            size = stored_mb(folder / PIPELINE, self._run.work)
        except (OSError, zlib.error) as error:
            raise CannotTell(f"its file cannot be read: {error}") from None
        if constraints.max_latency_ms is None:
            return Weighed(None, None, size)
        with tempfile.TemporaryDirectory(prefix=".weigh-", dir=self._run.path) as made:
            Path(made).chmod(0o755)
            places = {name: Path(made) / name for name in ("way", "model")}
            for place in places.values():
                (place / "work").mkdir(parents=True)
                (place / "data").mkdir()
            copied = places["model"] / "work" / PIPELINE
            with open_regular(folder / PIPELINE, MAX_FILE_BYTES, inside=self._run.work) as file, copied.open("wb") as copy:
                shutil.copyfileobj(file, copy)
            async with self._kernel(places["way"]) as way, self._kernel(places["model"]) as model:
                return Weighed(*await _latency(way, model, self._rows(refitted), constraints.max_latency_ms), size)

    def _kernel(self, place: Path) -> AbstractAsyncContextManager[Kernel]:
        return open_kernel(self._launcher(), work=place / "work", data=place / "data", limits=self._limits(), env=self._env())

    def _rows(self, refitted: bool) -> pd.DataFrame:
        import pandas as pd

        rows, contract = pd.read_parquet(self._run.data / "holdout.parquet"), self._run.read_contract()
        if refitted and contract is not None and contract.forecast is not None:
            rows = contract.forecast.moved_ahead(rows)
        return rows.iloc[[i % len(rows) for i in range(MOST_CALLS + WARM_UPS)]]


def stored_mb(path: Path, inside: Path) -> float:
    """MB of a million bytes that a saved model takes before compression. It is read as bytes and never loaded.

    Raises:
        OSError: it cannot be opened without following links, or is stored neither plain nor by zlib.
    """
    with open_regular(path, MAX_FILE_BYTES, inside=inside) as file:
        first = file.read(1)
        file.seek(0)
        if first == _PICKLE:
            return sum(len(block) for block in iter(lambda: file.read(1 << 20), b"")) / 1e6
        if first != _ZLIB:
            raise OSError("it is stored neither plain nor compressed by zlib")
        unpacking, size = zlib.decompressobj(), 0
        while block := file.read(1 << 16):
            size += len(unpacking.decompress(block))
            if size > MAX_FILE_BYTES:
                raise OSError(f"it is larger than {MAX_FILE_BYTES} bytes")
        return size / 1e6


def limits_of_median(values: Sequence[float], unsure: float) -> tuple[float, float]:
    """Lower and upper confidence limit of the median of what the values are drawn from, each by itself wrong with a chance of `unsure` at
    most: order statistics, by the binomial distribution of how many values lie beyond it (Conover 1999, 3.2). No shape is assumed.

    Infinite where there are too few values.
    """
    n, beyond, last = len(values), 0.0, -1
    while last + 1 < n and beyond + math.comb(n, last + 1) / 2**n <= unsure:
        last += 1
        beyond += math.comb(n, last) / 2**n
    if last < 0:
        return -math.inf, math.inf
    ranked = sorted(values)
    return ranked[last], ranked[n - 1 - last]


async def _latency(way: Kernel, model: Kernel, rows: pd.DataFrame, bound_ms: float) -> tuple[float, float]:
    """Milliseconds of a row: the median, and its upper confidence limit."""
    for kernel in (way, model):
        await _cell(kernel, "import pandas as pd", LOAD_S)
    await _cell(model, f"import joblib\nmodel = joblib.load({PIPELINE!r})", LOAD_S)
    beyond: list[float] = []
    for sent in range(len(rows)):
        frame = f"frame = pd.DataFrame({_row(rows.iloc[[sent]])})\n"
        alone = await _cell(way, f"{frame}len(frame)", CALL_S)
        predicted = await _cell(model, f"{frame}len(model.predict_table(frame))", CALL_S)
        if sent >= WARM_UPS:
            beyond.append(1000 * (predicted - alone))
        if beyond and len(beyond) % CALLS == 0:
            low, high = limits_of_median(beyond, UNSURE / (MOST_CALLS // CALLS))
            if high <= bound_ms or low > bound_ms:
                break
    return max(0.0, statistics.median(beyond)), max(0.0, high)


async def _cell(kernel: Kernel, code: str, timeout_s: float) -> float:
    """Seconds of a cell by the host's clock."""
    began = time.perf_counter()
    cell = await kernel.execute(code, timeout_s=timeout_s)
    took = time.perf_counter() - began
    if cell.status != "ok":
        raise CannotTell(f"it does not predict a row: {cell.ename or cell.status} {(cell.evalue or cell.cause or '')[:200]}".strip())
    return took


def _row(row: pd.DataFrame) -> str:
    """A row as Python that makes it, of plain values as a file of rows has them."""
    return repr({str(name): [_plain(row[name].iloc[0])] for name in row.columns})


def _plain(value: Any) -> Any:
    import pandas as pd

    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value)
