"""The built-in trackers as tests look at them: each is read back with the library that its users read it with."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from team.rundir import RunDir
from tests.contracts.tracker import Place, Seen
from tools.trackers.contract import Tracker
from tools.trackers.mlflow_file import Embedded, make_store
from tools.trackers.mlflow_server import Server
from tools.trackers.mlflow_store import load_tracker
from tools.trackers.run_record import RunRecord
from tools.trackers.tensorboard import TensorBoard
from tools.trackers.wandb_runs import WandB, group_of


class OnServer(Place):
    """An MLflow server."""

    def __init__(self, address: str) -> None:
        self.uri = address

    def tracker(self, run: str) -> Tracker:
        return Server(self.uri)

    def runs(self, record: RunRecord) -> list[Any]:
        """Everything that MLflow shows of a run, parents, children and their children."""
        load_tracker()
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name("mlteam")
        found = client.search_runs([experiment.experiment_id], max_results=5000) if experiment else []
        of_run = {"mlteam.run": record.run, "mlteam.began": str(record.began_ms)}
        return [run for run in found if of_run.items() <= run.data.tags.items()]

    def seen(self, record: RunRecord) -> list[Seen]:
        from mlflow.tracking import MlflowClient

        runs = self.runs(record)
        client = MlflowClient(tracking_uri=self.uri)

        def below(parent: Any) -> list[Any]:
            return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]

        def history(run: Any, name: str) -> list[tuple[int, float]]:
            return sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))

        found = []
        for parent in (run for run in runs if run.data.tags["mlteam.kind"] == "run"):
            # One that is being written as this is asked is no child yet.
            children = {child.info.run_name: child for child in below(parent) if child.info.status == "FINISHED"}
            folds = {name: [history(fold, "score")[0][1] for fold in _ordered(below(child))] for name, child in children.items()}
            for name, child in children.items():
                assert [value for _, value in history(child, "fold_score")] == folds[name]
            assert {fold.info.status for child in children.values() for fold in below(child)} <= {"FINISHED"}
            streamed = {point.name for point in record.points}
            found.append(
                Seen(
                    status=parent.info.status.lower(),
                    params=parent.data.params,
                    metrics={name: value for name, value in parent.data.metrics.items() if name not in streamed},
                    history={name: history(parent, name) for name in parent.data.metrics},
                    candidates={
                        name: {one: value for one, value in child.data.metrics.items() if one != "fold_score"}
                        for name, child in children.items()
                    },
                    folds=folds,
                    files=[file.path for file in client.list_artifacts(parent.info.run_id)],
                )
            )
        return found


def _ordered(folds: list[Any]) -> list[Any]:
    return sorted(folds, key=lambda fold: int(fold.data.tags["mlteam.fold"]))


class InRuns(Place):
    """A place in each run directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, name: str) -> RunDir:
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        return RunDir(path)


class InStores(InRuns):
    """MLflow's embedded stores. The tables of an empty one take seconds, so they are made once and copied."""

    def run(self, name: str) -> RunDir:
        run, empty = super().run(name), self._folder / ".empty.db"
        load_tracker()
        if not empty.exists():
            make_store(empty, empty.parent / "mlartifacts")
        if not run.tracking.exists():
            shutil.copyfile(empty, run.tracking)
        return run

    def tracker(self, run: str) -> Tracker:
        return Embedded(self.run(run))

    def seen(self, record: RunRecord) -> list[Seen]:
        return OnServer(f"sqlite:///{self.run(record.run).tracking}").seen(record)


class InEventFiles(InRuns):
    """TensorBoard's event files, read as TensorBoard reads them."""

    def tracker(self, run: str) -> Tracker:
        return TensorBoard(self.run(run))

    def seen(self, record: RunRecord) -> list[Seen]:
        home = self.run(record.run).path / "tensorboard"
        if not home.exists():
            return []
        parent = _scalars(home)
        candidates = {path.name: _scalars(path) for path in home.iterdir() if path.is_dir()}
        streamed = {point.name for point in record.points}
        status, params = _told(home)
        return [
            Seen(
                status=status,
                params=params,
                metrics={name: values[-1][1] for name, values in parent.items() if name not in streamed},
                history=parent,
                candidates={
                    name: {one: values[-1][1] for one, values in scalars.items() if one != "fold_score"}
                    for name, scalars in candidates.items()
                },
                folds={name: [value for _, value in scalars["fold_score"]] for name, scalars in candidates.items()},
            )
        ]


def _events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def _scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Values are kept in single precision."""
    events = _events(folder)
    return {name: [(one.step, round(one.value, 6)) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def _told(folder: Path) -> tuple[str, dict[str, str]]:
    events = _events(folder)

    def text(name: str) -> str:
        return str(events.Tensors(f"{name}/text_summary")[-1].tensor_proto.string_val[0].decode())

    cells = [line.strip("| ").split(" | ") for line in text("run").splitlines()[2:]]
    return text("status"), dict(cells)


class InOfflineRuns(InRuns):
    """The offline runs of Weights & Biases, read from the files that are sent."""

    def tracker(self, run: str) -> Tracker:
        return WandB(self.run(run))

    def seen(self, record: RunRecord) -> list[Seen]:
        runs = [offline(path) for path in sorted((self.run(record.run).path / "wandb").glob("offline-run-*/*.wandb"))]
        assert {run["group"] for run in runs} <= {group_of(record)}
        children = {run["name"]: run for run in runs if run["kind"] == "candidate"}
        found = []
        for parent in (run for run in runs if run["kind"] == "run"):
            summary, streamed = parent["summary"], {point.name for point in record.points}
            found.append(
                Seen(
                    status=summary["status"],
                    params=parent["config"],
                    metrics={name: value for name, value in summary.items() if name.startswith("holdout_")},
                    history={name: [(row[f"{name} step"], row[name]) for row in parent["rows"] if name in row] for name in streamed},
                    candidates={
                        name: {one: value for one, value in run["summary"].items() if one in ("cv_score", "fit_seconds")}
                        for name, run in children.items()
                    },
                    folds={name: [row["fold_score"] for row in run["rows"]] for name, run in children.items()},
                )
            )
        return found


def offline(path: Path) -> dict[str, Any]:
    """What an offline run's file holds: its name, group, kind, config, history and summary."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, Any] = {"rows": [], "summary": {}, "config": {}, "artifacts": []}
    for data in _logged(path.read_bytes()):
        entry = wandb_internal_pb2.Record.FromString(data)
        match entry.WhichOneof("record_type"):
            case "run":
                run = entry.run
                found |= {"id": run.run_id, "name": run.display_name, "group": run.run_group, "kind": run.job_type, "project": run.project}
                found["config"] |= {item.key: json.loads(item.value_json) for item in run.config.update if item.key != "_wandb"}
            case "history":
                row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in entry.history.item}
                found["rows"].append(row)
            case "summary":
                found["summary"] |= {item.key or item.nested_key[0]: json.loads(item.value_json) for item in entry.summary.update}
            case "artifact":
                found["artifacts"].append((entry.artifact.type, entry.artifact.name))
            case _:
                pass
    return found


def _logged(data: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format, behind a head of seven bytes: in blocks, each record whole or in parts."""
    head, block, whole, last = 7, 1 << 15, 1, 4
    assert data[:4] == b":W&B"
    at, parts = head, b""
    while at + head <= len(data):
        if block - at % block < head:  # what is left of a block is no room for a part
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + head])
        parts += data[at + head : at + head + length]
        at += head + length
        if kind in (whole, last):
            yield parts
            parts = b""
