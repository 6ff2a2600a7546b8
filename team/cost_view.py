"""`mlteam cost`: what runs took, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.costs import WAYS, Cost, Costs, costs
from reports.figures import dollars, duration
from reports.visible import visible
from team.errors import MlteamError, UsageError
from team.log import read_events
from team.rundir import RunDir

WIDTH_WITHOUT_TERMINAL = 140
UNKNOWN = "unknown"


def read_costs(runs: Sequence[RunDir], by: str, *, whole: bool) -> tuple[Costs, list[tuple[str, str]]]:
    """The table over these runs, each counted once, and those that cannot be read, with the reason.

    Args:
        whole: whether one that cannot be read is an error, since it was asked for by name.

    Raises:
        UsageError: when there is no such way to group.
        MlteamError: when the log of a run that was asked for is damaged.
    """
    way = next((one for one in WAYS if one == by), None)
    if way is None:
        raise UsageError(f"--by {by!r}: expected {', '.join(WAYS[:-1])} or {WAYS[-1]}.")
    read, left_out = [], []
    for run in {run.path.resolve(): run for run in runs}.values():
        try:
            read.append((run.name, list(read_events(run.events))))
        except (MlteamError, OSError) as error:
            if whole:
                raise
            left_out.append((run.name, str(error).splitlines()[0]))
    return costs(read, way), left_out


def print_costs(found: Costs, file: TextIO) -> None:
    """Write the table, as wide as the terminal."""
    console = Console(file=file, highlight=False, width=None if file.isatty() else WIDTH_WITHOUT_TERMINAL)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_footer=len(found.rows) != 1)
    total = cells(found.total)
    table.add_column(found.by, footer=f"all {found.runs} runs" if found.runs != 1 else "all", overflow="fold")
    for (title, _), (_, sum_of) in zip(total, total, strict=True):
        table.add_column(title, footer=Text(sum_of), justify="right", overflow="fold")
    for row in found.rows:
        table.add_row(Text(visible(row.name)), *(Text(cell) for _, cell in cells(row)))
    console.print(table)
    if found.total.unmeasured_runs:
        console.print(
            f"{found.total.unmeasured_runs} of {found.runs} runs did not measure their machine; hours are those of the others.", style="dim"
        )


def cells(cost: Cost) -> list[tuple[str, str]]:
    """Columns and what stands in them."""
    cached = f"{cost.cache_read_tokens:,}"
    gpu = UNKNOWN if cost.gpu_hours is None and cost.cpu_hours is not None else _hours(cost.gpu_hours)
    return [
        ("calls", f"{cost.calls:,}"),
        ("tokens in", f"{cost.input_tokens:,}"),
        ("out", f"{cost.output_tokens:,}"),
        ("cached", cached),
        ("dollars", told(cost)),
        ("models", duration(cost.model_seconds)),
        ("CPU-h", _hours(cost.cpu_hours)),
        ("GPU-h", gpu),
        ("GB-h", _hours(cost.memory_gb_hours)),
        ("wall", "" if cost.wall_hours is None else duration(cost.wall_hours * 3600)),
    ]


def told(cost: Cost) -> str:
    """Dollars in words: what is not known is no sum."""
    if not cost.unpriced_calls:
        return dollars(float(cost.usd_at_least))
    return f"at least {dollars(float(cost.usd_at_least))}" if cost.usd_at_least else UNKNOWN


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.3g}" if hours >= 0.001 or hours == 0 else "<0.001"
