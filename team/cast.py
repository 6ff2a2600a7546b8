"""The models that play the roles of one run: which one has a turn, what is done with its calls, and when the playbook stands in."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from team.approval import SPEND, ApprovalRequest
from team.approvals import Approvals, refusal
from team.caps import Caps
from team.casting import PLAYBOOK, members_of
from team.errors import Diverged, MlteamError
from team.events import FellBack, MessageSpoken, ModelCalled
from team.group import Group
from team.guidance import Terms
from team.journal import Journal, KeptAnswers
from team.models.bounding import BoundedClient, bounds_of
from team.models.fallback import FallbackClient
from team.models.metering import Calls, KeepingClient, MeteredClient, ModelCall
from team.models.recovering import REPAIRS, RecoveringClient
from team.models.replay import ReplayClient
from team.repairs import RepairDesk
from team.roles import NAMES
from team.settings import Settings
from team.stages import Stage
from team.toolroom import Toolroom
from tools.candidates import CODE
from tools.families import BASELINES, LEARNS

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

MOST_FAMILIES = 6
"""That a model is shown as an example."""
MOST_FAILURES = 2
"""Turns in a row that a model may fail before it is not asked again in this run; its client has retried by then."""

Clients = Callable[[str], "ChatCompletionClient"]
"""Makes a model client of a spec."""


class Cast:
    """Who plays the roles.

    Args:
        clients: makes the client of a single model.
        stack: closes the clients at the end of the run.
        turn: number of the turn that is going on.
        takeover: whether the playbook has taken over the visit of the stage.
        failures: turns in a row that each model has failed.
        approvals: a person's words, asked before more is spent than was foreseen.
        caps: says when the user is to be told of what was spent.
    """

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        room: Toolroom,
        log: Journal,
        stack: AsyncExitStack,
        turn: Callable[[], int],
        takeover: bool,
        failures: dict[str, int],
        approvals: Approvals | None = None,
        caps: Caps | None = None,
    ) -> None:
        self._settings, self._clients, self._room, self._log, self._stack, self._turn = settings, clients, room, log, stack, turn
        self.takeover, self.failures, self._approvals = takeover, failures, approvals
        self._caps = caps or Caps()
        self._repairs = RepairDesk(log.append, lambda: room.state, turn, self._terms)
        self._groups: dict[str, Group] = {}
        self._replays: list[ReplayClient] = []
        self._spent: dict[bool, str] = {}
        """Why no model is asked any more, before the closing stages (False) and in them (True)."""

    @property
    def diverged(self) -> Diverged | None:
        """How a replay has parted from its recording; None while it has not."""
        return next((client.diverged for client in self._replays if client.diverged), None)

    def succeeded(self, model: str) -> None:
        """A turn of a model went well."""
        self.failures.pop(model, None)

    def why_fallen_back(self, model: str, reason: str) -> str:
        """Why the playbook speaks in the model's place: for this step where its calls were of no use, for good where it fails again."""
        if (told := self._spent.get(self._closing)) is not None:
            return f"{told}; the playbook goes on from here"
        if (problem := self._repairs.take_given_up()) is not None:
            return f"the calls of model {model} could not be used after {REPAIRS} repairs: {problem}"
        self.failures[model] = self.failures.get(model, 0) + 1
        suffix = "; the playbook goes on from here" if self.failures[model] >= MOST_FAILURES else ""
        return f"{reason}{suffix}" if "," in model else f"model {model} failed: {reason}{suffix}"

    def model(self, role: str) -> str:
        """The model that has the next turn of a role."""
        model = self._settings.model_of(role)
        if self._closing in self._spent:
            return PLAYBOOK
        return PLAYBOOK if self.takeover or self.failures.get(model, 0) >= MOST_FAILURES else model

    def group(self, model: str) -> Group:
        """The group in which a turn of `model` is taken: that of the settings' models, or that of the playbook, which stands in."""
        kind = PLAYBOOK if model == PLAYBOOK else "models"
        if kind not in self._groups:
            clients = {role: self._client(role, PLAYBOOK if kind == PLAYBOOK else self._settings.model_of(role)) for role in NAMES}
            for client in clients.values():
                self._stack.push_async_callback(client.close)
            self._groups[kind] = Group(clients, self._room, self._spoken, short=kind != PLAYBOOK)
        return self._groups[kind]

    def _client(self, role: str, model: str) -> ChatCompletionClient:
        """The client of a role: every model of the list is metered on its own, and what any of them answers is kept, then made usable."""
        calls = Calls(self._record_call)
        clients = {spec: self._clients(spec) for spec in members_of(model)}
        admit = None if model == PLAYBOOK else partial(self._admit, role)
        members = [
            (spec, MeteredClient(self._bounded(spec, one), role, spec, calls, self._settings.price_of(spec), admit))
            for spec, one in clients.items()
        ]
        first = members[0][1]
        if model == PLAYBOOK:
            return first
        replay = clients.get(model)
        replay = replay if isinstance(replay, ReplayClient) else None
        self._replays += [replay] if replay else []
        inner = first if len(members) == 1 else FallbackClient(members, lambda *what: self._stood_in(role, *what))
        keeping = KeepingClient(inner, KeptAnswers(self._log, self._turn, role, model), calls, replay)
        return RecoveringClient(keeping, role, self._repairs)

    def _bounded(self, spec: str, client: ChatCompletionClient) -> ChatCompletionClient:
        bounds = bounds_of(spec, self._settings.models)
        return client if bounds is None else BoundedClient(client, bounds)

    async def _admit(self, role: str, tokens: int, usd: Decimal | None) -> None:
        """Refuse a model call that the budget has no room for, or a person no money; the playbook goes on in its place."""
        closing = self._closing
        try:
            self._room.meter.check_model(tokens, usd, closing=closing)
            await self._check_foreseen(role, usd)
        except MlteamError as error:
            self._spent[closing] = str(error)
            raise

    async def _check_foreseen(self, role: str, usd: Decimal | None) -> None:
        """Ask a person, once, before models cost more than was foreseen.

        Raises:
            MlteamError: where the answer is no, or nobody could be asked.
        """
        foreseen, spent = self._settings.expected_cost, self._room.meter.usage.usd
        if foreseen is None or self._approvals is None or (spent is not None and usd is not None and spent + usd <= foreseen):
            return
        request = ApprovalRequest(
            call=f"{SPEND}-{self._turn()}",
            tool=SPEND,
            role=role,
            stage=str(self._room.state.stage),
            arguments={"beyond_usd": str(foreseen)},
            outside=True,
            what=f"have models cost more than the {foreseen} dollars that were foreseen",
        )
        decision = await self._approvals.word(request)
        if not decision.allowed:
            raise MlteamError(refusal(request, decision))

    @property
    def _closing(self) -> bool:
        return self._room.state.stage in (Stage.DOCUMENT, Stage.RELEASE)

    def _stood_in(self, role: str, failed: str, answered: str, error: Exception) -> None:
        reason = f"model {failed} failed: {last_words(error)}; {answered} answers instead"
        self._log.append(FellBack(stage=str(self._room.state.stage), role=role, reason=reason))

    def _spoken(self, role: str, text: str) -> None:
        self._log.append(MessageSpoken(turn=self._turn(), role=role, text=text))

    def _terms(self) -> Terms:
        host = self._room.host
        if not host.vault.sealed:
            return Terms()
        contract, refused = host.vault.contract, host.wish.constraints.refuses(CODE)
        return Terms(
            maximize=contract.direction == "maximize",
            predicts="" if refused else contract.predicts,
            seconds_left=self._room.meter.search_left_s,
            families=tuple(f for f in host.wish.constraints.allowed(LEARNS[contract.task]) if f not in BASELINES[contract.task])[
                :MOST_FAMILIES
            ],
            worked=bool(self._room.done_well),
            asked_for=tuple(tool for tool in host.wish.release.tools if tool not in (*self._room.done_well, *self._room.troubles)),
        )

    def _record_call(self, call: ModelCall) -> None:
        self._room.meter.charge_model(call.input_tokens, call.output_tokens, call.usd)
        facts = asdict(call) | {"usd": None if call.usd is None else float(call.usd)}
        self._log.append(ModelCalled(turn=self._turn(), **facts))
        for warned in self._caps.crossed(self._room.meter.usage, self._room.meter.limits):
            self._log.append(warned)


def last_words(error: Exception) -> str:
    """An error in a line. AutoGen gives a whole traceback as its text, whose last line is what was raised."""
    text = str(error).strip()
    return re.sub(r"^team\.errors\.\w+: ", "", text.splitlines()[-1])[:400] if text else type(error).__name__
