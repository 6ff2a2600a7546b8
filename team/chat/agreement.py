"""From a user's words to settings that the user agreed to: what was not said is asked, the plan is shown, and more words change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any, Protocol

from rich.console import RenderableType

from team.casting import is_free, members_of
from team.chat.asking import answered_by
from team.chat.plan import plan_table
from team.chat.wish import COLUMNS_SHOWN, Wish, columns_of, find_column, find_source, guess_target, read_by_model, read_wish
from team.constraint import distinct
from team.errors import MlteamError, UsageError
from team.events import CostForecast, ModelCalled
from team.forecast import Forecast, forecast
from team.models.probing import Probe, asked_models, probe
from team.models.single import Clients
from team.preflight import preflight
from team.pricing import with_prices
from team.sentences import read_constraints
from team.settings import Settings, load_settings
from team.terminal import one_line
from tools.tables import TableError

YES = ("", "y", "yes", "ok", "go", "start", "j", "ja")
NO = ("n", "no", "nein", "stop")
NAME_CHARS = 60
"""Of a column's name, where many are listed: a table without a header has lines of text for names."""
GREETING = "Say what you want to predict, from which table, and what matters; /help lists commands, Ctrl-C pauses."


class Talk(Protocol):
    """Whom the words come from."""

    def tell(self, text: str | RenderableType) -> None: ...
    async def ask(self, question: str) -> str: ...


