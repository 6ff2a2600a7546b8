"""A run as commits on its own branch, with a tag, sent and proposed: all of it or nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from tools.git.forge import Forge, ForgeRefused
from tools.git.repository import GitFailed, Repository
from tools.git.scan import scan
from tools.release_wish import NEXT, SEMANTIC

FIRST = "v0.1.0"
"""The next version where there is none yet."""
SHOWN_FILES = 5


class NotPublished(Exception):
    """Nothing was released, here or elsewhere; the message says why, and what to type where something is left all the same."""


class Published(BaseModel):
    """What there is now."""

    repository: str
    branch: str
    commits: list[str]
    tag: str | None = None
    remote: str | None = None
    pull_request: str | None = None


@dataclass(frozen=True)
class Part:
    """One commit: what was done, and the files that say so, by their path in the repository."""

    subject: str
    files: dict[str, bytes]


@dataclass(frozen=True)
class Plan:
    """A run as it is to be committed."""

    run: str
    facts: tuple[str, ...]
    """Lines below the subject of every commit, such as `Score: …`."""
    parts: tuple[Part, ...]

    @property
    def branch(self) -> str:
        return f"exp/{self.run}"

    def message(self, part: Part) -> str:
        return "\n".join([f"{part.subject} ({self.run})", "", f"Run: {self.run}", *self.facts, ""])


def publish(
    repository: Repository, plan: Plan, *, tag: str | None = None, remote: str | None = None, forge: Forge | None = None
) -> Published:
    """Commit a run, and tag, push and propose it where that is asked for.

    Args:
        tag: a semantic version, or `next`.
        remote: name or address of the repository to push to.
        forge: asks for a pull request; needs `remote`.

    Raises:
        NotPublished: saying what stands against it; whatever was made until then is taken back.
    """
    _check(repository, plan, tag)
    tag = _next(repository) if tag == NEXT else tag
    base = _allowed(forge)
    refs: dict[str, str] = {}
    try:
        commits = _commits(repository, plan)
        refs[f"refs/heads/{plan.branch}"] = commits[-1]
        if tag:
            refs[f"refs/tags/{tag}"] = _tag(repository, plan, tag, commits[-1])
        repository.create(refs)
    except GitFailed as error:
        raise NotPublished(f"git could not commit the run: {error}") from None
    undo: list[Callable[[], None]] = [lambda: repository.delete(list(refs))]
    pull_request = None
    try:
        if remote:
            repository.push(remote, list(refs))
            undo.insert(0, lambda: repository.push(remote, list(refs), remove=True))
        if forge and base:
            text = "\n".join([*plan.facts, *([f"Tag: {tag}"] if tag else [])])
            pull_request = forge.open(plan.branch, base, f"Experiment {plan.run}", text)
    except (GitFailed, ForgeRefused) as error:
        what = f"{remote} did not take the branch" if isinstance(error, GitFailed) else "the pull request was not opened"
        raise NotPublished(f"{what}: {error}. {_taken_back(undo, plan, remote, refs)}") from None
    except BaseException:  # Ctrl-C too
        _taken_back(undo, plan, remote, refs)
        raise
    return Published(
        repository=str(repository.path), branch=plan.branch, commits=commits, tag=tag, remote=remote, pull_request=pull_request
    )


def _check(repository: Repository, plan: Plan, tag: str | None) -> None:
    if tag is not None and tag != NEXT and not SEMANTIC.fullmatch(tag):
        raise NotPublished(f"tag {tag!r} is no semantic version; expected one such as v1.2.0, or {NEXT}")
    try:
        if not repository.is_one:
            raise NotPublished(f"{str(repository.path)!r} is no Git repository. Type: git init {repository.path}")
        if dirty := repository.dirty:
            more = f" and {len(dirty) - SHOWN_FILES} more" if len(dirty) > SHOWN_FILES else ""
            raise NotPublished(
                f"repository {str(repository.path)!r} has changes that are not committed: {', '.join(dirty[:SHOWN_FILES])}{more}."
                " Commit them or put them away (git stash -u), then type the command again"
            )
        if repository.resolve(f"refs/heads/{plan.branch}"):
            raise NotPublished(f"branch {plan.branch!r} is there already. Remove it (git branch -D {plan.branch}), or leave it as it is")
        if tag and repository.resolve(f"refs/tags/{tag}"):
            raise NotPublished(f"tag {tag!r} is there already. Name another version with --tag")
    except GitFailed as error:
        raise NotPublished(f"git cannot read {str(repository.path)!r}: {error}") from None
    if found := scan({name: content for part in plan.parts for name, content in part.files.items()}):
        more = f"; and {len(found) - SHOWN_FILES} more" if len(found) > SHOWN_FILES else ""
        raise NotPublished(f"the look before the commit found what must not be in it: {'; '.join(map(str, found[:SHOWN_FILES]))}{more}")


def _next(repository: Repository) -> str:
    """The minor version after the greatest tag that is a release, spelt as that is."""
    try:
        found = [match for tag in repository.git("tag", "--list").split() if (match := SEMANTIC.fullmatch(tag)) and not match[4]]
    except GitFailed as error:
        raise NotPublished(f"git cannot read {str(repository.path)!r}: {error}") from None
    if not found:
        return FIRST
    last = max(found, key=lambda match: [int(match[part]) for part in (1, 2, 3)])
    return f"{'v' if last[0].startswith('v') else ''}{last[1]}.{int(last[2]) + 1}.0"


def _allowed(forge: Forge | None) -> str | None:
    """The branch that a pull request is made against. Asked before anything is made: a token without rights leaves nothing behind."""
    try:
        return forge.check() if forge else None
    except ForgeRefused as error:
        raise NotPublished(f"no pull request can be opened: {error}. Nothing was committed or pushed") from None


def _commits(repository: Repository, plan: Plan) -> list[str]:
    parent, commits = repository.resolve("HEAD"), []
    for part in plan.parts:
        parent = repository.commit(part.files, plan.message(part), parent)
        commits.append(parent)
    return commits


def _tag(repository: Repository, plan: Plan, tag: str, commit: str) -> str:
    """An annotated tag as an object; no ref points to it yet."""
    who = repository.git("show", "-s", "--format=%cn <%ce>", commit)
    text = f"object {commit}\ntype commit\ntag {tag}\ntagger {who} {int(time.time())} +0000\n\nRelease {tag} of {plan.run}\n\n"
    return repository.git("mktag", data=(text + "\n".join(plan.facts) + "\n").encode())


def _taken_back(undo: Sequence[Callable[[], None]], plan: Plan, remote: str | None, refs: dict[str, str]) -> str:
    left = False
    for step in undo:
        try:
            step()
        except GitFailed:
            left = True
    if not left:
        return "Branch and tag were taken back: nothing is released"
    with contextlib.suppress(GitFailed):
        return f"What was made could not all be taken back. Type: git push {remote} {' '.join(f':{ref}' for ref in refs)}"
    return ""
