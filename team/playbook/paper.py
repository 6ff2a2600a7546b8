"""What the playbook says in the parts of a paper: abstract, introduction, discussion and conclusion, from the facts of the run."""

from __future__ import annotations

from typing import Any

from reports.figures import metric_said, source_name
from team.playbook.examining import UNTARGETED, alike_told, curve_told, standings_told
from team.playbook.wording import called, joined, score, sentence
from tools.candidates import ENSEMBLE
from tools.constraints import FLOORS, INTERPRETABLE
from tools.families import LINEAR
from tools.tradeoffs import ALIKE
from tools.understanding.advice import METRICS

QUESTIONS = {
    "groups": "which rows belong together, where nobody has said so",
    "scores": "which rows stand out from the others",
    "risk": "which rows meet the event sooner",
    "labels": "which labels a row carries",
}
SIMPLE = {
    "dummy": "a model that ignores the columns",
    "seasonal_naive": "the seasonal naive forecast",
    "linear": "a linear model",
    "coxnet": "a Cox regression",
}
"""What any model has to beat, in words."""


def abstract(f: dict[str, Any], aim: str) -> str:
    c, h = f["contract"], f["holdout"]
    families = [name for name in f["best_of_family"] if name != ENSEMBLE]
    rows = c["rows_train"] + c["rows_holdout"]
    text = f"This paper reports an experiment on {rows:,} rows of {source_name(f['wish']['source'])}, {aim}."
    count = f.get("candidates", len(f["leaderboard"]))
    compared = f"{count} candidates" if count > 1 else "One candidate"
    compared += f" of {len(families)} families, baselines included," if len(families) > 1 else ""
    text += (
        f" {compared} learned from {c['rows_train']:,} of them and {'were' if count > 1 else 'was'} validated on the same {c['folds']}"
        " folds, under a contract that was sealed before anybody saw a row."
    )
    text += (
        f" The one that was taken, {called(h['candidate'])}, reaches {metric_said(c['metric'])} {score(h['score'])} ({h['level']:.0%}"
        f" interval {score(h['low'])} to {score(h['high'])}) on {h['n']:,} sealed rows."
    )
    dummy = f["best_of_family"].get("dummy")
    if dummy and dummy["name"] != h["candidate"]:
        text += f" A model that ignores the columns has {score(dummy['score'])} in cross-validation."
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"]:
        text += f" {alike_told(found)}"
    return text


def introduction(f: dict[str, Any], meaning: str) -> str:
    c, p, wish = f["contract"], f.get("profile_table", {}), f["wish"]
    columns = "one column" if c["features"] == 1 else f"{c['features']} columns"
    text = f"The question is {_question(c)}, told from {_past(c) or columns} of {source_name(wish['source'])}."
    if wish.get("goal"):
        text += f" It was put in these words: {sentence(str(wish['goal']))}"
    text += f" Answers are judged by {metric_said(c['metric'])}" + (f", {meaning}." if meaning else ".")
    if wish.get("metric"):
        text += " It was asked for."
    elif why := METRICS.get(c["metric"]):
        text += f" Nobody asked for it; it was taken because {why}."
    if (strongest := f.get("strongest_columns")) and not c.get("forecast"):
        names = joined([repr(s["column"]) for s in strongest[:3]])
        text += f" Of the columns alone, {names} {'tells' if len(strongest) == 1 else 'tell'} most."
    if warnings := [w["message"] for w in p.get("warnings", [])][:3]:
        text += f" The table gives these warnings: {sentence('; '.join(w.rstrip('.') for w in warnings))}"
    floors = [name for name in (*FLOORS, *LINEAR) if name in f["best_of_family"]]
    if floors and c.get("predicts", "values") not in UNTARGETED:
        known = joined([f"{SIMPLE.get(name, name)} has {score(f['best_of_family'][name]['score'])}" for name in floors])
        text += f"\n\nWhat is to be had for little is the mark to beat. In cross-validation {known}."
    return text


