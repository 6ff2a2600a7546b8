"""Kernels that are killed as they start, and sockets that are there before anybody listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from team.errors import SandboxUnavailable
from team.sandbox import Limits, open_kernel
from team.sandbox.channels import _listens
from team.sandbox.contract import Process
from team.sandbox.local import LocalLauncher
from team.sandbox.private import make_folder, remove_folder, sweep_folders


class Unlucky(LocalLauncher):
    """Somebody kills the first kernels that it starts."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self.deaths, self.started = deaths, 0

    async def start(self, folder: Path, work: Path, data: Path | None, limits: Limits, env: Mapping[str, str]) -> Process:
        process = await super().start(folder, work, data, limits, env)
        self.started += 1
        if self.started <= self.deaths:
            process.kill()
        return process


async def test_a_kernel_that_is_killed_as_it_starts_is_started_once_more(tmp_path: Path) -> None:
    launcher = Unlucky(deaths=1)
    async with open_kernel(launcher, work=tmp_path) as kernel:
        assert (await kernel.execute("print('here')")).text == "here\n"
    assert launcher.started == 2


async def test_one_that_dies_again_is_told_with_its_cause(tmp_path: Path) -> None:
    launcher = Unlucky(deaths=9)
    with pytest.raises(SandboxUnavailable, match="did not start in the unsafe-local sandbox"):
        async with open_kernel(launcher, work=tmp_path):
            pass
    assert launcher.started == 2


def test_a_socket_that_is_bound_does_not_listen_yet(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not _listens(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert path.exists()
        assert not _listens(path)
        server.listen()
        assert _listens(path)


def test_what_is_left_of_a_folder_that_was_half_removed_is_swept(tmp_path: Path) -> None:
    code = "import os; from team.sandbox.private import make_folder; print(make_folder(), flush=True); os._exit(9)"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    left = Path(died.stdout.strip())
    assert [path.name for path in left.iterdir()] == ["owner"], "what a removal that was cut off leaves"
    swept = f"from team.sandbox.private import sweep_folders; assert [str(f) for f in sweep_folders()] == [{str(left)!r}]"
    subprocess.run([sys.executable, "-c", swept], env=environment, check=True)
    assert not left.exists()


def test_an_empty_folder_is_swept_when_the_process_in_its_name_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    names = {f"mlteam-{gone}-abcdefgh": True, f"mlteam-{os.getpid()}-abcdefgh": False, "mlteam-mine": False}
    for name in names:
        (tmp_path / name).mkdir()
    swept = {folder.name for folder in sweep_folders()}
    assert {name: name in swept for name in names} == names


def test_a_folder_is_removed_whole(tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "connection").mkdir()
    (folder / "connection" / "k-1").touch()
    (folder / "passwd").symlink_to(tmp_path)
    remove_folder(folder)
    assert not folder.exists()
    assert tmp_path.exists()
