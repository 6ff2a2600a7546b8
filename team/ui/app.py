"""The routes of the page. All of them read; what they read of runs goes through `places.py`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from reports import comparison_html, pages
from reports.comparison import Comparison
from team.comparison import compare
from team.errors import MlteamError, UsageError
from team.ui.feed import Feeds, Following, View
from team.ui.gate import DOCUMENT_POLICY, Gate
from team.ui.listing import Listing
from team.ui.places import Folder, NotThere, address
from team.ui.rendering import TEMPLATES, Rendering
from team.ui.tail import StartOver
from tools.files import read_regular
from tools.serving.gate import App

MOST_COMPARED = 12
MOST_CELLS_BYTES = 512 * 2**20
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".tex": "text/plain; charset=utf-8",
    ".bib": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".ipynb": "application/x-ipynb+json",
}
"""Of what is handed out; anything else is for saving."""
After = Annotated[int, Query(ge=-1)]
Runs = Annotated[list[str], Query(alias="run")]


def make_app(root: Path, *, hosts: Iterable[str] | None, token: str | None, feeds: Feeds | None = None) -> App:
    """The page over the folder `root`, behind its gate.

    Args:
        hosts: names that it answers to; None for any.
        token: what readers must know; None for none.
        feeds: says when the server is about to end, so that what is followed ends too.
    """
    return Gate(_routes(Folder(root), feeds or Feeds()), hosts=hosts, token=token)


def _routes(folder: Folder, feeds: Feeds) -> FastAPI:
    app = FastAPI(title="mlteam ui", docs_url=None, redoc_url=None, openapi_url=None)
    listing, rendering = Listing(folder), Rendering(folder)
    style = pages.stylesheet("report.css", TEMPLATES / "ui.css")
    script = (TEMPLATES / "ui.js").read_text(encoding="utf-8")

    @app.exception_handler(NotThere)
    def not_there(request: Request, error: NotThere) -> Response:
        return problem(request, 404, f"{error}.")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return problem(request, error.status_code, str(error.detail))

    def problem(request: Request, status: int, told: str) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": told}, status)
        return HTMLResponse(rendering.problem(status, told), status)

    def opened(name: str) -> Following:
        try:
            return Following(folder.run(name)).read_all()
        except (StartOver, OSError) as error:
            raise NotThere(f"run {name!r} cannot be read: {error}") from None

    @app.get("/static/ui.css")
    def css() -> Response:
        return Response(style, media_type="text/css")

    @app.get("/static/ui.js")
    def js() -> Response:
        return Response(script, media_type="text/javascript")

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)

    @app.get("/")
    def index() -> HTMLResponse:
        return HTMLResponse(rendering.index(listing.runs(), listing.evals()))

    @app.get("/rows")
    def rows() -> HTMLResponse:
        return HTMLResponse(rendering.rows(listing.runs()))

    @app.get("/runs/{name}/")
    def run(name: str) -> HTMLResponse:
        found = opened(name)
        return HTMLResponse(rendering.run(found.watched, found.run, _address(name), going_on=found.going_on, printed=found.printed))

    @app.get("/runs/{name}/trace")
    def trace(name: str) -> HTMLResponse:
        found = opened(name)
        return HTMLResponse(rendering.trace(found.watched, found.run, _address(name), going_on=found.going_on))

    @app.get("/runs/{name}/cells/{number}")
    def cell(name: str, number: int) -> HTMLResponse:
        found = opened(name)
        return HTMLResponse(rendering.cell(found.watched, _address(name), _read_cell(folder, found, number)))

    @app.get("/runs/{name}/files/{path:path}")
    def file(name: str, path: str) -> Response:
        return _document(folder.file(folder.run(name).path, path), path)

    @app.get("/runs/{name}/live")
    async def live(
        name: str, after: After = -1, view: View = "run", last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        found = Following(folder.run(name))
        return _stream(lambda: found.parts(view, rendering, _address(name), _number(last_event_id, after), feeds), feeds)

    @app.get("/evals/{name}/{path:path}")
    def evaluated(name: str, path: str) -> Response:
        return _document(folder.file(folder.eval(name), path), path)

    @app.get("/compare")
    def compared(run: Runs = []) -> HTMLResponse:  # FastAPI reads the default, and nobody writes to it
        if len(run) < 2:
            return HTMLResponse(rendering.compare(listing.runs()))
        return HTMLResponse(comparison_html.render(_compare(folder, run)), headers={"content-security-policy": DOCUMENT_POLICY})

    @app.get("/api/runs")
    def api_runs() -> JSONResponse:
        return JSONResponse(
            {
                "runs": [row.model_dump(mode="json") for row in listing.runs()],
                "evals": [row.model_dump(mode="json") for row in listing.evals()],
            }
        )

    @app.get("/api/runs/{name}")
    def api_run(name: str) -> JSONResponse:
        folder.run(name)
        row = next((row for row in listing.runs() if row.entry.name == name), None)
        if row is None:
            raise NotThere(f"no run {name!r} here")
        return JSONResponse(row.model_dump(mode="json"))

    @app.get("/api/runs/{name}/events")
    async def api_events(name: str, after: After = -1, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
        found = Following(folder.run(name))
        return _stream(lambda: found.raw(_number(last_event_id, after), feeds), feeds)

    @app.get("/api/compare")
    def api_compare(run: Runs = []) -> JSONResponse:  # as above
        return JSONResponse(_compare(folder, run).model_dump(mode="json"))

    return app


def _compare(folder: Folder, names: list[str]) -> Comparison:
    if len(names) > MOST_COMPARED:
        raise HTTPException(400, f"{len(names)} runs to compare, expected at most {MOST_COMPARED}.")
    try:
        return compare([folder.run(name) for name in names])
    except UsageError as error:
        raise HTTPException(400, str(error)) from None
    except MlteamError as error:
        raise HTTPException(409, str(error)) from None


def _read_cell(folder: Folder, found: Following, number: int) -> dict[str, Any]:
    try:
        content = read_regular(found.run.cells, MOST_CELLS_BYTES, folder.root)
    except OSError:
        raise NotThere("this run has no cells yet") from None
    for line in content.split(b"\n")[:-1]:
        try:
            document = json.loads(line)
        except ValueError:  # torn by a crash
            continue
        if isinstance(document, dict) and document.get("cell") == number:
            return document
    raise NotThere(f"no cell {number} in this run")


def _document(content: bytes, path: str) -> Response:
    """A file as its kind asks for. Whatever a page in it holds gets an origin of its own, and no network."""
    suffix = Path(path).suffix.lower()
    kind = KINDS.get(suffix)
    headers = {"content-security-policy": DOCUMENT_POLICY}
    if kind is None or suffix == ".ipynb":
        headers["content-disposition"] = "attachment"
    if suffix == ".pdf":  # a browser's own reader does not open in a sandbox
        headers["content-security-policy"] = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
    return Response(content, media_type=kind or "application/octet-stream", headers=headers)


def _stream(follow: Callable[[], AsyncIterator[str]], feeds: Feeds) -> StreamingResponse:
    if feeds.open >= feeds.most:
        raise HTTPException(503, f"{feeds.open} pages are followed already. Close some.")

    async def counted() -> AsyncIterator[str]:
        feeds.open += 1
        try:
            async for text in follow():
                yield text
        finally:
            feeds.open -= 1

    return StreamingResponse(counted(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _address(name: str) -> str:
    place = address(name)
    assert place is not None, "a name that came in an address goes into one"
    return place


def _number(last_event_id: str | None, after: int) -> int:
    """What a reader has seen: what its browser says when it comes back, else what the page was drawn with."""
    return int(last_event_id) if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 16 else after