def discussion(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    parts = []
    best = next((row for row in f["leaderboard"] if row["name"] == h["candidate"]), None)
    if best:
        gap = h["score"] - best["score"]
        inside = h["low"] <= best["score"] <= h["high"]
        side = "lower" if gap < 0 else "higher"
        worse = (gap < 0) == (c["direction"] == "maximize")
        parts.append(
            f"On the sealed rows {metric_said(c['metric'])} is {score(abs(gap))} {side} than in cross-validation"
            f"{', which is worse' if worse else ', which is better'}"
            + (
                ", and within what so few rows leave open."
                if inside
                else ", and more than the interval allows: the sealed rows are the ones to believe."
            )
            if gap
            else f"On the sealed rows {metric_said(c['metric'])} is what it was in cross-validation."
        )
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"]:
        parts.append(standings_told(found))
    if (found := f.get("evaluate")) and found["candidate"] == h["candidate"] and found.get("importance"):
        told = [f"{i['column']!r} ({score(i['importance'])})" for i in found["importance"][:3] if i["importance"] > 0]
        if told:
            kind = found["importance_kind"].replace(c["metric"], metric_said(c["metric"]))
            parts.append(f"{called(h['candidate'], first=True)} relies most on {joined(told)}, by the {kind}.")
    tuned = [r for r in f.get("rounds", []) if r["families"]]
    if tuned:
        real = sum(r["real"] for r in tuned)
        rounds = "The one round of tuning" if len(tuned) == 1 else f"Of {len(tuned)} rounds of tuning, {real or 'none'}"
        lies = "other settings of these families promise little more"
        some = "brought more than noise." if real else f"brought no more than noise: {lies}."
        parts.append(f"{rounds} {some}" if real or len(tuned) == 1 else f"{rounds} brought more than noise: {lies}.")
    return " ".join(parts) or f"{h['candidate']} was the only candidate, so there is nothing to set it beside."


def conclusion(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    looks = "one look at the sealed rows is" if h["looks"] == 1 else f"{h['looks']} looks at the sealed rows are"
    ahead = "For the steps that follow" if c.get("forecast") else "For rows like these"
    text = (
        f"{ahead}, {called(h['candidate'])} is expected to have {metric_said(c['metric'])} between {score(h['low'])} and"
        f" {score(h['high'])}; that is the claim, and {looks} what it rests on."
    )
    if (found := f.get("learning_curve")) and found["candidate"] == h["candidate"]:
        text += f" {curve_told(found)}"
    if (found := f.get("compare_models")) and found["leader"] == h["candidate"] and found["alike"]:
        text += _instead(f, found)
    return text


def _question(c: dict[str, Any]) -> str:
    """What is asked of the table."""
    if forecast := c.get("forecast"):
        steps = "in the next step" if forecast["horizon"] == 1 else f"in the next {forecast['horizon']} steps"
        each = f", for each series by {joined([repr(name) for name in forecast['series']])}" if forecast.get("series") else ""
        return f"what {c['target']!r} will be {steps}{each}"
    if c.get("predicts") == "quantiles":
        return f"in which range {c['target']!r} lies"
    return QUESTIONS.get(c.get("predicts", "values"), f"what {c['target']!r} is" if c.get("target") else "what the rows hold")


def _past(c: dict[str, Any]) -> str:
    """What a forecast is told from; empty for other tasks."""
    if not (forecast := c.get("forecast")):
        return ""
    known = f" and from what is known ahead, {joined([repr(name) for name in forecast['known']])}," if forecast.get("known") else ""
    return f"its own past{known} in {'the series' if forecast.get('series') else 'the one series'}"


def _instead(f: dict[str, Any], found: dict[str, Any]) -> str:
    """Who may be taken instead of the leader, and why that might be wanted; empty where nothing speaks for any."""
    rows = {row["name"]: row for row in f["leaderboard"]}
    leader = rows.get(found["leader"], {})
    slow = leader.get("latency_ms") or 0.0
    quicker = [name for name in found["alike"] if 0 < (rows.get(name, {}).get("latency_ms") or 0.0) * ALIKE < slow]
    readable = [name for name in found["alike"] if rows.get(name, {}).get("family") in INTERPRETABLE]
    told = "" if leader.get("family") in INTERPRETABLE else _said_instead("a model that a person can read", readable)
    return _said_instead("a quicker answer", quicker) + told


def _said_instead(what: str, names: list[str]) -> str:
    if not names:
        return ""
    return f" Where {what} matters, {joined(names[:3])} cannot be told apart from it and may be taken instead."
