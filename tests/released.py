"""A run that is ready to be tracked: real events, contract and state in a real run directory, without the hours."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from team.host import Host
from team.parsing import read_here
from team.rundir import RunDir
from team.settings import load_settings
from team.stages import CandidateFact, HoldoutFact, Stage, State
from team.vault import Vault
from tests.reports.written import Written
from tools.submission import Scored


class Released:
    """A run in its last stage as a process finds it on disk, with the host that its release manager has."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.state = State.model_validate(run.read_checkpoint()["state"])
        self.host = Host(
            run, load_settings({}, run.settings), Vault(run), lambda: self.state, self._cross_validate, lambda: read_here(run.vault)
        )

    async def _cross_validate(self, name: str, code: str, time_s: float) -> Scored:
        raise AssertionError("a run that is released trains nothing")


def released(out: Path, candidates: int = 3, tracker: str | None = None) -> Released:
    """Write such a run."""
    settings = load_settings({"source": "data.csv", "target": "Sex", "out": out, "tracker": tracker or "none"})
    with Written(out) as w:
        w.start(tracker=settings.tracker)
        w.seal()
        w.turn("release_manager", "release")
    state = State(
        stage=Stage.RELEASE,
        candidates=[
            CandidateFact(
                name=f"linear-{n}", family="linear", score=0.9, std_error=0.01, fold_scores=[0.8, 1.0], stage=Stage.TRAIN, seconds=1.5
            )
            for n in range(1, candidates + 1)
        ],
        holdout=HoldoutFact(candidate="linear-1", metric="roc_auc", score=0.91, low=0.8, high=0.99, level=0.95, n=67, looks=1),
        refitted="linear-1",
    )
    w.run.settings.write_text(settings.to_yaml())
    w.run.leaderboard.write_text('{"metric": "roc_auc", "candidates": []}')
    w.run.report.write_text("<!doctype html><title>a report</title>")
    w.run.write_checkpoint({"schema_version": 1, "state": state.model_dump(mode="json"), "usage": {}, "turns": 1, "thread": []})
    return Released(w.run)


def shown(uri: str) -> tuple[list[Any], list[Any]]:
    """The parent runs and the child runs that a store shows, embedded or behind a server."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mlteam")
    runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
    return [r for r in runs if r.data.tags["mlteam.kind"] == "run"], [r for r in runs if r.data.tags["mlteam.kind"] == "candidate"]


def embedded(run: RunDir) -> str:
    return f"sqlite:///{run.tracking}"


def committed(store: Path) -> int:
    """How many MLflow runs another process has committed to a store so far."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5)) as database:
            return int(database.execute("select count(*) from runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
