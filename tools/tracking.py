"""Host tool of the release manager: put the run into MLflow, one parent run with a child run per candidate."""

from __future__ import annotations

import logging
import os
from typing import Any

from pydantic import BaseModel

from tools.host import HostContext
from tools.spec import tool


class RunTracked(BaseModel):
    store: str
    experiment: str
    run_id: str
    candidates: int


@tool(where="host", timeout_s=300)
def track_run(ctx: HostContext) -> RunTracked:
    """Record parameters, scores and artefacts of the run and of every candidate in its MLflow store."""
    facts = ctx.tracked_facts()
    store = f"sqlite:///{ctx.run.tracking}"
    artefacts = (ctx.run.path / "mlartifacts").as_uri()
    run_id = _record(facts, store, artefacts)
    return RunTracked(store=ctx.run.tracking.name, experiment=facts["experiment"], run_id=run_id, candidates=len(facts["candidates"]))


def load_tracker() -> None:
    """Import MLflow, which takes two seconds: the conductor does it while the kernel refits."""
    # MLflow would report each run to its makers; a run reaches no network of its own accord.
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow.tracking  # noqa: F401


def _record(facts: dict[str, Any], store: str, artefacts: str) -> str:
    load_tracker()
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    for noisy in ("alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name(facts["experiment"])
    experiment = found.experiment_id if found else client.create_experiment(facts["experiment"], artifact_location=artefacts)
    parent = client.create_run(experiment, run_name=facts["run"], tags={"mlteam.kind": "run"}).info.run_id

    def log(run_id: str, facts: dict[str, Any]) -> None:
        at_ms = facts["at_ms"]
        metrics = [Metric(key, float(value), at_ms, 0) for key, value in facts["metrics"].items() if value is not None]
        metrics += [Metric("fold_score", float(score), at_ms, fold) for fold, score in enumerate(facts.get("fold_scores", []))]
        params = [Param(key, str(value)[:500]) for key, value in facts["params"].items() if value is not None]
        tags = [RunTag(key, str(value)) for key, value in facts.get("tags", {}).items()]
        client.log_batch(run_id, metrics, params, tags)
        client.set_terminated(run_id)

    for candidate in facts["candidates"]:
        tags = {"mlflow.parentRunId": parent, "mlteam.kind": "candidate"}
        log(client.create_run(experiment, run_name=candidate["name"], tags=tags).info.run_id, candidate)
    for path in facts["artefacts"]:
        client.log_artifact(parent, path)
    log(parent, facts)
    return str(parent)
