"""What the critic of the playbook does: compare with the baselines, look for leaks, then take the one look."""

from __future__ import annotations

from typing import Any

from team.playbook.examining import UNTARGETED, slices, slices_told, standings, standings_told, structure_told
from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import coverage_sentence, plus_minus, score, sentence, spread
from tools.constraints import FLOORS
from tools.contract import Task
from tools.families import BASELINES

_UNTRIED: dict[Task, tuple[str, ...]] = {
    "forecast": ("theta", "lags_lightgbm"),
    "survival": ("xgboost",),
    "cluster": ("gaussian_mixture", "hdbscan"),
    "anomaly": ("isolation_forest", "local_outlier"),
}
UNTRIED = ("lightgbm", "catboost", "extra_trees")
"""Families without which the baselines have not been beaten for want of trying, by task and of all others."""


def decide(t: Transcript) -> Decision:
    if t.failure and t.failure.tool not in ("find_slices", "compare_models"):
        return t.failed()
    if not t.called("review") and not t.facts["reviewed"]:
        if t.stage == "select" and not t.facts.get("evaluated"):
            return Say("There are no predictions for the sealed rows to judge yet.")
        if t.stage == "select" and t.predicts not in UNTARGETED and (search := slices(t, t.facts["evaluated"][-1])):
            return search
        if t.stage == "select" and (compared := standings(t, t.facts["evaluated"][-1])):
            return compared
        return _review(t)
    if t.stage == "select" and not t.facts.get("evaluated"):
        return Say("There are no predictions for the sealed rows to score yet.")
    review = t.last("review")
    if t.stage == "select" and not (review and review.result["verdict"] == "send_back"):
        if not t.called("score_holdout"):
            candidate = t.facts["evaluated"][-1]
            return Call("score_holdout", {"candidate": candidate}, f"The work stands, so {candidate} is scored on the holdout, once.")
        return Say(_scored(t))
    return Say(" ".join(review.result["findings"]) if review else "The review is on record.")


def _review(t: Transcript) -> Decision:
    findings = _findings(t)
    untried = _untried(t)
    if untried:
        findings.append(f"Nothing learnt beats the baselines yet and {', '.join(untried)} were not tried: train them.")
        return Call("review", {"verdict": "send_back", "findings": findings, "back_to": "train"}, findings[-1])
    return Call(
        "review",
        {"verdict": "accept", "findings": findings},
        "The figures are the host's own, from out-of-fold predictions; the work stands on them.",
    )


def _findings(t: Transcript) -> list[str]:
    metric = t.facts["contract"]["metric"]
    best_of = t.facts.get("best_of_family", {})
    if not best_of:
        return ["No candidate was scored."]
    top = next(iter(best_of))
    best = best_of[top]
    findings = [f"The best candidate is {best['name']} with {metric} {plus_minus(best['score'], best['std_error'])}."]
    floor = next((f for f in FLOORS if f in best_of), top)
    if floor != top:
        least, name = best_of[floor]["score"], floor.replace("_", " ")
        errors = _errors_apart(best, best_of[floor])
        findings.append(
            f"The {name} has {score(least)}, more than two standard errors behind."
            if errors >= 2
            else f"The {name} has {score(least)}, within two standard errors: there may be nothing to learn."
        )
    simple = next((f for f in best_of if f in BASELINES[t.task][1:]), None)
    if simple and simple != top:
        near = _errors_apart(best, best_of[simple]) < 2
        findings.append(
            f"The {simple} baseline has {score(best_of[simple]['score'])}, "
            + ("within two standard errors, so the simple model is a fair alternative." if near else "clearly behind.")
        )
    findings.extend(f"The gate for leaks “{name}” fails: {evidence}" for name, evidence in t.facts.get("failed_gates", {}).items())
    findings.extend(f"The profile warned: {sentence(warning)}" for warning in t.facts.get("data_warnings", [])[:3])
    for round_ in t.facts.get("rounds", [])[-1:]:
        if round_["families"]:
            real = "real" if round_["real"] else "inside its noise"
            tried = f" for the best of {round_['candidates']}" if round_["candidates"] > 1 else ""
            findings.append(f"The last round of tuning gained {score(round_['gain'])} ± {spread(round_['noise'])}, which is {real}{tried}.")
    if found := t.facts.get("examine_structure"):
        findings.append(structure_told(found))
    searched = t.last("find_slices")
    if searched and searched.ok:
        findings.append(slices_told(searched.result))
    compared = t.last("compare_models")
    if compared and compared.ok:
        findings.append(standings_told(compared.result))
    return findings


def _untried(t: Transcript) -> list[str]:
    """Families to send the work back for: when only baselines work, there is time, and others were never tried."""
    if t.stage != "train" or "train" not in t.facts.get("may_send_back_to", []):
        return []
    best_of = t.facts.get("best_of_family", {})
    budget = t.facts["budget"]
    plenty = budget["search_seconds_left"] > 0.5 * budget["search_seconds"]
    top = next(iter(best_of), "dummy")
    if top not in BASELINES[t.task] or not plenty:
        return []
    return [f for f in t.constraints.allowed(_UNTRIED.get(t.task, UNTRIED)) if f not in best_of]


def _errors_apart(a: dict[str, Any], b: dict[str, Any]) -> float:
    noise = max(a["std_error"], b["std_error"])
    difference = abs(float(a["score"]) - float(b["score"]))
    return difference / noise if noise > 0 else (0.0 if difference == 0 else 999.0)


def _scored(t: Transcript) -> str:
    done = t.last("score_holdout")
    assert done is not None
    r = done.result
    looked = "once" if r["looks"] == 1 else f"{r['looks']} times"
    interval = f"{r['level']:.0%} interval {score(r['low'])} to {score(r['high'])}"
    return (
        f"On {r['n']:,} sealed rows {r['candidate']} has {r['metric']} {score(r['score'])} ({interval})."
        f" The holdout was looked at {looked}.{coverage_sentence(r)}"
    )
