"""The session: listen to the user, run the team beside, and talk about what it did.

The team works in a thread with a loop of its own, so that typing never waits for a fit; the two meet in `Steering` and in the event log.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future as ConcurrentFuture
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from team.approval import ApprovalDecision, ApprovalRequest, ask_nobody
from team.chat.asking import ask_about
from team.chat.commands import COMMANDS, obey
from team.chat.forecast import forecast, plan_table
from team.chat.keyboard import Keyboard, open_keyboard
from team.chat.screen import Screen, Watch
from team.chat.standing import Standing
from team.chat.wish import COLUMNS_SHOWN, Wish, checked, columns_of, find_column, find_source, guess_target, question_for_model, read_wish
from team.constraint import distinct
from team.errors import Interrupted, MlteamError, UsageError
from team.events import Event, ModelCalled, RoleAsked, RunStarted
from team.forking import fork
from team.log import read_events
from team.models import make_client
from team.models.single import Clients
from team.overview import overview
from team.run import ago_on, aresume, astart, preflight
from team.rundir import RunDir
from team.sentences import EXAMPLES, read_constraints
from team.settings import Settings, load_settings, read_settings
from team.steering import Steering
from team.terminal import one_line
from tools.tables import TableError

Work = Callable[[Steering], Awaitable[dict[str, Any]]]
YES = ("", "y", "yes", "ok", "go", "start", "j", "ja")
GREETING = "Say what you want to predict, from which table, and what matters; /help lists commands, Ctrl-C pauses."


class Session:
    """One conversation, about one run after the other.

    Args:
        given: settings of the command line; what the user says fills the rest.
        config: a settings file.
        yes: whether to start without asking.
    """

    def __init__(self, screen: Screen, given: Mapping[str, Any], config: Path | None, *, yes: bool, clients: Clients | None = None) -> None:
        self._screen, self._given, self._config, self._yes, self._clients = screen, dict(given), config, yes, clients
        self._keyboard: Keyboard | None = None
        self.run: RunDir | None = None
        self.settings: Settings | None = None
        self.standing = Standing()
        self.steering: Steering | None = None
        self.aside_usd: Decimal | None = Decimal()
        self._work: asyncio.Future[dict[str, Any]] | None = None
        self._leaving = asyncio.Event()
        self._code = 0
        self._asking: asyncio.Future[str] | None = None
        self._approval: ConcurrentFuture[ApprovalDecision] | None = None
        self._deaf = False
        """Whether the input has ended, so that nobody can be asked."""

    # What the outside does.

    async def about(self, run: RunDir) -> int:
        """Talk about a run that is there; the exit code."""
        self.look_at(run)
        self._open()
        try:
            self.tell(f"{self.standing.line()}\nAsk about it, or /resume, /fork, /undo; /help lists commands.")
            return await self._listen(None)
        finally:
            self._close()

    async def new(self, words: str | None) -> int:
        """Find out what the user wants, and do it; the exit code.

        Args:
            words: the wish, or the source; None asks for it.
        """
        self._open()
        try:
            return await self._listen(self._begin(words))
        finally:
            self._close()

    def interrupt(self) -> None:
        """Ctrl-C: once pauses at the next safe point, twice stops; without a run it leaves."""
        if self.steering is None or self._work is None:
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
        if (work := self._work) is not None:
            await asyncio.wait({work})
            self._finished(work)

    # What commands do (`commands.Talk`).

    def tell(self, text: str) -> None:
        self._screen.say(text)

    def transcript(self) -> str:
        return self._screen.transcript

    async def ask(self, question: str) -> str:
        """The next line of the user, as the answer to a question."""
        self.tell(question)
        self._asking = asyncio.get_running_loop().create_future()
        try:
            return (await self._asking).strip()
        finally:
            self._asking = None

    async def branch(self, at: str, changes: dict[str, Any]) -> None:
        assert self.run is not None
        parent, going = self.run, self._work
        if going is not None and self.steering is not None:
            self.tell("stopping this run, which stays as it is")
            self.steering.stop()
            await asyncio.wait({going})
        made, cut_off = fork(parent, at, changes)
        self._start(lambda steering: ago_on(made, cut_off, [self._hear], self._clients, steering, self._approve), made)

    async def take_up(self) -> None:
        assert self.run is not None
        run = self.run
        self._start(
            lambda steering: aresume(run, subscribers=[self._hear], clients=self._clients, steering=steering, approve=self._approve), run
        )

    async def question(self, role: str | None, text: str) -> None:
        """Answer from the facts of the run, by its model where it has one."""
        assert self.run is not None
        settings = self.settings or read_settings(self.run.settings)
        told, calls = await ask_about(text, self.run, settings, role, self._clients or make_client)
        self._charge(*calls)
        self.tell(told)
        if self.steering is not None:
            self.steering.note(*calls, RoleAsked(role=role or "team", question=text, answer=told))

    async def constrain(self, text: str) -> None:
        assert self.run is not None
        columns = _columns(self.settings.source) if self.settings is not None else []
        reading = read_constraints(text, columns)
        if not reading.complete:
            raise UsageError(f"/constraint: {one_line(reading.told)}. Say it as in: {EXAMPLES}.")
        if self.steering is None:
            raise UsageError(f"no run is going on; a new one that keeps to it: /fork acquire {shlex.quote(f'constraint={text}')}.")
        self.steering.constrain(*reading.constraints)
        self.tell("; ".join(one.told for one in reading.constraints) + ": kept from the next turn on")

    def decide(self, approved: bool, why: str) -> bool:
        waiting, self._approval = self._approval, None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(ApprovalDecision(allowed=approved, by="chat", reason=why))
        return True

    async def _approve(self, request: ApprovalRequest) -> ApprovalDecision:
        """Ask the user, from the run's thread, and wait for `/approve` or `/reject`."""
        if self._deaf:
            return await ask_nobody(request)
        waiting = self._approval = ConcurrentFuture[ApprovalDecision]()
        self.tell(f"\nAllow {request.tool} to {one_line(request.what)}? /approve or /reject WHY")
        return await asyncio.wrap_future(waiting)

    async def quit(self) -> None:
        if self._work is not None and self.steering is not None:
            self._code = 130
            self.steering.stop()
            await asyncio.wait({self._work})
        self._leaving.set()

    # How it goes on.

    def _open(self) -> None:
        names = [one.name for one in COMMANDS.values()]
        self._keyboard = open_keyboard(names, self.standing_line, self.interrupt)

    def standing_line(self) -> str:
        return self.standing.line()

    def _close(self) -> None:
        if self._keyboard is not None:
            self._keyboard.close()

    def _prompt(self) -> str:
        return "answer> " if self._asking else "paused> " if self.standing.paused else "> "

    async def _listen(self, beginning: Awaitable[None] | None) -> int:
        """Lines of the user until one of them, the end of the input or Ctrl-C ends the session."""
        assert self._keyboard is not None
        tasks: set[asyncio.Task[None]] = set()
        if beginning is not None:
            tasks.add(asyncio.ensure_future(self._guarded(beginning, needed=True)))
        leaving = asyncio.ensure_future(self._leaving.wait())
        with self._keyboard.screen():
            reading: asyncio.Task[str | None] | None = None
            ended = False
            while not self._leaving.is_set():
                if reading is None and not ended:
                    reading = asyncio.ensure_future(self._keyboard.line(self._prompt))
                if ended and not tasks and self._work is None:
                    break
                waiting: set[asyncio.Future[Any]] = {
                    leaving,
                    *tasks,
                    *([reading] if reading else []),
                    *([self._work] if self._work else []),
                }
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                tasks -= done
                if self._work is not None and self._work in done:
                    self._finished(self._work)
                if reading is not None and reading in done:
                    line, reading = reading.result(), None
                    if line is None:
                        ended = True
                        self._no_more_lines()
                    elif (doing := self._heard(line)) is not None:
                        tasks.add(asyncio.ensure_future(self._guarded(doing)))
            for task in [*tasks, *([reading] if reading else []), leaving]:
                task.cancel()
            await asyncio.gather(*tasks, *([reading] if reading else []), leaving, return_exceptions=True)
            if self._work is not None and self.steering is not None:
                self.steering.stop()
                await asyncio.wait({self._work})
                self._finished(self._work)
        return self._code

    def _no_more_lines(self) -> None:
        """The input has ended: nobody can answer any more."""
        self._deaf = True
        self.decide(False, "the input has ended")
        if self._asking is not None and not self._asking.done():
            self._asking.set_exception(UsageError("there is nobody to answer: name it on the command line, and add --yes."))
        if self._screen.isatty() and self._work is None:
            self._leaving.set()

    def _heard(self, line: str) -> Awaitable[None] | None:
        line = line.strip()
        if line.startswith("/"):
            return obey(self, line)
        if self._asking is not None and not self._asking.done():
            self._asking.set_result(line)
            return None
        if self.steering is not None:
            if line:
                self.steering.say(line)
                self.tell("kept for the team, from the next turn on" + self._by_rules())
            elif self.steering.pausing:
                self.steering.go_on()
            return None
        if not line:
            return None
        if self.run is None or find_source(line):
            return self._begin(line)
        return self.question(None, line)

    def _by_rules(self) -> str:
        alone = self.settings is not None and self.settings.playbook_alone
        return "; the playbook goes by its rules and does not read it, commands such as /budget and /fork do change things" if alone else ""

    async def _guarded(self, doing: Awaitable[None], *, needed: bool = False) -> None:
        """What goes wrong is told in a line; what is needed ends the session where nobody can try again."""
        try:
            await doing
        except MlteamError as error:
            self._screen.say(str(error), "red")
            if needed and not self._screen.isatty():
                self._code = error.exit_code
                self._leaving.set()

    async def _begin(self, words: str | None) -> None:
        """From the wish to a run that the user agreed to."""
        if words is None:
            words = await self.ask(GREETING)
        wish = await self._wish(words)
        given = {**wish.settings, **{name: value for name, value in self._given.items() if value is not None}}
        if self._given.get("target"):
            given["target"] = self._given["target"]
        reading = read_constraints(wish.goal, _columns(str(given["source"])))
        if reading.constraints:
            given["constraint"] = [one.model_dump(mode="json") for one in reading.constraints]
        settings = load_settings(given, self._config)
        preflight(settings, self._clients)
        self._screen.say(plan_table(settings, forecast(settings), [one.told for one in settings.constraint]))
        if not self._yes:
            reply = await self.ask("Start? Enter starts; or say what to change, such as: you have 5 minutes.")
            while reply.lower() not in YES:
                if reply.lower() in ("n", "no", "nein", "stop"):
                    self.tell("not started. Say what you want instead, or /quit.")
                    return
                settings = self._changed(settings, reply)
                self._screen.say(plan_table(settings, forecast(settings), [one.told for one in settings.constraint]))
                reply = await self.ask("Start?")
        self.settings = settings
        self._start(lambda steering: astart(settings, [self._hear], self._clients, steering, approve=self._approve), None)

    def _changed(self, settings: Settings, reply: str) -> Settings:
        columns = _columns(settings.source)
        found = read_wish(reply, columns).settings
        found.pop("goal", None)
        if more := read_constraints(reply, columns).constraints:
            found["constraint"] = [one.model_dump(mode="json") for one in distinct([*settings.constraint, *more])]
        if not found:
            self.tell("understood nothing to change; say a time, a metric, or which column to predict.")
        changed = settings.model_copy(update={"goal": f"{settings.goal or ''}\n{reply}".strip()})
        return load_settings({**changed.model_dump(mode="json", exclude_unset=False), **found})

    async def _wish(self, words: str) -> Wish:
        """Read a wish; what is not known and cannot be left open is asked for, in one short question each."""
        source = self._given.get("source") or find_source(words) or (words if Path(words).expanduser().is_file() else None)
        if source is None:
            source = await self.ask("From which table? Name a CSV or Parquet file, an http(s) URL, or sklearn:NAME.")
        columns = _columns(source)
        wish = read_wish(words, columns)
        spec = self._given.get("model") or load_settings({"source": source}, self._config).model
        if spec != "playbook" and not spec.startswith("replay:") and words != source:
            wish = await self._by_model(spec, wish, columns)
        target = self._given.get("target") or wish.target
        if columns and target is None and wish.task is None and self._given.get("task") not in ("cluster", "anomaly"):
            target = await self._which(wish.named, columns)
        return Wish(wish.goal if words != source else "", source, target, None, wish.metric, wish.task, wish.seconds)

    async def _by_model(self, spec: str, wish: Wish, columns: list[str]) -> Wish:
        from team.models.single import ask_once, read_document

        system, request = question_for_model(wish.goal, columns)
        settings = load_settings({"source": wish.source or "-", "model": spec}, self._config)
        calls: list[ModelCalled] = []
        try:
            said = await ask_once(spec, "planner", system, request, self._clients or make_client, settings.price_of(spec), calls.append)
        except MlteamError as error:
            self.tell(f"the model did not read the wish ({one_line(str(error))}); rules do")
            return wish
        finally:
            self._charge(*calls)
        return checked(read_document(said), wish, columns)

    async def _which(self, named: str | None, columns: list[str]) -> str:
        guess = guess_target(columns)
        shown = ", ".join(one_line(column) for column in columns[:COLUMNS_SHOWN]) + (" …" if len(columns) > COLUMNS_SHOWN else "")
        problem = f"There is no column {named!r}. " if named else ""
        if self._yes and not named and guess:
            return guess
        while True:
            said = await self.ask(f"{problem}Which column is to be predicted? Columns: {shown}. Enter takes {guess!r}.")
            if not said and guess:
                return guess
            if (found := find_column(said, columns)) is not None:
                return found
            problem = f"There is no column {said!r}. "

    def _start(self, work: Work, run: RunDir | None) -> None:
        """Let the team work in a thread of its own."""
        steering = self.steering = Steering()
        self.standing = Standing()
        self._watch = Watch(self._screen)
        if run is not None:
            self.look_at(run)
        self._watch.run = run
        pool = ThreadPoolExecutor(1, thread_name_prefix="team")
        self._work = asyncio.get_running_loop().run_in_executor(pool, lambda: asyncio.run(_awaited(work, steering)))
        pool.shutdown(wait=False)

    def look_at(self, run: RunDir) -> None:
        """Take a run on disk for the one that is talked about."""
        self.run, self.standing = run, Standing()
        self.settings = read_settings(run.settings) if run.settings.exists() else None
        for event in read_events(run.events):
            self.standing(event)

    def _hear(self, event: Event) -> None:
        """An event of the run, in its thread."""
        if isinstance(event, RunStarted) and self.settings is not None:
            self.run = self._watch.run = RunDir(self.settings.out / event.run)
        self.standing(event)
        self._watch(event)

    def _finished(self, work: asyncio.Future[dict[str, Any]]) -> None:
        self._work = self.steering = None
        error = work.exception()
        if error is None:
            self.tell("\n" + overview(work.result()))
            self.tell("Ask about it, or /why, /leaderboard, /fork optimise time=10m; /quit leaves.")
            self._code = 0
        elif isinstance(error, MlteamError):
            self._screen.say(f"\n{error}", "" if isinstance(error, Interrupted) else "red")
            self._code = error.exit_code
            if self._code == 130:
                self._leaving.set()
        else:
            raise error

    def _charge(self, *calls: ModelCalled) -> None:
        for call in calls:
            known = call.usd is not None and self.aside_usd is not None
            self.aside_usd = self.aside_usd + Decimal(str(call.usd)) if known and self.aside_usd is not None else None


async def _awaited(work: Work, steering: Steering) -> dict[str, Any]:
    return await work(steering)


def _columns(source: str) -> list[str]:
    try:
        return columns_of(source)
    except (TableError, OSError) as error:
        raise UsageError(f"{error}.") from None


async def talk(screen: Screen, given: Mapping[str, Any], config: Path | None, words: str | None, run: RunDir | None, *, yes: bool) -> int:
    """A whole session; the exit code."""
    session = Session(screen, given, config, yes=yes)
    return await (session.about(run) if run is not None else session.new(words))
