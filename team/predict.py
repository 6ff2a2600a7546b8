"""Predict new rows with a packaged model, inside a sandbox: the host never unpickles what a kernel wrote."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from team.errors import MlteamError, UsageError
from team.rundir import RunDir
from tools.files import open_regular
from tools.spec import registry

MAX_PREDICTIONS_BYTES = 16 * 2**30


def predict(run: RunDir, rows: Path, output: Path, *, sandbox: str = "auto") -> int:
    """Write one prediction per row of `rows` to `output`, in input order, and return their number.

    Raises:
        UsageError: when the run has no package, the rows cannot be read or lack columns, or `output` cannot be written.
        MlteamError: when the model fails.
    """
    return asyncio.run(apredict(run, rows, output, sandbox=sandbox))


async def apredict(run: RunDir, rows: Path, output: Path, *, sandbox: str = "auto") -> int:
    """Like `predict`, inside a running event loop."""
    from team.sandbox import open_kernel
    from team.sandbox.choose import choose

    _check(run, rows, output)
    # Loading a pipeline executes what its maker put into it, and a run directory may come from anybody.
    kind = choose(sandbox, trusted_code=False).kind
    with tempfile.TemporaryDirectory(prefix="mlteam-") as folder:
        work = Path(folder)
        shutil.copytree(run.model, work / "model")
        name = "rows" + "".join(rows.suffixes[-2:] if rows.suffix == ".gz" else rows.suffixes[-1:])
        try:
            shutil.copyfile(rows, work / name)
        except PermissionError:
            raise UsageError(f"{str(rows)!r} cannot be read: permission denied.") from None
        async with open_kernel(kind, work=work) as kernel:
            spec = registry()["predict_rows"]
            cell = await kernel.execute(spec.cell({"model": "model", "rows": name, "output": "predictions.csv"}), timeout_s=spec.timeout_s)
        if cell.result is None:
            if cell.ename == "ToolRefused":
                raise UsageError(f"{rows}: {cell.evalue}")
            raise MlteamError(f"the model failed on {str(rows)!r}: {cell.evalue or cell.cause or cell.status}")
        temporary = output.with_name(f".{output.name}.tmp")
        try:
            with open_regular(work / "predictions.csv", MAX_PREDICTIONS_BYTES, inside=work) as source, temporary.open("wb") as target:
                shutil.copyfileobj(source, target)
            temporary.replace(output)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UsageError(f"cannot write {str(output)!r}: {error.strerror or error}. Name another file with -o FILE.") from None
    return int(cell.result["rows"])


def _check(run: RunDir, rows: Path, output: Path) -> None:
    if not (run.model / "model.json").is_file():
        raise UsageError(
            f"run {run.name!r} has no packaged model: it did not reach its end. `mlteam show {run.path}` says how far it came."
        )
    for file in json.loads((run.model / "package.json").read_text(encoding="utf-8"))["files"]:
        if hashlib.sha256((run.model / file["name"]).read_bytes()).hexdigest() != file["sha256"]:
            raise UsageError(f"{file['name']} of run {run.name!r} is not the file that was packaged: its hash differs. Run the team again.")
    if not rows.is_file():
        raise UsageError(f"no such file: {str(rows)!r}. Give a CSV or Parquet file with the rows to predict.")
    if not output.parent.is_dir():
        raise UsageError(f"folder {str(output.parent)!r} of the output does not exist. Make it, or name another file with -o FILE.")
    if output.is_dir():
        raise UsageError(f"output {str(output)!r} is a directory, expected a file name. Name one with -o FILE.")
