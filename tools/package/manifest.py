"""What a package is made of, `package.json`, and the one door through which its files are read: by their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tools.files import open_regular, read_regular
from tools.formats.dialect import Dialect

PACKAGE = "package.json"
PIPELINE = "pipeline.joblib"
DESCRIPTION = "model.json"
INPUTS_FILE = "inputs.json"
"""What rows the model takes, as the host learnt it."""
DRIFT_FILE = "drift.json"
"""How the rows were distributed that it learnt from."""
FORMATS_FILE = "formats.json"
"""Which further formats there are, how they were checked, and why others are not there."""
REQUIRED = (PIPELINE, DESCRIPTION)
MAX_FILE_BYTES = 8 * 2**30
MAX_DESCRIPTION_BYTES = 1 << 20
MAX_LEARNT_BYTES = 1 << 26
"""Of a file of the package that is no model: categories of many columns are long."""


class PackagedFile(BaseModel):
    name: str
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """`package.json`. Packages of older runs lack what has a default here."""

    model_config = ConfigDict(extra="ignore")

    format: int = 1
    run: str
    files: list[PackagedFile]
    refitted: bool = True
    decision: list[float] | None = None
    """Multipliers that classes were called by when the model was scored; None in packages of older runs."""
    candidate: str = ""
    task: str = ""
    target: str = ""
    metric: str = ""
    rows: int | None = None
    """That it was fitted on."""
    dialect: Dialect | None = None
    """How the data was read that the model has learnt from."""
    data_sha256: str | None = None
    """Of the source, where there is one file of it."""
    created: str = ""
    """When it was packaged, UTC, ISO 8601."""
    python: str = ""
    mlteam: str = ""

    @property
    def names(self) -> list[str]:
        return [file.name for file in self.files]


class PackageDamaged(Exception):
    """A package lacks a file, or holds one that is not as it was packaged. The message names it."""


def read_manifest(folder: Path, inside: Path | None = None) -> Manifest:
    """`package.json` of a package.

    Args:
        inside: a trusted folder; no link below it is followed. The package's own folder where None.

    Raises:
        PackageDamaged: when there is none, or it is none.
    """
    try:
        manifest = Manifest.model_validate_json(read_regular(folder / PACKAGE, MAX_DESCRIPTION_BYTES, inside=inside or folder))
    except (OSError, ValidationError, RecursionError) as error:
        told = f"{error.errors()[0]['msg']}" if isinstance(error, ValidationError) else str(error)
        raise PackageDamaged(f"{PACKAGE} cannot be read: {told}") from None
    for name in manifest.names:
        if Path(name).name != name or name in ("", ".", "..", PACKAGE):
            raise PackageDamaged(f"{PACKAGE} names {name!r}, which is no file of a package")
    lacking = [name for name in REQUIRED if name not in manifest.names]
    if lacking:
        raise PackageDamaged(f"{PACKAGE} names no {lacking[0]}")
    return manifest


def verify(folder: Path, *, inside: Path | None = None, only: Iterable[str] | None = None, into: Path | None = None) -> Manifest:
    """Hold the files of a package against their hashes, and copy them on the way where that is asked for.

    Args:
        inside: as `read_manifest` has it.
        only: names of the files that are wanted; those that the package does not have are passed over. None takes all.
        into: an empty folder that gets the files, with `package.json`: a copy is what was checked, whatever happens to the package.

    Raises:
        PackageDamaged: when a file is missing, a link, or another.
    """
    manifest = read_manifest(folder, inside)
    wanted = set(manifest.names if only is None else only)
    for file in manifest.files:
        if file.name in wanted:
            digest = hashlib.sha256()
            for block in _blocks(folder / file.name, inside or folder, into):
                digest.update(block)
            if digest.hexdigest() != file.sha256:
                raise PackageDamaged(f"{file.name} is not the file that was packaged: its hash differs")
    if into is not None:
        (into / PACKAGE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return manifest


def _blocks(path: Path, inside: Path, into: Path | None) -> Iterator[bytes]:
    try:
        with ExitStack() as stack:
            source = stack.enter_context(open_regular(path, MAX_FILE_BYTES, inside=inside))
            copy = stack.enter_context((into / path.name).open("wb")) if into else None
            while block := source.read(1 << 20):
                if copy:
                    copy.write(block)
                yield block
    except OSError as error:
        raise PackageDamaged(f"{path.name} cannot be read: {error}") from None


def packaged(path: Path, content: bytes | None = None) -> PackagedFile:
    """What the manifest says of a file; with `content` it is written first."""
    if content is not None:
        path.write_bytes(content)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return PackagedFile(name=path.name, bytes=size, sha256=digest.hexdigest())


def read_learnt(folder: Path, name: str, kind: type[Any]) -> Any:
    """A file that the host added to a package, such as its inputs, as the pydantic model `kind`.

    Raises:
        PackageDamaged: when it is not there or is none.
    """
    try:
        return kind.model_validate_json(read_regular(folder / name, MAX_LEARNT_BYTES, inside=folder))
    except OSError:
        raise PackageDamaged(f"{name} is not there: the package was made by an older version. Run the team again") from None
    except (ValidationError, RecursionError):
        raise PackageDamaged(f"{name} cannot be read") from None
