"""Graphics processors for a sandbox: what `--device` asks for, what this machine has, and what a kind of sandbox can show of it."""

from __future__ import annotations

from team.errors import PrerequisiteMissing
from team.sandbox.contract import Kind
from tools.device import FOLDER, LOOKED_FOR, Asked, visible

_ALL = -1


def gpus_for(device: Asked, gpus: int, kind: Kind) -> int:
    """How many graphics processors a sandbox is given: those of the settings, and all where `cuda` was asked for without a number.

    Args:
        gpus: `sandbox.gpus` of the settings: 0 for none, -1 for all.
        kind: of the sandbox that is used.

    Raises:
        PrerequisiteMissing: `cuda` was asked for, and this machine has no graphics processor, or the sandbox shows none.
    """
    if device != "cuda":
        return gpus if device == "auto" else 0
    if not visible():
        files = ", ".join(str(FOLDER / pattern) for pattern in LOOKED_FOR)
        raise PrerequisiteMissing(
            f"device='cuda': this machine shows no graphics processor (looked for {files}). "
            "Install NVIDIA's driver and see it work with nvidia-smi, or leave it to the processor: --device auto"
        )
    if kind == "bubblewrap":
        raise PrerequisiteMissing(
            "device='cuda': the bubblewrap sandbox shows no graphics processor. Use --sandbox docker (with nvidia-container-toolkit), "
            "or --sandbox unsafe-local for code that you trust, or --device auto."
        )
    return (gpus or _ALL) if kind == "docker" else 0
