"""Hostile cells in every kind of sandbox, and the proof that each of them would work without one.

`make escape` runs this and writes what it saw to `docs/escape.md`.
"""

from __future__ import annotations

import inspect
import json
import os
import platform
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from team.sandbox import Limits
from team.sandbox.choose import report
from tests.escape import bombs, documents, files, holdout, links, messages, network, pickles, privilege, resources
from tests.escape.attack import Attack, Host, Local, No
from tests.escape.scene import Scene, open_scene
from tests.escape.twins import Twins
from tools.files import remove_tree

CLASSES = {
    module.__name__.rpartition(".")[2]: module.ATTACKS
    for module in (network, files, privilege, resources, holdout, links, bombs, pickles, messages, documents)
}
KINDS = [found.name for found in report() if found.name != "unsafe-local"]
CASES = [(group, attack) for group, attacks in CLASSES.items() for attack in attacks]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.escape]


class Scenes:
    """One scene at a time: the next is opened when another kind, class or limits are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._twins = Twins(folder / "twins")
        self._stack = AsyncExitStack()
        self._open: tuple[Any, Scene] | None = None
        self._count = 0

    async def of(self, kind: str, group: str, limits: Limits | None) -> Scene:
        key = (kind, group, limits)
        if self._open is None or self._open[0] != key:
            await self.close()
            self._count += 1
            self._open = key, await self._stack.enter_async_context(open_scene(kind, self._folder / str(self._count), limits, self._twins))
        return self._open[1]

    async def close(self) -> None:
        self._open = None
        await self._stack.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scenes]:
    folder = tmp_path_factory.mktemp("escape")
    made = Scenes(folder)
    yield made
    await made.close()
    remove_tree(folder)  # what a control left of the deep folders would end pytest, which removes old folders by recursion


def record(group: str, attack: Attack, where: str, outcome: str, seen: str) -> None:
    """Append what was seen to the file that ESCAPE_RECORD names, for `evals/escape_table.py`."""
    path = os.environ.get("ESCAPE_RECORD")
    if path:
        seen = re.sub(r"/tmp/pytest-of-\S*?/(outside|runs|prices)", r"\1", " ".join(seen.split()))
        told = {"group": group, "attack": attack.name, "tries": attack.tries, "where": where, "outcome": outcome, "seen": seen}
        line = json.dumps({**told, "number": CASES.index((group, attack))}, ensure_ascii=False) + "\n"
        with open(path, "ab", buffering=0) as file:  # in one piece, since another worker may write too
            file.write(line.encode())


def _named(cases: list[tuple[str, Attack]]) -> list[Any]:
    return [pytest.param(group, attack, id=f"{group}-{attack.name}") for group, attack in cases]


@pytest.mark.parametrize(("group", "attack"), _named(CASES))
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS])
async def test_the_attack_is_held(scenes: Scenes, kind: str, group: str, attack: Attack) -> None:
    _needs_machine(attack)
    scene = await scenes.of(kind, group, attack.limits)
    verdict, result = await scene.play(attack, attack.judge)
    record(group, attack, kind, "through" if verdict.through else "held", verdict.seen)
    assert not verdict.through, f"{attack.tries} {verdict.seen}\n{result.text[-2000:]}"


@pytest.mark.parametrize(("group", "attack"), _named([(g, a) for g, a in CASES if isinstance(a.control, Local)]))
async def test_the_same_cell_gets_through_without_a_sandbox(scenes: Scenes, group: str, attack: Attack) -> None:
    assert isinstance(attack.control, Local)
    _needs_machine(attack)
    missing = "it takes a caller who is root" if attack.control.root and os.geteuid() else attack.control.missing()
    if missing:
        record(group, attack, "control", "skipped", missing)
        pytest.skip(missing)
    scene = await scenes.of("unsafe-local", group, attack.control.limits)
    verdict, result = await scene.play(attack, attack.control.judge or attack.judge)
    record(group, attack, "control", "through" if verdict.through else "held", verdict.seen)
    assert verdict.through, f"the attack shows nothing: {verdict.seen}\n{result.text[-2000:]}\n{result.traceback}"


@pytest.mark.parametrize(("group", "attack"), _named([(g, a) for g, a in CASES if isinstance(a.control, Host)]))
async def test_a_careless_host_would_be_hit(scenes: Scenes, group: str, attack: Attack) -> None:
    assert isinstance(attack.control, Host)
    _needs_machine(attack)
    scene = await scenes.of("unsafe-local", group, attack.limits)
    async with scene.after(attack) as result:
        hit = attack.control.naive(scene, result)
        hit = await hit if inspect.isawaitable(hit) else hit
    record(group, attack, "control", "through" if hit else "held", "a host that takes no care is hit")
    assert hit, f"the attack shows nothing\n{result.text[-2000:]}\n{result.traceback}"


@pytest.mark.parametrize(("group", "attack"), _named([(g, a) for g, a in CASES if isinstance(a.control, No)]))
async def test_an_attack_without_a_control_says_why(group: str, attack: Attack) -> None:
    assert isinstance(attack.control, No)
    record(group, attack, "control", "none", attack.control.why)
    assert len(attack.control.why) > 20


async def test_there_are_enough_of_them_and_each_has_its_name() -> None:
    names = [attack.name for _, attack in CASES]
    assert len(names) == len(set(names)) >= 60


def _needs_machine(attack: Attack) -> None:
    if attack.machine and attack.machine != platform.machine():
        pytest.skip(f"written for {attack.machine}")
