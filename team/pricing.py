"""What models cost by a kept list, genai-prices of Pydantic, where the user gives no price: https://github.com/pydantic/genai-prices.

The list comes with the package and is never fetched anew. What a run found in it stands in its settings, with the version of the list, so
that it counts by the same prices after a resume, and what it cost can be worked out again. A model that the list does not have, that asks
for kinds of payment which are not counted here, or that stands on this machine or in its network, has no known price, and never costs zero
by a guess.
"""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from team.casting import Hours, Price, Rate, Tier, is_free, split_specs
from team.models.endpoint import DEFAULT_URLS, is_near, parts_of, url_of
from team.settings import Settings

if TYPE_CHECKING:
    from decimal import Decimal

    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice

LIST = "genai-prices"
_KINDS = {"input": "input_mtok", "output": "output_mtok", "cache_read": "cache_read_mtok", "cache_write": "cache_write_mtok"}
_NOT_COUNTED = ("requests_kcount", "output_reasoning_mtok")
"""Payment for each request, and for thinking apart from the rest of a reply: who pays so cannot be told what a call cost."""


def with_prices(settings: Settings) -> Settings:
    """Settings in which every model has its price that has one: the user's, else the list's."""
    found = dict(settings.prices)
    for model in settings.all_models:
        for spec in split_specs(model):
            if not is_free(spec) and settings.price_of(spec) is None and (price := listed_price(spec)) is not None:
                found[spec] = price
    return settings if found == settings.prices else settings.model_copy(update={"prices": found})


def listed_price(spec: str, at: datetime | None = None) -> Price | None:
    """What the list says of a single model `PROVIDER:MODEL[@URL]`; None where it has none, or the endpoint is near.

    Args:
        at: the day whose prices are asked for, with its time zone; None for now.
    """
    if spec.partition(":")[0] not in DEFAULT_URLS:
        return None
    provider, model, given = parts_of(spec)
    url = url_of(provider, given)
    if is_near(url):
        return None
    # It takes a second to import, and most runs ask no model at all.
    from genai_prices.data_snapshot import get_snapshot

    asked: dict[str, Any] = {"provider_id": provider, "provider_api_url": None}
    if url != DEFAULT_URLS[provider]:
        asked = {"provider_id": None, "provider_api_url": url}
    try:
        seller, info = get_snapshot().find_provider_model(model, None, **asked)
    except LookupError:
        return None
    return _price(info, at or datetime.now(UTC), f"{LIST} {importlib.metadata.version(LIST)}: {seller.id}/{info.id}")


def _price(info: ModelInfo, at: datetime, by: str) -> Price | None:
    """The price of a model as of a day, with its tiers, and the hours at which another one holds."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    choices: list[ConditionalPrice] = [] if isinstance(info.prices, ModelPrice) else list(reversed(info.prices))
    timed = [one for one in choices if isinstance(one.constraint, TimeOfDateConstraint)]
    if isinstance(info.prices, ModelPrice):
        base = info.prices
    else:
        dated = (one for one in choices if one not in timed and (one.constraint is None or one.constraint.active(at)))
        base = next((one.prices for one in dated), info.prices[0].prices)
    if not all(_countable(one) for one in (base, *(each.prices for each in timed))):
        return None
    rate = _rate(base, 0)
    starts = sorted({tier.start for kind in _KINDS.values() for tier in getattr(getattr(base, kind), "tiers", ())})
    tiers = [Tier(above=start, **_rate(base, start + 1).model_dump()) for start in starts]
    hours = []
    for one in timed:
        assert isinstance(one.constraint, TimeOfDateConstraint)
        start, end = (_utc(at, moment) for moment in (one.constraint.start_time, one.constraint.end_time))
        hours.append(Hours(start=start, end=end, **_rate(one.prices, 0).model_dump()))
    return Price(**rate.model_dump(), tiers=tiers, hours=hours, by=by)


def _countable(prices: ModelPrice) -> bool:
    """Whether input and output have a price, and nothing is paid for that no token count tells."""
    known = prices.input_mtok is not None and prices.output_mtok is not None
    return known and all(getattr(prices, kind, None) is None for kind in _NOT_COUNTED)


def _rate(prices: ModelPrice, prompt_tokens: int) -> Rate:
    """Prices of a request of so many tokens."""
    return Rate(**{name: _of_tier(getattr(prices, kind), prompt_tokens) for name, kind in _KINDS.items()})


def _of_tier(price: Any, prompt_tokens: int) -> Decimal | None:
    found = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        if prompt_tokens > tier.start:
            found = tier.price
    return found


def _utc(day: datetime, moment: Any) -> Any:
    """A time of the day in UTC; one without a zone is."""
    return moment if moment.tzinfo is None else datetime.combine(day.date(), moment).astimezone(UTC).time()
