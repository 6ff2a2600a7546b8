"""A run that has ended, and sessions about it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from team.chat.screen import Screen
from team.chat.session import Session
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed in this process is otherwise as wide as the tester's own terminal."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="package")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Bounded by its trials, so that it does the same on every machine; linear models alone, so that it is quick."""
    given = {"source": "sklearn:iris", "target": "target", "families": "linear", "time": "120s", "trials": 0, "sandbox": "unsafe-local"}
    return RunDir(Path(start(load_settings({**given, "out": tmp_path_factory.mktemp("runs")}))["run"]))


class Told:
    """A session about a run, and what it printed."""

    def __init__(self, run: RunDir | None) -> None:
        self.out = io.StringIO()
        self.session = Session(Screen(self.out), {}, None, yes=False)
        if run is not None:
            self.session.player.look_at(run)

    @property
    def text(self) -> str:
        return self.out.getvalue()


@pytest.fixture
def told(run: RunDir) -> Told:
    return Told(run)


@pytest.fixture
def nothing() -> Told:
    """A session without a run."""
    return Told(None)
