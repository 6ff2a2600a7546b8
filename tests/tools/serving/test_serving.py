"""A served model: it says what `mlteam predict` says, refuses what breaks its schema in words, and goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from team.errors import UsageError
from team.predict import apredict
from team.serving import opened
from tests.hosting import Hosting
from tests.packaged import packaged
from tools.package.manifest import verify
from tools.serving.app import make_app, read_service
from tools.serving.gate import Bounds, Rate

PENGUINS = Path(__file__).parents[3] / "evals" / "data" / "penguins.csv"
KEY = {"X-API-Key": "a key"}
MOST_ROWS, MOST_BYTES = 1000, 2**20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    return packaged(tmp_path_factory.mktemp("runs"), PENGUINS, "Sex", "tree")


class Served:
    """A client of an application in this process, and the lines of its log."""

    def __init__(self, client: httpx.AsyncClient, lines: list[str]) -> None:
        self.client, self._lines = client, lines

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines]

    async def ask(self, body: Any, **headers: str) -> httpx.Response:
        kind = {"Content-Type": "application/json"}
        return await self.client.post("/predict", content=json.dumps(body), headers=KEY | kind | headers)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(run: Hosting) -> AsyncIterator[Served]:
    lines: list[str] = []
    async with opened(run.run.model, "unsafe-local") as (backend, folder):
        bounds = Bounds(body_bytes=MOST_BYTES, rows=MOST_ROWS, per_second=0)
        service = read_service(folder, verify(folder), backend, key="a key", bounds=bounds, write=lines.append)
        transport = httpx.ASGITransport(make_app(service), raise_app_exceptions=False)  # type: ignore[arg-type]  # any application
        async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
            yield Served(client, lines)


def table() -> pd.DataFrame:
    """Rows of the source that the model could learn from: others lack measures that these never lack."""
    return pd.read_csv(PENGUINS).dropna(subset=["Sex"]).drop(columns=["Sex"])


def rows(count: int | None = None) -> list[dict[str, Any]]:
    """The same as a client sends them."""
    given: list[dict[str, Any]] = json.loads(table().head(count or 1000).to_json(orient="records", double_precision=15))
    return given


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_served_is_what_the_command_predicts(run: Hosting, served: Served, tmp_path: Path) -> None:
    table().to_csv(tmp_path / "rows.csv", index=False)
    await apredict(run.run, tmp_path / "rows.csv", tmp_path / "out.csv", sandbox="unsafe-local")
    written = pd.read_csv(tmp_path / "out.csv", dtype=str).to_dict("records")
    expected = [{name: text if name == "prediction" else float(text) for name, text in row.items()} for row in written]
    given = rows()
    many = await served.ask({"rows": given})
    assert many.status_code == 200, many.text
    assert many.json() == {"answers": expected, "model": run.run.name}
    one = await served.ask({"row": given[7]})
    assert one.json()["answers"] == [expected[7]]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("change", "column", "problem"),
    [
        ({"Island": ...}, "Island", "is missing"),
        ({"Wings": 2}, "Wings", "is no column of the model"),
        ({"Body Mass (g)": "heavy"}, "Body Mass (g)", '"heavy": expected a number'),
        ({"Body Mass (g)": True}, "Body Mass (g)", "true: expected a number"),
        ({"Body Mass (g)": 1e9}, "Body Mass (g)", "1000000000.0 is out of range; expected at most"),
        ({"Body Mass (g)": -1e9}, "Body Mass (g)", "-1000000000.0 is out of range; expected at least"),
        ({"Island": "Atlantis"}, "Island", '"Atlantis" is a category that the model has not seen'),
        ({"Island": 3}, "Island", "3 is a category that the model has not seen"),
        ({"Island": None}, "Island", "null is a category that the model has not seen"),
        ({"Date Egg": "once"}, "Date Egg", '"once": no date; expected one such as 2024-02-13'),
        ({"Date Egg": "1850-01-01"}, "Date Egg", "out of range; expected a date from"),
    ],
)
async def test_a_row_that_breaks_the_schema_is_told_by_column(
    run: Hosting, served: Served, change: dict[str, Any], column: str, problem: str
) -> None:
    good = rows(3)
    bad = {name: value for name, value in {**good[1], **change}.items() if value is not ...}
    alone = await served.ask({"row": bad})
    assert alone.status_code == 422
    assert alone.json()["problems"][0]["column"] == column
    assert problem in alone.json()["problems"][0]["problem"]
    among = await served.ask({"rows": [good[0], bad, good[2]]})
    assert (among.status_code, among.json()["problems"][0]["row"]) == (422, 1)
    assert (await served.ask({"row": good[0]})).status_code == 200, "the server goes on"


@pytest.mark.asyncio(loop_scope="module")
async def test_bodies_that_are_no_request_are_refused_and_the_server_goes_on(run: Hosting, served: Served) -> None:
    good = rows(1)
    text = json.dumps({"row": {**good[0], "Body Mass (g)": float("nan")}})
    json_kind = {"content-type": "application/json"}

    async def sent(content: bytes, **headers: str) -> tuple[int, str]:
        answer = await served.client.post("/predict", content=content, headers=KEY | json_kind | headers)
        return answer.status_code, answer.text

    status, told = await sent(text.encode())
    assert (status, "NaN is no finite number" in told) == (422, True)
    status, told = await sent(text.replace("NaN", "1e999").encode())
    assert (status, "is no finite number" in told) == (422, True)
    assert (await sent(b"{not json"))[0] == 400
    assert (await sent(b""))[0] == 422
    assert (await sent(b"\xff\xfe{}"))[0] == 400
    assert (await sent(b"[" * 100_000))[0] == 400
    status, told = await sent(b'{"rows": []}')
    assert (status, "holds no rows" in told) == (422, True)
    status, told = await sent(json.dumps({"rows": [{}] * 100_000}).encode())
    assert (status, f"holds more than {MOST_ROWS} rows" in told) == (422, True)
    status, told = await sent(b" " * 50 * 2**20)
    assert (status, "larger than 1,048,576 bytes" in told) == (413, True)
    assert (await sent(b"row=1", **{"content-type": "text/plain"}))[0] == 415
    assert (await served.client.get("/predict", headers=KEY)).status_code == 405
    assert (await served.client.get("/nowhere")).status_code == 404
    assert (await served.client.post("/predict", json={"row": good[0]})).status_code == 401
    assert (await served.ask({"row": good[0]}, **{"X-API-Key": "another"})).status_code == 401
    assert (await served.ask({"row": good[0]})).status_code == 200


@pytest.mark.asyncio(loop_scope="module")
async def test_a_platform_is_told_what_it_asks(run: Hosting, served: Served) -> None:
    assert (await served.ask({"rows": rows(200)}, **{"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    assert (await served.client.get("/health")).json() == {"status": "alive"}
    assert (await served.client.get("/ready")).json() == {"status": "ready", "model": run.run.name}
    text = (await served.client.get("/metrics")).text
    assert 'mlteam_requests_total{path="/predict",status="200"}' in text
    assert 'mlteam_drift_psi{column="Island"}' in text
    line = next(line for line in served.log if line.get("request") == "mine-1")
    assert (line["status"], line["rows"], line["path"], line["level"]) == (200, 200, "/predict", "info")
    assert "Adelie" not in json.dumps(served.log), "no value of a row stands in the log"
    described = (await served.client.get("/openapi.json")).json()
    mass = described["components"]["schemas"]["Row"]["properties"]["Body Mass (g)"]
    assert "maximum" in json.dumps(mass)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(["row", "rows", "Island", "Stage", "x"]), part, max_size=3),
    max_leaves=12,
)


@pytest.mark.asyncio(loop_scope="module")
@given(change=st.dictionaries(st.sampled_from(list(table().columns)), JSON, max_size=4), body=JSON)
async def test_any_body_gets_an_answer_of_those_that_the_description_names(served: Served, change: dict[str, Any], body: Any) -> None:
    described = (await served.client.get("/openapi.json")).json()["paths"]["/predict"]["post"]["responses"]
    for asked in (body, {"row": {**rows(1)[0], **change}}):
        answer = await served.ask(asked)
        assert str(answer.status_code) in described
        assert answer.status_code in (200, 422), answer.text
        assert set(answer.json()) == ({"answers", "model"} if answer.status_code == 200 else {"error", "problems", "more"})


async def test_a_package_that_was_changed_is_not_served(run: Hosting, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.run.model, tmp_path / "model"))
    (folder / "inputs.json").write_text((folder / "inputs.json").read_text().replace("Dream", "Dreams"))
    with pytest.raises(UsageError, match=r"is not served: inputs\.json is not the file that was packaged: its hash differs"):
        async with opened(folder, "unsafe-local"):
            raise AssertionError("it was loaded")


def test_a_client_that_asks_too_often_waits() -> None:
    now = [0.0]
    rate = Rate(Bounds(per_second=2, burst=3), clock=lambda: now[0])
    assert [rate.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.wait("b") == 0
    now[0] = 0.6
    assert rate.wait("a") == 0
    assert rate.wait("a") > 0


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_a_model_in_a_sandbox_says_the_same_and_comes_back_when_its_kernel_is_lost(run: Hosting, served: Served) -> None:
    """A kernel of the kind that holds nothing off: what is tried is the way to it, which is the same to all kinds."""
    from team.sandbox import open_kernel
    from team.sandbox.choose import make_launcher
    from team.serving import InSandbox

    given = rows(30)
    expected = (await served.ask({"rows": given})).json()["answers"]
    async with open_kernel(make_launcher("unsafe-local"), work=run.run.path) as kernel:
        backend = InSandbox(kernel, "model")
        await backend.load()
        assert await backend.answer(given) == expected
        await kernel.restart()
        assert await backend.answer(given[:1]) == expected[:1]
