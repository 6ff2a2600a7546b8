"""The name of the image follows from what it is made of."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from team.sandbox.daemon import connect
from team.sandbox.image import Recipe, find, inputs_hash, tag

FILES = {
    "sandbox_image/Dockerfile": "FROM base AS libraries\nFROM libraries\nCOPY tools /code/tools\n",
    "sandbox_image/requirements.lock": "numpy==2.4.6\n",
    "sandbox_image/requirements-torch.lock": "torch==2.13.0\n",
    "sandbox_image/smoke.py": "print('ok')\n",
    "tools/__init__.py": "",
    "tools/families/tree.py": "x = 1\n",
    "inside/start.py": "import sys\n",
}


def write(root: Path, files: dict[str, str]) -> Recipe:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return Recipe(folder=root / "sandbox_image", tools=root / "tools", inside=root / "inside")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return write(tmp_path, FILES)


def test_equal_files_have_one_hash_on_every_machine(recipe: Recipe) -> None:
    assert inputs_hash(False, recipe) == "9dff58ff6c9e"


@pytest.mark.parametrize("name", FILES)
def test_every_byte_counts(recipe: Recipe, tmp_path: Path, name: str) -> None:
    before = inputs_hash(True, recipe)
    with (tmp_path / name).open("a") as file:
        file.write("#")
    assert inputs_hash(True, recipe) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "tools/new.py").touch(),
        lambda root: (root / "tools/families/tree.py").rename(root / "tools/families/trees.py"),
        lambda root: (root / "tools/families/tree.py").rename(root / "inside/tree.py"),
        lambda root: (root / "inside/start.py").unlink(),
    ],
    ids=["new", "renamed", "moved", "removed"],
)
def test_every_name_counts(recipe: Recipe, tmp_path: Path, change: Callable[[Path], object]) -> None:
    before = inputs_hash(False, recipe)
    change(tmp_path)
    assert inputs_hash(False, recipe) != before


def test_nothing_else_counts(recipe: Recipe, tmp_path: Path) -> None:
    before = inputs_hash(False, recipe)
    backwards = write(tmp_path / "other", dict(reversed(FILES.items())))
    assert inputs_hash(False, backwards) == before

    os.utime(tmp_path / "tools/families/tree.py", (0, 0))
    os.chmod(tmp_path / "inside/start.py", 0o600)
    for name in ("tools/__pycache__/tree.cpython-311.pyc", "tools/families/__pycache__/x.pyc", "inside/.DS_Store", "sandbox_image/notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("left by a program")
    assert inputs_hash(False, recipe) == before


def test_the_lock_of_torch_counts_where_torch_is(recipe: Recipe) -> None:
    without, with_torch = inputs_hash(False, recipe), inputs_hash(True, recipe)
    (recipe.folder / "requirements-torch.lock").write_text("torch==2.14.0\n")
    assert inputs_hash(False, recipe) == without
    assert inputs_hash(True, recipe) != with_torch


def test_the_recipe_of_this_installation_is_whole() -> None:
    assert re.fullmatch(r"mlteam-sandbox:[0-9a-f]{12}", tag(False))
    assert re.fullmatch(r"mlteam-sandbox:[0-9a-f]{12}-torch", tag(True))
    names = Recipe().code_files().keys()
    assert names >= {"tools/show.py", "tools/families/mlp.py", "team/sandbox/inside/start.py", "team/sandbox/inside/guard.py"}


@pytest.mark.docker
def test_an_image_of_other_files_is_stale_and_one_named_by_hand_is_none(recipe: Recipe, tmp_path: Path) -> None:
    client = connect()
    mine = Recipe(recipe.folder, recipe.tools, recipe.inside, repository=f"mlteam-test-{os.getpid()}")
    current = find(client).current
    assert current is not None
    image = client.images.get(current)
    try:
        assert (find(client, mine).current, find(client, mine).stale) == (None, False)
        image.tag(mine.repository, "by-hand")
        assert (find(client, mine).current, find(client, mine).stale) == (None, False)
        image.tag(mine.repository, "0123456789ab")
        assert (find(client, mine).current, find(client, mine).stale) == (None, True)
        image.tag(*tag(False, mine).split(":"))
        assert (find(client, mine).current, find(client, mine).stale) == (tag(False, mine), True)
        image.tag(*tag(True, mine).split(":"))
        assert find(client, mine).current == tag(True, mine)
    finally:
        for name in (name for name in client.images.get(current).tags if name.startswith(mine.repository)):
            client.images.remove(name)
        client.close()
