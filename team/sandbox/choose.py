"""Which sandbox to use on this machine, and why."""

from __future__ import annotations

from dataclasses import dataclass

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.bubblewrap import BubblewrapLauncher
from team.sandbox.contract import Kind, Launcher
from team.sandbox.local import LocalLauncher

_LAUNCHERS: dict[Kind, type[BubblewrapLauncher] | type[LocalLauncher]] = {
    "bubblewrap": BubblewrapLauncher,
    "unsafe-local": LocalLauncher,
}
"""Best first; unsafe-local is never a choice of its own accord for code that is not trusted."""


@dataclass(frozen=True)
class Choice:
    """A sandbox that works here."""

    kind: Kind
    why: str


@dataclass(frozen=True)
class Report:
    """One line of `mlteam doctor`."""

    name: str
    works: bool
    why: str
    """Why it does not work; empty when it does."""
    fix: str
    """The next command to type; empty when none is needed."""


def choose(kind: str, *, trusted_code: bool) -> Choice:
    """Settle which sandbox a run uses.

    Args:
        kind: `auto`, or a kind that must be used.
        trusted_code: whether all code that will run is the project's own (the playbook's), so that going without
            isolation is no risk. Only `auto` looks at it: unsafe-local asked for by name is the user's decision.

    Raises:
        SandboxUnavailable: the kind does not work here, or `auto` found none for code that is not trusted.
        UsageError: there is no such kind.
    """
    if kind != "auto":
        return Choice(make_launcher(kind).kind, "asked for by name")
    obstacle = BubblewrapLauncher().obstacle()
    if obstacle is None:
        return Choice("bubblewrap", "it works here and isolates")
    if trusted_code:
        return Choice("unsafe-local", f"bubblewrap does not work here ({obstacle.reason}), and only the playbook writes code")
    raise SandboxUnavailable(
        f"no sandbox works here, and code written by a model is not run without one. bubblewrap: {obstacle.reason}. {obstacle.fix} "
        "To run it with all your rights nevertheless: --sandbox unsafe-local"
    )


def report() -> list[Report]:
    """What works here, for every kind of sandbox."""
    found = []
    for name, launcher in _LAUNCHERS.items():
        obstacle = launcher().obstacle()
        found.append(Report(name, obstacle is None, obstacle.reason if obstacle else "", obstacle.fix if obstacle else ""))
    return found


def make_launcher(kind: str) -> Launcher:
    """The launcher of a kind that works here; `auto` is the best of those that isolate.

    Raises:
        SandboxUnavailable: it does not work here.
        UsageError: there is no such kind.
    """
    if kind == "auto":
        kind = choose("auto", trusted_code=False).kind
    for name, launcher in _LAUNCHERS.items():
        if name == kind:
            if obstacle := launcher().obstacle():
                raise SandboxUnavailable(f"the {kind} sandbox does not work here: {obstacle.reason}. {obstacle.fix}")
            return launcher()
    raise UsageError(f"sandbox={kind!r}: expected auto, {' or '.join(_LAUNCHERS)}. `mlteam doctor` shows what works here.")
