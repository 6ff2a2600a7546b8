"""The OpenAPI description of a served model, held against what the application answers, by schemathesis.

Its pytest plugin is off (`-p no:schemathesis` in pyproject.toml), since it changes how all tests are collected; here its cases are drawn
by Hypothesis and sent by our own client.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from team.serving import opened
from tests.packaged import packaged
from tools.package.manifest import verify
from tools.serving.app import make_app, read_service
from tools.serving.gate import Bounds

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed (pip install 'mlteam[dev]')")
KEY = {"X-API-Key": "a key"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    run = packaged(tmp_path_factory.mktemp("runs"), Path(__file__).parents[3] / "evals" / "data" / "penguins.csv", "Sex", "tree")
    async with opened(run.run.model, "unsafe-local") as (backend, folder):
        service = read_service(folder, verify(folder), backend, key="a key", bounds=Bounds(rows=50, per_second=0), write=lambda line: None)
        transport = httpx.ASGITransport(make_app(service), raise_app_exceptions=False)  # type: ignore[arg-type]  # any application
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as made:
            yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck), max_examples=10)
async def test_predict_answers_as_it_is_described(client: httpx.AsyncClient, mode: str, data: Any) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    described = schemathesis.openapi.from_dict((await client.get("/openapi.json")).json())
    operation = described["/predict"]["POST"]
    case = data.draw(operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
    content = json.dumps(case.body) if isinstance(case.body, (dict, list, str, int, float, bool, type(None))) else ""
    answer = await client.post("/predict", content=content, headers=KEY | {"content-type": "application/json"})
    conforms = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
    case.validate_response(answer, checks=[not_a_server_error, *conforms])
    if mode == "NEGATIVE":
        assert answer.status_code in (400, 422), answer.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", ["/health", "/ready", "/schema", "/metrics"])
async def test_what_a_platform_asks_answers_as_it_is_described(client: httpx.AsyncClient, path: str) -> None:
    described = schemathesis.openapi.from_dict((await client.get("/openapi.json")).json())
    described[path]["GET"].validate_response(await client.get(path))
