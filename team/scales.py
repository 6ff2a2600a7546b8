"""What a fitted model takes, measured by the host: its size on file, and the time of a row by the host's own clock.

The file is not loaded here. A sandbox of its own, which no code of a role has touched and whose data folder is empty, is sent one row a
cell, first before the model is loaded and then with it. What the first cells take is the way there and back; what the others take beyond
it is the model. So code in the model can neither set the clock nor know a row before its turn.
"""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
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

CALLS = 15
WARM_UPS = 3
"""Cells of either kind that are not counted."""
LOAD_S, CALL_S = 300.0, 60.0
_PICKLE, _ZLIB = b"\x80", b"\x78"


class Weighed(NamedTuple):
    """Measures of a model; None where no bound asks for one."""

    latency_ms: float | None
    """Median milliseconds of a row, beyond the way to the sandbox and back and the scatter of that."""
    size_mb: float
    """MB of a million bytes, before compression."""


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

    async def weigh(self, folder: Path, constraints: Constraints) -> Weighed:
        """Measure the model in a folder below `work/`, as far as constraints bound it.

        Raises:
            CannotTell: there is no such file, it is stored in an unknown way, or the model does not predict a row.
            SandboxUnavailable: no sandbox could be started.
        """
        try:
            size = stored_mb(folder / PIPELINE, self._run.work)
        except (OSError, zlib.error) as error:
            raise CannotTell(f"its file cannot be read: {error}") from None
        if constraints.max_latency_ms is None:
            return Weighed(None, size)
        with tempfile.TemporaryDirectory(prefix=".weigh-", dir=self._run.path) as made:
            place = Path(made)
            place.chmod(0o755)
            work, data = place / "work", place / "data"
            work.mkdir()
            data.mkdir()
            with open_regular(folder / PIPELINE, MAX_FILE_BYTES, inside=self._run.work) as file, (work / PIPELINE).open("wb") as copy:
                shutil.copyfileobj(file, copy)
            async with open_kernel(self._launcher(), work=work, data=data, limits=self._limits(), env=self._env()) as kernel:
                return Weighed(await _latency(kernel, self._rows()), size)

    def _rows(self) -> pd.DataFrame:
        import pandas as pd

        rows = pd.read_parquet(self._run.data / "holdout.parquet")
        return rows.iloc[[i % len(rows) for i in range(CALLS + WARM_UPS)]]


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


async def _latency(kernel: Kernel, rows: pd.DataFrame) -> float:
    await _cell(kernel, "import pandas as pd", LOAD_S)
    shown = [_row(rows.iloc[[i]]) for i in range(len(rows))]
    way = [await _cell(kernel, f"frame = pd.DataFrame({row})\nlen(frame)", CALL_S) for row in shown][WARM_UPS:]
    await _cell(kernel, f"import joblib\nmodel = joblib.load({PIPELINE!r})", LOAD_S)
    with_model = [await _cell(kernel, f"frame = pd.DataFrame({row})\nlen(model.predict_table(frame))", CALL_S) for row in shown][WARM_UPS:]
    low, _, high = statistics.quantiles(way, n=4)
    return max(0.0, 1000 * (statistics.median(with_model) - statistics.median(way) - (high - low)))


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
