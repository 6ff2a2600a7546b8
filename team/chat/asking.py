"""A question of the user beside the turns: answered by the run's model from the run's facts, by rules where there is none or it fails."""

from __future__ import annotations

from decimal import Decimal

from team.budget import Meter, Usage
from team.caps import limits_of
from team.casting import is_free, members_of
from team.chat.answers import answer, question_for_model
from team.checkpoint import read_checkpoint
from team.errors import MlteamError
from team.events import ModelCalled
from team.models.single import Clients, ask_once
from team.rundir import RunDir
from team.settings import Settings
from team.terminal import one_line

EXPECTED_TOKENS = 3_500
"""Of a question with its facts, and the answer."""


def answered_by(settings: Settings, role: str | None) -> str | None:
    """The model that answers for a role, or for anybody; None where rules do."""
    spec = members_of(settings.model_of(role or "planner"))[0]
    return None if is_free(spec) else spec


async def ask_about(text: str, run: RunDir, settings: Settings, role: str | None, clients: Clients) -> tuple[str, list[ModelCalled]]:
    """The answer, and what it cost.

    Args:
        role: whom the user asked; None for anybody.
    """
    spec = answered_by(settings, role)
    if spec is None:
        voice = f"{role.replace('_', ' ')}, by rules: " if role else ""
        return voice + answer(text, run), []
    calls: list[ModelCalled] = []
    price = settings.price_of(spec)
    try:
        _meter(run, settings).check_model(EXPECTED_TOKENS, price.of(EXPECTED_TOKENS, 0) if price else None, closing=False)
        system, question = question_for_model(text, run, role)
        told = await ask_once(spec, role or "team", system, question, clients, price, calls.append)
    except MlteamError as error:
        return f"{answer(text, run)}\n(by rules, since the model did not answer: {one_line(str(error))})", calls
    return told.strip() or answer(text, run), calls


def _meter(run: RunDir, settings: Settings) -> Meter:
    """What the run has spent by its last checkpoint, against its limits."""
    usage = read_checkpoint(run.checkpoint).usage if run.checkpoint.exists() else Usage(usd=Decimal())
    return Meter(limits_of(settings), usage)
