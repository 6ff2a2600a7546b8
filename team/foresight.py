"""A run foreseen before it is started from a command line or a script: checked, its models asked one small question each."""

from __future__ import annotations

import asyncio

from team.events import CostForecast, ModelCalled
from team.forecast import Forecast, forecast
from team.models.probing import probe
from team.models.single import Clients
from team.preflight import preflight
from team.pricing import with_prices
from team.settings import Settings


def foresee(settings: Settings, clients: Clients | None = None) -> tuple[Forecast, list[ModelCalled | CostForecast]]:
    """What a run of these settings is likely to take, and what its log is to begin with, the calls of the probe among it.

    Nothing is made, and no model is asked, before all that can be checked is.

    Args:
        clients: makes the client of a model; None takes the one of a run.

    Raises:
        UsageError: for settings that cannot be used, and for caps that do not pay for the questions.
        PrerequisiteMissing: for a model, a sandbox or a device that needs something first.
    """
    settings = with_prices(settings)
    preflight(settings, clients)
    probes, calls = asyncio.run(probe(settings, clients)) if settings.probe else ([], [])
    foreseen = forecast(settings, probes)
    return foreseen, [*calls, foreseen.event]
