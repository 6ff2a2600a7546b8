"""Host tools of the release manager: open the sealed rows for the refit, and package the model."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel

from tools.contract import TableSchema
from tools.files import open_regular, read_regular
from tools.formats.dialect import Dialect
from tools.host import HostContext
from tools.package.drift import learn_baseline
from tools.package.inputs import learn_inputs
from tools.package.interchange import OPTIONAL_FILES, Formats
from tools.package.manifest import (
    DRIFT_FILE,
    FORMATS_FILE,
    INPUTS_FILE,
    MAX_FILE_BYTES,
    PACKAGE,
    PIPELINE,
    REQUIRED,
    Manifest,
    PackagedFile,
    packaged,
)
from tools.package.script import LOCK_FILE, SCRIPT, SCRIPT_FILE, lockfile, needed_libraries
from tools.spec import ToolRefused, tool
from tools.tables import TableError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CURVES_FILE", "INTERVALS_FILE", "MAX_FILE_BYTES", "PACKAGE_FILES", "PIPELINE", "package_model"]

PACKAGE_FILES = REQUIRED
"""What `finish` leaves in `work/model/`, and `evaluate` in `work/fitted/<candidate>/`. With what `export_model` adds, nothing else is
taken from there."""
INTERVALS_FILE = "intervals.json"
"""What the host learnt of intervals around predicted values, and adds."""
CURVES_FILE = "curves.json"
"""What the host learnt of the survival curves of risks, and adds."""


class HoldoutOpened(BaseModel):
    rows: int
    table: str
    beyond: int = 0
    """Rows more that were not in the sample, for families that take rows piece by piece."""


class ModelPackaged(BaseModel):
    path: str
    files: list[PackagedFile]
    refitted: bool = True
    """Whether it was fitted on all rows; else it is the very model that was scored, fitted on the training rows."""
    rows: int | None = None
    """Number of rows that it was fitted on in memory."""
    beyond: int = 0
    """Rows beyond a sample, which members that take rows piece by piece were fitted on too."""
    formats: dict[str, str] = {}
    """Of each further format: how it was checked, or why the model is not in it."""


@tool(where="host", timeout_s=3600, lasting=True)
def open_holdout(ctx: HostContext) -> HoldoutOpened:
    """Give the kernel all rows with labels for the refit. Possible only after the final score is in the ledger."""
    return HoldoutOpened(rows=ctx.vault.open(), table="all", beyond=ctx.vault.beyond())


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
    contract = ctx.vault.contract
    rows = contract.rows_train if as_scored else contract.rows_train + contract.rows_holdout
    try:
        files = [_take(ctx.run.work, source / name, staging) for name in PACKAGE_FILES]
        described = _check_description(staging / "model.json", ctx, candidate)
        formats = _formats(ctx.run.work, source)
        files += [_take(ctx.run.work, source / name, staging) for name in formats.files]
        for name, learnt in ((INTERVALS_FILE, ctx.kept_intervals()), (CURVES_FILE, ctx.kept_curves())):
            if learnt is not None and learnt.candidate == candidate:
                files.append(packaged(staging / name, learnt.model_dump_json().encode()))
        files += _learnt(ctx, staging, described, all_rows=not as_scored)
        files.append(packaged(staging / FORMATS_FILE, formats.model_dump_json(indent=1).encode()))
        files.append(packaged(staging / SCRIPT_FILE, SCRIPT.encode()))
        files.append(packaged(staging / LOCK_FILE, lockfile(needed_libraries(described)).encode()))
        manifest = Manifest(
            format=2,
            run=ctx.run.path.name,
            files=files,
            refitted=not as_scored,
            decision=ctx.decision(candidate),
            candidate=candidate,
            task=contract.task,
            target=contract.target,
            metric=contract.metric,
            rows=rows,
            dialect=_dialect(ctx.run.manifest),
            data_sha256=_source_hash(ctx.run.manifest),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            python=str(described.get("python", ""))[:40],
            mlteam=_version(),
        )
        (staging / PACKAGE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(ctx.run.model, ignore_errors=True)
    staging.rename(ctx.run.model)
    beyond = 0 if as_scored else ctx.vault.beyond()
    return ModelPackaged(path=ctx.run.model.name, files=files, refitted=not as_scored, rows=rows, beyond=beyond, formats=formats.told)


def _learnt(ctx: HostContext, staging: Path, described: dict[str, Any], *, all_rows: bool) -> list[PackagedFile]:
    """Inputs and drift baseline, from the rows that the model was fitted on. They are the host's, whatever a kernel wrote."""
    frame, schema = _rows(ctx, all_rows=all_rows)
    used = _used(described)
    try:
        unused = [] if used is None else [column.name for column in schema.columns if column.name not in used]
        inputs, baseline = learn_inputs(frame, schema, used), learn_baseline(frame, schema.without(unused))
    except TableError as error:
        raise ToolRefused(f"the rows in data/ do not fit the schema: {error}.") from None
    return [
        packaged(staging / INPUTS_FILE, inputs.model_dump_json(indent=1).encode()),
        packaged(staging / DRIFT_FILE, baseline.model_dump_json(indent=1).encode()),
    ]


def _rows(ctx: HostContext, *, all_rows: bool) -> tuple[pd.DataFrame, TableSchema]:
    import pandas as pd

    every = ctx.run.data / "all.parquet"
    frame = pd.read_parquet(every if all_rows and every.is_file() else ctx.run.data / "train.parquet")
    schema = TableSchema.model_validate_json((ctx.run.data / "schema.json").read_text(encoding="utf-8"))
    return frame, schema.without(ctx.vault.contract.sealed_columns)


def _used(described: dict[str, Any]) -> set[str] | None:
    """Columns that the members say they use; None where that cannot be told, so that all are asked for."""
    try:
        return {str(column["name"]) for member in described["members"] for column in member["preparation"]["columns"]}
    except (KeyError, TypeError):
        return None


def _formats(work: Path, source: Path) -> Formats:
    """What the kernel says of further formats; of files that are not there it may say nothing."""
    try:
        formats = Formats.model_validate_json(read_regular(source / FORMATS_FILE, 1 << 16, inside=work))
    except (OSError, ValueError, RecursionError):
        return Formats.none("`export_model` was not called, or did not work")
    return formats.without([name for name in OPTIONAL_FILES if not (source / name).is_file()])


def _source_hash(manifest: Path) -> str | None:
    try:
        found = json.loads(manifest.read_text(encoding="utf-8")).get("sha256")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _dialect(manifest: Path) -> Dialect | None:
    try:
        return Dialect.model_validate(json.loads(manifest.read_text(encoding="utf-8"))["dialect"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlteam")
    except PackageNotFoundError:
        return ""


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


def _check_description(path: Path, ctx: HostContext, candidate: str) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fits = described["contract"] == json.loads(ctx.vault.contract.model_dump_json()) and described["candidate"] == candidate
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ToolRefused("model.json in the work folder is no description of a model. Call finish again.") from None
    if not fits:
        raise ToolRefused("model.json in the work folder describes another model. Call finish again.")
    return described
