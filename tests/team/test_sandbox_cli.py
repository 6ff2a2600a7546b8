"""`mlteam sandbox`: results on stdout, all else on stderr, and the house's exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from team.cli import main
from team.sandbox.image import tag

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["sandbox", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A socket path at which nothing listens. As a TCP address, since the SDK forgets to close a Unix socket that fails."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.mark.usefixtures("no_daemon")
def test_building_without_a_daemon_says_how_to_get_one(invoke: Invoke) -> None:
    code, out, err = invoke("build", "--no-torch")
    assert (code, out) == (4, "")
    assert "no Docker daemon answers" in err
    assert "systemctl start docker" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("no_daemon")
def test_the_status_without_a_daemon_is_told_all_the_same(invoke: Invoke) -> None:
    code, out, _ = invoke("status", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["image"] in (tag(True), tag(False))
    assert facts["state"].startswith("no Docker daemon answers")
    assert facts["mb"] is None


def test_an_option_that_does_not_exist_is_refused(invoke: Invoke) -> None:
    code, _, err = invoke("build", "--bse", "x")
    assert code == 2
    assert "--bse" in err


@pytest.mark.docker
def test_a_base_that_is_not_here_is_told_with_the_recipe(invoke: Invoke) -> None:
    code, out, err = invoke("build", "--offline", "--base", "mlteam-no-such-base:1")
    assert (code, out) == (4, "")
    assert "mlteam-no-such-base:1 is not on this machine" in err
    assert "sandbox_image/make_base.sh mlteam-base:debian12 && mlteam sandbox build --offline --base mlteam-base:debian12" in err


@pytest.mark.docker
def test_a_base_that_no_registry_has_is_told_with_the_recipe(invoke: Invoke) -> None:
    code, out, err = invoke("build", "--base", "127.0.0.1:1/no-such-base:1")
    assert (code, out) == (4, "")
    assert "make_base.sh" in err


@pytest.mark.docker
def test_the_status_shows_the_image(invoke: Invoke) -> None:
    code, out, _ = invoke("status")
    assert code == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["image"] in (tag(True), tag(False))
    assert lines["state"] == "current"
    assert 500 < int(lines["mb"]) < 5000
