"""The image of the Docker sandbox: what it is made of, the name that follows from that, and whether it is there.

    find(connect()).current      the tag to run, or None

The tag is a hash of everything that goes into the image, so an image that was built from other files is never taken for
this one. There is no registry: `mlteam sandbox build` (see `build.py`) makes it on the machine that uses it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from team.sandbox.environment import INSIDE, tools_package

if TYPE_CHECKING:
    from docker import DockerClient

DEFAULT_BASE = "python:3.11-slim"
LOCK, TORCH_LOCK = "requirements.lock", "requirements-torch.lock"


@dataclass(frozen=True)
class Recipe:
    """Where the files of an image come from, and the name of its repository."""

    folder: Path = field(default_factory=lambda: Path(__file__).resolve().parents[2] / "sandbox_image")
    """Dockerfile, lock files, smoke.py; beside the `team` package in a checkout and in an installation."""
    tools: Path = field(default_factory=tools_package)
    inside: Path = INSIDE
    repository: str = "mlteam-sandbox"

    @property
    def libraries_repository(self) -> str:
        """Images with the libraries alone, from which the others are made in seconds."""
        return f"{self.repository}-libraries"

    def library_files(self, torch: bool) -> dict[str, Path]:
        """What the libraries are made of: names as in the build context, sorted."""
        names = [LOCK, *([TORCH_LOCK] if torch else []), "smoke.py"]
        return {f"sandbox_image/{name}": self.folder / name for name in sorted(names)}

    def code_files(self) -> dict[str, Path]:
        """The project's own code in the image: names as in the build context, sorted."""
        found = {f"{name}/{path.relative_to(folder).as_posix()}": path for name, folder in self._code() for path in _sources(folder)}
        return dict(sorted(found.items()))

    def _code(self) -> tuple[tuple[str, Path], ...]:
        return ("team/sandbox/inside", self.inside), ("tools", self.tools)

    @property
    def dockerfile(self) -> Path:
        return self.folder / "Dockerfile"


@dataclass(frozen=True)
class Found:
    """What a daemon has."""

    current: str | None
    """Tag of the image that fits this installation, the one with torch where there are both; None when there is none."""
    stale: bool
    """Whether there is an image that fits another version of the project."""


def inputs_hash(torch: bool, recipe: Recipe | None = None) -> str:
    """12 hexadecimal digits that change with any name or byte of what the image is made of.

    Args:
        torch: whether for the image with torch, to which one more lock file belongs.
    """
    recipe = recipe or Recipe()
    files = {"sandbox_image/Dockerfile": recipe.dockerfile, **recipe.library_files(torch), **recipe.code_files()}
    return hash_of((name, path.read_bytes()) for name, path in files.items())


def hash_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """12 hexadecimal digits of SHA-256 over named contents, in their order."""
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def tag(torch: bool, recipe: Recipe | None = None) -> str:
    """The name of the image that fits this installation."""
    recipe = recipe or Recipe()
    return f"{recipe.repository}:{inputs_hash(torch, recipe)}{'-torch' if torch else ''}"


def find(client: DockerClient, recipe: Recipe | None = None) -> Found:
    """Look for the image. What the daemon says when it fails is raised as the SDK's own exceptions."""
    recipe = recipe or Recipe()
    there = tags(client, recipe.repository)
    current = next((name for name in (tag(True, recipe), tag(False, recipe)) if name in there), None)
    return Found(current, stale=bool(there - {tag(True, recipe), tag(False, recipe)}))


def tags(client: DockerClient, repository: str) -> set[str]:
    """The tags in a repository that `build` gave: hashes, and nothing that somebody named by hand."""
    ours = re.compile(re.escape(repository) + ":[0-9a-f]{12}(-torch)?")
    # Podman puts the name of this machine before the names of its images.
    names = (name.removeprefix("localhost/") for image in client.api.images() for name in image["RepoTags"] or ())
    return {name for name in names if ours.fullmatch(name)}


def _sources(folder: Path) -> list[Path]:
    """Files below a folder but for what Python and file managers leave there."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(p == "__pycache__" or p.startswith(".") for p in path.relative_to(folder).parts)]
