"""A Docker daemon that is killed under a run. It is one of the test's own, beside the machine's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from team.events import CellExecuted, KernelChanged, RunResumed
from team.log import read_events
from team.sandbox.choose import report
from tests.team.commands import command, follow
from tests.team.test_faults import assert_whole

pytestmark = [pytest.mark.daemon, pytest.mark.docker]
RUN = ["run", "sklearn:wine", "--target=target", "--time=200s", "--trials=2", "--folds=2", "--sandbox=docker"]
RUN += ["--families=linear,extra_trees,lightgbm"]


class OwnDaemon:
    """A Docker daemon with folders, a socket and a network of its own, and the sandbox image in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": self.address}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Where nobody has collected the dead containerd yet, its number would pass for one that lives.
        for leftover in ("pid", "docker.sock", "exec/containerd/containerd.pid"):
            (self.folder / leftover).unlink(missing_ok=True)
        # In a network of its own: a daemon without a bridge removes the one of the machine's daemon.
        words = [
            "unshare",
            "--net",
            "dockerd",
            f"--data-root={self.folder}/data",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
        ]
        words += [f"--host={self.address}", "--bridge=none", "--iptables=false", "--ip-forward=false"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        while self.ask("info").returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-3000:]

    def remove(self) -> None:
        self.end(signal.SIGTERM)
        for part in psutil.disk_partitions(all=True):
            if part.mountpoint.startswith(str(self.folder)):
                subprocess.run(["umount", "--lazy", part.mountpoint], check=True)
        shutil.rmtree(self.folder)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *words], env=self.environment, capture_output=True, text=True, check=False)

    def load(self, image: str) -> None:
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "load", "--quiet"], stdin=saved.stdout, env=self.environment, check=True, capture_output=True)
        assert saved.returncode == 0

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()


@pytest.fixture(scope="module")
def daemon() -> Iterator[OwnDaemon]:
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("a Docker daemon of its own takes root and dockerd")
    folder = Path(tempfile.mkdtemp(prefix="mld-", dir="/tmp"))  # a socket's path must be short
    made = OwnDaemon(folder)
    made.start()
    try:
        made.load(next(found for found in report() if found.name == "docker").why.rpartition("image ")[2])
        yield made
    finally:
        made.remove()


def begin(daemon: OwnDaemon, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*RUN, f"--out={out}", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=daemon.environment
    )


def training(event: dict[str, Any]) -> bool:
    return event["kind"] == "progress_made" and event["facts"].get("candidate") == "lightgbm-1"


def test_a_run_waits_for_a_daemon_that_was_killed_and_comes_back(daemon: OwnDaemon, tmp_path: Path) -> None:
    with begin(daemon, tmp_path) as process:
        run = follow(process, tmp_path, training)
        daemon.end(signal.SIGKILL)
        daemon.start()
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert_whole(run, json.loads(out))
    events = list(read_events(run / "events.jsonl"))
    assert "died" in [e.change for e in events if isinstance(e, KernelChanged)]
    assert [e.status for e in events if isinstance(e, CellExecuted)].count("died") == 1
    assert daemon.ask("ps", "--all", "--no-trunc").stdout.count("\n") == 1, daemon.ask("ps", "--all").stdout


def test_a_run_whose_daemon_stays_away_says_what_to_do_and_goes_on_then(daemon: OwnDaemon, tmp_path: Path) -> None:
    with begin(daemon, tmp_path) as process:
        run = follow(process, tmp_path, training)
        daemon.end(signal.SIGKILL)
        _, err = process.communicate(timeout=200)
    assert process.returncode == 4
    assert "no Docker daemon" in err
    assert f"mlteam resume {run}" in err
    assert "Traceback" not in err
    daemon.start()
    resumed = subprocess.run(
        command("resume", str(run), "--json"), env=daemon.environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert resumed.returncode == 0, resumed.stderr
    assert_whole(run, json.loads(resumed.stdout))
    assert sum(isinstance(e, RunResumed) for e in read_events(run / "events.jsonl")) == 1
    assert daemon.ask("ps", "--all", "--no-trunc").stdout.count("\n") == 1, daemon.ask("ps", "--all").stdout
