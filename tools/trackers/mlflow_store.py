"""Write a run into an MLflow store, in a file or behind a server: a parent, a child for every candidate, and a child of that for
every fold.

Everything written carries two tags that name the run. While the run goes on its parent is `RUNNING` and gets what is new; with
the last record it is completed, and then everything else with the same tags goes to MLflow's trash: what an earlier record was,
whole or cut off in the middle. So a store shows a run once, and never loses a whole record to half a one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.trackers.contract import NOTHING, TOO_SLOW, Attachments, Written
from tools.trackers.run_record import CandidateRecord, DatasetRecord, RunRecord

RUN_TAG, BEGAN_TAG, KIND_TAG, DIGEST_TAG = "mlteam.run", "mlteam.began", "mlteam.kind", "mlteam.digest"
PLACE_TAG = "mlteam.place"
LONGEST_PARAM = 500
"""Characters of a parameter that every MLflow store takes."""
LONGEST_DIGEST = 36
"""Characters of a dataset's digest that MLflow takes."""
MOST_FOLDS = 30
"""Folds that get a child of their own. Of more, as leaving one out makes them, the steps of `fold_score` tell."""
PROXIED = "mlflow-artifacts:/"
"""How the address of files begins that the tracking server itself takes."""
_PAGE, _BATCH = 1000, 900
_STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}


class NotRecorded(Exception):
    """The store did not take the whole record, and why, in words. The next attempt goes on with what was written so far."""


def load_tracker() -> None:
    """Import MLflow, which takes two seconds."""
    # MLflow would report each run to its makers; a run reaches no network of its own accord.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.tracking  # noqa: F401

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@dataclass
class _Begun:
    """What this process knows to stand in the store of a run."""

    key: tuple[str, int]
    parent: str
    params: str
    files: str
    """Where the store has the client put them."""
    older: list[str] = field(default_factory=list)
    """Everything else of the run, which goes when the record is whole."""
    whole: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """By the digest of a candidate, its child and the children of that."""
    points: int = 0


