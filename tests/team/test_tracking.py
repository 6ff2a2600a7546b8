"""A tracking server that is down, then back: nothing of a run is lost, and nothing is there twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from team.checkpoint import Checkpoint
from team.cli import main
from team.errors import MlteamError, UsageError
from team.events import FellBack
from team.evidence import Evidence
from team.log import read_events
from team.overview import overview
from team.rundir import RunDir
from team.stages import State
from team.tracking import send_waiting, track
from team.vault import Vault
from tests.contracts.tracker import Place, TrackerContract
from tests.contracts.tracker_places import OnServer
from tests.faulty_server import answering, refusing
from tests.released import Released, embedded, released, shown
from tests.team.test_run import finished
from tests.tracking_server import TrackingServer
from tools.trackers import outbox
from tools.tracking import track_run


def files_below(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_a_server_that_is_down_costs_no_more_than_a_line_in_the_log(tmp_path: Path) -> None:
    server = refusing()
    r = released(tmp_path, tracker=server)
    tracked = track_run(r.host)
    assert (tracked.server, tracked.kept, tracked.why) == (server, "outbox/tracker.json", "the connection was refused")
    assert len(shown(embedded(r.run))[1]) == 3, "the embedded store has it all the same"
    kept = json.loads((r.run.outbox / "tracker.json").read_text())
    assert (kept["schema_version"], kept["places"], kept["record"]["run"]) == (2, [server], r.run.name)
    assert [c["name"] for c in kept["record"]["candidates"]] == ["linear-1", "linear-2", "linear-3"]

    told: list[FellBack] = []
    state = Evidence(r.run, Vault(r.run), told.append).of_result(r.state, "track_run", tracked.model_dump())  # type: ignore[arg-type]  # it keeps what it is given
    assert state.tracked
    assert told[0].reason.startswith(f"{server} did not take the run: the connection was refused; the record waits in outbox/tracker.json")
    assert f"mlteam track {r.run.path}" in told[0].reason


def test_no_secret_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cr3t-word")
    with answering(401) as (server, seen):
        r = released(tmp_path, tracker=server)
        tracked = track_run(r.host)
        with pytest.raises(MlteamError, match="it answered 401") as refused:
            track(r.run)
    assert seen == ["Bearer s3cr3t-word"] * 2, "the server was sent it, and its page repeats it"
    assert "s3cr3t" not in tracked.model_dump_json() + str(refused.value) + files_below(tmp_path)


def test_tracking_needs_a_final_score_an_address_and_a_sound_outbox(tmp_path: Path) -> None:
    r = released(tmp_path)
    with pytest.raises(UsageError, match="no address of a server; expected http://HOST:PORT"):
        track(r.run, "localhost:5000")
    r.run.write_checkpoint(Checkpoint(state=State()).model_dump(mode="json"))
    with pytest.raises(UsageError, match="has no final score yet"):
        track(r.run, refusing())
    assert not r.run.outbox.exists()
    r.run.outbox.mkdir()
    outbox.place(r.run).write_text('{"schema_version": 1, "server": "file:///etc"}')
    with pytest.raises(UsageError, match=r"tracker.json is no record of a run: places"):
        track(r.run)


def test_a_run_in_use_is_not_tracked_by_another_process(tmp_path: Path) -> None:
    r = released(tmp_path, tracker=refusing())
    track_run(r.host)
    with r.run.lock(), pytest.raises(UsageError, match="in use by another process"):
        track(r.run)
    assert outbox.read(r.run) is not None


@pytest.mark.parametrize(("status", "tried"), [(500, 1), (404, 2)])
def test_what_waits_beside_a_run_is_tried_while_the_server_answers_and_never_fails_the_run(tmp_path: Path, status: int, tried: int) -> None:
    with answering(status) as (server, seen):
        damaged, in_use, other, own = (released(tmp_path, tracker=server) for _ in range(4))
        for r in (damaged, in_use, other, own):
            outbox.keep(r.run, outbox.Kept(places=[server, "http://127.0.0.1:1"], record=r.host.run_record()))
        outbox.place(damaged.run).write_text("{")
        with in_use.run.lock(), own.run.lock():
            assert send_waiting(own.run, (server,)) == []
        assert len(seen) == tried
    assert all(outbox.place(r.run).exists() for r in (damaged, in_use, other, own))
    assert send_waiting(own.run, (refusing(),)) == [], "what waits for another server is left alone"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_command_says_what_happened_and_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r = released(tmp_path, tracker=refusing())
    code, out, _ = printed(capsys, "track", "last", "--out", tmp_path)
    assert (code, out.startswith("nothing waits in the outbox of")) == (0, True)
    track_run(r.host)
    code, out, err = printed(capsys, "track", r.run.path)
    assert (code, out) == (4, "")
    assert "did not take the run: the connection was refused. The record waits in" in err
    assert f"type: mlteam track {r.run.path}" in err
    code, _, err = printed(capsys, "track", r.run.path, "--tracker", "http://ann:s3cr3t-word@127.0.0.1:1")
    assert (code, "s3cr3t" in err) == (2, False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    made = TrackingServer(tmp_path_factory.mktemp("server"))
    made.start()
    yield made
    made.kill()


@pytest.mark.slow
class TestServer(TrackerContract):
    """A real server behind HTTP."""

    @pytest.fixture
    def place(self, server: TrackingServer) -> Place:
        return OnServer(server.address)


@pytest.mark.slow
def test_a_server_that_is_up_gets_the_run_and_takes_its_files(
    server: TrackingServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    r = released(tmp_path, candidates=10, tracker=server.address)
    for _ in range(2):
        tracked = track_run(r.host)
        assert (tracked.server, tracked.kept) == (server.address, None)
    assert outbox.read(r.run) is None
    store = OnServer(server.address)
    record = r.host.run_record()
    assert [len(one.candidates) for one in store.seen(record)] == [10]
    assert capsys.readouterr().out == "", "stdout belongs to results"

    code, out, _ = printed(capsys, "track", r.run.path, "--tracker", server.address + "/", "--json")
    sent = json.loads(out)
    assert (code, sent["server"], sent["candidates"], sent["artefacts"]) == (0, server.address, 10, 3)
    assert [len(one.candidates) for one in store.seen(record)] == [10]


@pytest.mark.slow
def test_a_tracker_that_is_down_then_back(server: TrackingServer, tmp_path: Path) -> None:
    """The server is killed before one whole run ends, and is there again before the next one does."""
    given: dict[str, Any] = {"target": "target", "time": "15s", "folds": 2, "families": "linear", "tracker": server.address}
    server.kill()
    try:
        summary, missed = finished(tmp_path, "sklearn:iris", **given)
    finally:
        server.start()
    assert (summary["status"], summary["sent"]) == ("done", [])
    assert "did not take the run: the connection was refused" in summary["fallbacks"][0]
    falls = [e for e in read_events(missed.events) if isinstance(e, FellBack) and not e.what]
    assert [(e.stage, e.role) for e in falls] == [("release", "release_manager")]
    assert len(shown(embedded(missed))[1]) == summary["candidates"]
    kept = outbox.read(missed)
    assert kept is not None

    later, taken = finished(tmp_path, "sklearn:iris", **given)
    assert (later["sent"], later["fallbacks"]) == ([missed.name], [])
    assert f"what waited for its trackers: {missed.name}" in overview(later)
    store = OnServer(server.address)
    for run, told in ((missed, summary), (taken, later)):
        assert outbox.read(run) is None
        assert [len(one.candidates) for one in store.seen(Released(run).host.run_record())] == [told["candidates"]]
    (seen,) = store.seen(kept.record)
    assert seen.metrics["holdout_score"] == summary["holdout"]["score"]

    outbox.keep(missed, kept)  # as a kill leaves it between the sending and the end of it
    assert track(missed)["sent"]
    assert [len(one.candidates) for one in store.seen(kept.record)] == [summary["candidates"]]


@pytest.mark.slow
def test_a_server_that_is_killed_while_it_is_sent_a_run(server: TrackingServer, tmp_path: Path) -> None:
    """What it had taken by then is half a record, which the next sending makes whole."""
    r = released(tmp_path, candidates=40, tracker=server.address)
    enough, pause = server.rows() + 20, Event()
    try:
        with ThreadPoolExecutor(1) as pool:
            tracking = pool.submit(track_run, r.host)
            while server.rows() < enough:
                assert not tracking.done(), "it was done before the server could be killed"
                pause.wait(0.01)
            server.kill()
            tracked = tracking.result(240)
    finally:
        server.start()
    store, record = OnServer(server.address), r.host.run_record()
    assert tracked.kept == "outbox/tracker.json"
    half = [run for run in store.runs(record) if run.data.tags["mlteam.kind"] == "candidate"]
    assert 0 < len(half) < 40
    assert track(r.run)["candidates"] == 40
    (seen,) = store.seen(record)
    assert (seen.status, len(seen.candidates), set(map(len, seen.folds.values()))) == ("finished", 40, {2})


def test_a_run_that_was_copied_is_the_same_run(tmp_path: Path) -> None:
    r = released(tmp_path)
    moved = RunDir(Path(shutil.copytree(r.run.path, tmp_path / "renamed")))
    assert Released(moved).host.run_record() == r.host.run_record()
