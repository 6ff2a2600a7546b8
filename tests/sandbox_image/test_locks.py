"""The lock files of the image: complete, with hashes, and at the versions that everything outside the image has."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from team.sandbox.image import LOCK, TORCH_LOCK, Recipe

RECIPE = Recipe()
ROOT = RECIPE.folder.parent
HOST_ONLY = {("mlflow", "tools/registry.py"), ("mlflow", "tools/package/mlflow_model.py")}
"""Imported by functions that run on the host alone."""
HOST_FOLDERS = ("tools/sources/", "tools/serving/", "tools/deploying/", "tools/git/", "tools/trackers/")
"""Fetching, serving, publishing and tracking are the host's: no sandbox has a network."""
EXTRAS = {
    ("imblearn", "tools/steps/resampling.py"),
    ("sksurv", "tools/families/cox.py"),
    ("sksurv", "tools/families/survival_trees.py"),
    ("statsforecast", "tools/families/statistical.py"),
    ("rtdl_num_embeddings", "tools/families/tabm.py"),
    ("tabm", "tools/families/tabm.py"),
    ("tabicl", "tools/families/foundation.py"),
    ("tabpfn", "tools/families/foundation.py"),
    ("skops", "tools/package/interchange.py"),
    ("onnxruntime", "tools/package/interchange.py"),
    ("onnx", "tools/package/onnx_graph.py"),
    ("onnx", "tools/package/onnx_model.py"),
    ("onnxruntime", "tools/package/onnx_model.py"),
    ("umap", "tools/understanding/picture.py"),
}
"""Brought by extras that the image is made without; what needs them is left out there with a reason."""
UNUSED = {"debugpy", "dnspython", "setuptools"}
"""Named by ipykernel, email-validator and torch, and left out of the image; `requirements.in` and `requirements-torch.in` say why."""


def locked(name: str) -> dict[str, str]:
    text = (RECIPE.folder / name).read_text(encoding="utf-8")
    return {canonicalize_name(n): version for n, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


CORE, TORCH = locked(LOCK), locked(TORCH_LOCK)


def test_versions_are_those_outside() -> None:
    pairs = (line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines())
    outside = {canonicalize_name(name): version for name, version in pairs}
    assert len(CORE) > 50
    assert {name: outside.get(name) for name in CORE} == CORE
    assert {name: outside.get(name) for name in TORCH} == TORCH
    assert {name: CORE[name] for name in CORE.keys() & TORCH.keys()} == {name: TORCH[name] for name in CORE.keys() & TORCH.keys()}


def test_every_file_is_known_by_its_hash() -> None:
    text = (RECIPE.folder / LOCK).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line.split()[0] for line in lines if not re.search(r"--hash=sha256:[0-9a-f]{64}", line)] == []
    assert len(lines) == len(CORE)


@pytest.mark.parametrize("name", [*CORE, *TORCH])
def test_what_a_package_needs_is_locked(name: str) -> None:
    pairs = (Requirement(line) for line in importlib.metadata.requires(name) or ())
    needed = {canonicalize_name(r.name) for r in pairs if r.marker is None or r.marker.evaluate({"extra": ""})}
    assert needed - (CORE.keys() | TORCH.keys() if name in TORCH else CORE.keys()) - UNUSED == set()


def imported(source: Path) -> Iterator[str]:
    """Top-level names of the third-party modules that a file imports, at its head or in a function."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module]
        yield from {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"tools", "quota"}


def test_what_runs_inside_imports_nothing_but_what_is_locked() -> None:
    sources = [*RECIPE.code_files().values(), RECIPE.folder / "smoke.py"]
    found = {(name, path.relative_to(ROOT).as_posix()) for path in sources if path.suffix == ".py" for name in imported(path)}
    assert len({name for name, _ in found}) > 15
    providers = importlib.metadata.packages_distributions()
    strangers = set()
    assert found >= EXTRAS
    for name, path in found - HOST_ONLY - EXTRAS:
        if path.startswith(HOST_FOLDERS):
            continue
        distributions = {canonicalize_name(d) for d in providers.get(name, ())}
        if not distributions & (CORE.keys() | {"torch"}):
            strangers.add((name, path))
    assert strangers == set()


def test_torch_is_imported_by_the_networks_and_by_what_writes_them_as_onnx() -> None:
    users = {name for name, path in RECIPE.code_files().items() if path.suffix == ".py" and "torch" in imported(path)}
    families = {f"tools/families/{name}.py" for name in ("network", "network_training", "mlp", "realmlp", "tabm", "foundation")}
    assert users == families | {"tools/package/onnx_model.py"}
