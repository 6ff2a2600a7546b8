"""On which device a fit runs: the processor, or a graphics processor where one is visible and worth its while."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tools.families.base import Family
    from tools.families.setting import Setting

Device = Literal["cpu", "cuda"]
Asked = Literal["auto", "cpu", "cuda"]
"""`auto` is a graphics processor where one is visible and the family gains from it; `cuda` is one where the family can use it."""
VARIABLE = "MLTEAM_DEVICE"
"""Environment variable in which a kernel is told what was asked for."""
CUDA_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""CUDA's own: empty, it shows no processor to any library."""
FOLDER = Path("/dev")
LOOKED_FOR = ("nvidia[0-9]*", "dxg")
"""Device files of NVIDIA's driver: one a processor on Linux, one for all under Windows."""


@dataclass(frozen=True)
class Place:
    """Where a fit runs."""

    device: Device
    why: str = ""
    """Why it is not on a graphics processor though that was asked for; empty where it is, or could never be."""


def visible() -> list[Path]:
    """Device files of the graphics processors that this process could use. No library is loaded to look."""
    return sorted(path for pattern in LOOKED_FOR for path in FOLDER.glob(pattern))


def device_variables(device: Asked) -> dict[str, str]:
    """Environment of a kernel that models are fitted in."""
    return {VARIABLE: device} | ({CUDA_VARIABLE: ""} if device == "cpu" else {})


def asked() -> Asked:
    """What this kernel was told, `auto` where it was told nothing."""
    told = os.environ.get(VARIABLE)
    return "cuda" if told == "cuda" else "cpu" if told == "cpu" else "auto"


def place(family: Family, setting: Setting) -> Place:
    """Where a family's fit runs, by what was asked for, what is visible, and what the installed library can do."""
    if setting.device == "cpu" or not family.cuda:
        return Place("cpu")
    told = setting.device == "cuda"
    if not visible():
        return Place("cpu", "no graphics processor is visible here" if told else "")
    if not told and setting.n_rows < family.cuda_rows:
        return Place("cpu")
    reason = family.no_cuda(setting)
    return Place("cpu", reason if told else "") if reason else Place("cuda")
