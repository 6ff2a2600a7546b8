"""A run as commits on its own branch, with a tag, sent and proposed: all of it or nothing.

The steps are: commits, refs here, refs there, pull request. What they are to come to is on record before the second, so whoever is killed
finds each of them done, or does it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.git.begun import Begun, Published, Record, Wanted
from tools.git.forge import Forge, ForgeRefused
from tools.git.repository import GitFailed, Repository
from tools.git.scan import scan
from tools.release_wish import NEXT, SEMANTIC

FIRST = "v0.1.0"
"""The next version where there is none yet."""
SHOWN_FILES = 5


class NotPublished(Exception):
    """Nothing was released, here or elsewhere; the message says why, and what to type where something is left all the same."""


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

    @property
    def messages(self) -> list[str]:
        return [self.message(part) for part in self.parts]


def publish(
    repository: Repository,
    plan: Plan,
    *,
    tag: str | None = None,
    remote: str | None = None,
    forge: Forge | None = None,
    record: Path | None = None,
) -> Published:
    """Commit a run, and tag, push and propose it where that is asked for.

    Args:
        tag: a semantic version, or `next`.
        remote: name or address of the repository to push to.
        forge: asks for a pull request; needs `remote`.
        record: file that keeps what was begun. A call that finds the same wish there finishes it, or tells again what it came to.

    Raises:
        NotPublished: saying what stands against it; whatever was made until then is taken back.
    """
    wanted = Wanted(repository=str(repository.path.absolute()), branch=plan.branch, tag=tag, remote=remote, proposes=forge is not None)
    kept = Record(record)
    found = kept.read(wanted)
    again = found is not None and found.stands(repository, plan.messages)
    begun = found if found and again else _begin(repository, plan, wanted, forge, kept)
    if begun.done:
        return begun.done
    done = _finish(repository, plan, begun, forge, kept, again=again)
    return kept.write(begun.model_copy(update={"done": done})).done or done


def _begin(repository: Repository, plan: Plan, wanted: Wanted, forge: Forge | None, kept: Record) -> Begun:
    """Make the commits, to which nothing points yet, and put them on record."""
    _check(repository, plan, wanted.tag)
    tag = _next(repository) if wanted.tag == NEXT else wanted.tag
    base = _allowed(forge)
    try:
        commits = _commits(repository, plan)
        refs = {f"refs/heads/{plan.branch}": commits[-1]}
        if tag:
            refs[f"refs/tags/{tag}"] = _tag(repository, plan, tag, commits[-1])
        return kept.write(Begun(wanted=wanted, commits=commits, tag=tag, base=base, refs=refs))
    except GitFailed as error:
        raise NotPublished(f"git could not commit the run: {error}") from None
    except OSError as error:
        raise NotPublished(f"what is begun cannot be put on record: {error}. Nothing was committed or pushed") from None


def _finish(repository: Repository, plan: Plan, begun: Begun, forge: Forge | None, kept: Record, *, again: bool) -> Published:
    """Every step after the commits.

    Args:
        again: whether somebody was here before and may have done some of them.
    """
    refs, remote, tag = begun.refs, begun.wanted.remote, begun.tag
    try:
        repository.create({name: at for name, at in refs.items() if not (again and repository.object(name) == at)})
    except GitFailed as error:
        kept.forget()
        raise NotPublished(f"git could not commit the run: {error}") from None
    undo: list[Callable[[], None]] = [lambda: repository.delete(list(refs))]
    pull_request = None
    try:
        if remote:
            repository.push(remote, list(refs))  # one that holds them says so and goes on
            undo.insert(0, lambda: repository.push(remote, list(refs), remove=True))
        if forge and begun.base:
            text = "\n".join([*plan.facts, *([f"Tag: {tag}"] if tag else [])])
            opened = forge.opened(plan.branch) if again else None
            pull_request = opened or forge.open(plan.branch, begun.base, f"Experiment {plan.run}", text)
    except (GitFailed, ForgeRefused) as error:
        what = f"{remote} did not take the branch" if isinstance(error, GitFailed) else "the pull request was not opened"
        raise NotPublished(f"{what}: {error}. {_taken_back(undo, kept, remote, refs)}") from None
    except BaseException:  # Ctrl-C too
        _taken_back(undo, kept, remote, refs)
        raise
    return Published(
        repository=str(repository.path),
        branch=plan.branch,
        commits=begun.commits,
        tag=tag,
        remote=remote,
        pull_request=pull_request,
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


def _taken_back(undo: Sequence[Callable[[], None]], kept: Record, remote: str | None, refs: dict[str, str]) -> str:
    left = False
    for step in undo:
        try:
            step()
        except GitFailed:
            left = True
    with contextlib.suppress(OSError):
        kept.forget()
    if not left:
        return "Branch and tag were taken back: nothing is released"
    return f"What was made could not all be taken back. Type: git push {remote} {' '.join(f':{ref}' for ref in refs)}"
