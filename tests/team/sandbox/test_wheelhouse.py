"""Wheels are fetched once, for the image's Python, and known by their hashes. Pip reads them from a folder here."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from team.errors import PrerequisiteMissing
from team.sandbox.wheelhouse import Target, fill

BOOKWORM = Target((3, 11), "x86_64", (2, 36))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip finds, in place of a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def wheel(index: Path, tags: str) -> Path:
    path = index / f"tiny-1.0-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", tags)
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tags}\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return path


def lock(tmp_path: Path, *wheels: Path) -> Path:
    hashes = " ".join(f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in wheels)
    path = tmp_path / "requirements.lock"
    path.write_text(f"tiny==1.0 {hashes}\n")
    return path


def told(_: str) -> None:
    """Progress that nobody reads."""


def test_the_platforms_of_a_system_end_at_its_c_library() -> None:
    names = BOOKWORM.platforms()
    assert names[0] == "manylinux_2_36_x86_64"
    assert {"manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64", "linux_x86_64"} <= set(names)
    assert "manylinux_2_37_x86_64" not in names


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (BOOKWORM, "tiny-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"),
        (Target((3, 12), "x86_64", (2, 36)), "tiny-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"),
        (Target((3, 12), "aarch64", (2, 36)), "tiny-1.0-cp38-abi3-manylinux2014_aarch64.whl"),
        (Target((3, 11), "x86_64", (2, 27)), "tiny-1.0-py3-none-any.whl"),
    ],
)
def test_wheels_fit_the_image_whatever_the_host_is(index: Path, tmp_path: Path, target: Target, name: str) -> None:
    kinds = ("cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64", "cp38-abi3-manylinux2014_aarch64", "py3-none-any")
    folder = fill(lock(tmp_path, *(wheel(index, kind) for kind in kinds)), target, told)
    assert [path.name for path in folder.iterdir()] == [name]


def test_a_second_time_nothing_is_fetched(index: Path, tmp_path: Path) -> None:
    only = wheel(index, "py3-none-any")
    requirements = lock(tmp_path, only)
    first = fill(requirements, BOOKWORM, told)
    only.unlink()
    assert fill(requirements, BOOKWORM, told) == first
    assert [path.name for path in first.iterdir()] == [only.name]


def test_another_lock_takes_the_place_of_the_old_one(index: Path, tmp_path: Path) -> None:
    old = fill(lock(tmp_path, wheel(index, "py3-none-any")), BOOKWORM, told)
    new = fill(lock(tmp_path, wheel(index, "cp311-cp311-manylinux_2_17_x86_64")), BOOKWORM, told)
    assert [path.name for path in new.parent.iterdir()] == [new.name] != [old.name]


def test_a_wheel_that_is_not_the_locked_one_is_refused(index: Path, tmp_path: Path) -> None:
    requirements = lock(tmp_path, wheel(index, "py3-none-any"))
    (index / "tiny-1.0-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(PrerequisiteMissing, match="tiny"):
        fill(requirements, BOOKWORM, told)
    assert list((tmp_path / "cache" / "mlteam" / "wheelhouse").iterdir()) == []


def test_what_cannot_be_had_is_told(index: Path, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.lock"
    requirements.write_text("tiny==1.0\n")
    with pytest.raises(PrerequisiteMissing, match=r"(?s)requirements\.lock for Python 3\.11 on x86_64.*tiny==1\.0.*package index"):
        fill(requirements, BOOKWORM, told)
