"""Play a run from Python, wherever that stands: in a script, in a coroutine, in a cell of a notebook.

In a notebook the team works in a thread with an event loop of its own, since the kernel's loop is busy with the cell; the cell's thread
keeps the display. Interrupting the cell pauses the run at its next safe point, and the cell ends as if all were well; interrupting it
once more ends the run where it is. In both cases everything is saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from team.conductor import Subscriber
from team.console import LiveView
from team.errors import Interrupted
from team.events import Event
from team.notebook_view import NotebookView
from team.steering import Steering

T = TypeVar("T")
Work = Callable[[list[Subscriber], Steering | None], Coroutine[Any, Any, dict[str, Any]]]
"""Plays a run for those who listen to it; where the user has a say is given by the one who calls."""
POLL_S = 0.1
"""Seconds between two looks whether the run has ended, or stands."""

PAUSING = "Pausing at the next safe point, which is when the tool that works now is done. Interrupt again to stop at once."
STOPPING = "Stopping; what the tool under way has done so far is kept where it can be."


def in_notebook() -> bool:
    """Whether this is a cell of a Jupyter kernel."""
    shell = _shell()
    return shell is not None and getattr(shell, "kernel", None) is not None


def conduct(work: Work, before: Iterable[Event] = ()) -> dict[str, Any] | None:
    """Play a run to its end, or until the user pauses it in a notebook.

    Args:
        before: what happened in the run already, so that a display begins with it.

    Returns:
        The summary; None when it was paused.

    Raises:
        MlteamError: what the run raises; Interrupted where it was stopped outside a notebook.
    """
    if not in_notebook():
        with LiveView(sys.stderr) as view:
            return anywhere(work([view], None))
    with _Player(work, before) as player:
        while not player.over(POLL_S):
            player.step()
    return player.result()


async def aconduct(work: Work, before: Iterable[Event] = ()) -> dict[str, Any] | None:
    """Like `conduct`, for a running event loop, which goes on meanwhile."""
    if not in_notebook():
        with LiveView(sys.stderr) as view:
            return await work([view], None)
    with _Player(work, before) as player:
        while not player.over(0):
            player.step()
            await asyncio.sleep(POLL_S)
    return player.result()


def anywhere(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where a loop is running already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class _Player:
    """A run in a thread, and the cell that shows it."""

    def __init__(self, work: Work, before: Iterable[Event]) -> None:
        self._steering, self._view = Steering(), NotebookView()
        for event in before:
            self._view(event)
        self._future: Future[dict[str, Any]] = Future()
        self._work = work
        # A kernel that is shut down does not wait for a run; the run can be resumed.
        self._thread = threading.Thread(target=self._play, name="mlteam", daemon=True)
        self._signals = contextlib.ExitStack()
        self._interrupts = 0

    def __enter__(self) -> _Player:
        # Libraries that the host imports on the way advise to install widgets, for bars that nobody here draws.
        warnings.filterwarnings("ignore", message="IProgress not found")
        self._signals.enter_context(_interrupts(self._interrupted))
        self._view.refresh()
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._future.done():  # the cell was left by something else than an interruption
            self._steering.stop()
        self._thread.join()
        self._signals.close()
        if self._future.exception() is not None:
            self._view.board.give_up()
        self._view.tell("")
        self._view.refresh(last=True)

    def over(self, wait_s: float) -> bool:
        """Whether the run has ended, after waiting for that."""
        with contextlib.suppress(TimeoutError):
            self._future.exception(wait_s)
        return self._future.done()

    def step(self) -> None:
        """Show what happened, and end a run that stands because the user interrupted the cell."""
        if self._steering.paused:
            self._steering.stop()
        self._view.refresh()

    def result(self) -> dict[str, Any] | None:
        """What the run gave; None when it was paused."""
        try:
            return self._future.result()
        except Interrupted:
            if not self._interrupts:
                raise
            return None

    def _interrupted(self) -> None:
        self._interrupts += 1
        if self._interrupts == 1:
            self._steering.pause()
            self._view.tell(PAUSING)
        else:
            self._steering.stop()
            self._view.tell(STOPPING)

    def _play(self) -> None:
        try:
            self._future.set_result(asyncio.run(self._work([self._view], self._steering)))
        except asyncio.CancelledError:
            self._future.set_exception(Interrupted("stopped before the run had begun."))
        except BaseException as error:  # whatever it is, the cell raises it
            self._future.set_exception(error)


@contextlib.contextmanager
def _interrupts(what: Callable[[], None]) -> Iterator[None]:
    """Call `what` when the kernel is interrupted, in place of what IPython does then. Only the main thread can be asked that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: what())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")  # a cell cannot be executed without it
    return ipython.get_ipython() if ipython is not None else None
