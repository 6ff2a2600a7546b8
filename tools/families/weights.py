"""Checkpoints of models that were trained before: where they lie, and which of them is meant. Nothing here loads or fetches one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

VARIABLE = "MLTEAM_WEIGHTS"
"""Environment variable that names the folder, to a kernel its path inside the sandbox."""
Kind = Literal["classifier", "regressor"]
PATTERNS = {
    "tabicl": {"classifier": "tabicl-classifier*.ckpt", "regressor": "tabicl-regressor*.ckpt"},
    "tabpfn": {"classifier": "tabpfn*classifier*", "regressor": "tabpfn*regressor*"},
}
"""Names of checkpoint files by family, as their makers name them."""
FOUNDATION = tuple(PATTERNS)
"""Families of models that were trained before and learn a table by reading it (in-context learning)."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TABPFN_NO_BROWSER": "1", "TABPFN_DISABLE_TELEMETRY": "1"}
"""What keeps the libraries from looking for anything elsewhere."""
_ENDS = (".ckpt", ".safetensors")


def folder() -> Path | None:
    """The folder of checkpoints that this process was told of."""
    told = os.environ.get(VARIABLE)
    return Path(told) if told else None


def checkpoint(family: str, kind: Kind, where: Path | None) -> Path | None:
    """The family's checkpoint in a folder, the last by name where there are several; None where there is none."""
    if where is None or not where.is_dir():
        return None
    found = sorted(path for path in where.glob(PATTERNS[family][kind]) if path.suffix in _ENDS and path.is_file())
    return found[-1] if found else None


def at_hand(where: Path | None) -> list[str]:
    """Families with a checkpoint of either kind in a folder."""
    return [name for name in FOUNDATION if any(checkpoint(name, kind, where) for kind in ("classifier", "regressor"))]


def patterns() -> str:
    """How checkpoint files are named, with their endings."""
    return f"{', '.join(name for kinds in PATTERNS.values() for name in kinds.values())}, ending in {' or '.join(_ENDS)}"


def expected(family: str, kind: Kind | None, where: Path | None) -> str:
    """What is missing, and where it was looked for."""
    names = " or ".join(PATTERNS[family][each] for each in ("classifier", "regressor") if kind in (None, each))
    looked = f"none in {str(where)!r}" if where else f"no folder is named by --weights or {VARIABLE}"
    return f"the weights of {family} are expected as a file {names} in the folder of --weights: {looked}; they are never downloaded"
