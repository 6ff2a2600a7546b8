"""Host tools of the release manager: open the sealed rows for the refit, and package the model."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel

from tools.files import open_regular
from tools.host import HostContext
from tools.spec import ToolRefused, tool
from tools.workspace import write_json

PIPELINE = "pipeline.joblib"
PACKAGE_FILES = (PIPELINE, "model.json")
"""What `finish` leaves in `work/model/`, and `evaluate` in `work/fitted/<candidate>/`. Nothing else is taken from there."""
INTERVALS_FILE = "intervals.json"
"""What the host learnt of intervals around predicted values, and adds."""
CURVES_FILE = "curves.json"
"""What the host learnt of the survival curves of risks, and adds."""
MAX_FILE_BYTES = 8 * 2**30


class HoldoutOpened(BaseModel):
    rows: int
    table: str


class PackagedFile(BaseModel):
    name: str
    bytes: int
    sha256: str


class ModelPackaged(BaseModel):
    path: str
    files: list[PackagedFile]
    refitted: bool = True
    """Whether it was fitted on all rows; else it is the very model that was scored, fitted on the training rows."""
    rows: int | None = None
    """Number of rows that it was fitted on."""


@tool(where="host", timeout_s=120, lasting=True)
def open_holdout(ctx: HostContext) -> HoldoutOpened:
    """Give the kernel all rows with labels for the refit. Possible only after the final score is in the ledger."""
    return HoldoutOpened(rows=ctx.vault.open(), table="all")


@tool(where="host", timeout_s=300, lasting=True)
def package_model(
    ctx: HostContext,
    as_scored: Annotated[
        bool, "Take the model as it was fitted on the training rows for the final score; only when `finish` failed."
    ] = False,
) -> ModelPackaged:
    """Copy the refitted model from the kernel's folder to the package `model/` with the hash of every file."""
    candidate, source = _source(ctx, as_scored)
    staging = ctx.run.path / ".model.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        files = [_take(ctx.run.work, source / name, staging) for name in PACKAGE_FILES]
        _check_description(staging / "model.json", ctx, candidate)
        for name, learnt in ((INTERVALS_FILE, ctx.kept_intervals()), (CURVES_FILE, ctx.kept_curves())):
            if learnt is not None and learnt.candidate == candidate:
                files.append(_add(learnt.model_dump_json().encode(), staging / name))
        write_json(
            staging / "package.json",
            {
                "files": [f.model_dump() for f in files],
                "run": ctx.run.path.name,
                "refitted": not as_scored,
                "decision": ctx.decision(candidate),
            },
        )
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(ctx.run.model, ignore_errors=True)
    staging.rename(ctx.run.model)
    contract = ctx.vault.contract
    rows = contract.rows_train if as_scored else contract.rows_train + contract.rows_holdout
    return ModelPackaged(path=ctx.run.model.name, files=files, refitted=not as_scored, rows=rows)


def _source(ctx: HostContext, as_scored: bool) -> tuple[str, Path]:
    """The candidate to package and the folder that its model lies in."""
    refitted, failure, scored = ctx.refitted(), ctx.refit_failure(), ctx.scored()
    if refitted is not None:
        if as_scored:
            raise ToolRefused(f"{refitted!r} is refitted on all rows, which is the better model: leave `as_scored` out.")
        return refitted, ctx.run.work / "model"
    if not as_scored or failure is None or scored is None:
        hint = f" It failed ({failure}); package_model(as_scored=True) takes the model that was scored." if failure else ""
        raise ToolRefused(f"the scored candidate is not refitted on all rows yet. Call finish first.{hint}")
    return scored, ctx.run.work / "fitted" / scored


def _take(work: Path, source: Path, staging: Path) -> PackagedFile:
    """Copy one file that the sandbox wrote, never reading what it means."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_regular(source, MAX_FILE_BYTES, inside=work) as file, (staging / source.name).open("wb") as copy:
            while block := file.read(1 << 20):
                digest.update(block)
                size += copy.write(block)
    except OSError as error:
        raise ToolRefused(f"there is no fitted model to package: {error}. Call finish first.") from None
    return PackagedFile(name=source.name, bytes=size, sha256=digest.hexdigest())


def _add(content: bytes, path: Path) -> PackagedFile:
    path.write_bytes(content)
    return PackagedFile(name=path.name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _check_description(path: Path, ctx: HostContext, candidate: str) -> None:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        fits = described["contract"] == json.loads(ctx.vault.contract.model_dump_json()) and described["candidate"] == candidate
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ToolRefused("model.json in the work folder is no description of a model. Call finish again.") from None
    if not fits:
        raise ToolRefused("model.json in the work folder describes another model. Call finish again.")
