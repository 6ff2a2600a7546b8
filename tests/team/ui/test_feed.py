"""A run is followed as its log grows, and taken up again where a reader was cut off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from team.events import MessageSpoken, RunEnded, ToolCalled
from team.log import EventLog
from tests.reports.written import Written, finished
from tests.team.commands import lines
from tests.team.ui.feeding import Said, all_said, said
from tests.team.ui.served import served


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def client(out: Path) -> Iterator[httpx.Client]:
    with served(out) as made:
        yield made


def ids(found: list[Said]) -> list[str]:
    """Which parts of a page came."""
    return [re.findall(r'id="([\w-]+)"', one.data)[0] for one in found if one.kind == "part"]


def test_a_finished_run_comes_whole_and_is_over(client: httpx.Client, out: Path) -> None:
    run = finished(out)
    logged = lines(run.path)
    found = all_said(client, f"/api/runs/{run.name}/events")
    assert [json.loads(one.data) for one in found[:-1]] == logged
    assert [(one.number, one.kind) for one in found[:-1]] == [(event["seq"], event["kind"]) for event in logged]
    assert (found[-1].kind, found[-1].data) == ("over", "done")
    parts = all_said(client, f"/runs/{run.name}/live")
    assert ids(parts) == [*(f"turn-{n}" for n in range(5)), "head", "standing", "now", "leaders", "documents"]
    assert [one.number for one in parts if one.number is not None] == [len(logged) - 1], "the number comes with the last part"


def test_who_comes_back_gets_what_came_after(client: httpx.Client, out: Path) -> None:
    run = finished(out)
    logged = lines(run.path)
    place = f"/api/runs/{run.name}/events"
    for last in (0, 7, len(logged) - 2):
        again = all_said(client, place, **{"last-event-id": str(last)})
        assert [one.number for one in again[:-1]] == list(range(last + 1, len(logged)))
    assert [one.kind for one in all_said(client, place, **{"last-event-id": str(len(logged) - 1)})] == ["over"]
    assert [one.number for one in all_said(client, f"{place}?after={len(logged) - 2}")][:-1] == [len(logged) - 1]
    # Parts: only the turns that later events changed.
    middle = next(event["seq"] for event in logged if event["kind"] == "turn_started" and event["stage"] == "select")
    assert ids(all_said(client, f"/runs/{run.name}/live", **{"last-event-id": str(middle)}))[:2] == ["turn-3", "turn-4"]
    for nonsense in ("", "x", "-5", "9" * 40):
        assert len(all_said(client, place, **{"last-event-id": nonsense})) == len(logged) + 1
    assert client.get(f"{place}?after=-2").status_code == 422


def test_what_is_appended_while_somebody_follows_comes_as_it_is_written(client: httpx.Client, out: Path) -> None:
    with Written(out) as w:
        w.start()
        w.turn("planner", "plan")
        run = w.run
    owner = ExitStack()
    owner.enter_context(run.lock())
    with owner, client.stream("GET", f"/runs/{run.name}/live") as answer:
        coming = said(answer)
        assert "is thinking" in next(one for one in coming if "now" in ids([one])).data
        log = EventLog(run.events)
        log.append(MessageSpoken(turn=1, role="planner", text="Half of the plan"))
        assert "Half of the plan" in next(one for one in coming if "turn-0" in ids([one])).data
        whole = MessageSpoken(seq=log.length, at=1.0, turn=1, role="planner", text="All of the plan").model_dump_json().encode() + b"\n"
        with run.events.open("ab", buffering=0) as file:
            file.write(whole[:40])  # a line that is being written is no event yet
            file.write(whole[40:])
        assert "All of the plan" in next(one for one in coming if "turn-0" in ids([one])).data
        (run.path / "live.txt").write_text("c1\nepoch 1 of 9 <b>\n")
        log.append(ToolCalled(call="c1", turn=1, role="planner", tool="run_python", where="kernel", arguments={"code": "fit()"}))
        assert "epoch 1 of 9 &lt;b&gt;" in next(one for one in coming if "now" in ids([one]) and "epoch" in one.data).data
        log.append(RunEnded(status="done", seconds=1.0))
        log.close()
        owner.close()  # the process lets go of the run
        rest = list(coming)
    assert any("pill done" in one.data for one in rest if one.kind == "part")
    assert rest[-1] == Said("over", "done", None)


def test_a_log_that_was_written_anew_starts_the_page_over(client: httpx.Client, out: Path) -> None:
    run = finished(out)
    with run.lock(), client.stream("GET", f"/api/runs/{run.name}/events") as answer:
        coming = said(answer)
        next(coming)
        spare = run.path / "spare"
        spare.write_bytes(run.events.read_bytes())
        spare.replace(run.events)
        assert any(one.kind == "reset" for one in coming)


def test_a_damaged_line_is_passed_over(client: httpx.Client, out: Path) -> None:
    run = finished(out)
    content = run.events.read_bytes().split(b"\n")
    run.events.write_bytes(b"\n".join([*content[:3], b'{"kind": "later than this"}', *content[3:]]))
    assert len(all_said(client, f"/api/runs/{run.name}/events")) == len(content)
