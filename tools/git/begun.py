"""A release that was begun, on record until it is finished: whoever was killed in between goes on, and does nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from tools.files import read_regular
from tools.git.repository import GitFailed, Repository

MOST_BYTES = 1 << 20


class Published(BaseModel):
    """What there is now."""

    repository: str
    branch: str
    commits: list[str]
    tag: str | None = None
    remote: str | None = None
    pull_request: str | None = None


class Wanted(BaseModel):
    """What was asked for."""

    repository: str
    branch: str
    tag: str | None = None
    """A version, or `next`."""
    remote: str | None = None
    proposes: bool = False
    """Whether a pull request is opened."""


class Begun(BaseModel):
    """A release whose commits are made."""

    wanted: Wanted
    commits: list[str]
    tag: str | None = None
    """The version that `next` came to."""
    base: str | None = None
    """Branch that the pull request is made against."""
    refs: dict[str, str]
    """Branch and tag by their full names, and the objects that they are to point to."""
    done: Published | None = None
    """What it came to, once all of it was done."""

    def stands(self, repository: Repository, messages: list[str]) -> bool:
        """Whether its objects are there and say what they are to say. A record may come from anybody: no other commit is taken for ours."""
        names = {f"refs/heads/{self.wanted.branch}", *([f"refs/tags/{self.tag}"] if self.tag else [])}
        if (
            set(self.refs) != names
            or len(self.commits) != len(messages)
            or self.refs[f"refs/heads/{self.wanted.branch}"] != self.commits[-1]
        ):
            return False
        try:
            said = [repository.git("show", "-s", "--format=%B", f"{commit}^{{commit}}").strip() for commit in self.commits]
            tagged = {repository.resolve(at) for at in self.refs.values()}
        except GitFailed:
            return False
        if tagged != {self.commits[-1]} or said != [message.strip() for message in messages]:
            return False
        return self.done is None or all(repository.object(name) == at for name, at in self.refs.items())


class Record:
    """The file that knows of one run's release.

    Args:
        path: None for none; whoever is killed then leaves what there is.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, wanted: Wanted) -> Begun | None:
        """What was begun of the very same wish."""
        if self._path is None:
            return None
        try:
            found = Begun.model_validate_json(read_regular(self._path, MOST_BYTES))
        except (OSError, ValidationError):
            return None
        return found if found.wanted == wanted else None

    def write(self, begun: Begun) -> Begun:
        """Force it to the disk before the next step."""
        if self._path is not None:
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            with temporary.open("w", encoding="utf-8") as file:
                file.write(begun.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        return begun

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
