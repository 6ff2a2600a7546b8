"""Which sandbox to use on this machine, and why."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from team.errors import SandboxUnavailable, UsageError
from team.sandbox.contract import Kind, Launcher

_LAUNCHERS: dict[Kind, str] = {
    "docker": "team.sandbox.docker:DockerLauncher",
    "bubblewrap": "team.sandbox.bubblewrap:BubblewrapLauncher",
    "unsafe-local": "team.sandbox.local:LocalLauncher",
}
"""Best first, imported on use; unsafe-local is never a choice of its own accord for code that is not trusted."""
_ISOLATING: tuple[Kind, ...] = ("docker", "bubblewrap")
KINDS = f"auto, {', '.join(_ISOLATING)} or unsafe-local"


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
    """Why it does not work; when it does, what is worth knowing of it."""
    fix: str
    """The next command to type; empty when none is needed."""


def choose(kind: str, *, trusted_code: bool) -> Choice:
    """Settle which sandbox a run uses: docker where the daemon answers and the image is current, else bubblewrap.

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
    refused: list[str] = []
    fixes: list[str] = []
    for name in _ISOLATING:
        launcher = _launcher(name)
        obstacle = launcher.obstacle()
        if obstacle is None:
            instead = f"; better ones do not: {'; '.join(refused)}" if refused else ""
            return Choice(name, f"it works here and isolates: {launcher.facts()}{instead}")
        refused.append(f"{name} ({obstacle.reason})")
        fixes.append(f"{name}: {obstacle.reason}. {obstacle.fix}")
    if trusted_code:
        return Choice("unsafe-local", f"only the playbook writes code, and nothing that isolates works here: {'; '.join(refused)}")
    raise SandboxUnavailable(
        f"no sandbox works here, and code written by a model is not run without one. {' '.join(fixes)} "
        "To run it with all your rights nevertheless: --sandbox unsafe-local"
    )


def report() -> list[Report]:
    """What works here, for every kind of sandbox."""
    found = []
    for name in _LAUNCHERS:
        launcher = _launcher(name)
        obstacle = launcher.obstacle()
        found.append(Report(name, obstacle is None, obstacle.reason if obstacle else launcher.facts(), obstacle.fix if obstacle else ""))
    return found


def make_launcher(kind: str, **options: Any) -> Launcher:
    """The launcher of a kind that works here; `auto` is the best of those that isolate.

    Args:
        options: of the launcher's class, such as `transport` of docker.

    Raises:
        SandboxUnavailable: it does not work here.
        UsageError: there is no such kind.
    """
    if kind == "auto":
        kind = choose("auto", trusted_code=False).kind
    for name in _LAUNCHERS:
        if name == kind:
            launcher = _launcher(name, **options)
            if obstacle := launcher.obstacle():
                raise SandboxUnavailable(f"the {kind} sandbox does not work here: {obstacle.reason}. {obstacle.fix}")
            return launcher
    raise UsageError(f"sandbox={kind!r}: expected {KINDS}. `mlteam doctor` shows what works here.")


def _launcher(kind: Kind, **options: Any) -> Launcher:
    module, _, name = _LAUNCHERS[kind].partition(":")
    launcher: Launcher = getattr(import_module(module), name)(**options)
    return launcher
