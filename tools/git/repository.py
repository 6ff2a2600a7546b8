"""One repository through the `git` program. Commits are made beside the user's files: no checkout and no index of theirs is touched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LOCAL_S, REMOTE_S = 60.0, 300.0
"""Seconds that git may take, here and with a remote."""
LAST_LINES = 6


class GitFailed(Exception):
    """What was asked of git did not work; the message is what git said, without credentials.

    Attributes:
        missing: whether there is no git program.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class Repository:
    """A repository with or without a worktree."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path) -> Repository:
        """A fresh, empty one; one that is there already is taken as it is.

        Raises:
            GitFailed: when it cannot be made.
        """
        made = cls(path)
        if not (path / "HEAD").exists() and not (path / ".git").exists():
            path.mkdir(parents=True, exist_ok=True)
            made.git("init", "--quiet", "--bare", "--initial-branch=main", ".")
        return made

    def git(self, *words: str, data: bytes | None = None, timeout_s: float = LOCAL_S, env: Mapping[str, str] | None = None) -> str:
        """What git prints, without the last line's end.

        Raises:
            GitFailed: when it fails, takes too long, or is not there.
        """
        program = shutil.which("git")
        if program is None:
            raise GitFailed("the program git is not installed", missing=True)
        # Nobody is there to type a password, and the repository's own hooks are not asked: they are programs of whoever made it.
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in ("GIT_SSH", "GIT_SSH_COMMAND")}
        command = [program, "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *words]
        try:
            done = subprocess.run(
                command, cwd=self.path, input=data, capture_output=True, timeout=timeout_s, env={**plain, **quiet, **(env or {})}
            )
        except subprocess.TimeoutExpired:
            raise GitFailed(f"git {words[0]} took longer than {timeout_s:g} s") from None
        except OSError as error:
            raise GitFailed(f"{str(self.path)!r}: {error.strerror or error}") from None
        if done.returncode:
            said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()][-LAST_LINES:]
            raise GitFailed(plain_address(" / ".join(said)) or f"git {words[0]} ended with {done.returncode}")
        return done.stdout.decode(errors="replace").rstrip("\n")

    @property
    def is_one(self) -> bool:
        try:
            return bool(self.git("rev-parse", "--git-dir"))
        except GitFailed as error:
            if error.missing:
                raise
            return False

    @property
    def dirty(self) -> list[str]:
        """Files of the worktree that differ from the last commit, new ones included; empty where there is no worktree."""
        if self.git("rev-parse", "--is-bare-repository") == "true":
            return []
        return [line[3:] for line in self.git("status", "--porcelain").splitlines()]

    def resolve(self, name: str) -> str | None:
        """The commit that a name stands for; None for no such name."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except GitFailed:
            return None

    def object(self, name: str) -> str | None:
        """What a name points to itself: of an annotated tag the tag, not the commit."""
        try:
            return self.git("rev-parse", "--verify", "--quiet", name)
        except GitFailed:
            return None

    def commit(self, files: Mapping[str, bytes], message: str, parent: str | None) -> str:
        """Make a commit object that adds `files` to what `parent` holds; no branch moves.

        Raises:
            GitFailed: when git cannot, as where nobody is named as author (user.name, user.email).
        """
        with tempfile.TemporaryDirectory(prefix="mlteam-git-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder, "index")), **self._author()}
            self.git("read-tree", *([parent] if parent else ["--empty"]), env=env)
            blobs = [(path, self.git("hash-object", "-w", "--stdin", data=content)) for path, content in files.items()]
            lines = "".join(f"100644 {blob}\t{path}\n" for path, blob in blobs)
            self.git("update-index", "--index-info", data=lines.encode(), env=env)
            tree = self.git("write-tree", env=env)
            return self.git("commit-tree", tree, *(["-p", parent] if parent else []), "-F", "-", data=message.encode(), env=env)

    def _author(self) -> dict[str, str]:
        """Who commits: whom git's settings name, else the program."""
        env: dict[str, str] = {}
        for setting, variables, own in (
            ("user.name", ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "mlteam"),
            ("user.email", ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "mlteam@localhost"),
        ):
            try:
                found = self.git("config", setting)
            except GitFailed:
                found = own
            env |= dict.fromkeys(variables, found)
        return env

    def create(self, refs: Mapping[str, str]) -> None:
        """Make all of these refs, by their full names, or none; nothing where none are given.

        Raises:
            GitFailed: when one exists.
        """
        if not refs:
            return
        lines = ["start", *(f"create {name} {at}" for name, at in refs.items()), "prepare", "commit"]
        self.git("update-ref", "--stdin", data=("\n".join(lines) + "\n").encode())

    def delete(self, refs: Sequence[str]) -> None:
        lines = ["start", *(f"delete {name}" for name in refs), "prepare", "commit"]
        self.git("update-ref", "--stdin", data=("\n".join(lines) + "\n").encode())

    def push(self, remote: str, refs: Sequence[str], *, remove: bool = False) -> None:
        """Send all of these refs to a remote, or remove them there: all or none.

        Raises:
            GitFailed: when it cannot be reached or refuses; it holds none of them then.
        """
        self.git("push", "--atomic", "--porcelain", remote, *(f":{ref}" if remove else f"{ref}:{ref}" for ref in refs), timeout_s=REMOTE_S)

    def address(self, remote: str) -> str | None:
        """Where a remote is; None where there is none of this name."""
        try:
            return self.git("remote", "get-url", remote)
        except GitFailed:
            return None


def plain_address(text: str) -> str:
    """A text without what stands before an @ in its addresses."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", text)
