"""What the playbook says in the parts of a paper: abstract, introduction, discussion and conclusion, from the facts of the run."""

from __future__ import annotations

from typing import Any

from team.playbook.examining import UNTARGETED, curve_told, slices_told, standings_told
from team.playbook.wording import joined, score, sentence
from tools.candidates import ENSEMBLE
from tools.constraints import FLOORS
from tools.families import LINEAR

QUESTIONS = {
    "groups": "which rows belong together, where nobody has said so",
    "scores": "which rows stand out from the others",
    "risk": "which rows meet the event sooner",
    "labels": "which labels a row carries",
    "quantiles": "in which range a value will lie",
}


def abstract(f: dict[str, Any], aim: str) -> str:
    c, h = f["contract"], f["holdout"]
    families = [name for name in f["best_of_family"] if name not in (*FLOORS, ENSEMBLE)]
    text = f"This paper reports an experiment on {c['rows_train'] + c['rows_holdout']:,} rows of {f['wish']['source']}, {aim}."
    count = f.get("candidates", len(f["leaderboard"]))
    compared = f"{count} candidates" if count > 1 else "One candidate"
    compared += f" of {len(families)} families and the baselines" if len(families) > 1 else ""
    text += (
        f" {compared} learned from {c['rows_train']:,} rows, validated on the same {c['folds']} folds, under a contract that was"
        " sealed before anybody saw a row."
    )
    text += (
        f" The selected one, {h['candidate']}, reaches {c['metric']} {score(h['score'])} ({h['level']:.0%} interval {score(h['low'])} to"
        f" {score(h['high'])}) on {h['n']:,} sealed rows."
    )
    dummy = f["best_of_family"].get("dummy")
    if dummy and dummy["name"] != h["candidate"]:
        text += f" A model that ignores the columns has {score(dummy['score'])}."
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"]:
        text += f" {standings_told(found)}"
    return text


def introduction(f: dict[str, Any], meaning: str) -> str:
    c, p, wish = f["contract"], f.get("profile_table", {}), f["wish"]
    question = QUESTIONS.get(c.get("predicts", "values"), f"what {c['target']!r} is" if c.get("target") else "what the rows hold")
    columns = "one column" if c["features"] == 1 else f"{c['features']} columns"
    text = f"The question is {question}, told from {columns} of {wish['source']}."
    if wish.get("goal"):
        text += f" It was put in these words: {sentence(str(wish['goal']))}"
    by = "was asked for" if wish.get("metric") else "was chosen for this kind of target"
    text += f" Answers are judged by {c['metric']}, which {by}" + (f": {meaning}." if meaning else ".")
    if strongest := f.get("strongest_columns"):
        names = joined([repr(s["column"]) for s in strongest[:3]])
        text += f" Before any model was fitted, single columns were tried alone, and {names} told most."
    if warnings := [w["message"] for w in p.get("warnings", [])][:3]:
        text += f" What the table itself warns of: {sentence('; '.join(w.rstrip('.') for w in warnings))}"
    floors = [name for name in (*FLOORS, *LINEAR) if name in f["best_of_family"]]
    if floors and c.get("predicts", "values") not in UNTARGETED:
        known = joined([f"{name} with {score(f['best_of_family'][name]['score'])}" for name in floors])
        text += f"\n\nA result is worth something only beside what is to be had for nothing. In cross-validation that is {known}."
    return text


def discussion(f: dict[str, Any]) -> str:
    h = f["holdout"]
    parts = []
    best = next((row for row in f["leaderboard"] if row["name"] == h["candidate"]), None)
    if best:
        gap = h["score"] - best["score"]
        inside = h["low"] <= best["score"] <= h["high"]
        parts.append(
            f"The sealed rows and cross-validation differ by {score(abs(gap))}, which is "
            + (
                "within what so few rows leave open."
                if inside
                else "more than the interval allows: the sealed rows are the ones to believe."
            )
        )
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"]:
        parts.append(standings_told(found))
    if (found := f.get("evaluate")) and found["candidate"] == h["candidate"] and found.get("importance"):
        told = [f"{i['column']!r} ({score(i['importance'])})" for i in found["importance"][:3] if i["importance"] > 0]
        if told:
            parts.append(f"{h['candidate']} relies most on {joined(told)}, by {found['importance_kind']}.")
    if (found := f.get("find_slices")) and found["candidate"] == h["candidate"]:
        parts.append(slices_told(found))
    tuned = [r for r in f.get("rounds", []) if r["families"]]
    if tuned:
        real = [r for r in tuned if r["real"]]
        parts.append(
            f"Of {len(tuned)} round{'s' if len(tuned) > 1 else ''} of tuning, "
            + (
                f"{len(real)} brought more than noise."
                if real
                else "none brought more than noise: what is left lies in the columns, not in settings."
            )
        )
    return " ".join(parts) or f"{h['candidate']} was the only candidate, so there is nothing to set it beside."


def conclusion(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    looks = "one look at the sealed rows is" if h["looks"] == 1 else f"{h['looks']} looks at the sealed rows are"
    text = (
        f"For rows like these, {h['candidate']} is expected to have {c['metric']} between {score(h['low'])} and {score(h['high'])}; that"
        f" is the claim, and {looks} what it rests on."
    )
    if (found := f.get("learning_curve")) and found["candidate"] == h["candidate"]:
        text += f" {curve_told(found)}"
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"] and found["alike"]:
        others = joined(found["alike"][:3])
        text += f" Where a simpler or quicker model matters, {others} cannot be told apart from it and may be taken instead."
    return text
