"""The application: one packaged model behind `/predict`, with what a platform asks of a service beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.contract import Column, TableSchema
from tools.package.drift import Baseline
from tools.package.inputs import Inputs
from tools.package.manifest import DRIFT_FILE, INPUTS_FILE, Manifest, read_learnt
from tools.serving.backend import Backend
from tools.serving.gate import App, Bounds, Gate
from tools.serving.metrics import Metrics
from tools.serving.observing import Observe, Write, to_stderr

INSTALL = "pip install 'mlteam[serve]'"
PATHS = frozenset({"/predict", "/health", "/ready", "/metrics", "/schema", "/openapi.json"})
GUARDED = frozenset({"/predict"})


@dataclass
class Service:
    """A package that is served."""

    manifest: Manifest
    inputs: Inputs
    baseline: Baseline
    backend: Backend
    key: str | None = None
    """What a request must bring in `X-API-Key`; None for nothing."""
    bounds: Bounds = field(default_factory=Bounds)
    write: Write = to_stderr
    """Takes a line of the log."""


def read_service(folder: Path, manifest: Manifest, backend: Backend, **facts: Any) -> Service:
    """A service of a package that was verified.

    Raises:
        PackageDamaged: when it has no inputs, as packages of older versions.
    """
    return Service(manifest, read_learnt(folder, INPUTS_FILE, Inputs), read_learnt(folder, DRIFT_FILE, Baseline), backend, **facts)


def schema_of(inputs: Inputs) -> TableSchema:
    """The columns of requests as engine code knows them."""
    return TableSchema(
        columns=[Column(name=one.name, kind=one.kind, missing=0.0, unique=0, day_first=one.day_first) for one in inputs.columns]
    )


def make_app(service: Service) -> App:
    """The ASGI application of a service; it closes the backend when the server ends.

    Raises:
        ImportError: when FastAPI or prometheus-client is not installed.
    """
    from tools.serving.routes import make_routes

    metrics = Metrics(service.inputs, schema_of(service.inputs), service.baseline)
    gate = Gate(make_routes(service, metrics), guarded=GUARDED, key=service.key, bounds=service.bounds)
    return Observe(gate, metrics, PATHS, service.write)
