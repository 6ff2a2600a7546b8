"""What the engineer of the playbook tunes, and how long."""

from __future__ import annotations

import math
from typing import Any

from team.playbook.preparing import preparation
from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import joined, plus_minus, score, spread
from tools.families import LEARNS, OPEN, UNTUNABLE

RESERVE_SHARE, MOST_RESERVED_S = 0.12, 120.0
"""Share of the search time that is kept for the blend and its second layer, and seconds that suffice for them."""
ROUND_SHARE = 0.9
"""Share of the time for tuning that a round takes. A later one is begun only where this one's gain is more than noise, which is seldom."""
LEAST_TUNING_S = 4.0
MOST_TUNED_A_ROUND = 2
LEAST_AGAIN_S = 2.0
"""With less time than this a search that lost its kernel is not begun again."""
UNITS = {"latency": " ms", "size": " MB"}
"""Of what tuning weighs beside the score."""


def optimise(t: Transcript) -> Decision:
    tuned = [d for d in t.done if d.tool == "tune"]
    lost = t.failure is not None and bool(t.failure.lost)
    if t.failure and not lost and not any(d.ok for d in tuned):
        return t.failed()
    budget = t.facts["budget"]
    by_trials = budget["trials"] is not None
    usable = t.seconds_left - reserve(budget["search_seconds"])
    leaders = _leaders(t)
    if "tuning" in t.constraints.without:
        return Say("The contract leaves tuning out, so the families stay as they were trained.")
    if by_trials and not budget["trials_left"]:
        return Say("No trial is left, so the families stay as they were trained.")
    if not tuned and (usable < LEAST_TUNING_S or not leaders):
        needed = "too few for a search of settings" if t.predicts == "groups" else "which the ensemble needs"
        return Say(f"{t.seconds_left:.0f} s of search are left, {needed}; nothing is tuned in this round.")
    waiting = [f for f in leaders if f not in [d.arguments["family"] for d in tuned]]
    if (t.failure and not lost) or not waiting or (tuned and usable < LEAST_AGAIN_S):
        return Say(_tuned(t, tuned))
    family, remaining = waiting[0], len(waiting)
    seconds = usable / remaining * (1.0 if by_trials else ROUND_SHARE)
    arguments: dict[str, Any] = {"family": family, "time_s": round(max(1.0, seconds), 1), **preparation(t)}
    if by_trials:
        used = sum(int(d.result.get("trials_done", 0)) + int(d.result.get("trials_pruned", 0)) for d in tuned)
        left = (budget["trials_left"] or 0) - used
        if left <= 0:
            return Say(_tuned(t, tuned))
        arguments["trials"] = max(1, math.ceil(left / (2 * remaining))) if left > 2 * remaining else left
    return Call("tune", arguments, _why_tune(t, family))


def reserve(search_s: float) -> float:
    """Seconds of a search that are kept for the blend."""
    return min(RESERVE_SHARE * search_s, MOST_RESERVED_S)


def tunable(t: Transcript) -> list[str]:
    """Families that a search of settings can make better."""
    worthless = UNTUNABLE if t.constraints.interpretable else (*UNTUNABLE, "tree")
    return [f for f in (*LEARNS[t.task], *(t.brought if t.task in OPEN else ())) if f not in worthless]


def _leaders(t: Transcript) -> list[str]:
    """Families worth tuning: the best one, and another that is not clearly worse."""
    best = {f: row for f, row in t.facts.get("best_of_family", {}).items() if f in tunable(t) and f not in t.dropped}
    if not best:
        return []
    order = list(best)
    top = best[order[0]]
    close = [f for f in order if abs(best[f]["score"] - top["score"]) <= 2 * max(top["std_error"], best[f]["std_error"])]
    return close[:MOST_TUNED_A_ROUND]


def _why_tune(t: Transcript, family: str) -> str:
    best, leaders = t.facts["best_of_family"], _leaders(t)
    metric = t.facts["contract"]["metric"]
    value = plus_minus(best[family]["score"], best[family]["std_error"])
    if family != leaders[0]:
        return f"{family} with {value} is not clearly worse than {leaders[0]}, so it is tuned as well."
    others = [f for f in best if f not in leaders and f in tunable(t)]
    rest = f" {joined(others)} {'stays as it is' if len(others) == 1 else 'stay as they are'}." if others else ""
    return f"{family} leads with {metric} {value}, so its settings are worth searching.{rest}"


def _tuned(t: Transcript, tuned: list[Done]) -> str:
    metric = t.facts["contract"]["metric"]
    parts = []
    for d in tuned:
        if not d.ok:
            parts.append(f"{d.arguments['family']} could not be tuned")
            continue
        r = d.result
        gained = f"{score(r['gain'])} ± {spread(r['gain_std_error'])} better than before" if r["gain"] > 0 else "no better than before"
        trials = r["trials_done"] + r["trials_pruned"]
        pruned = f" ({r['trials_pruned']} stopped early)" if r["trials_pruned"] else ""
        parts.append(
            f"{d.arguments['family']}: {trials} trials{pruned}, best {metric} {score(r['candidate']['score'])}, {gained}{_front(r)}"
        )
    return "; ".join(parts) + "."


def _front(result: dict[str, Any]) -> str:
    """What a search by several objectives found beside the best score."""
    front = result.get("front", [])
    if len(front) < 2:
        return ""
    knee = next(point for point in front if point["knee"])
    values = joined([f"{name} {score(value)}{UNITS.get(name, '')}" for name, value in knee["values"].items()])
    return f"; {len(front)} candidates trade {joined(result['objectives'])} for each other, the knee is {knee['candidate']} ({values})"
