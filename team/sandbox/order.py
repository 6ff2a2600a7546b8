"""What the host and a sandbox's guard tell each other: an order at the start, a report at the end; each is one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from team.sandbox.contract import Death, Limits

TERMINATE, KILL = b"t", b"k"
"""What the guard understands after its order: end the kernel with SIGTERM; end everything at once."""
_LIMITS = {"memory_mb", "cpus", "processes", "open_files", "disk_mb", "files"}
_DEATH = TypeAdapter(Death)


def write_order(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: str,
    limits: Limits,
    *,
    folder: str = "",
    wrappers: int = 0,
    contained: bool = False,
    provide: Mapping[str, str] | None = None,
    scratch: Sequence[str] = (),
) -> bytes:
    """The order to start `argv` with `env` as its whole environment in `cwd`; see `inside/guard.py` for each part."""
    order = {
        "argv": list(argv),
        "env": dict(env),
        "cwd": cwd,
        "folder": folder,
        "wrappers": wrappers,
        "contained": contained,
        "provide": dict(provide or {}),
        "scratch": list(scratch),
        **limits.model_dump(include=_LIMITS),
    }
    return json.dumps(order).encode() + b"\n"


def read_report(text: bytes, otherwise: str) -> Death:
    """How the sandbox ended, as its guard says.

    Args:
        text: all that the guard wrote.
        otherwise: the cause where it wrote no report; then its words, such as a traceback, are all the evidence there is.
    """
    try:
        return _DEATH.validate_json(text, strict=True)
    except ValueError:
        return Death(cause=otherwise, log=text.decode(errors="replace")[-8192:], peak_mb=0.0)
