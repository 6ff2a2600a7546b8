"""The paths of the application and what each answers."""

# FastAPI reads the types of what it calls when it is defined, and those of a request are made here: they cannot be names in texts.

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from tools.package.inputs import Inputs
from tools.serving.backend import ModelFailed, RowsRefused
from tools.serving.gate import KEY_HEADER
from tools.serving.metrics import Metrics
from tools.serving.observing import FACTS, log_line
from tools.serving.rows import MOST_TOLD, Answers, Problem, problems, request_model, rows_of

if TYPE_CHECKING:
    from tools.serving.app import Service


def make_routes(service: "Service", metrics: Metrics) -> FastAPI:
    """The application without what stands before it."""
    body_model = request_model(service.inputs, service.bounds.rows)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log_line(service.write, "info", "started", model=service.manifest.run)
        yield
        await service.backend.aclose()
        log_line(service.write, "info", "stopped", model=service.manifest.run)

    # No pages for people: they would load scripts from elsewhere.
    app = FastAPI(title=f"mlteam: {service.manifest.run}", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)

    def refusal(status: int, error: str, told: list[dict[str, Any]] | None = None, more: int = 0, headers: Any = None) -> JSONResponse:
        shown = Problem(error=error, problems=told or [], more=more)
        return JSONResponse(shown.model_dump(), status_code=status, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = list(error.errors())
        if errors and errors[0]["type"] == "json_invalid":
            return refusal(400, f"the body is no JSON: {errors[0].get('ctx', {}).get('error', '')}")
        told = problems(errors)
        request.scope[FACTS]["problems"] = len(errors)
        return refusal(422, "the rows do not fit the model's schema; GET /schema tells it", told, max(0, len(errors) - MOST_TOLD))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        told = "the body is no JSON that can be read" if error.status_code == 400 else str(error.detail)
        return refusal(error.status_code, told, headers=error.headers)

    key = APIKeyHeader(name=KEY_HEADER.title(), auto_error=False, description="The key that the server was started with.")
    codes = {400: "no JSON", 401: "no key, or a wrong one", 413: "too large", 415: "not application/json", 422: "rows break the schema"}
    codes |= {429: "too many requests", 500: "the model failed", 503: "stopping"}
    responses: dict[int | str, dict[str, Any]] = {status: {"model": Problem, "description": told} for status, told in codes.items()}

    # The key was checked by the gate, before a byte of the body was read; here it is part of the description.
    @app.post("/predict", response_model=Answers, responses=responses, dependencies=[Security(key)])
    async def predict(body: body_model, request: Request) -> Any:  # type: ignore[valid-type]  # made of the package's inputs
        """Predict one row or many: one answer a row, in their order."""
        if not service.backend.ready:
            return refusal(503, "the server is stopping")
        rows = rows_of(body)
        request.scope[FACTS]["rows"] = len(rows)
        try:
            answers = await service.backend.answer(rows)
        except RowsRefused as error:
            return refusal(422, str(error))
        except ModelFailed as error:
            log_line(service.write, "error", "model failed", why=str(error)[:500])
            return refusal(500, "the model failed on these rows; the log says more")
        metrics.predicted(rows)
        return JSONResponse({"answers": answers, "model": service.manifest.run})

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "alive"}

    @app.get("/ready", responses={503: {"model": Problem, "description": "not ready"}})
    async def ready() -> Any:
        """Whether a prediction would be answered now."""
        return {"status": "ready", "model": service.manifest.run} if service.backend.ready else refusal(503, "the model is not ready")

    @app.get("/schema")
    async def schema() -> Inputs:
        """The columns of a row with types and ranges."""
        return service.inputs

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def told() -> Response:
        """Prometheus' text format."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app
