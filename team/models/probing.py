"""One small question to each language model of a run before it begins: how fast it is, how it counts, and what the question cost.

The question is charged to the run. What it measured is one sample: a busy server is slower an hour later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from decimal import Decimal
from importlib import import_module

from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from pydantic import BaseModel, ConfigDict

from team.casting import is_free, members_of, provider_of
from team.errors import MlteamError, ModelError, UsageError
from team.events import ModelCalled
from team.models import maker
from team.models.bounding import BoundedClient, Bounds
from team.models.endpoint import DEFAULT_URLS
from team.models.metering import MeteredClient, ModelCall, expected_tokens
from team.models.single import Clients, as_event
from team.settings import Settings

REPLY_TOKENS = 400
"""That the reply may have: it takes about a hundred, and a model that thinks first may need some before."""
LEAST_COUNT, MOST_COUNT = 0.5, 3.0
"""No tokenizer counts an English text otherwise, beside its length by four; a server that does counts wrongly."""
LONGEST_S = 60.0
"""A model on a processor that reads fifty tokens a second and writes ten is done by then."""
_SYSTEM = (
    "You are asked one small question, so that the time and the cost of a longer piece of work can be foreseen. Answer in full, at once, "
    "without a plan, without a comment, and without asking back. What you write is counted and then thrown away; nobody reads it, and no "
    "tool is called. The longer work will be a machine-learning experiment on a table: rows are split, columns are described, models are "
    "fitted and compared on folds, and the best of them is documented. In it you will get briefings of some two thousand tokens, each "
    "with facts as JSON, and answer with a call of a tool and a sentence that says why."
)
_QUESTION = "Write the whole numbers from 1 to 40 in digits, separated by commas, on one line."
_MESSAGES: tuple[LLMMessage, ...] = (SystemMessage(content=_SYSTEM), UserMessage(content=_QUESTION, source="user"))


class Probe(BaseModel):
    """What a question to a model measured. Tokens and seconds are 0 where it did not answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """As the settings spell it."""
    input_tokens: int
    output_tokens: int
    seconds: float
    first_s: float | None = None
    """Until its first piece came; None where the reply came whole."""
    usd: float | None = None
    counting: float = 1.0
    """Tokens that it counts for each that a length in characters by four tells."""
    error: str = ""
    """Why it did not answer."""

    def seconds_of(self, input_tokens: float, output_tokens: float) -> tuple[float, float] | None:
        """Seconds, least and most, that a request of this size takes: where reading goes by the token, as on a processor, and where what
        comes before the first piece is the way there. None where nothing was measured."""
        if self.error or not self.output_tokens or not self.input_tokens or self.seconds <= 0:
            return None
        first = self.first_s or 0.0
        writing = (self.seconds - first) * output_tokens / self.output_tokens
        reading = first * input_tokens / self.input_tokens
        return min(first, reading) + writing, max(first, reading) + writing


def asked_models(settings: Settings) -> list[str]:
    """Language models that the turns of a run are going to ask first, each once."""
    return [spec for spec in dict.fromkeys(members_of(model)[0] for model in settings.all_models) if not is_free(spec)]


async def probe(settings: Settings, clients: Clients | None = None, known: Sequence[Probe] = ()) -> tuple[list[Probe], list[ModelCalled]]:
    """Ask every model that turns are going to ask first.

    Args:
        clients: makes the client of a model; None has replies streamed, as a run has.
        known: probes of models that need not be asked again.

    Returns:
        What was measured, the known ones included, and the calls that it took now.

    Raises:
        UsageError: when a cap does not even pay for the questions.
    """
    done = {one.model: one for one in known}
    missing = [spec for spec in asked_models(settings) if spec not in done]
    check_paid(settings, missing)
    calls: list[ModelCalled] = []
    for spec in missing:  # one after the other: several on one machine would slow each other down
        done[spec] = await _ask(settings, spec, clients, calls)
    return [done[spec] for spec in asked_models(settings)], calls


def check_paid(settings: Settings, specs: Sequence[str]) -> None:
    """Refuse caps below what the questions are going to take.

    Raises:
        UsageError: naming the cap.
    """
    size = expected_tokens(_MESSAGES, ())
    tokens = len(specs) * (size + REPLY_TOKENS)
    prices = [settings.price_of(spec) for spec in specs]
    usd = sum((price.of(size, REPLY_TOKENS) for price in prices if price is not None), Decimal(0))
    caps = [
        (f"--max-tokens {settings.max_tokens}", settings.max_tokens is not None and tokens > settings.max_tokens, f"{tokens:,} tokens"),
        (f"--max-cost {settings.max_cost}", settings.max_cost is not None and usd > settings.max_cost, f"${usd:.4f}"),
    ]
    for cap, passed, amount in caps:
        if passed and specs:
            raise UsageError(
                f"{cap} does not even pay for the question by which a run is foreseen ({amount} at most). Allow more, or leave the question"
                " out with --no-probe."
            )


async def _ask(settings: Settings, spec: str, clients: Clients | None, calls: list[ModelCalled]) -> Probe:
    if (provider := provider_of(spec)[0]) in DEFAULT_URLS:
        with contextlib.suppress(ImportError):  # told by the client
            await asyncio.to_thread(import_module, provider)  # an SDK takes a second or more to import, which is no time of the model
    pieces: list[float] = []

    def hears(piece: str) -> None:
        if not piece:  # a reply begins: one more attempt, where there was one before
            pieces.clear()
        elif not pieces:
            pieces.append(time.perf_counter() - begun)

    made: list[ModelCall] = []
    bounded = BoundedClient((clients or maker(settings.models, hears))(spec), Bounds(REPLY_TOKENS, REPLY_TOKENS))
    client = MeteredClient(bounded, "team", spec, made.append, settings.price_of(spec))
    error, begun = "", time.perf_counter()
    try:
        await asyncio.wait_for(client.create(_MESSAGES), min(LONGEST_S, settings.models.request_s))
    except TimeoutError:
        error = f"no whole answer in {min(LONGEST_S, settings.models.request_s):g} s"
    except (MlteamError, ModelError) as problem:
        error = str(problem)
    finally:
        await client.close()
    calls.extend(as_event(call) for call in made)
    call = made[-1]
    return Probe(
        model=spec,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        seconds=call.seconds,
        first_s=min(pieces[0], call.seconds) if pieces else None,
        usd=None if call.usd is None else float(call.usd),
        counting=_counting(call),
        error=error,
    )


def _counting(call: ModelCall) -> float:
    """Tokens of the question for each that its length tells."""
    if call.estimated or not call.input_tokens:
        return 1.0
    return min(MOST_COUNT, max(LEAST_COUNT, call.input_tokens / expected_tokens(_MESSAGES, ())))
