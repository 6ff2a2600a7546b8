"""What the engineer of the playbook does, stage by stage: decided by what the tools reported."""

from __future__ import annotations

from typing import Any

from team.playbook.optimising import LEAST_AGAIN_S, optimise, reserve, tunable
from team.playbook.planner import NETWORKS_S
from team.playbook.preparing import preparation, prepare
from team.playbook.selecting import select
from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import baselines_said, joined, plus_minus
from tools.constraints import FLOORS
from tools.families import BASELINES, LEARNS, NETWORKS, OPEN, TABULAR

ORDERED = ("ordered_linear", "ordered_lightgbm")
"""Which the order of classes tells something."""
MANY_ROWS = 100_000
"""Beyond this, forests of deep trees cost more than they bring."""
FEW_ROWS = 300
"""Below this, a neural network has too little to learn from."""
BASELINES_S, BASELINES_SHARE = 3.0, 0.03
"""What the baselines get: a first model is told of when all are done, and one that takes longer is fitted again among all families."""
LEAST_S = 1.0
"""Least that a call takes for its time; a dummy is fitted however short that is."""
TRAIN_SHARE = 0.75
"""Share of the search time left that the first look at all families gets."""


def decide(t: Transcript) -> Decision:
    match t.stage:
        case "prepare":
            return prepare(t)
        case "baseline":
            return _baseline(t)
        case "train":
            return _train(t)
        case "optimise":
            return optimise(t)
        case _:
            return select(t)


def _baseline(t: Transcript) -> Decision:
    done = t.last("train_baselines")
    baselines = t.constraints.allowed(BASELINES[t.task])
    if done and set(baselines) - set(done.lost.get("trained", baselines)) - t.dropped and (seconds := _left_of(t, done)):
        return Call("train_baselines", {"time_s": seconds}, f"{_what_was_lost(done)} The others are still to be fitted.")
    if t.failure:
        return t.failed()
    if done is None:
        left = t.seconds_left
        seconds = max(min(BASELINES_S, 0.4 * left), BASELINES_SHARE * left) if t.facts["budget"]["trials"] is None else left * 0.2
        return Call("train_baselines", {"time_s": round(max(LEAST_S, seconds), 1)}, f"Any model must beat {baselines_said(t.task)}.")
    return Say(f"Baselines: {_listed(done.result['candidates'])}.{_skips(done.result)}")


def _train(t: Transcript) -> Decision:
    done = t.last("train")
    if done and done.lost:
        families = [f for f in done.arguments["families"] if f not in done.lost["trained"] and f not in t.dropped]
        if families and (seconds := _left_of(t, done)):
            return Call(
                "train", {**done.arguments, "families": families, "time_s": seconds}, f"{_what_was_lost(done)} {_goes_on(families)}"
            )
    if t.failure:
        return t.failed()
    if done is None:
        families = _families(t)
        untuned = "tuning" in t.constraints.without
        seconds = round(t.seconds_left - reserve(t.seconds_left) if untuned else TRAIN_SHARE * t.seconds_left, 1)
        if not families or seconds < 1:
            return Say("There is no time left for another family.")
        arguments: dict[str, Any] = {"families": families, "time_s": seconds, **preparation(t)}
        if t.facts["budget"]["trials"] is not None:
            # The clock must decide nothing when trials bound the search, or equal seeds would part ways.
            # Where baselines alone are allowed, their first configurations are there already; and whether a sparse model has anything to
            # learn from is known when it is asked.
            arguments["per_family"] = 2 if set(families) - {"sparse_linear"} <= set(BASELINES[t.task]) else 1
        return Call("train", arguments, _why_families(t, families))
    return Say(f"Trained on the same folds: {_listed(done.result['candidates'])}.{_skips(done.result)}")


