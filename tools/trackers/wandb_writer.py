"""The program that writes a run as offline runs of Weights & Biases; `wandb_runs.py` gives it a record on stdin.

The group is the mlteam run: one run of the job type `run` with tables, tuning history and report, and one of the type
`candidate` for every candidate, with its folds as steps.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from tools.trackers.run_record import CandidateRecord, RunRecord

PROJECT = "mlteam"


def main() -> None:
    given = json.load(sys.stdin)
    record = RunRecord.model_validate(given["record"])
    Path(given["folder"]).mkdir(parents=True)
    for candidate in record.candidates:
        _candidate(given, record, candidate)
    _run(given, record)
    import wandb

    wandb.teardown()


def _begun(given: dict[str, Any], record: RunRecord, kind: str, name: str, config: dict[str, Any]) -> Any:
    import wandb

    digest = hashlib.sha256(json.dumps([given["group"], kind, name]).encode()).hexdigest()[:16]
    return wandb.init(
        entity=os.environ.get("WANDB_ENTITY"),
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=digest,
        name=name,
        group=given["group"],
        job_type=kind,
        dir=given["folder"],
        config=config,
        mode="offline",
        reinit="create_new",
        settings=wandb.Settings(
            x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, disable_git=True, disable_code=True
        ),
    )


def _candidate(given: dict[str, Any], record: RunRecord, candidate: CandidateRecord) -> None:
    with _begun(given, record, "candidate", candidate.name, _config(candidate.params)) as run:
        run.define_metric("fold_score", step_metric="fold")
        for fold, score in enumerate(candidate.fold_scores):
            run.log({"fold": fold, "fold_score": score})
        run.summary.update(candidate.metrics)


def _run(given: dict[str, Any], record: RunRecord) -> None:
    import wandb

    with _begun(given, record, "run", record.run, _config(record.params | record.tags)) as run:
        for name in dict.fromkeys(point.name for point in record.points):
            run.define_metric(name, step_metric=f"{name} step")
        for point in record.points:
            run.log({point.name: point.value, f"{point.name} step": point.step, "at_s": (point.at_ms - record.began_ms) / 1000})
        names = list(dict.fromkeys(name for candidate in record.candidates for name in candidate.metrics))
        rows = [[one.name, one.params.get("family"), *(one.metrics.get(name) for name in names)] for one in record.candidates]
        folds = [[one.name, fold, score] for one in record.candidates for fold, score in enumerate(one.fold_scores)]
        run.log(
            {
                "leaderboard": wandb.Table(columns=["candidate", "family", *names], data=rows),
                "folds": wandb.Table(columns=["candidate", "fold", "score"], data=folds),
            }
        )
        files = [Path(path) for path in given["files"]]
        for path in files:
            if path.suffix == ".html":
                run.log({"report": wandb.Html(path.read_text(encoding="utf-8"), inject=False)})
        if files:
            documents = wandb.Artifact(f"documents-{run.id}", type="documents")
            for path in files:
                documents.add_file(str(path), policy="immutable")
            run.log_artifact(documents)
        if record.dataset is not None:  # what it is, and no row of it
            run.log_artifact(wandb.Artifact(f"dataset-{run.id}", type="dataset", metadata=record.dataset.model_dump(mode="json")))
        if given["package"]:
            model = wandb.Artifact(f"model-{run.id}", type="model", metadata=record.metrics)
            home = Path(given["package"]).resolve()
            for path in sorted(home.rglob("*")):
                if path.is_file() and path.resolve().is_relative_to(home):
                    model.add_file(str(path), name=str(path.relative_to(home)), policy="immutable")
            run.log_artifact(model)
        run.summary.update({**record.metrics, "status": record.status})


def _config(params: dict[str, str]) -> dict[str, Any]:
    def value(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    return {name: value(text) for name, text in params.items()}


if __name__ == "__main__":
    main()
