"""What a cell prints can be watched while it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from team.events import ToolCalled
from team.live import printed
from team.stages import Stage
from tests.rooming import Rooming, rooming
from tests.team.test_workbench import call, sealed

CODE = """
import pathlib, time
print("epoch 1 of 2")
while not pathlib.Path("go").exists():
    time.sleep(0.01)
print("epoch 2 of 2")
"""


async def until_it_is_printed(r: Rooming, words: str) -> None:
    async with asyncio.timeout(60):
        while words not in _now(r):
            await asyncio.sleep(0.01)


def _now(r: Rooming) -> str:
    called = next((e.call for e in reversed(r.events) if isinstance(e, ToolCalled)), "")
    return printed(r.run.live, called, r.run.path)


async def test_output_is_there_while_the_cell_runs_and_gone_when_the_call_has_ended(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.ANALYSE)
        running = asyncio.create_task(call(r, "data_scientist", "run_python", code=CODE))
        await until_it_is_printed(r, "epoch 1 of 2\n")
        assert "epoch 2" not in _now(r)
        assert printed(r.run.live, "another", r.run.path) == ""
        (r.run.work / "go").touch()
        assert "epoch 2 of 2" in (await running).result[0].content
        assert not r.run.live.exists()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("c1\nsecret")
    (tmp_path / "live.txt").symlink_to(tmp_path / "secret")
    assert printed(tmp_path / "live.txt", "c1", tmp_path) == ""