class Agreement:
    """What is agreed on before a run begins.

    Args:
        given: settings of the command line; what the user says fills the rest.
        config: a settings file.
        yes: whether to begin without asking.
        clients: makes the client of a model that reads the words.
        charge: told what such a model cost.
        probed: makes the client of a model that is asked to foresee by; None has its reply streamed.

    Attributes:
        before: what models were asked to foresee the run, and what was foreseen, for its log.
    """

    def __init__(
        self,
        talk: Talk,
        given: Mapping[str, Any],
        config: Path | None,
        *,
        yes: bool,
        clients: Clients,
        charge: Callable[[ModelCalled], None],
        probed: Clients | None = None,
    ) -> None:
        self._talk, self._given, self._config, self._yes, self._clients, self._charge = talk, dict(given), config, yes, clients, charge
        self._probed, self._probes, self._calls = probed, list[Probe](), list[ModelCalled]()
        self.before: list[ModelCalled | CostForecast] = []

    async def settle(self, words: str | None) -> Settings | None:
        """Settings that the user agreed to; None where the user said no.

        Args:
            words: the wish, or the source; None asks for it.

        Raises:
            UsageError: what was asked for cannot be done.
        """
        if words is None:
            words = await self._talk.ask(GREETING)
        wish = await self._wish(words)
        given = {**wish.settings, **self._given}
        constraints = read_constraints(wish.goal, known_columns(str(given["source"]))).constraints
        if constraints:
            given["constraint"] = [*given.get("constraint", ()), *(one.model_dump(mode="json") for one in constraints)]
        settings = await self._foreseen(load_settings(given, self._config))
        if self._yes:
            return settings
        reply = await self._talk.ask("Start? Enter starts; or say what to change, such as: you have 5 minutes.")
        while reply.lower() not in YES:
            if reply.lower() in NO:
                self._talk.tell("not started. Say what you want instead, or /quit.")
                return None
            try:
                settings = await self._foreseen(self._changed(settings, reply))
            except UsageError as error:
                self._talk.tell(str(error))
            reply = await self._talk.ask("Start?")
        return settings

    async def _foreseen(self, settings: Settings) -> Settings:
        """Show what is going to happen. Where models have a price, the user is asked again before they cost more than the forecast."""
        settings = with_prices(settings)
        preflight(settings, self._clients)
        if settings.probe:
            await self._probe(settings)
        foreseen = forecast(settings, self._probes)
        self.before = [*self._calls, foreseen.event] if self._probes else []
        settings = _held_to(settings, foreseen)
        self._talk.tell(plan_table(settings, foreseen, [one.told for one in settings.constraint]))
        return settings

    async def _probe(self, settings: Settings) -> None:
        """Ask the models that were not asked yet one small question each."""
        known = [one.model for one in self._probes]
        if missing := [spec for spec in asked_models(settings) if spec not in known]:
            self._talk.tell(f"a small question to {', '.join(missing)}, to foresee by …")
        self._probes, calls = await probe(settings, self._probed, self._probes)
        self._calls += calls

    def _changed(self, settings: Settings, reply: str) -> Settings:
        columns = known_columns(settings.source)
        wish = read_wish(reply, columns)
        found = wish.settings
        found.pop("goal", None)
        if more := read_constraints(reply, columns).constraints:
            found["constraint"] = [one.model_dump(mode="json") for one in distinct([*settings.constraint, *more])]
        if wish.named is not None:
            raise UsageError(f"there is no column {wish.named!r}. Columns: {few(columns)}.")
        if not found:
            self._talk.tell("understood nothing to change; say a time, a metric, a constraint, or which column to predict.")
        changed = settings.model_copy(update={"goal": f"{settings.goal or ''}\n{reply}".strip()})
        return load_settings({**changed.model_dump(mode="json"), **found})

    async def _wish(self, words: str) -> Wish:
        """Read a wish; what is not known and cannot be left open is asked for, in one short question each."""
        source = self._given.get("source") or find_source(words) or (words if Path(words).expanduser().is_file() else None)
        if source is None:
            source = await self._talk.ask("From which table? Name a CSV or Parquet file, an http(s) URL, or sklearn:NAME.")
        columns = known_columns(source)
        wish = read_wish(words, columns)
        settings = load_settings({"source": source, **{k: v for k, v in self._given.items() if k == "model"}}, self._config)
        if words != source:
            wish = await self._by_model(settings, wish, columns)
        target = self._given.get("target") or wish.target
        if columns and target is None and wish.task is None and self._given.get("task") not in ("cluster", "anomaly"):
            target = await self._which(wish.named, columns)
        return Wish(wish.goal if words != source else "", source, target, None, wish.metric, wish.task, wish.seconds)

    async def _by_model(self, settings: Settings, wish: Wish, columns: list[str]) -> Wish:
        if (spec := answered_by(settings, None)) is not None:
            self._talk.tell(f"{spec} reads what you want …")
        try:
            return await read_by_model(settings, wish, columns, self._clients, self._charge)
        except MlteamError as error:
            self._talk.tell(f"the model did not read the wish ({one_line(str(error))}); rules do")
            return wish

    async def _which(self, named: str | None, columns: list[str]) -> str:
        guess = guess_target(columns)
        told = f"{guess.column!r} ({guess.confidence:.0%} sure: it {guess.reasons.replace('; ', ', ')})" if guess else "none"
        problem = f"There is no column {named!r}. " if named else ""
        if self._yes and not named and guess:
            return guess.column
        while True:
            said = await self._talk.ask(f"{problem}Which column is to be predicted? Columns: {few(columns)}. Enter takes {told}.")
            if not said and guess:
                return guess.column
            if (found := find_column(said, columns)) is not None:
                return found
            problem = f"There is no column {said!r}. "


def known_columns(source: str) -> list[str]:
    """Columns of a table that lies on this machine; empty where that cannot be told without fetching it.

    Raises:
        UsageError: the file cannot be read as a table.
    """
    try:
        return columns_of(source)
    except (TableError, OSError) as error:
        raise UsageError(f"{error}.") from None


def few(columns: list[str]) -> str:
    """Names of columns for a sentence."""
    return ", ".join(_short(column) for column in columns[:COLUMNS_SHOWN]) + (" …" if len(columns) > COLUMNS_SHOWN else "")


def _short(column: str) -> str:
    name = one_line(column)
    return name if len(name) <= NAME_CHARS else name[: NAME_CHARS - 1] + "…"


def _held_to(settings: Settings, foreseen: Forecast) -> Settings:
    """Settings by which models must not cost more than was foreseen without the user's word, where all of them have a price."""
    specs = {spec for model in settings.all_models for spec in members_of(model) if not is_free(spec)}
    if settings.expected_cost is not None or not foreseen.usd or any(settings.price_of(spec) is None for spec in specs):
        return settings
    return settings.model_copy(update={"expected_cost": foreseen.usd.quantize(Decimal("0.0001"), ROUND_UP)})
