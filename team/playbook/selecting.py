"""Which candidate the engineer of the playbook hands over, and what it fits and examines before it does."""

from __future__ import annotations

from typing import Any

from team.playbook.examining import UNTARGETED, curve, curve_told, explanation, nested, structure, structure_told
from team.playbook.optimising import MOST_RESERVED_S
from team.playbook.refitting import PATIENCE, most_refit, refit_time, too_slow
from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import joined, plus_minus, score, spread
from tools.candidates import CODE, ENSEMBLE
from tools.constraints import TOO_MUCH

AMPLE_BLENDING_S = 500.0
"""For the blend where trials bound the search: nearly all that the tool may take."""


def select(t: Transcript) -> Decision:
    if not t.facts.get("leaderboard"):
        return Say("No candidate was done before the time of the search was over, so there is none to hand over.")
    blend = t.last("ensemble")
    may_blend = t.predicts != "groups" and t.constraints.refuses(ENSEMBLE) is None
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
        first = structure(t, handed) if t.predicts in UNTARGETED else nested(t) or curve(t, handed)
        if asked := first or explanation(t, handed):
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
        if t.failure:
            return t.failed()
        unfit: dict[str, str] = t.facts["unfit"]
        bounded = all(TOO_MUCH in reason for reason in unfit.values())
        none = "No candidate keeps to its bounds" if bounded else "No candidate can be fitted on all training rows"
        return Say(f"{none}: {_told(unfit)}.")
    if candidate == chosen:
        return Call("evaluate", _evaluation(t, candidate), why)
    last = done.arguments["candidate"] if done else chosen
    why = str(done.result.get("detail") if done else t.facts["unfit"].get(chosen, ""))
    what = "does not keep to its bounds" if TOO_MUCH in why else "cannot be fitted on all training rows"
    instead = f"{last} {what}, so the next best is taken: {candidate}."
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
    if t.facts["budget"]["trials"] is not None:
        # Measured seconds must not choose the members, nor the layers, where equal seeds are to give equal results.
        return {"time_s": round(min(AMPLE_BLENDING_S, t.seconds_left), 1)}
    return {"time_s": round(min(MOST_RESERVED_S, t.seconds_left), 1), "refit_s": most_refit(t.facts)}


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
    gain = f"{score(abs(r['gain']))} ± {spread(r['gain_std_error'])}"
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
