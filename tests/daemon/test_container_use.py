"""What containers of a real daemon take, by control groups and by the daemon's own count. Their image is a shell and its libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from team.resources import Reading
from team.sandbox.use import ContainerUse, DaemonStatistics, group_of
from tests.daemon.test_daemon import OwnDaemon

pytestmark = pytest.mark.daemon
SHELL = "/bin/sh"
LONGEST_S = 60.0


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[OwnDaemon]:
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("a Docker daemon of its own takes root and dockerd")
    made = OwnDaemon(Path(tempfile.mkdtemp(prefix="mld-", dir="/tmp")))  # a socket's path must be short
    made.start()
    try:
        monkeypatch.setenv("DOCKER_HOST", made.address)
        needed = subprocess.run(["ldd", SHELL], capture_output=True, text=True, check=True).stdout
        with tarfile.open(tmp_path / "root.tar", "w", dereference=True) as root:
            for path in (SHELL, *(word for line in needed.splitlines() for word in line.split() if word.startswith("/"))):
                root.add(path, arcname=path.lstrip("/"))
        assert made.ask("import", str(tmp_path / "root.tar"), "shell").returncode == 0
        yield made
    finally:
        made.remove()


def test_a_busy_container_is_counted_while_it_runs_and_after(daemon: OwnDaemon) -> None:
    started = daemon.ask("run", "--detach", "--network=none", "shell", SHELL, "-c", "while :; do :; done")
    assert started.returncode == 0, started.stderr
    container = started.stdout.strip()
    pid = int(daemon.ask("inspect", "--format", "{{.State.Pid}}", container).stdout)
    use, until = ContainerUse(), time.monotonic() + LONGEST_S
    use.began(container, pid)
    assert group_of(pid) is not None, "Linux shows the control groups of containers"
    while (first := use()).cpu_s < 0.5:
        assert time.monotonic() < until
    assert first.memory_mb > 0
    statistics, told = DaemonStatistics(), None
    while told is None or told.cpu_s < first.cpu_s:
        assert time.monotonic() < until
        told = statistics(container)
    use.ends(container)
    last = use()
    assert last.cpu_s >= told.cpu_s, "the daemon's count of an earlier moment is no larger"
    assert daemon.ask("kill", container).returncode == 0
    assert use() == Reading(last.cpu_s, 0)
