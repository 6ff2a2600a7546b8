"""What a run is going to take, before it begins: minutes by what runs here took, dollars by the prices that the user gave."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from team.budget import Usage
from team.casting import is_free, members_of
from team.errors import MlteamError
from team.roles import NAMES
from team.rundir import list_runs
from team.settings import Settings
from team.summary import read_summary
from team.terminal import one_line

RUNS_ASKED = 10
"""Newest runs of the folder that are asked what they took."""
REST_S = (13.0, 25.0)
"""Seconds beside the search where no run tells: the span of the ten tables in the README."""
REQUESTS, INPUT_TOKENS, OUTPUT_TOKENS = 36, 1_910, 60
"""Requests of a run and their mean length in characters by four, as the playbook made them on `evals/data/penguins.csv`: briefing and
results by `python -m evals.briefing_size`, system message and tools added. A model that thinks, or must be asked again, takes more."""


@dataclass(frozen=True)
class Forecast:
    """Seconds in all, least and most; dollars and tokens, None where nobody can tell."""

    seconds: tuple[float, float]
    tokens: int | None
    usd: Decimal | None
    measured: int
    """Earlier runs that the seconds rest on; 0 for the figures of the README."""

    @property
    def told(self) -> str:
        low, high = (minutes(s) for s in self.seconds)
        took = f"about {high}" if low == high else f"{low} to {high}"
        if self.tokens == 0:
            return f"{took}, $0.00 (the playbook costs nothing)"
        if self.usd is None:
            return f"{took}, dollars unknown (no price is known: `prices` in --config), about {self.tokens:,} tokens"
        return f"{took}, about ${self.usd:.2f} ({self.tokens:,} tokens)"


def minutes(seconds: float) -> str:
    """`40 s` or `2.5 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.2g} min" if seconds < 5_940 else f"{seconds / 3600:.2g} h"


def forecast(settings: Settings) -> Forecast:
    """What a run of these settings is likely to take. The search never takes longer than its time; it may end earlier."""
    rests = [rest for rest in map(_rest, _summaries(settings.out)) if rest is not None]
    low, high = (statistics.median(rests), max(rests)) if rests else REST_S
    tokens, usd = _cost(settings)
    return Forecast((settings.time + low, settings.time + high), tokens, usd, len(rests))


def _summaries(out: Path) -> list[dict[str, Any]]:
    found = []
    for run in list_runs(out)[-RUNS_ASKED:]:
        try:
            found.append(read_summary(run))
        except (MlteamError, OSError, ValueError):  # a damaged run tells nothing
            continue
    return found


def _rest(summary: dict[str, Any]) -> float | None:
    seconds = summary["seconds"]
    return max(0.0, seconds["total"] - seconds["search"]) if summary["status"] == "done" and not summary.get("resumed") else None


def _cost(settings: Settings) -> tuple[int, Decimal | None]:
    """Tokens, and dollars where every model that may be asked has a price."""
    usage = Usage()
    share = REQUESTS / len(NAMES)
    for role in NAMES:
        spec = members_of(settings.model_of(role))[0]
        if is_free(spec):
            continue
        price = settings.price_of(spec)
        usage.input_tokens += round(share * INPUT_TOKENS)
        usage.output_tokens += round(share * OUTPUT_TOKENS)
        if price is None or usage.usd is None:
            usage.usd = None
        else:
            usage.usd += price.of(round(share * INPUT_TOKENS), round(share * OUTPUT_TOKENS))
    return usage.input_tokens + usage.output_tokens, usage.usd


def plan_table(settings: Settings, foreseen: Forecast, constraints: Sequence[str] = ()) -> Table:
    """What is going to happen, to agree to."""
    rows = [
        ("data", settings.source),
        ("predict", settings.target or (f"{settings.task}: no column" if settings.task else "a column that the team chooses")),
        ("judged by", settings.metric or "the usual metric of the problem type"),
        ("search", f"at most {minutes(settings.time)}"),
        ("roles", ", ".join(settings.all_models)),
        ("sandbox", settings.sandbox.kind),
        *(("keeps to", told) for told in constraints),
        *([("asks first", f"before models cost more than ${settings.expected_cost}")] if settings.expected_cost is not None else []),
        ("forecast", foreseen.told),
        ("", f"by {foreseen.measured} earlier run(s) in {settings.out}" if foreseen.measured else "by the tables measured in the README"),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(one_line(value)))
    return table
