"""A real `mlflow server` on PostgreSQL: killed and started again within a run, and its pages opened in a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.contracts.tracker import record
from tests.contracts.tracker_places import OnServer
from tests.notebook.lab import browser, browser_program
from tests.released import released
from tests.tools.postgres import Cluster, binaries
from tests.tracking_server import TrackingServer
from tools.trackers.contract import NOTHING, Patience, Written
from tools.trackers.fanout import Fanout
from tools.trackers.mlflow_server import Server
from tools.tracking import track_run

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
WITHIN_S = 120.0
TEXT = "document.body?.innerText.includes({!r})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    cluster = Cluster(binaries())
    made = None
    try:
        cluster.start()
        address = cluster.address("postgres").replace("postgresql://", "postgresql+psycopg://")
        made = TrackingServer(tmp_path_factory.mktemp("server"), store=address)
        made.start()
        yield made
    finally:
        if made is not None:
            made.kill()
        cluster.stop()


@pytest.mark.skipif(browser_program() is None and os.environ.get("CI") != "true", reason="there is no Chromium: apt-get install chromium")
async def test_its_pages_show_the_run_its_candidates_and_their_scores(server: TrackingServer, tmp_path: Path) -> None:
    r = released(tmp_path, candidates=2, tracker=server.address)
    tracked = track_run(r.host)
    assert tracked.kept is None, tracked.why
    runs = OnServer(server.address).runs(r.host.run_record())
    parent = next(run for run in runs if run.data.tags["mlteam.kind"] == "run")
    home = f"{server.address}/#/experiments/{parent.info.experiment_id}"
    async with browser(f"{home}/runs/{parent.info.run_id}") as page:
        for text in (r.run.name, "holdout_score", "0.91", "rows_train"):
            await page.until(TEXT.format(text), WITHIN_S)
        await page.ask("Page.navigate", url=f"{home}/runs")
        await page.until(TEXT.format(r.run.name), WITHIN_S)
        if folder := os.environ.get("SCREENSHOTS"):
            await page.screenshot(Path(folder) / "mlflow.png")
        child = next(run for run in runs if run.info.run_name == "linear-2")
        await page.ask("Page.navigate", url=f"{home}/runs/{child.info.run_id}")
        for text in ("linear-2", "cv_score", "fold_score"):
            await page.until(TEXT.format(text), WITHIN_S)


def test_a_server_that_is_killed_in_the_middle_of_a_run_and_is_back_has_all_of_it(server: TrackingServer) -> None:
    """What the trackers of a run do while it goes on: nothing waits, and the record is whole in the end."""
    trackers = Fanout({"server": lambda: Server(server.address)}, every_s=0.1)
    place, pause = OnServer(server.address), Event()

    def until_shown(names: str) -> None:
        given = record("killed", names, status="running")
        trackers.offer(lambda: given, trackers.names)
        while [sorted(one.candidates) for one in place.seen(given)] != [names.split()]:
            pause.wait(0.1)

    until_shown("a b")
    server.kill()
    try:
        trackers.offer(lambda: record("killed", "a b c", status="running"), trackers.names)
        found = trackers.finish(record("killed", "a b c"), NOTHING, Patience(2, 5.0))
        assert str(found["server"]) == "the connection was refused"
    finally:
        server.start()
    until_shown("a b c d")
    found = trackers.finish(record("killed", "a b c d e"), NOTHING, Patience(10, 120.0))
    assert isinstance(found["server"], Written)
    (seen,) = place.seen(record("killed"))
    assert (seen.status, sorted(seen.candidates)) == ("finished", ["a", "b", "c", "d", "e"])
    assert set(map(len, seen.folds.values())) == {2}
