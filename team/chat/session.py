"""The session: listen to the user, hand every line to what it is for, and say what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from team.board import Board
from team.chat.agreement import YES, Agreement, known_columns
from team.chat.asking import answered_by, ask_about
from team.chat.commands import COMMANDS, obey
from team.chat.keyboard import Keyboard, open_keyboard
from team.chat.player import Player
from team.chat.screen import Screen
from team.chat.status import status_line
from team.chat.wish import find_source
from team.constraint import distinct
from team.errors import Interrupted, MlteamError, UsageError
from team.events import ModelCalled, RoleAsked
from team.log import Subscriber
from team.models import make_client
from team.models.single import Clients
from team.overview import overview
from team.rundir import RunDir
from team.sentences import EXAMPLES, Reading, read_constraints
from team.settings import Settings, read_settings
from team.steering import Steering
from team.terminal import one_line
from team.terminal_console import PROBLEM


class Session:
    """One conversation, about one run after the other.

    Args:
        given: settings of the command line; what the user says fills the rest.
        config: a settings file.
        yes: whether to start without asking.
        also: as `Player` takes it.
    """

    def __init__(
        self,
        screen: Screen,
        given: Mapping[str, Any],
        config: Path | None,
        *,
        yes: bool,
        clients: Clients | None = None,
        also: Callable[[RunDir | None], Subscriber] | None = None,
    ) -> None:
        self._screen, self._yes, self._clients = screen, yes, clients or make_client
        self._agreement = Agreement(self, given, config, yes=yes, clients=self._clients, charge=self._charge, probed=clients)
        self._keyboard: Keyboard | None = None
        self.player = Player(screen, clients, self._repaint, also)
        self.aside_usd: Decimal | None = Decimal()
        self._leaving = asyncio.Event()
        self._code = 0
        self._asking: asyncio.Future[str] | None = None

    # What the outside does.

    async def about(self, run: RunDir) -> int:
        """Talk about a run that is there; the exit code."""
        self.player.look_at(run)
        self._open()
        self.tell(f"{self._status()}\nAsk about it, or /resume, /fork, /undo; /help lists commands.")
        return await self._listen(None)

    async def new(self, words: str | None) -> int:
        """Find out what the user wants, and do it; the exit code.

        Args:
            words: the wish, or the source; None asks for it.
        """
        self._open()
        return await self._listen(self._begin(words))

    def interrupt(self) -> None:
        """Ctrl-C: once pauses at the next safe point, twice stops; without a run it leaves."""
        if self.steering is None:
            self._code = 130 if self.run is None else 0
            self._leaving.set()
        elif not self.steering.pausing:
            self.steering.pause()
            self.tell("\npausing at the next safe point; Ctrl-C again stops at once, with everything saved")
        else:
            self.tell("\nstopping; everything is saved")
            self.steering.stop()
            self._code = 130

    async def follow(self, doing: Awaitable[None]) -> None:
        """Await something, and then the run that it began, if it did."""
        await doing
        if (work := self.player.work) is not None:
            await asyncio.wait({work})
            self._finished()

    # What commands do (`commands.Talk`).

    @property
    def run(self) -> RunDir | None:
        return self.player.run

    @property
    def settings(self) -> Settings | None:
        return self.player.settings

    @property
    def board(self) -> Board:
        return self.player.board

    @property
    def steering(self) -> Steering | None:
        return self.player.steering

    def tell(self, text: str | RenderableType, *, cut: bool = False) -> None:
        self._screen.say(text, cut=cut)

    def transcript(self) -> str:
        return self._screen.transcript

    async def ask(self, question: str) -> str:
        """The next line of the user, as the answer to a question."""
        self.tell(question)
        self._asking = asyncio.get_running_loop().create_future()
        if self.player.deaf:
            self._no_answer()
        self._repaint()
        try:
            return (await self._asking).strip()
        finally:
            self._asking = None

    async def branch(self, at: str, changes: dict[str, Any]) -> None:
        await self.player.branch(at, changes)

    async def take_up(self) -> None:
        self.player.take_up()

    async def question(self, role: str | None, text: str) -> None:
        """Answer from the facts of the run, by its model where it has one."""
        assert self.run is not None
        settings = self.settings or read_settings(self.run.settings)
        if (spec := answered_by(settings, role)) is not None:
            self._screen.say(f"asking {spec} …", "dim")
        told, calls = await ask_about(text, self.run, settings, role, self._clients)
        self._charge(*calls)
        self.tell(told)
        if self.steering is not None:
            self.steering.note(*calls, RoleAsked(role=role or "team", question=text, answer=told))

    async def constrain(self, text: str) -> None:
        reading = self._constraints(text)
        if not reading.complete:
            raise UsageError(f"/constraint: {one_line(reading.told).rstrip('.')}. Say it as in: {EXAMPLES}.")
        told = "; ".join(one.told for one in reading.constraints)
        if self.steering is not None:
            self.steering.constrain(*reading.constraints)
            self.tell(f"{told}: kept from the next turn on")
            return
        if not self._yes:
            question = (
                f"{told}. This run has ended and stays as it is; a new one from the same table keeps to it. Enter starts it, no does not."
            )
            if (await self.ask(question)).lower() not in YES:
                self.tell("left as it is.")
                return
        # What was said while the run went on stands in the run's own settings alone.
        so_far = read_settings(self.run.settings).constraint if self.run else self.settings.constraint if self.settings else ()
        kept = distinct([*so_far, *reading.constraints])
        await self.branch("acquire", {"constraint": [one.model_dump(mode="json") for one in kept]})

    def decide(self, approved: bool, why: str) -> bool:
        return self.player.decide(approved, why)

    async def quit(self) -> None:
        if self.player.work is not None:
            self._code = 130
            work = self.player.work
            if self.steering is not None:
                self.steering.stop()
            await asyncio.wait({work})
        self._leaving.set()

    # How it goes on.

    def _open(self) -> None:
        words = {one.name: (one.help, one.options) for one in COMMANDS.values()}
        self._keyboard = open_keyboard(words, self._status, self._unfinished, self.interrupt)

    def _status(self) -> str:
        return status_line(self.board.glance())

    def _unfinished(self) -> str:
        """The line that a model is writing; whose it is stands below, in the status line."""
        return f"  … {line}" if (line := self.player.watch.unfinished) else ""

    def _repaint(self) -> None:
        if self._keyboard is not None:
            self._keyboard.repaint()

    def _prompt(self) -> str:
        return "answer> " if self._asking else "paused> " if self.board.glance().paused else "> "

    async def _listen(self, beginning: Awaitable[None] | None) -> int:
        """Lines of the user until one of them, the end of the input or Ctrl-C ends the session."""
        assert self._keyboard is not None
        tasks: set[asyncio.Task[None]] = set()
        if beginning is not None:
            tasks.add(asyncio.ensure_future(self._guarded(beginning, needed=True)))
        leaving = asyncio.ensure_future(self._leaving.wait())
        with self._keyboard.screen():
            reading: asyncio.Task[str | None] | None = None
            while not self._leaving.is_set():
                if reading is None and not self.player.deaf:
                    reading = asyncio.ensure_future(self._keyboard.line(self._prompt))
                work = self.player.work
                if self.player.deaf and not tasks and work is None:
                    break
                waiting: set[asyncio.Future[Any]] = {leaving, *tasks, *([reading] if reading else []), *([work] if work else [])}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                tasks -= done
                if work is not None and work in done and work is self.player.work:
                    self._finished()
                if reading is not None and reading in done:
                    line, reading = reading.result(), None
                    if line is None:
                        self._no_more_lines()
                    elif (doing := self._heard(line)) is not None:
                        tasks.add(asyncio.ensure_future(self._guarded(doing)))
            for task in [*tasks, *([reading] if reading else []), leaving]:
                task.cancel()
            await asyncio.gather(*tasks, *([reading] if reading else []), leaving, return_exceptions=True)
            if (work := self.player.work) is not None:
                if self.steering is not None:
                    self.steering.stop()
                await asyncio.wait({work})
                self._finished()
        return self._code

    def _no_more_lines(self) -> None:
        """The input has ended: nobody can answer any more."""
        self.player.deaf = True
        self.player.decide(False, "the input has ended")
        self._no_answer()
        if self.steering is not None and self.steering.pausing:
            self.steering.go_on()  # nobody could ever let it go on
        if self._screen.isatty() and self.player.work is None:
            self._leaving.set()

    def _no_answer(self) -> None:
        if self._asking is not None and not self._asking.done():
            self._asking.set_exception(UsageError("there is nobody to answer: name it on the command line, and add --yes."))

    def _heard(self, line: str) -> Awaitable[None] | None:
        line = line.strip()
        if line.startswith("/"):
            return obey(self, line)
        if self._asking is not None and not self._asking.done():
            self._asking.set_result(line)
            return None
        if self.steering is not None:
            if line:
                return self._words(line)
            if self.steering.pausing:
                self.steering.go_on()
            return None
        if not line:
            return None
        if self.run is None or find_source(line):
            return self._begin(line)
        return self._after(line)

    async def _after(self, line: str) -> None:
        """Words where a run has ended: something to keep begins a new one, everything else is a question."""
        await (self.constrain(line) if self._constraints(line).complete else self.question(None, line))

    async def _words(self, line: str) -> None:
        """Words in a run that goes on: something to keep is enforced, everything else is kept for the roles."""
        assert self.steering is not None
        self.steering.say(line)
        if self._constraints(line).complete:
            await self.constrain(line)
            return
        by_rules = self.settings is not None and self.settings.playbook_alone
        note = "; the playbook goes by its rules and does not read it, commands such as /budget and /fork do change things"
        self.tell("kept for the team, from the next turn on" + (note if by_rules else ""))

    def _constraints(self, text: str) -> Reading:
        """What a text asks to be kept of the run that is talked about, whose columns are known once it has begun."""
        if self.run is None and self.steering is None:
            raise UsageError("there is no run yet: say what must be kept with your wish, or where you are asked whether to start.")
        contract = self.run.read_contract() if self.run is not None else None
        columns = [*contract.features] if contract is not None else []
        if self.settings is not None and Path(self.settings.source).expanduser().is_file():
            columns = known_columns(self.settings.source)
        return read_constraints(text, columns)

    async def _guarded(self, doing: Awaitable[None], *, needed: bool = False) -> None:
        """What goes wrong is told in a line; what is needed ends the session where nobody can try again."""
        try:
            await doing
        except Exception as error:  # a mistake of ours in one command takes neither the session along nor the run
            ours = error if isinstance(error, MlteamError) else MlteamError(f"this went wrong in mlteam: {type(error).__name__}: {error}")
            self._screen.say(str(ours), PROBLEM)
            if needed and not self._screen.isatty():
                self._code = ours.exit_code
                self._leaving.set()

    async def _begin(self, words: str | None) -> None:
        """From the wish to a run that the user agreed to."""
        if (settings := await self._agreement.settle(words)) is not None:
            self.player.begin(settings, self._agreement.before)
            self._agreement.before = []

    def _finished(self) -> None:
        try:
            summary = self.player.result()
        except MlteamError as error:
            self._screen.say(f"\n{error}", "" if isinstance(error, Interrupted) else PROBLEM)
            self._code = error.exit_code
            if self._code == 130:
                self._leaving.set()
            return
        self.tell("\n" + overview(summary))
        self.tell("Ask about it, or /why, /leaderboard, /fork optimise time=10m; /quit leaves.")
        self._code = 0

    def _charge(self, *calls: ModelCalled) -> None:
        for call in calls:
            known = call.usd is not None and self.aside_usd is not None
            self.aside_usd = self.aside_usd + Decimal(str(call.usd)) if known and self.aside_usd is not None else None


async def talk(
    screen: Screen,
    given: Mapping[str, Any],
    config: Path | None,
    words: str | None,
    run: RunDir | None,
    *,
    yes: bool,
    also: Callable[[RunDir | None], Subscriber] | None = None,
) -> int:
    """A whole session; the exit code."""
    session = Session(screen, given, config, yes=yes, also=also)
    return await (session.about(run) if run is not None else session.new(words))
