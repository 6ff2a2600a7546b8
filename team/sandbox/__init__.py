"""Run cells in a sandboxed Jupyter kernel.

    async with open_kernel("bubblewrap", work=Path("work")) as kernel:
        result = await kernel.execute("print(1 + 1)", timeout_s=10)

The promises stand in `contract.py`; which sandbox works here is found by `choose` and `report` in `choose.py`. Names
are imported on first use: jupyter_client is not loaded for a command that starts no kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from team.errors import SandboxUnavailable
    from team.sandbox.contract import CellResult, Limits
    from team.sandbox.kernel import Kernel, open_kernel

_HOME = {
    "CellResult": "team.sandbox.contract",
    "Kernel": "team.sandbox.kernel",
    "Limits": "team.sandbox.contract",
    "SandboxUnavailable": "team.errors",
    "open_kernel": "team.sandbox.kernel",
}
__all__ = ["CellResult", "Kernel", "Limits", "SandboxUnavailable", "open_kernel"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
