from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from team.errors import PrerequisiteMissing, SandboxUnavailable, UsageError
from team.sandbox.choose import choose, report

WITHOUT_BWRAP = """
import sys
from team.errors import SandboxUnavailable
from team.sandbox.choose import choose, report
print(choose("auto", trusted_code=True))
print(report())
for kind in ("auto", "bubblewrap"):
    try:
        choose(kind, trusted_code=False)
    except SandboxUnavailable as error:
        print(error.exit_code, error)
"""


def run(code: str, path: str, docker: str = "unix:///nowhere/docker.sock") -> str:
    env = {"PATH": path, "DOCKER_HOST": docker}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, env=env)
    return done.stdout


def test_without_docker_and_bubblewrap_only_trusted_code_runs_and_the_fix_is_named() -> None:
    chosen, reported, auto, named = run(WITHOUT_BWRAP, "/nowhere").splitlines()
    assert "kind='unsafe-local'" in chosen
    assert "not installed" in chosen
    assert "works=False" in reported
    assert auto.startswith("4 no sandbox works here")
    assert "apt-get install bubblewrap" in auto
    assert "no Docker daemon runs: there is no socket /nowhere/docker.sock" in auto
    assert "apt-get install bubblewrap" in named


@pytest.mark.bubblewrap
def test_without_docker_auto_takes_bubblewrap_and_says_why() -> None:
    code = "from team.sandbox.choose import choose; c = choose('auto', trusted_code=False); print(c.kind, c.why)"
    told = run(code, os.environ["PATH"])
    assert told.startswith("bubblewrap it works here and isolates: bubblewrap ")
    assert "better ones do not: docker (no Docker daemon runs" in told


@pytest.mark.docker
def test_auto_takes_docker_where_its_image_is_current_and_says_why() -> None:
    choice = choose("auto", trusted_code=True)
    assert choice.kind == "docker"
    assert "image mlteam-sandbox:" in choice.why
    found = next(r for r in report() if r.name == "docker")
    assert (found.works, found.fix) == (True, "")


@pytest.mark.parametrize(
    ("address", "reason", "fix"),
    [
        ("unix:///nowhere/docker.sock", "there is no socket", "docker"),
        ("tcp://127.0.0.1:9", "no Docker daemon answers at tcp://127.0.0.1:9 (connection refused)", "systemctl start docker"),
        ("tcp://192.0.2.1:2375", "is on another machine", "unset DOCKER_HOST"),
        ("ssh://somebody@192.0.2.1", "is on another machine", "unset DOCKER_HOST"),
        ("nonsense", "is on another machine", "unset DOCKER_HOST"),
    ],
)
def test_a_daemon_that_cannot_be_used_is_told_with_the_fix(address: str, reason: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(SandboxUnavailable) as refused:
        choose("docker", trusted_code=False)
    assert reason in str(refused.value)
    assert fix in str(refused.value)


def test_a_socket_that_lets_nobody_in_is_told_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "d.sock"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
        found = next(r for r in report() if r.name == "docker")
    assert not found.works
    assert "no Docker daemon answers" in found.why


def test_a_kind_asked_for_by_name_is_taken() -> None:
    assert choose("unsafe-local", trusted_code=False).kind == "unsafe-local"


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="'podman': expected auto, docker, bubblewrap or unsafe-local"):
        choose("podman", trusted_code=True)


def test_a_missing_sandbox_is_a_missing_prerequisite() -> None:
    assert issubclass(SandboxUnavailable, PrerequisiteMissing)


def test_the_package_is_light_and_lists_its_names() -> None:
    code = (
        "import sys, team.sandbox as s, team.sandbox.choose\n"
        "s.Limits, s.CellResult\n"
        "print('jupyter_client' in sys.modules, 'zmq' in sys.modules or 'docker' in sys.modules, dir(s) == sorted(s.__all__))\n"
        "print([getattr(s, name).__name__ for name in dir(s)] == dir(s))"
    )
    assert run(code, "/usr/bin:/bin").split() == ["False", "False", "True", "True"]
