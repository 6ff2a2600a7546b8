"""Summaries as text for a terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.figures import file_size
from reports.visible import visible
from team.terminal import clean, one_line
from tools.coverage import coverage_told

if TYPE_CHECKING:
    from team.cleaning import Cleaning
    from team.inventory import Entry


def overview(summary: dict[str, Any]) -> str:
    """One run: the score first, then where to look."""
    lines = [f"status     {summary['status']}" + (f": {summary['reason']}" if summary["reason"] else "")]
    if summary["task"]:
        target = f"target {summary['target']}, " if summary["target"] else ""
        lines.append(f"task       {summary['task']}, {target}{summary['metric']} ({summary['direction']})")
    holdout = summary["holdout"]
    if holdout:
        looks = "looked at once" if holdout["looks"] == 1 else f"looked at {holdout['looks']} times"
        lines.append(
            f"holdout    {figure(holdout['score'])}   {holdout['level']:.0%} interval {figure(holdout['low'])} to {figure(holdout['high'])}"
            f"   {holdout['n']:,} rows, {looks}"
        )
    if holdout and (told := coverage_told(holdout.get("intervals") or [])):
        lines.append(f"intervals  {told.removeprefix('intervals ')}")
    if summary["cv"]:
        lines.append(f"cv         {figure(summary['cv']['score'])} ± {summary['cv']['std_error']:.2g}")
    if summary["baseline"]:
        lines.append(f"baseline   {figure(summary['baseline']['score'])} ({summary['baseline']['name']})")
    if why := _no_skill(summary):
        lines.append(f"skill      not shown: {why}")
    if summary["model"]:
        lines.append(f"model      {summary['model']}, the best of {summary['candidates']} candidates")
    seconds, cost = summary["seconds"], summary["cost"]
    lines.append(f"time       {seconds['total']:.0f} s, {seconds['search']:.0f} s of them search")
    least = cost.get("usd_at_least")
    usd = f"${cost['usd']:.2f}" if cost["usd"] is not None else f"at least ${least:.2f}" if least else "unknown price"
    guessed = f" (of {cost['estimated_calls']} calls estimated)" if cost.get("estimated_calls") else ""
    lines.append(f"cost       {usd}, {cost['input_tokens'] + cost['output_tokens']:,} tokens{guessed}")
    lines.extend(_machine(summary))
    lines.extend(f"cap        {told}" for told in cost.get("warnings", [])[-1:])
    lines.extend(_gates(summary))
    lines.extend(f"fallback   {reason}" for reason in summary["fallbacks"])
    lines.extend(f"without    {reason}" for reason in summary.get("degradations", []))
    if summary.get("sent"):
        lines.append(f"sent       what waited for its trackers: {', '.join(summary['sent'])}")
    lines.append(f"run        {summary['run']}")
    if summary["report"]:
        lines.append(f"report     {summary['report']}")
    elif summary["status"] == "done":
        lines.append(f"report     none. Type: mlteam report {summary['run']}")
    if summary["status"] == "done":
        lines.append(f"predict    mlteam predict {summary['run']} ROWS.csv -o predictions.csv")
    return "\n".join(map(one_line, lines))


def _no_skill(summary: dict[str, Any]) -> str:
    """Why nothing shows that anything was learnt from the columns, by what a dummy has in cross-validation; empty where something does."""
    holdout, floor = summary["holdout"], summary["baseline"]
    if not holdout or not floor or not floor["name"].startswith("dummy"):
        return ""
    if floor["name"] == summary["model"]:
        return "no model that learns was better than one that ignores the columns" if summary["candidates"] > 1 else ""
    if holdout["low"] <= floor["score"] <= holdout["high"]:
        return "the interval of the holdout holds what a model that ignores the columns has"
    worse = holdout["high"] < floor["score"] if summary["direction"] == "maximize" else holdout["low"] > floor["score"]
    return "all of the holdout's interval is worse than what a model that ignores the columns has" if worse else ""


def _machine(summary: dict[str, Any]) -> list[str]:
    """What the machine gave; nothing in older runs."""
    took = summary.get("resources")
    if not took:
        return []
    gpu = "unknown" if took["gpu_hours"] is None else f"{took['gpu_hours']:.3g}"
    return [f"machine    {took['cpu_hours']:.3g} CPU-hours, {gpu} GPU-hours, {took['memory_gb_hours']:.3g} GB-hours of memory"]


def _gates(summary: dict[str, Any]) -> list[str]:
    """How the gates for leaks came out; nothing in older runs."""
    verdicts = list(summary.get("gates", {}).values())
    ran = [verdict for verdict in verdicts if verdict in ("pass", "fail")]
    told = [f"leaks      {ran.count('pass')} of {len(ran)} gates passed"] if ran else []
    return told + [f"leak       {name}: {evidence}" for name, evidence in summary.get("failed_gates", {}).items()]


def tracking(sent: dict[str, Any]) -> str:
    """What `mlteam track` did."""
    if not sent["sent"]:
        return f"nothing waits in the outbox of {sent['run']}. `mlteam track {sent['run']} --tracker URI` sends the run all the same."
    files = f", {sent['artefacts']} files" if sent["artefacts"] else ""
    return f"{Path(sent['run']).name} is on {sent['server']}: {sent['candidates']} candidates{files}, run {sent['run_id']}"


def listing(entries: Sequence[Entry], out: Path, width: int) -> str:
    """All runs, the newest first; the narrower, the fewer columns."""
    if not entries:
        return f"no runs in {str(out)!r} yet. `mlteam run FILE.csv --target COLUMN` makes one."
    rows: list[tuple[str, ...]] = [("run", "when", "state", "data", "metric", "holdout", "model", "size", "")]
    for e in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(e.started_at)) if e.started_at else ""
        score = figure(e.holdout.score) if e.holdout else ""
        data = (e.source or "").partition("#sha256=")[0].rpartition("/")[2]
        released = "released" if e.released else ""
        rows.append((e.name, when, e.state, data, e.metric or "", score, e.model or "", file_size(e.bytes), released))
    # A run's name begins with its time and ends with its data.
    for dispensable in ("data", "when", "model", "metric"):
        if _width(rows) <= width:
            break
        at = rows[0].index(dispensable)
        rows = [(*row[:at], *row[at + 1 :]) for row in rows]
    lines = [_columns(rows), f"\n{len(entries)} runs, {file_size(sum(e.bytes for e in entries))}"]
    lines += [f"{e.name}: {visible(e.reason)}" for e in entries if e.state in ("damaged", "link")]
    if any(e.state == "stopped" for e in entries):
        lines.append("A stopped run was cut off; `mlteam resume RUN` goes on with it.")
    return clean("\n".join(lines))


def cleaning_report(cleaning: Cleaning) -> str:
    """What goes, run by run, or went, and what is kept and why."""
    rows = [("", "run", "frees", "what")]
    for plan in cleaning.runs:
        if plan.parts:
            what = plan.why if plan.action == "remove" else ", ".join(part.path for part in plan.parts)
            rows.append((plan.action, plan.name, file_size(plan.bytes), what))
    if cleaning.downloads:
        rows.append(("remove", "downloads", file_size(cleaning.downloads.bytes), visible(cleaning.downloads.path)))
    lines = [_columns(rows)] if len(rows) > 1 else []
    kept = Counter(plan.why for plan in cleaning.runs if plan.action == "keep" and plan.problem is None)
    lines += [f"kept   {count} run{'s' if count > 1 else ''}: {visible(why)}" for why, count in kept.items()]
    lines += [f"left   {plan.name}: {visible(plan.problem)}" for plan in cleaning.runs if plan.problem]
    done = "freed" if cleaning.done else "would free"
    lines.append(f"{done} {file_size(cleaning.bytes)}" if len(rows) > 1 else "nothing to remove")
    return clean("\n".join(lines))


def tool_listing() -> str:
    """The tools by the role that may call them."""
    from team.roles import roles
    from tools.spec import registry

    specs = registry()
    lines = []
    for role in roles().values():
        lines.append(f"{role.title}")
        mine = [specs[name] for name in specs if name in role.tools]
        lines += [f"  {spec.name:16} {spec.where:7} {spec.description}" for spec in mine]
    return "\n".join(lines)


def tool_schemas() -> list[dict[str, Any]]:
    """Every tool as a model is shown it, with where it runs and who may call it."""
    from team.roles import roles
    from tools.spec import registry

    return [
        {
            "name": spec.name,
            "description": spec.description,
            "where": spec.where,
            "roles": [role.name for role in roles().values() if spec.name in role.tools],
            "timeout_s": spec.timeout_s,
            "parameters": spec.schema(),
        }
        for spec in registry().values()
    ]


def figure(value: float) -> str:
    """A score with four significant digits, thousands separated when it is large."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    rows = [tuple(visible(cell) for cell in row) for row in rows]
    widths = _widths(rows)
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def _width(rows: Sequence[tuple[str, ...]]) -> int:
    return sum(_widths(rows)) + 2 * (len(rows[0]) - 1)
