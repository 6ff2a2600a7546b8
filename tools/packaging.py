"""Host tools of the release manager: open the sealed rows for the refit, and package the model."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from pydantic import BaseModel

from tools.files import open_regular
from tools.host import HostContext
from tools.spec import ToolRefused, tool
from tools.workspace import write_json

PACKAGE_FILES = ("pipeline.joblib", "model.json")
"""What `finish` leaves in `work/model/`. Nothing else is taken from there."""
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


@tool(where="host", timeout_s=120)
def open_holdout(ctx: HostContext) -> HoldoutOpened:
    """Give the kernel all rows with labels for the refit. Possible only after the final score is in the ledger."""
    return HoldoutOpened(rows=ctx.vault.open(), table="all")


@tool(where="host", timeout_s=300)
def package_model(ctx: HostContext) -> ModelPackaged:
    """Copy the refitted model from the kernel's folder to the package `model/` with the hash of every file."""
    if ctx.refitted() is None:
        raise ToolRefused("the scored candidate is not refitted on all rows yet. Call finish first.")
    staging = ctx.run.path / ".model.tmp"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        files = [_take(ctx.run.work, name, staging) for name in PACKAGE_FILES]
        _check_description(staging / "model.json", ctx)
        write_json(staging / "package.json", {"files": [f.model_dump() for f in files], "run": ctx.run.path.name})
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(ctx.run.model, ignore_errors=True)
    staging.rename(ctx.run.model)
    return ModelPackaged(path=ctx.run.model.name, files=files)


def _take(work: Path, name: str, staging: Path) -> PackagedFile:
    """Copy one file that the sandbox wrote, never reading what it means."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_regular(work / "model" / name, MAX_FILE_BYTES, inside=work) as file, (staging / name).open("wb") as copy:
            while block := file.read(1 << 20):
                digest.update(block)
                size += copy.write(block)
    except OSError as error:
        raise ToolRefused(f"there is no refitted model to package: {error}. Call finish first.") from None
    return PackagedFile(name=name, bytes=size, sha256=digest.hexdigest())


def _check_description(path: Path, ctx: HostContext) -> None:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        fits = described["contract"] == json.loads(ctx.vault.contract.model_dump_json()) and described["candidate"] == ctx.refitted()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ToolRefused("work/model/model.json is no description of a model. Call finish again.") from None
    if not fits:
        raise ToolRefused("work/model/model.json describes another model. Call finish again.")
