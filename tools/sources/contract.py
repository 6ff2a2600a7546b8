"""What a source is, and what is left of it on disk: a folder of files and a record of where they came from.

Whoever reads the data begins here: `record(vault)` is the `Fetched` of a run, its files lie in `files_folder(vault)`. They are as they
came, archives unpacked; nothing has looked into them yet.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from tools.spec import InputRefused

if TYPE_CHECKING:
    from tools.sources.downloading import Downloads
    from tools.sources.secrets import Secrets
    from tools.sources.spelling import Spelling

FOLDER = "source"
RECORD = "source.json"
SPARE_BYTES = 64 * 2**20
"""Free space that must remain for the run itself."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FetchedFile(_Record):
    """One file as it came."""

    name: str
    """Path below the folder of files, with `/` between parts."""
    bytes: int
    sha256: str


class OwnSplit(_Record):
    """A split that the source itself brings. At least one of `parts` and `folds` says something."""

    parts: dict[str, list[str]] = {}
    """Names of files by the part that they belong to, such as train, validation and test."""
    folds: list[list[int]] = []
    """Of a single table: the test rows of each fold by position, the first row 0."""


class Fetched(_Record):
    """A source on disk. It holds no secret: where one is needed, `source` names it."""

    source: str
    files: list[FetchedFile]
    """In order of their names; at least one."""
    archives: list[FetchedFile] = []
    """What some of the files were unpacked from; no longer there."""
    fetched_at: float
    """Seconds since 1970."""
    licence: str | None = None
    target: str | None = None
    """The column that the source itself says is to be predicted."""
    split: OwnSplit | None = None
    notes: list[str] = []
    """What is to be told, such as that a cached copy was taken since the network is away."""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def sha256(self) -> str:
        """That of the only file; of several, that of the lines `SHA256  NAME` in order of names, as `sha256sum` writes them."""
        import hashlib

        if len(self.files) == 1:
            return self.files[0].sha256
        return hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in self.files).encode()).hexdigest()


@dataclass(frozen=True)
class Found:
    """What an adapter knows of the files that it brought."""

    licence: str | None = None
    target: str | None = None
    split: OwnSplit | None = None
    notes: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of files, by name, that were hashed on their way already."""


@dataclass(frozen=True)
class Room:
    """What adapters work with."""

    folder: Path
    """Gets the files; empty at first."""
    downloads: Downloads
    secrets: Secrets
    progress: Callable[..., None]
    """Called with facts by name, as often as one likes; raises where nobody waits any more."""

    def expect(self, size: int, copies: int = 3) -> None:
        """Make sure that `size` more bytes, and the tables that a run makes of them, fit on the disk.

        Args:
            copies: how often they will lie there, beyond what does so already.

        Raises:
            InputRefused: saying what there is and what is needed.
        """
        # A table is kept as it came and again as train, holdout and refit tables.
        needed, free = copies * size + SPARE_BYTES, shutil.disk_usage(self.folder).free
        if free < needed:
            raise InputRefused(
                f"the disk of {str(self.folder.parent.parent.parent)!r} has {free / 2**20:.0f} MiB free and the run needs about"
                f" {needed / 2**20:.0f} MiB. Free some, or name another folder with --out DIR."
            )


class Source(Protocol):
    """Where data comes from. One adapter each, chosen by how SOURCE is spelt.

    An adapter writes files and judges nothing: sizes, hashes and archives are seen to by `fetch`. It never puts a secret into a file
    name, a fact of progress, an error or what it returns.
    """

    def bring(self, spelling: Spelling, room: Room) -> Found:
        """Write the source's files into `room.folder`.

        Raises:
            InputRefused: when there is no such source, or it is refused; names it, what was expected and what to do.
        """


def files_folder(vault: Path) -> Path:
    return vault / FOLDER


def record(vault: Path) -> Fetched:
    """What was fetched into a vault.

    Raises:
        FileNotFoundError: when nothing was.
    """
    return Fetched.model_validate_json((vault / RECORD).read_text(encoding="utf-8"))
