"""What the engineer of the playbook does, stage by stage: decided by what the tools reported."""

from __future__ import annotations

import math
from typing import Any

from team.playbook.examining import UNTARGETED, curve, curve_told, explanation, nested, structure, structure_told
from team.playbook.refitting import PATIENCE, most_refit, refit_time, too_slow
from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import baselines_said, joined, plus_minus, score
from tools.candidates import CODE, ENSEMBLE
from tools.constraints import Constraints
from tools.families import BASELINES, LEARNS, OPEN, TABULAR, UNTUNABLE

PREPARED = "prepared"
"""The preparation with the preparers that the user asked for."""
ORDERED = ("ordered_linear", "ordered_lightgbm")
"""Which the order of classes tells something."""
MANY_ROWS = 100_000
"""Beyond this, forests of deep trees cost more than they bring."""
FEW_ROWS = 300
"""Below this, a neural network has too little to learn from."""
TRAIN_SHARE = 0.75
"""Share of the search time left that the first look at all families gets."""
RESERVE_SHARE = 0.12
"""Share of the whole search time kept for the ensemble."""
LEAST_TUNING_S = 4.0
MOST_TUNED_A_ROUND = 2
LEAST_AGAIN_S = 2.0
"""With less time than this a search that lost its kernel is not begun again."""


def decide(t: Transcript) -> Decision:
    match t.stage:
        case "prepare":
            return _prepare(t)
        case "baseline":
            return _baseline(t)
        case "train":
            return _train(t)
        case "optimise":
            return _optimise(t)
        case _:
            return _select(t)


def _failed(t: Transcript) -> Say:
    assert t.failure is not None
    return Say(f"{t.failure.tool} did not work: {t.failure.result.get('detail')}")


def _prepare(t: Transcript) -> Decision:
    done = next((d for d in t.done if d.tool == "prepare"), None)
    if done is None:
        return Call("prepare", {}, "Every family prepares raw rows inside its own folds; here it is settled which columns take part.")
    if not done.ok:
        return _failed(t)
    wanted = t.facts["wish"].get("preparers", [])
    if wanted and done is t.done[-1]:
        why = "The baselines go without it, so that it can be told what it brings."
        return Call("prepare", {"name": PREPARED, "preparers": wanted}, f"{joined(wanted)} is asked for on top. {why}")
    p = done.result
    dropped = p.get("dropped", [])
    why = "; ".join(f"{d['column']!r}: {d['reason']}" for d in dropped[:4])
    left_out = f" Left out: {why}{f' and {len(dropped) - 4} more' if len(dropped) > 4 else ''}." if dropped else " No column is left out."
    return Say(
        f"The preparation is validated on training rows: {p['columns_used']} of {p['columns_in']} columns take part"
        f" and make {p['features_out']} features.{left_out}{_prepared(t, wanted)}"
    )


def _prepared(t: Transcript, wanted: list[str]) -> str:
    if not wanted:
        return ""
    if t.failure:
        return f" It stays with these: {t.failure.result.get('detail')}"
    return f" With {joined(wanted)} they make {t.done[-1].result['features_out']}."


def _baseline(t: Transcript) -> Decision:
    done = t.last("train_baselines")
    baselines = _constraints(t).allowed(BASELINES[t.task])
    if done and set(baselines) - set(done.lost.get("trained", baselines)) - t.dropped and (seconds := _left_of(t, done)):
        return Call("train_baselines", {"time_s": seconds}, f"{_what_was_lost(done)} The others are still to be fitted.")
    if t.failure:
        return _failed(t)
    if done is None:
        seconds = max(2.0, 0.15 * t.seconds_left) if t.facts["budget"]["trials"] is None else t.seconds_left * 0.2
        return Call("train_baselines", {"time_s": round(seconds, 1)}, f"Any model must beat {baselines_said(t.task)}.")
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
        return _failed(t)
    if done is None:
        families = _families(t)
        if not families or t.seconds_left < 1:
            return Say("There is no time left for another family.")
        seconds = t.seconds_left * (TRAIN_SHARE if "tuning" not in _constraints(t).without else 1 - RESERVE_SHARE)
        arguments: dict[str, Any] = {"families": families, "time_s": round(seconds, 1), **_preparation(t)}
        if t.facts["budget"]["trials"] is not None:
            # The clock must decide nothing when trials bound the search, or equal seeds would part ways.
            arguments["per_family"] = 1
        return Call("train", arguments, _why_families(t, families))
    return Say(f"Trained on the same folds: {_listed(done.result['candidates'])}.{_skips(done.result)}")


def _preparation(t: Transcript) -> dict[str, Any]:
    """The argument that names the preparation, where it is not the default one."""
    return {"preparation": PREPARED} if t.facts.get("preparation") == PREPARED else {}


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
    constraints = _constraints(t)
    families = _tabular(t) if t.task in TABULAR else [f for f in LEARNS[t.task] if f not in BASELINES[t.task]]
    if t.facts["visit"] > 1:
        tried = t.facts.get("best_of_family", {})
        families = [f for f in families if f not in tried] or families
    if t.task in TABULAR and (constraints.interpretable or constraints.families):
        families = [*families, "linear", "tree"]  # these have more than one configuration
    return [f for f in constraints.allowed(families) if f not in t.dropped]


