"""Calls of tools that run on the host: in a thread or awaited, heard while they go on, ended by their deadline."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import inspect
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from team.deadlines import SEARCH_ENDING_S, deadline
from team.errors import MlteamError
from team.host import Host
from team.ongoing import Ongoing
from team.outcome import Outcome
from tools.spec import ToolFailed, ToolRefused, ToolSpec

PROGRESS_EVERY_S = 0.5
"""How often a call on the host is heard at most."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class HostCalls:
    """Makes them for one run."""

    def __init__(self, host: Host, ongoing: Ongoing) -> None:
        self._host, self._ongoing = host, ongoing

    async def call(self, spec: ToolSpec, values: dict[str, Any]) -> Outcome:
        """Run one to its end or its deadline.

        Raises:
            ToolRefused, MlteamError: as the tool raised them.
            OSError: the disk takes nothing more.
        """
        time_s = deadline(spec, values)
        if inspect.iscoroutinefunction(spec.function):
            work, time_s = spec.function(self._host, **values), time_s + SEARCH_ENDING_S * spec.searches
        else:
            work = _in_thread(lambda: spec.function(self._host, **values))
        over = self._listen()
        try:
            result = await asyncio.wait_for(work, time_s)
        except TimeoutError:
            return Outcome(status="timeout", text=f"{spec.name} took longer than its {time_s:g} s.")
        except (ToolRefused, MlteamError):
            raise
        except ToolFailed as error:
            return Outcome(status="error", text=str(error))
        except Exception as error:  # a tracker or a library may fail in any way; only a disk that takes nothing ends the run
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            return Outcome(status="error", text=f"{type(error).__name__}: {error}")
        finally:
            over.set()
        facts = json.loads(result.model_dump_json())
        return Outcome(status="ok", text=json.dumps(facts, ensure_ascii=False), result=facts)

    def _listen(self) -> threading.Event:
        """Let the host tell progress of this call, from any thread, until the event is set; from then on its telling raises."""
        loop, over, running = asyncio.get_running_loop(), threading.Event(), self._ongoing.running
        told = -math.inf

        def emit(facts: Mapping[str, Any]) -> None:
            if self._ongoing.is_going_on(running):
                self._ongoing.progress(facts)

        def tell(facts: Mapping[str, Any]) -> None:
            if over.is_set():
                raise ToolFailed("the call is over: nobody waits for it any more.")
            nonlocal told
            if (now := time.monotonic()) - told < PROGRESS_EVERY_S:
                return
            told = now
            loop.call_soon_threadsafe(emit, dict(facts))

        self._host.tell = tell
        return over


async def _in_thread(call: Callable[[], BaseModel]) -> BaseModel:
    """What a call gives, or raises, in a thread that nobody waits for when the waiting is cancelled.

    One of asyncio's own threads is joined before the process may end, and a read from a server that has fallen silent blocks for as
    long as its timeout. What the thread has written by then is what a kill would leave, which the next attempt can go on from.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[BaseModel] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else how())

    def work() -> None:
        try:
            result = call()
        except StopIteration:  # which no future takes
            settle(lambda: future.set_exception(RuntimeError("StopIteration")))
        except BaseException as error:
            raised = error
            settle(lambda: future.set_exception(raised))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=contextvars.copy_context().run, args=(work,), name="host-call", daemon=True).start()
    return await future