def _left_of(t: Transcript, done: Done) -> float | None:
    """Seconds for what a search that lost its kernel left undone: the rest of its own, or else a new share; None for too few."""
    rest = float(done.arguments["time_s"]) - done.seconds
    seconds = round(min(t.seconds_left, rest if rest >= LEAST_AGAIN_S else TRAIN_SHARE * t.seconds_left), 1)
    in_vain = sum(not d.lost["family"] for d in t.done if d.lost) > 1  # it is not the families that take the kernel along
    return seconds if seconds >= LEAST_AGAIN_S and not in_vain else None


def _what_was_lost(done: Done) -> str:
    how = {"memory": "ran out of memory", "crash": "crashed", "hang": "did not come back"}[done.lost["how"]]
    return f"{done.lost['family'] or done.tool} {how} and took the kernel along."


def _goes_on(families: list[str]) -> str:
    return f"What was finished counts; {joined(families)} {'is' if len(families) == 1 else 'are'} still to be fitted."


def _families(t: Transcript) -> list[str]:
    """The families to train, in an order that tells most soonest: those of the task that are no baselines, and none in vain."""
    constraints = t.constraints
    families = _tabular(t) if t.task in TABULAR else [f for f in LEARNS[t.task] if f not in BASELINES[t.task]]
    if t.facts["visit"] > 1:
        tried = t.facts.get("best_of_family", {})
        families = [f for f in families if f not in tried] or families
    if t.task in TABULAR and (constraints.interpretable or constraints.families):
        # The first two have more than one configuration; what was named is fitted however short the time.
        families = list(dict.fromkeys([*families, "linear", "tree", *(f for f in constraints.families or () if f in LEARNS[t.task])]))
    found = [f for f in constraints.allowed(families) if f not in t.dropped]
    # Baselines have further configurations, which are all there is where nothing else is allowed.
    return found or [f for f in constraints.allowed(BASELINES[t.task]) if f not in t.dropped and f not in FLOORS]


def _tabular(t: Transcript) -> list[str]:
    rows = t.facts["contract"]["rows_train"]
    planned = t.facts.get("plan", {}).get("families", [])
    ordered = list(ORDERED) if t.task == "ordinal" else []
    families = ["sparse_linear", *ordered, "lightgbm", "catboost", "extra_trees", "xgboost", "random_forest", "knn"]
    families += NETWORKS if t.facts["budget"]["search_seconds"] >= NETWORKS_S else NETWORKS[:1]
    families = [f for f in families if f in planned and f in LEARNS[t.task]] or [f for f in families if f in LEARNS[t.task]]
    if rows > MANY_ROWS:
        families = [f for f in families if f not in ("extra_trees", "random_forest")]
    if rows < FEW_ROWS:
        # Averages of many trees and strong regularisation hold up best on few rows.
        families = [*ordered, "catboost", "extra_trees", "random_forest", "lightgbm", "xgboost", "mlp", "sparse_linear"]
    families += ["linear"]  # whose first configuration is a baseline already: the others shrink more and less
    return families + [f for f in t.brought if t.task in OPEN and f not in families and (f in planned or not planned)]


def _why_families(t: Transcript, families: list[str]) -> str:
    rows = t.facts["contract"]["rows_train"]
    if t.task == "forecast":
        return f"{len(families)} families on the same backtests: statistical ones series by series, and lag features over all series."
    left_out = [f for f in t.constraints.allowed(tunable(t)) if f not in families and f not in BASELINES[t.task]]
    skipped = f" {', '.join(left_out)} cannot help on {rows:,} rows." if left_out and t.facts["visit"] == 1 else ""
    several = (
        f"{len(families)} families on {rows:,} rows, the quick ones first," if len(families) > 1 else f"{families[0]} on {rows:,} rows,"
    )
    return f"{several} with most of the time that is left.{skipped}"


def _listed(candidates: list[dict[str, Any]]) -> str:
    return ", ".join(f"{c['name']} {plus_minus(c['score'], c['std_error'])}" for c in candidates) or "none was finished"


def _skips(result: dict[str, Any]) -> str:
    skipped = [s for s in result.get("skipped", []) if not s.get("known_as")]
    named = "; ".join(f"{s['name']} ({s['reason']})" for s in skipped[:4])
    return f" Skipped: {named}." if skipped else ""
