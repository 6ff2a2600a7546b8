"""Calls on the host: their result, their failures, and that nobody waits for a thread that is blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from team.cells import CellJournal
from team.host_calls import HostCalls
from team.journal import Journal
from team.log import EventLog
from team.ongoing import Ongoing
from team.outcome import Outcome
from team.stages import Stage
from tests.hosting import Hosting
from tools.intake import DataFetched
from tools.spec import InputRefused, registry

LONG_S = 120.0


class Calling:
    """Calls of a function in the place of `fetch_data`."""

    def __init__(self, tmp_path: Path) -> None:
        hosting = Hosting(tmp_path, "sklearn:iris")
        self.log = EventLog(hosting.run.events)
        self._ongoing = Ongoing(CellJournal(hosting.run.cells), Journal(self.log, hosting.run.replies))
        self._calls = HostCalls(hosting.host, self._ongoing)

    async def __call__(self, function: Callable[..., Any]) -> Outcome:
        with self._ongoing.one("c1", "data_scientist", Stage.ACQUIRE):
            return await self._calls.call(replace(registry()["fetch_data"], function=function), {})


@pytest.fixture
def calling(tmp_path: Path) -> Any:
    made = Calling(tmp_path)
    yield made
    made.log.close()


def fetched(host: Any) -> DataFetched:
    return DataFetched(source="s", rows=1, columns=1, bytes=1, sha256="", licence=None, format="text", notes=[], table=[])


def test_a_result_and_what_is_raised_come_back(calling: Calling) -> None:
    assert asyncio.run(calling(fetched)).result["rows"] == 1  # type: ignore[index]

    def refused(host: Any) -> DataFetched:
        raise InputRefused("no such table")

    with pytest.raises(InputRefused, match="no such table"):
        asyncio.run(calling(refused))

    def stopped(host: Any) -> DataFetched:
        raise StopIteration

    outcome = asyncio.run(calling(stopped))
    assert (outcome.status, outcome.text) == ("error", "RuntimeError: StopIteration")


def test_nobody_waits_for_a_thread_that_is_blocked_in_a_read(calling: Calling) -> None:
    began, released, ended = threading.Event(), threading.Event(), threading.Event()

    def blocked(host: Any) -> DataFetched:
        began.set()
        released.wait(LONG_S)
        ended.set()
        return fetched(host)

    async def interrupted() -> None:
        call = asyncio.ensure_future(calling(blocked))
        assert await asyncio.to_thread(began.wait, LONG_S)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    try:
        asyncio.run(interrupted())
        assert not ended.is_set()  # the event loop is closed, and the thread still waits
    finally:
        released.set()
    assert ended.wait(LONG_S)
