"""Versions of the packages that decide what a run comes to."""

from __future__ import annotations

import importlib.metadata
import platform

DECIDING = (
    "mlteam",
    "autogen-agentchat",
    "scikit-learn",
    "lightgbm",
    "xgboost-cpu",
    "xgboost",
    "catboost",
    "torch",
    "optuna",
    "skrub",
    "pandas",
    "numpy",
)


def versions() -> dict[str, str]:
    """By name, Python's first; what is not installed is not there."""
    found = {"python": platform.python_version()}
    for name in DECIDING:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
