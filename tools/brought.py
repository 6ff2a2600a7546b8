"""Objects that installed packages bring, by entry points: what metrics, families, search spaces and preparers have in common.

    [project.entry-points."mlteam.families"]
    ours = "ourpackage.models:Ours"

A package is imported when what it brings is asked for and not before, so that the host can list names without running anybody's
code. One that cannot be used is told by name and package and stands in nobody else's way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Group(Generic[T]):
    """One group of entry points."""

    name: str
    """As a package's `pyproject.toml` calls it."""
    what: str
    """What an object of it is, in messages."""
    check: Callable[[str, Any], T]
    """The object to use, from the entry point's name and what it names; raises for one that cannot be used."""

    def brought(self) -> Mapping[str, str]:
        """Names that installed packages say they bring, each with its package; nothing is imported."""
        points = _points(tuple(sys.path), self.name)
        return {name: ", ".join(sorted({_package(point) for point in found})) for name, found in points.items()}

    def load(self, name: str) -> T:
        """Import what is called `name`, which is one of `brought`.

        Raises:
            ValueError: when it cannot be imported, is not what it should be, or two packages bring it; names the package.
        """
        return _load(tuple(sys.path), self, name)


@lru_cache(maxsize=32)
def _points(path: tuple[str, ...], group: str) -> dict[str, list[EntryPoint]]:
    """Entry points by name. Looking through all packages takes a while, so it is done once for a path."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


@lru_cache(maxsize=128)
def _load(path: tuple[str, ...], group: Group[T], name: str) -> T:
    points = _points(path, group.name)[name]
    packages = sorted({_package(point) for point in points})
    if len(packages) > 1:
        raise ValueError(f"{group.what} {name!r} is brought by {' and '.join(map(repr, packages))}; uninstall one of them.")
    try:
        return group.check(name, points[0].load())
    except (Exception, SystemExit) as error:  # it is somebody else's code: it may fail in any way
        told = f"{type(error).__name__}: {str(error)[:300]}"
        raise ValueError(f"{group.what} {name!r} of package {packages[0]!r} cannot be used: {told}.") from None


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module
