"""What all tests share: nothing reaches the network, and what a machine lacks is a reason, not a silence."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.browser import browser, page, seen  # noqa: F401  # fixtures for every module

pytest.register_assert_rewrite(
    "tests.contracts.model_scene",
    "tests.contracts.model_replies",
    "tests.contracts.model_faults",
    "tests.contracts.model_ending",
    "tests.contracts.sandbox",
    "tests.contracts.tracker",
    "tests.contracts.tracker_places",
)

# The same examples every time, and none kept: a test that fails fails for everybody.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=25)
settings.load_profile("repeatable")

# Each worker has a core, and threads that wait for each other on a busy one take several times as long. Read when libraries are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite in the background of a shell ignores Ctrl-C, and so would every process that a test starts to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with slow tests first: what two workers share out at the end is then short, and neither waits long for the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for kind in ("docker", "bubblewrap", "latex", "browser"):
        if item.get_closest_marker(kind) is not None and (reason := _obstacle(kind)):
            pytest.fail(reason) if IN_CI else pytest.skip(reason)
    if item.get_closest_marker("hosts") is not None:
        from tests.evals.engines.hosts import obstacle

        if reason := obstacle():
            pytest.skip(reason)
    if item.get_closest_marker("postgres") is not None and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        reason = "PostgreSQL is not installed: apt-get install postgresql"
        pytest.fail(reason) if IN_CI else pytest.skip(reason)
    if item.get_closest_marker("prometheus") is not None and not (shutil.which("prometheus") and shutil.which("promtool")):
        reason = "Prometheus is not installed: apt-get install prometheus"
        pytest.fail(reason) if IN_CI else pytest.skip(reason)


@functools.cache
def _obstacle(kind: str) -> str | None:
    if kind == "browser":
        from tests.browser import obstacle

        return obstacle()
    if kind == "latex":
        from reports.typesetting import INSTALL, missing_programs

        lacking = missing_programs()
        return f"no {', '.join(lacking)} here. Type: {INSTALL}" if lacking else None
    from team.sandbox.choose import report

    found = next(r for r in report() if r.name == kind)
    return None if found.works else f"{kind} does not work here: {found.why}. {found.fix}"


@functools.cache
def _session_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mlteam-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture(autouse=True)
def _no_keys_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test can spend no money and is not steered by the machine's own settings."""
    for name in [
        n
        for n in os.environ
        if n.startswith(("MLTEAM_", "MLFLOW_TRACKING_", "WANDB_")) or n.endswith(("_API_KEY", "_AUTH_TOKEN", "_BASE_URL"))
    ]:
        monkeypatch.delenv(name)
    # Nor does it read or fill the user's own cache, secrets and keyring.
    monkeypatch.setenv("MLTEAM_CACHE", str(_session_folder()))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse connections to any address that is not on this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and str(address[0]) not in ("127.0.0.1", "::1", "localhost"):
            raise ConnectionRefusedError(f"tests reach no network: {address!r}")
        connect(self, address)  # type: ignore[arg-type]  # whatever the caller gave

    socket.socket.connect = guarded  # type: ignore[method-assign]  # the one seam that every client goes through
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]
