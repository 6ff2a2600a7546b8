"""One run after the other, each in a thread with a loop of its own, so that typing never waits for a fit.

The session and the run meet in `Steering`, in the event log, and where a call waits for the user's word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future as ConcurrentFuture
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from team.approval import ApprovalDecision, ApprovalRequest, ask_nobody
from team.board import Board
from team.casting import Models
from team.chat.screen import Screen
from team.chat.watch import Watch
from team.events import CostForecast, Event, ModelCalled, RunEnded, RunStarted
from team.forking import foreseen, fork
from team.log import Subscriber, read_events
from team.models import maker
from team.models.single import Clients
from team.run import ago_on, aresume, astart
from team.rundir import RunDir
from team.settings import Settings, read_settings
from team.steering import Steering
from team.terminal import one_line

Work = Callable[[Steering], Awaitable[dict[str, Any]]]


class Player:
    """The run that is talked about, whether it goes on or has ended.

    Args:
        clients: makes model clients; None for those of the settings.
        repaint: called from the run's thread when words have come that are not a line yet.
        also: makes another subscriber of a run that begins, or that goes on in the directory given.
    """

    def __init__(
        self,
        screen: Screen,
        clients: Clients | None = None,
        repaint: Callable[[], None] = lambda: None,
        also: Callable[[RunDir | None], Subscriber] | None = None,
    ) -> None:
        self._screen, self._clients, self._repaint, self._also = screen, clients, repaint, also
        self._other: Subscriber | None = None
        self.run: RunDir | None = None
        self.settings: Settings | None = None
        self.board = Board()
        self.watch = Watch(screen, self.board, repaint)
        self.steering: Steering | None = None
        """Of the run that goes on; None where none does."""
        self.work: asyncio.Future[dict[str, Any]] | None = None
        self.deaf = False
        """Whether the user's input has ended, so that nobody can be asked."""
        self._approval: ConcurrentFuture[ApprovalDecision] | None = None

    def look_at(self, run: RunDir) -> None:
        """Take a run on disk for the one that is talked about."""
        self.run, self.board = run, Board()
        self.settings = read_settings(run.settings) if run.settings.exists() else None
        last: Event | None = None
        for last in read_events(run.events):
            self.board(last)
        self.board.named(run.name)
        if not isinstance(last, RunEnded):
            self.board.give_up("unfinished")

    def begin(self, settings: Settings, before: Sequence[ModelCalled | CostForecast] = ()) -> None:
        """Let the team work on something new.

        Args:
            before: what models were asked to foresee it, which it is charged for.
        """
        self.run, self.settings, self.board = None, settings, Board()
        self._start(
            lambda steering: astart(settings, [self._hear], self._makes(settings.models), steering, approve=self._approve, before=before)
        )

    def take_up(self) -> None:
        """Go on with the run that is talked about."""
        assert self.run is not None
        run = self.run
        self.look_at(run)
        clients = self._makes(self.settings.models) if self.settings is not None else self._clients
        self._start(lambda steering: aresume(run, subscribers=[self._hear], clients=clients, steering=steering, approve=self._approve))

    async def branch(self, at: str, changes: dict[str, Any]) -> None:
        """Leave the run as it is and go on with a fork of it.

        Args:
            at: a number of turns that had ended, or a stage: where it was first entered.
            changes: settings that are to differ.

        Raises:
            UsageError: there is no such step, or a setting cannot be changed there; a run that is going on goes on.
        """
        assert self.run is not None
        foreseen(self.run, at, changes)
        if self.steering is not None:
            self._screen.say("stopping this run, which stays as it is")
            await self.stop()
        made, cut_off = fork(self.run, at, changes)
        self.look_at(made)
        clients = self._makes(self.settings.models) if self.settings is not None else self._clients
        self._start(lambda steering: ago_on(made, cut_off, [self._hear], clients, steering, self._approve))

    async def stop(self) -> None:
        """End the run that goes on, with everything saved; nobody is told how it ended."""
        work, steering = self.work, self.steering
        self.work = self.steering = None
        if work is not None and steering is not None:
            steering.stop()
            self.decide(False, "the run was stopped")
            await asyncio.wait({work})

    def result(self) -> dict[str, Any]:
        """The summary of the run that has just ended.

        Raises:
            MlteamError: what it ended with.
        """
        work, self.work, self.steering = self.work, None, None
        assert work is not None
        return work.result()

    def decide(self, approved: bool, why: str) -> bool:
        """Answer what waits for the user's word; False where nothing does."""
        waiting, self._approval = self._approval, None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(ApprovalDecision(allowed=approved, by="chat", reason=why))
        return True

    async def _approve(self, request: ApprovalRequest) -> ApprovalDecision:
        """Ask the user, from the run's thread, and wait for `/approve` or `/reject`."""
        if self.deaf:
            return await ask_nobody(request)
        waiting = self._approval = ConcurrentFuture[ApprovalDecision]()
        self._screen.say(f"Allow {request.tool} to {one_line(request.what)}? /approve or /reject WHY", "bold")
        return await asyncio.wrap_future(waiting)

    def _makes(self, models: Models) -> Clients:
        return self._clients or maker(models, lambda piece: self.watch.hear(piece))

    def _start(self, work: Work) -> None:
        steering = self.steering = Steering()
        self.watch = Watch(self._screen, self.board, self._repaint)
        self.watch.run = self.run
        self._other = self._also(self.run) if self._also else None
        pool = ThreadPoolExecutor(1, thread_name_prefix="team")
        self.work = asyncio.get_running_loop().run_in_executor(pool, lambda: asyncio.run(_awaited(work, steering)))
        pool.shutdown(wait=False)

    def _hear(self, event: Event) -> None:
        """An event of the run, in its thread."""
        if isinstance(event, RunStarted) and self.settings is not None:
            self.run = self.watch.run = RunDir(self.settings.out / event.run)
        if self._other is not None:
            self._other(event)
        self.watch(event)


async def _awaited(work: Work, steering: Steering) -> dict[str, Any]:
    return await work(steering)
