"""MLflow's trace store: the one in the run directory, and that of a server, which takes OTLP for the experiment that a header names.

https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest, from MLflow 3.6 on.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

import httpx
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from team.rundir import RunDir
from team.tracking_record import EXPERIMENT
from tools.trackers.mlflow_store import load_tracker

HEADER = "x-mlflow-experiment-id"
_API = "/api/2.0/mlflow/experiments"


def exporter_to(server: str, request_s: float) -> SpanExporter:
    """What sends spans to a server's trace store, into the experiment of all runs, which is made where it is not there.

    Args:
        server: its address, without a slash at the end.
        request_s: seconds that one request may take.

    Raises:
        httpx.HTTPError: the server cannot be reached, or answers as no MLflow server does.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    auth = httpx.BasicAuth(user, password or "") if user and not token else None
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=server, timeout=request_s, auth=auth, headers=headers) as client:
        experiment = _experiment(client)
    if auth is not None:
        headers["Authorization"] = next(auth.sync_auth_flow(httpx.Request("GET", server))).headers["Authorization"]
    return OTLPSpanExporter(endpoint=f"{server}/v1/traces", headers={**headers, HEADER: experiment}, timeout=request_s)


def _experiment(client: httpx.Client) -> str:
    """The id of the experiment."""
    for _ in range(2):  # another run may make it meanwhile
        found = client.get(f"{_API}/get-by-name", params={"experiment_name": EXPERIMENT})
        if found.status_code != httpx.codes.NOT_FOUND:
            return str(found.raise_for_status().json()["experiment"]["experiment_id"])
        made = client.post(f"{_API}/create", json={"name": EXPERIMENT})
        if made.is_success:
            return str(made.json()["experiment_id"])
    return str(made.raise_for_status().json()["experiment_id"])


def keep_in_store(run: RunDir) -> str:
    """Put what stands in the run's file of spans into its own MLflow store, where there is one; spans that are there are replaced.

    Returns:
        Why that could not be done; empty when it was.
    """
    if not run.tracking.exists() or not run.traces.exists():
        return ""
    try:
        _keep(run)
    except Exception as error:  # a library's trouble with a view of the run is none of the run
        return f"the run's own MLflow store did not take the trace: {type(error).__name__}; it is in {run.traces.name}"
    return ""


def _keep(run: RunDir) -> None:
    load_tracker()
    from mlflow.entities.span import Span
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracing.constant import SpanAttributeKey

    spans = [_read(json.loads(line), SpanAttributeKey.REQUEST_ID) for line in run.traces.read_text(encoding="utf-8").splitlines()]
    store = SqlAlchemyStore(f"sqlite:///{run.tracking}", (run.path / "mlartifacts").as_uri())
    try:
        found = store.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else store.create_experiment(EXPERIMENT)
        store.log_spans(str(experiment), [Span(span) for span in spans])
    finally:
        store.engine.dispose()


def _read(document: dict[str, Any], request_id: str) -> ReadableSpan:
    """A line of the file as MLflow takes it: attributes as JSON texts, and its own name of the trace among them."""
    trace = int(document["context"]["trace_id"], 16)

    def context(span: str) -> SpanContext:
        return SpanContext(trace, int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def nanoseconds(moment: str) -> int:
        return int(datetime.fromisoformat(moment).timestamp() * 1e6) * 1000

    attributes = document["attributes"] | {request_id: f"tr-{trace:032x}"}
    return ReadableSpan(
        document["name"],
        context(document["context"]["span_id"]),
        context(document["parent_id"]) if document["parent_id"] else None,
        Resource(document["resource"]["attributes"]),
        {name: json.dumps(value) for name, value in attributes.items()},
        kind=SpanKind[document["kind"].rpartition(".")[2]],
        status=Status(StatusCode[document["status"]["status_code"]], document["status"].get("description")),
        start_time=nanoseconds(document["start_time"]),
        end_time=nanoseconds(document["end_time"]),
    )
