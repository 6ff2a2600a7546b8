"""Variables of typed cells after a resume: back, or told to be gone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from team.errors import Interrupted
from team.events import Event, KernelChanged, ToolReturned
from team.log import read_events
from team.replaying import MOST_S, cells_to_replay, replay
from team.run import resume, start
from team.rundir import RunDir
from team.sandbox import open_kernel
from team.settings import load_settings
from tests.sabotage import Saboteur, python


def journal(path: Path, *cells: dict[str, Any]) -> Path:
    known = {"status": "ok", "seconds": 0.1, "names": ["a"]}
    path.write_text("".join(json.dumps(known | cell) + "\n" for cell in cells))
    return path


async def test_typed_cells_are_executed_again_in_their_order(tmp_path: Path) -> None:
    cells = journal(
        tmp_path / "cells.jsonl",
        {"code": "a = 1"},
        {"code": "a += 1; 1 / 0", "status": "error"},
        {"code": "import math; b = math.sqrt(a + 2)", "names": ["a", "b"]},
    )
    async with open_kernel("unsafe-local", work=tmp_path) as kernel:
        told = await replay(kernel, cells)
        assert told is not None
        assert (told["cells"], told["of"], told["back"], told["gone"]) == (3, 3, ["a", "b"], [])
        assert (await kernel.execute("print(a, b)")).text == "2 2.0\n"


@pytest.mark.parametrize(
    ("cells", "done"),
    [
        ([{"code": "a = 1", "seconds": MOST_S + 1}], 0),
        ([{"code": "a = 1"}, {"code": "a = open('not-there-any-more')"}], 1),
    ],
    ids=["too long", "ends otherwise"],
)
async def test_what_cannot_be_brought_back_is_told_with_the_next_cell(cells: list[dict[str, Any]], done: int, tmp_path: Path) -> None:
    async with open_kernel("unsafe-local", work=tmp_path) as kernel:
        told = await replay(kernel, journal(tmp_path / "cells.jsonl", *cells))
        assert told is not None
        assert (told["cells"], told["back"], told["gone"]) == (done, [], ["a"])
        cell = await kernel.execute("print('a' in globals())")
        assert (cell.text, cell.lost_variables) == ("False\n", ["a"])


def test_only_cells_since_the_last_kernel_count(tmp_path: Path) -> None:
    path = journal(
        tmp_path / "cells.jsonl",
        {"code": "before", "lost": True},
        {"code": "after", "fresh": True},
        {"code": "hung", "status": "timeout"},
        {"code": "more"},
    )
    with path.open("a") as file:
        file.write(json.dumps({"code": "show(tune())", "status": "ok", "seconds": 9.0}) + "\n")
    assert [cell["code"] for cell in cells_to_replay(path)] == ["after", "more"]


@pytest.mark.slow
def test_a_resumed_run_has_its_variables_again(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, ToolReturned) and event.tool == "run_python":
            os.kill(os.getpid(), signal.SIGTERM)

    given = {"source": "sklearn:iris", "target": "target", "time": "60s", "trials": 0, "folds": 2, "families": "linear"}
    settings = load_settings({**given, "sandbox": "unsafe-local", "out": tmp_path})
    before = Saboteur({("engineer", "prepare"): [python("answer = 40\nimport json as j")]})
    with pytest.raises(Interrupted):
        start(settings, subscribers=[stop], clients=lambda _: before)
    run = RunDir(next(tmp_path.iterdir()))
    after = Saboteur({("engineer", "prepare"): [python("print(answer + 2, j.dumps([]))")]})
    assert resume(run, clients=lambda _: after)["status"] == "done"
    after.assert_done()
    events = list(read_events(run.events))
    replayed = next(e for e in events if isinstance(e, KernelChanged) and e.change == "replayed")
    assert (replayed.facts["back"], replayed.facts["gone"]) == (["answer", "j"], [])
    assert [e.text for e in events if isinstance(e, ToolReturned) and e.tool == "run_python"][-1].strip() == "42 []"
    assert "answer, j came back" in run.report.read_text()