class Store:
    """One MLflow store, which remembers what it was given, so that the next record only adds to it.

    Args:
        client: an `MlflowClient`.
        location: where a new experiment keeps its files; None leaves that to the store.
    """

    def __init__(self, client: Any, location: str | None = None) -> None:
        self._client, self._location = client, location
        self._begun: _Begun | None = None

    def write(self, record: RunRecord, attachments: Attachments = NOTHING, *, deadline: float = float("inf")) -> Written:
        """Write a record, as `Tracker.write` says.

        Args:
            attachments: to a server they go only where it takes files itself.
            deadline: `time.monotonic()` after which nothing more is asked of the store.

        Raises:
            NotRecorded: when the deadline is reached between two requests, or the experiment was deleted there.
            MlflowException: when the store cannot be reached or refuses.
        """
        begun, self._begun = self._begun, None  # of what is cut off, the store knows more than we do
        experiment = self._experiment(record.experiment)
        params = _digest(record.params)
        if begun is None or (begun.key, begun.params) != (record.key, params):
            begun = self._taken_up(experiment, record, params) or self._begin(experiment, record, params)
        for candidate in record.candidates:
            if candidate.digest not in begun.whole:
                begun.whole[candidate.digest] = self._child(experiment, record, begun.parent, candidate, deadline)
        self._log_points(begun, record, deadline)
        taken = 0
        if not record.running:
            taken = self._end(experiment, begun, record, attachments, deadline)
            self._forget(experiment, begun, record)
        if record.status != "finished":
            self._begun = begun
        return Written(begun.parent, taken)

    def _begin(self, experiment: str, record: RunRecord, params: str) -> _Begun:
        older = [run.info.run_id for run in self._runs_of(experiment, record)]
        tags = {**_tags(record, "run"), DIGEST_TAG: params}
        parent = self._client.create_run(experiment, record.began_ms, {**tags, **record.tags}, record.run)
        run_id = str(parent.info.run_id)
        self._log_batch(run_id, [], record.params)
        if record.dataset is not None:
            self._client.log_inputs(run_id, datasets=[_dataset(record.dataset)])
        return _Begun(record.key, run_id, params, str(parent.info.artifact_uri), older)

    def _taken_up(self, experiment: str, record: RunRecord, params: str) -> _Begun | None:
        """What another process, or an attempt that was cut off, has begun of the same run and not finished."""
        runs = self._runs_of(experiment, record)
        open_ones = [
            run
            for run in runs
            if run.data.tags.get(KIND_TAG) == "run" and run.info.status != "FINISHED" and run.data.tags.get(DIGEST_TAG) == params
        ]
        # One whose parameters were cut off has none; it is begun anew.
        open_ones = [run for run in open_ones if len(run.data.params) == len(record.params)]
        if not open_ones:
            return None
        parent = max(open_ones, key=lambda run: len([one for one in runs if _parent_of(one) == run.info.run_id]))
        begun = _Begun(record.key, parent.info.run_id, params, str(parent.info.artifact_uri))
        for child in runs:
            if _parent_of(child) == begun.parent and child.info.status == "FINISHED":
                folds = [run.info.run_id for run in runs if _parent_of(run) == child.info.run_id]
                begun.whole[child.data.tags.get(DIGEST_TAG, "")] = (child.info.run_id, folds)
        known = {begun.parent, *(one for child, folds in begun.whole.values() for one in (child, *folds))}
        begun.older = [run.info.run_id for run in runs if run.info.run_id not in known]
        if parent.info.status != _STATUS[record.status]:
            self._client.update_run(begun.parent, status="RUNNING")
        return begun

    def _child(self, experiment: str, record: RunRecord, parent: str, candidate: CandidateRecord, deadline: float) -> tuple[str, list[str]]:
        """Write a candidate, its folds before its end: one that is finished in the store is whole."""
        from mlflow.entities import Metric

        tags = {**_tags(record, "candidate"), DIGEST_TAG: candidate.digest, "mlflow.parentRunId": parent}
        _in_time(deadline)
        child = str(self._client.create_run(experiment, record.began_ms, tags, candidate.name).info.run_id)
        folds = []
        for fold, score in enumerate(candidate.fold_scores if len(candidate.fold_scores) <= MOST_FOLDS else ()):
            _in_time(deadline)
            tags = {**_tags(record, "fold"), "mlteam.fold": str(fold), "mlflow.parentRunId": child}
            run = self._client.create_run(experiment, record.began_ms, tags, f"{candidate.name} fold {fold}")
            folds.append(str(run.info.run_id))
            self._log_batch(folds[-1], [Metric("score", score, record.began_ms, 0)], {"fold": str(fold)})
            self._client.set_terminated(folds[-1], end_time=record.ended_ms)
        metrics = [Metric(name, value, record.began_ms, 0) for name, value in candidate.metrics.items()]
        metrics += [Metric("fold_score", score, record.began_ms, fold) for fold, score in enumerate(candidate.fold_scores)]
        self._log_batch(child, metrics, candidate.params)
        self._client.set_terminated(child, end_time=record.ended_ms)
        return child, folds

    def _log_points(self, begun: _Begun, record: RunRecord, deadline: float) -> None:
        from mlflow.entities import Metric

        new = [Metric(point.name, point.value, point.at_ms, point.step) for point in record.points[begun.points :]]
        for at in range(0, len(new), _BATCH):
            _in_time(deadline)
            self._log_batch(begun.parent, new[at : at + _BATCH], {})
        begun.points = max(begun.points, len(record.points))

    def _end(self, experiment: str, begun: _Begun, record: RunRecord, attachments: Attachments, deadline: float) -> int:
        """Complete the parent, and give the number of files that were taken."""
        from mlflow.entities import Metric

        # A server may keep files in a place of its own, such as a folder of its machine, which means another folder here.
        takes = self._location is not None or begun.files.startswith(PROXIED)
        files = attachments.files if takes else ()
        for path in files:
            _in_time(deadline)
            self._client.log_artifact(begun.parent, str(path))
        _in_time(deadline)
        self._log_batch(begun.parent, [Metric(name, value, record.ended_ms, 0) for name, value in record.metrics.items()], {})
        for name, value in record.tags.items():
            self._client.set_tag(begun.parent, name, value)
        if attachments.package is not None and takes:
            _in_time(deadline)
            with _where_there_are_models():
                self._model(experiment, begun.parent, record, attachments.package)
        _in_time(deadline)
        self._client.set_terminated(begun.parent, status=_STATUS[record.status], end_time=record.ended_ms)
        return len(files)

    def _model(self, experiment: str, parent: str, record: RunRecord, package: Path) -> None:
        """The packaged model: by its place for a store in the same directory, whole for a server."""
        from mlflow.entities import LoggedModelOutput

        from tools.contract import Contract
        from tools.package.mlflow_model import save_pyfunc

        name = record.tags.get("candidate") or "model"
        tags = {RUN_TAG: record.run, BEGAN_TAG: str(record.began_ms), PLACE_TAG: str(package)}
        model = self._client.create_logged_model(experiment, name=name, source_run_id=parent, tags=tags, model_type="mlteam")
        if self._location is None:
            with tempfile.TemporaryDirectory(prefix="mlteam-model-") as folder:
                place = Path(folder, "model")
                contract = Contract.model_validate_json((package.parent / "contract.json").read_text(encoding="utf-8"))
                save_pyfunc(place, package, contract)
                self._client.log_model_artifacts(model.model_id, str(place))
        self._client.finalize_logged_model(model.model_id, "READY")
        self._client.log_outputs(parent, [LoggedModelOutput(model.model_id, 0)])

    def _forget(self, experiment: str, begun: _Begun, record: RunRecord) -> None:
        """Take away what is not part of the record."""
        wanted = {candidate.digest for candidate in record.candidates}
        for digest in [digest for digest in begun.whole if digest not in wanted]:
            child, folds = begun.whole.pop(digest)
            begun.older += [child, *folds]
        for old in begun.older:
            self._client.delete_run(old)
        begun.older = []
        with _where_there_are_models():
            key = f"tags.`{BEGAN_TAG}` = '{record.began_ms}'"
            for model in self._client.search_logged_models([experiment], filter_string=key):
                if model.tags.get(RUN_TAG) == record.run and model.source_run_id != begun.parent:
                    self._client.delete_logged_model(model.model_id)

    def _log_batch(self, run_id: str, metrics: Sequence[Any], params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        given = [Param(name, value[:LONGEST_PARAM]) for name, value in params.items()]
        for at in range(0, max(len(metrics), len(given), 1), _BATCH):
            self._client.log_batch(run_id, metrics[at : at + _BATCH], given[at : at + _BATCH])

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=self._location))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)  # another run may have made it meanwhile
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise NotRecorded(f"its experiment {name!r} is deleted, and has to be restored there first")
        return str(found.experiment_id)

    def _runs_of(self, experiment: str, record: RunRecord) -> list[Any]:
        """Everything that the store shows of this run."""
        found: list[Any] = []
        token = None
        while True:
            # The name is compared here: MLflow's filters have no way to write every character that a folder may have.
            page = self._client.search_runs(
                [experiment], filter_string=f"tags.`{BEGAN_TAG}` = '{record.began_ms}'", max_results=_PAGE, page_token=token
            )
            found += [run for run in page if run.data.tags.get(RUN_TAG) == record.run]
            token = page.token
            if not token:
                return found


def _tags(record: RunRecord, kind: str) -> dict[str, str]:
    return {RUN_TAG: record.run, BEGAN_TAG: str(record.began_ms), KIND_TAG: kind}


def _parent_of(run: Any) -> str | None:
    return run.data.tags.get("mlflow.parentRunId")


def _digest(params: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _dataset(data: DatasetRecord) -> Any:
    """MLflow's own description of a dataset: names, kinds and a digest."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    columns = [{"type": kind, "name": name, "required": True} for name, kind in data.columns.items()]
    made = Dataset(
        name=data.name,
        digest=data.digest[:LONGEST_DIGEST],
        source_type="mlteam",
        source=json.dumps({"source": data.source, "sha256": data.digest}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": data.rows, "num_columns": len(columns)}),
    )
    return DatasetInput(made, [InputTag("mlflow.data.context", "training")])


@contextmanager
def _where_there_are_models() -> Iterator[None]:
    """Do without models on a server of before MLflow 3, which has no place for them beside runs."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if not re.search(r"\b404\b", str(error).split("Response", 1)[0]):
            raise


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise NotRecorded(TOO_SLOW)
