"""What is going to happen, as a table to agree to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from team.forecast import Forecast, minutes
from team.settings import Settings
from team.terminal import one_line


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
        ("", foreseen.grounds(settings.out)),
        *(("beware", told) for told in foreseen.beyond(settings)),
    ]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(one_line(value)))
    return table
