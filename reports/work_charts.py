"""Charts of the team's work: every turn and call in time, and what roles and stages took."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from reports.facts import RunFacts
from reports.figures import dollars, duration
from reports.plotly_figures import PLACED, ROW, Bar, Scale, axis, bars, colour, document, rows_axis
from reports.plotly_page import Chart
from reports.visible import visible

MOST_TOOL_LETTERS = 40
LEAST_SHOWN = 1 / 400
"""Of the whole: what is shorter is drawn as long as this, so that a pointer finds it."""


def timeline_chart(facts: RunFacts) -> Iterator[Chart]:
    """Turns one after another, a line for each role, with the calls of tools in them."""
    turns = [turn for turn in facts.turns if turn.seconds > 0]
    whole = sum(turn.seconds for turn in turns)
    if len(turns) < 2:
        return
    roles = list(dict.fromkeys(turn.role for turn in turns))
    parts: dict[str, list[tuple[float, float, int, str]]] = {"turns": [], "calls of tools": [], "calls that failed": []}
    began = 0.0
    for turn in turns:
        lane = roles.index(turn.role)
        visit = f", visit {turn.visit}" if turn.visit > 1 else ""
        told = f"{_spaced(turn.role)} in {turn.stage}{visit}: {len(turn.calls)} calls, {duration(turn.seconds)}"
        parts["turns"].append((began, turn.seconds, lane, told))
        for call in turn.calls:
            kind = "calls of tools" if call.status == "ok" else "calls that failed"
            place = began + min(call.after_s, turn.seconds)
            parts[kind].append((place, call.seconds, lane, f"{_tool(call.tool)}: {call.status}, {duration(call.seconds)}"))
        began += turn.seconds
    traces = [
        go.Bar(
            orientation="h",
            name=name,
            base=[start for start, _, _, _ in found],
            x=[max(length, whole * LEAST_SHOWN) for _, length, _, _ in found],
            y=[lane for _, _, lane, _ in found],
            width=0.72 if name == "turns" else 0.36,
            marker={"color": colour(number), "opacity": 0.35 if name == "turns" else 0.9},
            hovertext=[told for _, _, _, told in found],
            hoverinfo="text",
            meta=PLACED,
        )
        for number, (name, found) in enumerate((("turns", parts["turns"]), ("calls of tools", parts["calls of tools"])))
    ]
    if failed := parts["calls that failed"]:
        traces.append(
            go.Bar(
                orientation="h",
                name="calls that failed",
                base=[start for start, _, _, _ in failed],
                x=[max(length, whole * LEAST_SHOWN) for _, length, _, _ in failed],
                y=[lane for _, _, lane, _ in failed],
                width=0.36,
                marker={"color": "var(--bad)", "opacity": 0.9},
                hovertext=[told for _, _, _, told in failed],
                hoverinfo="text",
                meta=PLACED,
            )
        )
    layout = {
        "barmode": "overlay",
        "xaxis": axis(Scale("Seconds of turns, one after another", (0.0, whole))),
        "yaxis": rows_axis([_spaced(role) for role in roles]),
        "height": 110 + ROW * len(roles),
        "showlegend": True,
    }
    calls = sum(len(turn.calls) for turn in turns)
    yield Chart(
        "The turns in time",
        "A bar for each turn and, within it, for each call of a tool. Turns follow each other without what lay between them.",
        document(go.Figure(traces, layout)),
        f"{len(turns)} turns of {len(roles)} roles with {calls} calls of tools, in time",
    )


def work_charts(facts: RunFacts) -> Iterator[Chart]:
    """What stages and roles took: time always, dollars where models cost some."""
    searched: dict[str, float] = {}
    for visit in facts.stages:
        searched[visit.stage] = searched.get(visit.stage, 0.0) + visit.search_seconds
    if facts.seconds_by_stage:
        groups = {
            "all": [_time(stage, seconds) for stage, seconds in facts.seconds_by_stage.items()],
            "search": [_time(stage, searched.get(stage, 0.0), "search") for stage in facts.seconds_by_stage],
        }
        groups = groups if any(searched.values()) else {"all": groups["all"]}
        yield Chart("Time by stage", "All visits of a stage together.", bars(groups, Scale("Seconds")), "Seconds of each stage")
    if facts.by_role:
        rows = [_time(_spaced(role.role), role.seconds) for role in facts.by_role]
        yield Chart(
            "Time by role", "Turns with the calls of tools in them.", bars({"time": rows}, Scale("Seconds")), "Seconds of each role"
        )
    by_role: dict[str, float] = {}
    for use in facts.models:
        by_role[use.role] = by_role.get(use.role, 0.0) + (use.usd or 0.0)
    by_stage = {use.stage or "outside of turns": use.usd or 0.0 for use in facts.by_stage.values()}
    for what, spent in (("role", by_role), ("stage", by_stage)):
        if any(spent.values()):
            rows = [Bar(_spaced(name), usd, dollars(usd), f"{_spaced(name)}: {dollars(usd)}") for name, usd in spent.items()]
            yield Chart(
                f"Cost by {what}",
                "Dollars for language models, as far as prices are known.",
                bars({"cost": rows}, Scale("Dollars")),
                f"Dollars of each {what}",
            )


def _time(name: str, seconds: float, what: str = "") -> Bar:
    return Bar(name, seconds, duration(seconds) if seconds else "", f"{name}{', ' + what if what else ''}: {duration(seconds)}")


def _spaced(name: str) -> str:
    return visible(name).replace("_", " ")


def _tool(name: str) -> str:
    """A tool's name; a model may have called one by any words."""
    return name if name.isidentifier() and len(name) <= MOST_TOOL_LETTERS else "no tool of that name"