def _tabular(t: Transcript) -> list[str]:
    rows = t.facts["contract"]["rows_train"]
    planned = t.facts.get("plan", {}).get("families", [])
    ordered = list(ORDERED) if t.task == "ordinal" else []
    families = ["sparse_linear", *ordered, "lightgbm", "catboost", "extra_trees", "xgboost", "random_forest", "knn", "mlp"]
    families = [f for f in families if f in planned and f in LEARNS[t.task]] or [f for f in families if f in LEARNS[t.task]]
    if rows > MANY_ROWS:
        families = [f for f in families if f not in ("extra_trees", "random_forest")]
    if rows < FEW_ROWS:
        # Averages of many trees and strong regularisation hold up best on few rows.
        families = [*ordered, "catboost", "extra_trees", "random_forest", "lightgbm", "xgboost", "sparse_linear"]
    return families + [f for f in t.brought if t.task in OPEN and f not in families and (f in planned or not planned)]


def _constraints(t: Transcript) -> Constraints:
    return Constraints.model_validate(t.facts["contract"].get("constraints", {}))


def _tunable(t: Transcript) -> list[str]:
    worthless = UNTUNABLE if _constraints(t).interpretable else (*UNTUNABLE, "tree")
    return [f for f in (*LEARNS[t.task], *(t.brought if t.task in OPEN else ())) if f not in worthless]


def _why_families(t: Transcript, families: list[str]) -> str:
    rows = t.facts["contract"]["rows_train"]
    if t.task == "forecast":
        return f"{len(families)} families on the same backtests: statistical ones series by series, and lag features over all series."
    left_out = [f for f in _tunable(t) if f not in families and f not in BASELINES[t.task]]
    skipped = f" {', '.join(left_out)} cannot help on {rows:,} rows." if left_out and t.facts["visit"] == 1 else ""
    return f"{len(families)} families on {rows:,} rows, the quick ones first, with most of the time that is left.{skipped}"


def _optimise(t: Transcript) -> Decision:
    tuned = [d for d in t.done if d.tool == "tune"]
    lost = t.failure is not None and bool(t.failure.lost)
    if t.failure and not lost and not any(d.ok for d in tuned):
        return _failed(t)
    budget = t.facts["budget"]
    by_trials = budget["trials"] is not None
    usable = t.seconds_left - RESERVE_SHARE * budget["search_seconds"]
    leaders = _leaders(t)
    if "tuning" in _constraints(t).without:
        return Say("The contract leaves tuning out, so the families stay as they were trained.")
    if by_trials and not budget["trials_left"]:
        return Say("No trial is left, so the families stay as they were trained.")
    if not tuned and (usable < LEAST_TUNING_S or not leaders):
        return Say(f"{t.seconds_left:.0f} s of search are left, which the ensemble needs; nothing is tuned in this round.")
    waiting = [f for f in leaders if f not in [d.arguments["family"] for d in tuned]]
    if (t.failure and not lost) or not waiting or (tuned and usable < LEAST_AGAIN_S):
        return Say(_tuned(t, tuned))
    family, remaining = waiting[0], len(waiting)
    # Later rounds are worth less than this one, but not nothing.
    seconds = usable / remaining * (1.0 if by_trials else 0.8)
    arguments: dict[str, Any] = {"family": family, "time_s": round(max(1.0, seconds), 1), **_preparation(t)}
    if by_trials:
        used = sum(int(d.result.get("trials_done", 0)) + int(d.result.get("trials_pruned", 0)) for d in tuned)
        left = (budget["trials_left"] or 0) - used
        if left <= 0:
            return Say(_tuned(t, tuned))
        arguments["trials"] = max(1, math.ceil(left / (2 * remaining))) if left > 2 * remaining else left
    return Call("tune", arguments, _why_tune(t, family))


def _leaders(t: Transcript) -> list[str]:
    """Families worth tuning: the best one, and another that is not clearly worse."""
    best = {f: row for f, row in t.facts.get("best_of_family", {}).items() if f in _tunable(t) and f not in t.dropped}
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
    others = [f for f in best if f not in leaders and f in _tunable(t)]
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
        gained = f"{score(r['gain'])} ± {r['gain_std_error']:.2g} better than before" if r["gain"] > 0 else "no better than before"
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
    values = joined([f"{name} {score(value)}" for name, value in knee["values"].items()])
    return f"; {len(front)} candidates trade {joined(result['objectives'])} for each other, the knee is {knee['candidate']} ({values})"


