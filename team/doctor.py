"""What works on this machine, and the exact command for what does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    works: bool
    needed: bool
    """Whether a run is impossible without it."""
    facts: str
    fix: str = ""


def check() -> list[Check]:
    """Look at everything a run may use. Sandboxes are really tried."""
    checks = [
        Check("python", sys.version_info >= (3, 11), True, platform.python_version(), "install Python 3.11 or newer"),
        _cores(),
        _disk(),
        *_sandboxes(),
        _filter(),
        _graphics(),
        _package("torch", "neural networks for tables"),
        _package("openai", "models at OpenAI and at servers that speak its protocol"),
        _package("anthropic", "models at Anthropic"),
        _package("mlflow", "a web page over the runs' MLflow stores"),
        _package("wandb", "the tracker wandb"),
        _package("tensorboardX", "the tracker tensorboard"),
        *_keys(),
    ]
    return checks


def describe(checks: list[Check]) -> str:
    """The checks as lines; what does not work is followed by its fix."""
    lines = []
    for c in checks:
        mark = "ok" if c.works else ("MISSING" if c.needed else "absent")
        lines.append(f"{mark:8} {c.name:22} {c.facts}")
        if not c.works and c.fix:
            lines.append(f"{'':8} {'':22} fix: {c.fix}")
    return "\n".join(lines)


def _cores() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(
        "machine",
        memory.available > 1 << 30,
        False,
        f"{cores} cores, {memory.available / 2**30:.1f} GiB of memory free",
        "end other programs",
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    return Check("disk", free > 1 << 29, True, f"{free / 2**30:.1f} GiB free here", "free some space, or use --out DIR on another disk")


def _sandboxes() -> list[Check]:
    from team.sandbox.choose import report

    found = report()
    any_works = any(r.works for r in found)
    return [Check(f"sandbox {r.name}", r.works, not any_works, f"works: {r.why}" if r.works else r.why, r.fix) for r in found]


def _filter() -> Check:
    from team.sandbox.inside import seccomp

    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())  # macOS has a name of its own for it
    code = seccomp.program(machine)
    facts = f"there is no table of system calls for {machine}" if code is None else f"for {machine}, in every sandbox but unsafe-local"
    return Check("system-call filter", code is not None, False, facts)


def _graphics() -> Check:
    from tools.device import FOLDER, LOOKED_FOR, visible

    found = [str(path) for path in visible()]
    looked = f"none: there is no {' or '.join(str(FOLDER / pattern) for pattern in LOOKED_FOR)}; models are fitted on the processor"
    return Check("graphics processor", bool(found), False, ", ".join(found) or looked, "install NVIDIA's driver")


def _package(distribution: str, what: str) -> Check:
    try:
        found = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Check(distribution, False, False, f"not installed: {what}", "make install")
    return Check(distribution, True, False, f"{found}: {what}")


def _keys() -> list[Check]:
    """Keys and addresses of model endpoints, by the names of their variables. Values are never shown."""
    from team.models.endpoint import HOST_KEYS, KEYS

    found = [_key(names) for names in KEYS.values()]
    others = [name for name in (*HOST_KEYS.values(), *(f"{provider.upper()}_BASE_URL" for provider in KEYS)) if os.environ.get(name)]
    return [*found, *(Check(name, True, False, "set") for name in others)]


def _key(names: tuple[str, ...]) -> Check:
    known = [name for name in names if os.environ.get(name)]
    return Check(
        names[0],
        bool(known),
        False,
        " and ".join(known) + " set" if known else "not set: the playbook needs none",
        f"export {names[0]}=...",
    )
