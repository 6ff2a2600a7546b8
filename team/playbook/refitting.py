"""How long fits on all rows may take: they come after the search, and nobody waits for them gladly."""

from __future__ import annotations

from typing import Any

from team.playbook.transcript import Done

REFIT_SHARE, LEAST_REFIT_S = 0.12, 4.5
"""How long fitting an ensemble's members once may take: a share of the search, or so many seconds where that is more."""
ROOM = 1.5
"""Room over the estimate. What is left of it goes into averaging over seeds."""
LEAST_S = 4.0
AMPLE_S = 600.0
BY_PIECES, MOST_GROWING = 3.0, 1.0
"""A row that is read from disk takes about so many times what one in memory does; and what it may take in all, of the search."""
EXPORT_SHARE, LEAST_EXPORT_S, MOST_EXPORT_S = 0.05, 4.0, 20.0
"""How long each further format of the model may take: a share of the search, within bounds."""
PATIENCE = 5
"""How many times longer a fit gets that did not end in its time."""


def most_refit(facts: dict[str, Any]) -> float:
    """Seconds that fitting an ensemble's members once may take."""
    return round(max(LEAST_REFIT_S, REFIT_SHARE * float(facts["budget"]["search_seconds"])), 1)


def refit_time(facts: dict[str, Any], candidate: str) -> float:
    """Seconds to give the fit of a candidate on all rows."""
    if facts["budget"]["trials"] is not None:
        return AMPLE_S  # the clock must decide nothing, or equal seeds would part ways
    return round(max(LEAST_S, ROOM * _estimate(facts, candidate)), 1)


def growing_time(facts: dict[str, Any], candidate: str, opened: dict[str, Any]) -> float:
    """Seconds more for fitting it on the rows beyond a sample, piece by piece; 0 where all rows are in memory.

    Args:
        opened: what `open_holdout` gave.
    """
    beyond, rows = opened.get("beyond") or 0, opened.get("rows") or 1
    if not beyond:
        return 0.0
    within = max(MOST_GROWING * float(facts["budget"]["search_seconds"]), AMPLE_S if facts["budget"]["trials"] is not None else 0.0)
    return round(min(within, BY_PIECES * _estimate(facts, candidate) * beyond / rows + LEAST_S), 1)


def export_time(facts: dict[str, Any]) -> dict[str, float]:
    """Seconds for each further format as `export_model` takes them; its own where trials bound the search, whose time says nothing."""
    if facts["budget"]["trials"] is not None:
        return {}
    return {"each_s": round(min(MOST_EXPORT_S, max(LEAST_EXPORT_S, EXPORT_SHARE * float(facts["budget"]["search_seconds"]))), 1)}


def too_slow(done: Done) -> bool:
    """Whether a fit was given up for want of time rather than failed, so that it may be asked for again with more."""
    return not done.ok and "could not be fitted in" in str(done.result.get("detail"))


def _estimate(facts: dict[str, Any], candidate: str) -> float:
    blend = facts.get("ensemble")
    if blend and blend["candidate"]["name"] == candidate:
        return float(blend["refit_seconds"])
    rows = [*facts.get("leaderboard", []), *facts.get("best_of_family", {}).values()]
    seconds = next((row["seconds"] for row in rows if row["name"] == candidate), 0.0)
    contract = facts["contract"]
    fits = contract["rows_train"] if contract.get("leave_one_out") else contract["folds"]
    return float(seconds) / contract.get("repeats", 1) / max(1, fits - 1)