def _select(t: Transcript) -> Decision:
    blend = t.last("ensemble")
    may_blend = t.predicts != "groups" and _constraints(t).refuses(ENSEMBLE) is None
    if blend is None and may_blend and t.seconds_left >= 1 and len(t.facts.get("best_of_family", {})) > 1:
        return Call(
            "ensemble",
            _blending(t),
            "A weighted blend of candidates that err differently is usually better than the best of them.",
        )
    chosen, why = _chosen(t)
    done = t.last("evaluate")
    if done and (done.ok or done.result.get("evaluated")):
        handed = done.arguments["candidate"]
        why = why if handed == chosen else f"{handed} is handed over in the place of {chosen}."
        if asked := structure(t, handed) if t.predicts in UNTARGETED else nested(t) or curve(t, handed) or explanation(t, handed):
            return asked
        seen, found = t.last("learning_curve"), t.last("examine_structure")
        told = f" {curve_told(seen.result)}" if seen and seen.ok else f" {structure_told(found.result)}" if found and found.ok else ""
        return Say(f"{why} Its predictions for the sealed rows are written; nobody has compared them with anything yet.{told}")
    if done and done.lost.get("how") == "memory" and not _asked_twice(t, done):
        why = f"{done.arguments['candidate']} ran out of memory beside what earlier calls had left there; a fresh kernel has more of it."
        return Call("evaluate", done.arguments, why)
    if done and too_slow(done) and not _asked_twice(t, done):
        arguments = {**done.arguments, "time_s": done.arguments["time_s"] * PATIENCE}
        return Call("evaluate", arguments, f"{done.arguments['candidate']} needs longer than its folds promised, so it gets longer, once.")
    candidate = next((name for name in _in_order(t, chosen) if not _unfit(t, name)), None)
    if candidate is None:
        return _failed(t) if t.failure else Say(f"No candidate can be fitted on all training rows: {_told(t.facts['unfit'])}.")
    if candidate == chosen:
        return Call("evaluate", _evaluation(t, candidate), why)
    instead = f"{chosen} cannot be fitted on all training rows, so the next best is taken: {candidate}."
    return Call("evaluate", _evaluation(t, candidate), instead)


def _in_order(t: Transcript, chosen: str) -> list[str]:
    """Candidates to hand over, the chosen one first, then the best of each family: siblings share what ails them. Written code has none."""
    best = {family: row["name"] for family, row in t.facts["best_of_family"].items() if family != ENSEMBLE}
    leaders = [row["name"] for row in t.facts["leaderboard"] if row["family"] == CODE or row["name"] in best.values()]
    return list(dict.fromkeys([chosen, *leaders, *best.values()]))


def _unfit(t: Transcript, candidate: str) -> bool:
    tried = [d.arguments["candidate"] for d in t.done if d.tool == "evaluate" and not d.ok]
    return candidate in tried or candidate in t.facts.get("unfit", {})


def _asked_twice(t: Transcript, done: Done) -> bool:
    same = [d for d in t.done if d.tool == "evaluate" and d.arguments["candidate"] == done.arguments["candidate"]]
    return len(same) > 1


def _told(reasons: dict[str, str]) -> str:
    return "; ".join(f"{name} ({reason})" for name, reason in reasons.items())


def _blending(t: Transcript) -> dict[str, Any]:
    arguments = {"time_s": round(min(30.0, t.seconds_left), 1)}
    # Measured seconds must not choose the members where equal seeds are to give equal results.
    return arguments if t.facts["budget"]["trials"] is not None else {**arguments, "refit_s": most_refit(t.facts)}


def _evaluation(t: Transcript, candidate: str) -> dict[str, Any]:
    blend = t.last("ensemble")
    facts = t.facts | ({"ensemble": blend.result} if blend and blend.ok else {})
    # A quarter of the call is for predictions, importance and plots.
    return {"candidate": candidate, "time_s": round(refit_time(facts, candidate) / 0.75, 1)}


def _chosen(t: Transcript) -> tuple[str, str]:
    best = t.facts["leaderboard"][0]
    metric = t.facts["contract"]["metric"]
    blend = t.last("ensemble")
    if blend is None or not blend.ok:
        return best["name"], f"{best['name']} has the best {metric}, {plus_minus(best['score'], best['std_error'])}."
    r = blend.result
    gain = f"{score(abs(r['gain']))} ± {r['gain_std_error']:.2g}"
    unseen = f"than {r['best_single']} on folds that its weights never saw"
    if r["recommended"] == r["best_single"]:
        return r[
            "best_single"
        ], f"The blend gains nothing over {r['best_single']} ({metric} {score(r['best_single_score'])}), so that is kept."
    members = joined([f"{m['name']} {m['weight']:.2f}" for m in r["members"][:6]])
    members += f" with a second layer over {len(r['stack']['inputs'])} candidates" if r.get("stack") else ""
    if r["gain"] > 0:
        return r["recommended"], f"The blend of {members} is {gain} better {unseen}."
    flattered = "as the best of many that one is flattered by being picked, and the average is not"
    return r["recommended"], f"The blend of {members} is {gain} worse {unseen}, which is inside the noise; {flattered}."


def _listed(candidates: list[dict[str, Any]]) -> str:
    return ", ".join(f"{c['name']} {plus_minus(c['score'], c['std_error'])}" for c in candidates) or "none was finished"


def _skips(result: dict[str, Any]) -> str:
    skipped = result.get("skipped", [])
    named = "; ".join(f"{s['name']} ({s['reason']})" for s in skipped[:4])
    return f" Skipped: {named}." if skipped else ""
