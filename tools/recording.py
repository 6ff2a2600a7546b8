"""Write a run's record into an MLflow store, embedded or behind a server, so that writing it again changes nothing.

Everything written carries two tags that name the run. A record is written anew, and then everything older with the same tags
goes to MLflow's trash: what an earlier call wrote, whole or cut off in the middle. So a store shows a run once, and never
loses a whole record to half a one.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tools.host import RunPaths
from tools.run_record import CandidateRecord, RunRecord

RUN_TAG, BEGAN_TAG, KIND_TAG = "mlteam.run", "mlteam.began", "mlteam.kind"
LONGEST_PARAM = 500
"""Characters of a parameter that every MLflow store takes."""
PROXIED = "mlflow-artifacts:/"
"""How the address of files begins that the tracking server itself takes."""
TOO_SLOW = "it is too slow"
_PAGE = 1000


class Written(NamedTuple):
    """A record in a store."""

    run_id: str
    artefacts: int
    """Files that the store took beside the record."""


class NotRecorded(Exception):
    """The store did not take the whole record, and why, in words. The next attempt replaces what was written so far."""


def load_tracker() -> None:
    """Import MLflow, which takes two seconds: the conductor does it while the kernel refits."""
    # MLflow would report each run to its makers; a run reaches no network of its own accord.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.tracking  # noqa: F401

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def artefacts(run: RunPaths) -> list[Path]:
    """Files of the run that go with its record. One that a link leads out of the run directory is left out."""
    home = run.path.resolve()
    return [path for path in (run.contract, run.report, run.leaderboard) if path.is_file() and path.resolve().is_relative_to(home)]


def write_embedded(record: RunRecord, run: RunPaths) -> str:
    """Write the record into the run's own store and return the id of its MLflow run."""
    load_tracker()
    from mlflow.tracking import MlflowClient

    if not run.tracking.exists():
        _make_store(run.tracking)
    client = MlflowClient(tracking_uri=f"sqlite:///{run.tracking}")
    return write(client, record, artefacts(run), location=(run.path / "mlartifacts").as_uri()).run_id


def write(client: Any, record: RunRecord, files: Sequence[Path], *, location: str | None = None, deadline: float = float("inf")) -> Written:
    """Write one record, and then remove what the store held of this run before.

    Args:
        client: an `MlflowClient`.
        files: what is stored with the record; to a server they go only where it takes them itself.
        location: where a new experiment keeps its files; None leaves that to the store.
        deadline: `time.monotonic()` after which nothing more is asked of the store.

    Raises:
        NotRecorded: when the deadline is reached between two requests, or the experiment was deleted there.
        MlflowException: when the store cannot be reached or refuses.
    """
    experiment = _experiment(client, record.experiment, location)
    earlier = _runs_of(client, experiment, record)
    tags = {RUN_TAG: record.run, BEGAN_TAG: str(record.began_ms), KIND_TAG: "run"}
    parent = client.create_run(experiment, record.began_ms, {**tags, **record.tags}, record.run)
    parent_id = str(parent.info.run_id)
    for candidate in record.candidates:
        _in_time(deadline)
        of_parent = {**tags, KIND_TAG: "candidate", "mlflow.parentRunId": parent_id}
        child = client.create_run(experiment, record.began_ms, of_parent, candidate.name)
        _log(client, child.info.run_id, record, candidate)
    # A server may keep files in a place of its own, such as a folder of its machine, which means another folder here.
    taken = files if location is not None or parent.info.artifact_uri.startswith(PROXIED) else []
    for path in taken:
        _in_time(deadline)
        client.log_artifact(parent_id, str(path))
    _log(client, parent_id, record, record)
    for old in earlier:
        client.delete_run(old)
    return Written(parent_id, len(taken))


def _log(client: Any, run_id: str, record: RunRecord, part: RunRecord | CandidateRecord) -> None:
    from mlflow.entities import Metric, Param

    metrics = [Metric(name, value, record.began_ms, 0) for name, value in part.metrics.items()]
    if isinstance(part, CandidateRecord):
        metrics += [Metric("fold_score", score, record.began_ms, fold) for fold, score in enumerate(part.fold_scores)]
    client.log_batch(run_id, metrics, [Param(name, value[:LONGEST_PARAM]) for name, value in part.params.items()])
    client.set_terminated(run_id, end_time=record.ended_ms)


def _experiment(client: Any, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)  # another run may have made it meanwhile
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise NotRecorded(f"its experiment {name!r} is deleted, and has to be restored there first")
    return str(found.experiment_id)


def _runs_of(client: Any, experiment: str, record: RunRecord) -> list[str]:
    """Ids of everything that the store shows of this run."""
    found: list[str] = []
    token = None
    while True:
        # The name is compared here: MLflow's filters have no way to write every character that a folder may have.
        page = client.search_runs(
            [experiment], filter_string=f"tags.`{BEGAN_TAG}` = '{record.began_ms}'", max_results=_PAGE, page_token=token
        )
        found += [run.info.run_id for run in page if run.data.tags.get(RUN_TAG) == record.run]
        token = page.token
        if not token:
            return found


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise NotRecorded(TOO_SLOW)


def _make_store(path: Path) -> None:
    """Make an empty store. Its tables take a second or more; a kill in between leaves no store, not one that nothing can open."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    temporary = path.with_name(f".{path.name}.tmp")
    for left in (temporary, temporary.with_name(f"{temporary.name}-journal")):
        left.unlink(missing_ok=True)
    store = SqlAlchemyStore(f"sqlite:///{temporary}", (path.parent / "mlartifacts").as_uri())
    store.engine.dispose()
    temporary.replace(path)
