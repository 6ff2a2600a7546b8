"""What suites say of their tasks, kept beside the rows, which do not say it: so that pages that are written again say it too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from evals.figures import Figure
from team.rundir import write_atomic

NAME = "tasks.json"


class Described(Protocol):
    """A task as a suite describes it."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def expect(self) -> Sequence[str]: ...


class About(Figure):
    """What is told of a task."""

    name: str
    source: str
    licence: str
    why: str
    expect: tuple[str, ...]


class _Kept(Figure):
    tasks: tuple[About, ...]


def kept(folder: Path, described: Iterable[Described]) -> dict[str, About]:
    """What is known of the tasks of an eval, by name, with that of `described` added to what its folder keeps."""
    path = folder / NAME
    try:
        known = {task.name: task for task in _Kept.model_validate_json(path.read_bytes()).tasks}
    except (OSError, ValidationError):  # none yet; or what a page can do without
        known = {}
    new = {
        task.name: About(name=task.name, source=task.source, licence=task.licence, why=task.why, expect=tuple(task.expect))
        for task in described
    }
    if new:
        known |= new
        write_atomic(path, _Kept(tasks=tuple(known.values())).model_dump_json(indent=1) + "\n")
    return known
