"""An MLflow store in one SQLite file, which is whole or not there, and the tracker that keeps one in the run directory."""

from __future__ import annotations

import os
import sqlite3
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.host import RunPaths
from tools.trackers.contract import OWN, Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.mlflow_store import NotRecorded, Store, load_tracker
from tools.trackers.run_record import RunRecord


class Embedded(Tracker):
    """The store in the run directory, `mlflow.db`; `mlflow ui --backend-store-uri sqlite:///RUN/mlflow.db` shows it."""

    def __init__(self, run: RunPaths) -> None:
        self._run = run
        self._artefacts = run.path.absolute() / "mlartifacts"
        self._store: Store | None = None

    def write(self, record: RunRecord, attachments: Attachments, patience: Patience = OWN) -> Written:
        deadline = time.monotonic() + patience.total_s
        load_tracker()
        try:
            written = self._opened().write(record, attachments, deadline=deadline)
            if not record.running:
                _to_the_disk(self._run.tracking)
            return written
        except NotRecorded as error:
            raise NotSent(f"mlflow.db: {error}", answered=True) from None
        except Exception as error:  # of MLflow, SQLAlchemy or SQLite: the run goes on, and the store is opened anew next time
            self._store = None
            raise NotSent(f"mlflow.db could not be written ({type(error).__name__})", answered=True) from error

    def _opened(self) -> Store:
        from mlflow.tracking import MlflowClient

        _leave_to_the_system(self._run.tracking)
        if not self._run.tracking.exists():
            make_store(self._run.tracking, self._artefacts)
            self._store = None
        if self._store is None:
            client = MlflowClient(tracking_uri=f"sqlite:///{self._run.tracking}")
            self._store = Store(client, self._artefacts.as_uri())
        return self._store


def make_store(path: Path, artefacts: Path) -> None:
    """Make an empty store. Its tables take a second or more; a kill in between leaves no store, not one that nothing can open.

    Args:
        artefacts: folder for the files of what is written to no experiment of ours.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    temporary = path.with_name(f".{path.name}.tmp")
    _leave_to_the_system(temporary)
    for left in (temporary, temporary.with_name(f"{temporary.name}-journal")):
        left.unlink(missing_ok=True)
    store = SqlAlchemyStore(f"sqlite:///{temporary}", artefacts.absolute().as_uri())
    store.engine.dispose()
    _to_the_disk(temporary)
    temporary.replace(path)


def _leave_to_the_system(path: Path) -> None:
    """Have SQLite not wait for the disk at every step of this file, since a run is hundreds of them: a kill at any moment loses
    nothing all the same, and against a power cut it is forced to the disk with the last record. MLflow has no setting for that."""
    _UNHURRIED.add(os.path.realpath(path))
    _listen()


_UNHURRIED: set[str] = set()


@lru_cache(maxsize=1)
def _listen() -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            (_, _, file), *_ = connection.execute("PRAGMA database_list").fetchall()
            if os.path.realpath(file) in _UNHURRIED:
                connection.execute("PRAGMA synchronous=OFF")


def _to_the_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
