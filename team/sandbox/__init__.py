"""Run cells in a sandboxed Jupyter kernel.

    async with open_kernel("bubblewrap", work=Path("work")) as kernel:
        result = await kernel.execute("print(1 + 1)", timeout_s=10)

The promises stand in `contract.py`. Names are imported on first use: jupyter_client is not loaded for a command that
starts no kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from team.errors import SandboxUnavailable
    from team.sandbox.choose import Choice, Report, choose, report
    from team.sandbox.contract import CellResult, Limits
    from team.sandbox.kernel import Kernel, open_kernel

_HOME = {
    "CellResult": "team.sandbox.contract",
    "Choice": "team.sandbox.choose",
    "Kernel": "team.sandbox.kernel",
    "Limits": "team.sandbox.contract",
    "Report": "team.sandbox.choose",
    "SandboxUnavailable": "team.errors",
    "choose": "team.sandbox.choose",
    "open_kernel": "team.sandbox.kernel",
    "report": "team.sandbox.choose",
}
__all__ = ["CellResult", "Choice", "Kernel", "Limits", "Report", "SandboxUnavailable", "choose", "open_kernel", "report"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
