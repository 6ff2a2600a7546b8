"""`mlteam export`: the model of a finished run in other formats, at any time and with more time than the run had for it.

A sandbox writes each format, since loading the pipeline executes what its maker put into it, and holds it against the pipeline on rows of
the run. The host copies files and reads none of them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.predict import workplace
from team.rundir import RunDir
from tools.files import open_regular
from tools.package.conversion import Converted
from tools.package.interchange import Format, Formats, Name
from tools.package.manifest import INPUTS_FILE, MAX_FILE_BYTES, PACKAGE, PIPELINE, REQUIRED, PackageDamaged, verify
from tools.package.script import LOCK_FILE

CONVERTED: tuple[Name, ...] = get_args(Name)
FORMATS = ("joblib", *CONVERTED)
BESIDE = (INPUTS_FILE, LOCK_FILE)
"""What goes along: the columns that the model takes, and the packages that joblib and skops need."""
LOAD_S = 300.0
"""For loading the pipeline and predicting the rows, which stand before every format."""


class ExportedFile(BaseModel):
    """A format as a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    path: str
    bytes: int
    told: str
    """How it was held against the pipeline."""


class Exported(BaseModel):
    """What became of an export."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: str
    files: list[ExportedFile]
    not_made: dict[str, str] = {}
    """Why formats that nobody asked for by name are not among the files."""


def export(run: RunDir, target: Path, formats: Sequence[str] | None, *, most_s: float, sandbox: str = "auto") -> Exported:
    """Write the packaged model into a new folder, which appears whole or not at all.

    Args:
        formats: of `FORMATS`, each of which must be possible; None takes those that are.
        most_s: seconds for each format, checking included.

    Raises:
        UsageError: there is no package or it is damaged, there is such a folder, or no such format.
        PrerequisiteMissing: a format that was asked for needs a library that is not where the model is loaded.
        MlteamError: the model cannot be had in a format that was asked for.
    """
    if strange := [name for name in formats or () if name not in FORMATS]:
        raise UsageError(f"--format {strange[0]}: expected {', '.join(FORMATS)}, or several with commas between.")
    if formats is not None and not formats:
        raise UsageError(f"--format names none; expected {', '.join(FORMATS)}, or leave it out for all that the model can be had in.")
    if not (run.model / PACKAGE).is_file():
        raise UsageError(
            f"run {run.name!r} has no packaged model: it did not reach its end. `mlteam show {run.path}` says how far it came."
        )
    if os.path.lexists(target):
        raise UsageError(f"{str(target)!r} is there already. Name another folder with -o DIR.")
    parent = target.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"there is no folder {str(parent)!r} to make {target.name!r} in. Make it, or name another with -o DIR.")
    return asyncio.run(_export(run, target.absolute(), formats, most_s, sandbox))


async def _export(run: RunDir, target: Path, formats: Sequence[str] | None, most_s: float, sandbox: str) -> Exported:
    from team.sandbox.choose import choose

    kind = choose(sandbox, trusted_code=False).kind
    staging = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    with workplace() as work:
        (work / "model").mkdir()
        try:
            verify(run.model, inside=run.path, only=(*REQUIRED, *BESIDE), into=work / "model")
        except PackageDamaged as error:
            raise UsageError(f"the package of run {run.name!r} cannot be used: {error}. Run the team again.") from None
        try:
            staging.mkdir()
            files, not_made = [], {}
            for name in [one for one in (*BESIDE, PIPELINE) if (work / "model" / one).is_file()]:
                if name != PIPELINE or "joblib" in (formats or FORMATS):
                    size = _take(work, name, staging)
                    files += [_file("joblib", target / name, size, "the pipeline itself, as it was packaged")] if name == PIPELINE else []
            for name in [one for one in CONVERTED if one in (formats or FORMATS)]:
                made = await _convert(run, work, name, most_s, kind, needed=formats is not None)
                if made.made:
                    files.append(_file(name, target / made.file, _take(work, made.file, staging), made.told))
                elif formats is not None:
                    raise MlteamError(
                        f"the model of run {run.name!r} cannot be had as {name}: {made.why}. Leave --format out for what it can be had in."
                    )
                else:
                    not_made[name] = made.why
            staging.rename(target)
        except OSError as error:
            raise UsageError(f"cannot write {str(target)!r}: {error.strerror or error}. Name another folder with -o DIR.") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Exported(run=run.name, files=files, not_made=not_made)


def _file(name: str, path: Path, size: int, told: str) -> ExportedFile:
    return ExportedFile(format=name, path=str(path), bytes=size, told=told)


async def _convert(run: RunDir, work: Path, name: Name, most_s: float, kind: str, *, needed: bool) -> Format:
    """One format in a kernel of its own, so that one which answers no signal and is ended takes no other along."""
    from team.sandbox import open_kernel
    from team.sandbox.choose import make_launcher
    from tools.families import weights

    # Never what the run's own settings name: they could show a stranger's pipeline any folder.
    shown = weights.folder()
    launcher = make_launcher(kind, weights=shown.resolve() if shown and shown.is_dir() else None)
    code = f"from tools.package.conversion import convert\nconvert({name!r}, {most_s!r})"
    async with open_kernel(launcher, work=work, data=run.data) as kernel:
        cell = await kernel.execute(code, timeout_s=most_s + LOAD_S)
    if cell.result is None:
        return _not_made(name, f"the sandbox did not do it: {cell.ename or cell.status} {cell.evalue or cell.cause or ''}".strip())
    try:
        converted = Converted.model_validate(cell.result)
    except ValidationError as error:
        raise MlteamError(f"the model of run {run.name!r} gave a result of the wrong shape: {error.errors()[0]['msg']}") from None
    if converted.format is not None and converted.format.name == name:
        return converted.format
    if kind == "docker":
        lacking = f"its image has no {converted.missing}; --sandbox bubblewrap takes the libraries of this interpreter"
    else:
        lacking = f"{converted.missing} is not installed: pip install 'mlteam[serve,onnx]'"
    if needed:
        raise PrerequisiteMissing(f"{name} cannot be written: {lacking}.")
    return _not_made(name, lacking)


def _not_made(name: Name, why: str) -> Format:
    return next(one for one in Formats.none(why[:500]).formats if one.name == name)


def _take(work: Path, name: str, staging: Path) -> int:
    """Copy a file that a sandbox wrote or was shown, and tell its bytes."""
    with open_regular(work / "model" / name, MAX_FILE_BYTES, inside=work) as source, (staging / name).open("wb") as copy:
        shutil.copyfileobj(source, copy)
        return copy.tell()
