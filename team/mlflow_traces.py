"""MLflow's trace store as a collector: its server takes OTLP, for the experiment that a header names.

https://mlflow.org/docs/latest/genai/tracing/opentelemetry/ingest, from MLflow 3.6 on.
"""

from __future__ import annotations

import os

import httpx
from opentelemetry.sdk.trace.export import SpanExporter

from team.tracking_record import EXPERIMENT

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
