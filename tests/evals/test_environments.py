"""Environments of rivals: made when they are asked for, kept, and told where they cannot be made."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from evals.environments import interpreter
from team.errors import PrerequisiteMissing


def wheel(folder: Path, name: str, needs: str = "") -> str:
    """A wheel of one module, which pip installs without a network."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    needed = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{name}.py", "here = True\n")
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needed}")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    return str(path)


def modules(python: Path) -> set[str]:
    code = "import importlib.util as u; print(*(n for n in ('one', 'two', 'three') if u.find_spec(n)))"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_an_environment_is_made_once_for_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    one, two, three = wheel(tmp_path, "one"), wheel(tmp_path, "two", "one"), wheel(tmp_path, "three", "nowhere-to-be-had")
    root = tmp_path / "environments"
    with pytest.raises(PrerequisiteMissing, match=r"'rival' cannot be made: .*nowhere-to-be-had.*Type it by hand to see all: .*three-1\.0"):
        interpreter(root, "rival", [three])
    python = interpreter(root, "rival", [one, two], [three])
    assert modules(python) == {"one", "two", "three"}
    mark = python.parent / "mark"
    mark.touch()
    assert interpreter(root, "rival", [one, two], [three]) == python
    assert mark.exists(), "it was not made again"
