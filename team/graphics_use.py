"""How busy graphics processors are, as NVIDIA's management library tells: https://docs.nvidia.com/deploy/nvml-api/

Its Python binding is nvidia-ml-py (`pip install 'mlteam[gpu]'`). It tells of whole devices, so that what others do on them at the same
time is in the count.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from team.resources import Busy


def unknown() -> float | None:
    """Where nothing can be asked."""
    return None


def graphics_use(library: ModuleType | Any | None = None) -> Busy:
    """Asks every device of this machine how busy it was lately; answers None where the library or the driver is not there.

    Args:
        library: the binding; None takes the installed one.
    """
    if library is None:
        try:
            import pynvml
        except ImportError:
            return unknown
        library = pynvml
    assert library is not None
    try:
        library.nvmlInit()
        devices = [library.nvmlDeviceGetHandleByIndex(k) for k in range(library.nvmlDeviceGetCount())]
    except library.NVMLError:
        return unknown

    def busy() -> float | None:
        try:
            return sum(library.nvmlDeviceGetUtilizationRates(device).gpu for device in devices) / 100
        except library.NVMLError:
            return None

    return busy
