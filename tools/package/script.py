"""What lies in a package to be typed: `predict.py`, which needs mlteam's engine beside it, and the list of packages it was made with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

SCRIPT_FILE = "predict.py"
LOCK_FILE = "requirements.lock"
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!-]*")
NEEDED = ("charset-normalizer", "joblib", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "scikit-learn", "skrub")
"""What a package's engine imports, whatever the model; the libraries that the model is made of come on top."""
SERVING = ("fastapi", "uvicorn", "prometheus-client")
"""What a served model needs on top."""
LARGE = {"catboost", "lightgbm", "xgboost", "xgboost-cpu", "torch"}
"""Libraries of which a package needs only those of its families."""
PLAIN = ("linear", "sparse_linear", "tree", "dummy", "random_forest", "extra_trees", "knn")
"""Families that need none of the large libraries."""
FAMILY_LIBRARIES: dict[str, set[str]] = {
    "catboost": {"catboost"},
    "lightgbm": {"lightgbm"},
    "xgboost": {"xgboost", "xgboost-cpu"},
    **{family: {"torch"} for family in ("mlp", "realmlp", "tabm")},
    **{family: set() for family in PLAIN},
}
"""Which of the large libraries the models of a family need; of a family that is not named here, all of them."""
SCRIPT = '''"""Predict rows with the model of this folder: python predict.py ROWS.csv -o FILE.csv

Loading the model executes what its maker put into it, so use it where you trust that, or `mlteam predict`, which uses a sandbox.
Needs the packages of requirements.lock and the folder `tools` of mlteam on the path (pip install mlteam brings both).
"""

import sys
from pathlib import Path

try:
    from tools.package.standalone import main
except ImportError as error:
    sys.exit(f"predict.py: {error}. Type: pip install mlteam")

if __name__ == "__main__":
    main(Path(__file__).resolve().parent, sys.argv[1:])
'''


def needed_libraries(described: dict[str, Any]) -> dict[str, str]:
    """Versions of the libraries that a packaged model needs, by name.

    Args:
        described: `model.json`, as a kernel wrote it; what in it is no version is left out, since pip reads what comes of this.
    """
    libraries, members = described.get("libraries"), described.get("members")
    if not isinstance(libraries, dict):
        return {}
    families = [member.get("family") if isinstance(member, dict) else None for member in members] if isinstance(members, list) else [None]
    stack = described.get("stack")
    families += [stack.get("family")] if isinstance(stack, dict) else []
    needed = set().union(*(FAMILY_LIBRARIES.get(str(family), LARGE) for family in families))
    sane = {name: text for name, text in libraries.items() if isinstance(text, str) and PIN.fullmatch(f"{name}=={text}")}
    return {name: text for name, text in sane.items() if name not in LARGE or name in needed}


def lockfile(libraries: dict[str, str], also: Sequence[str] = ()) -> str:
    """Pinned requirements of a package: the libraries that the model was made with, the engine's own, and what those need in turn.

    Args:
        libraries: versions where the model was fitted, by name; they stand first, since a model loads only beside its own.
        also: packages that are needed on top, at the versions that are installed here.
    """
    pinned = {name.lower(): found for name, found in libraries.items()}
    waiting = [*pinned, *NEEDED, *also]
    while waiting:
        name = waiting.pop()
        if name not in pinned and (found := _installed(name)):
            pinned[name] = found
        for line in _requires(name):
            if line not in pinned and line not in waiting and _installed(line):
                waiting.append(line)
    # Where a library was built for (`+cpu`) is no part of the version that an index knows.
    lines = [f"{name}=={found.partition('+')[0]}" for name, found in sorted(pinned.items())]
    return "# What the model was made with, and what that needs; written when it was packaged.\n" + "\n".join(lines) + "\n"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _requires(name: str) -> list[str]:
    """Names of the packages that one needs here, extras left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return []
    wanted = [Requirement(line) for line in lines]
    return [canonicalize_name(one.name) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
