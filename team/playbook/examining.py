"""What the playbook asks about the candidate that is handed over, and how it says what came back.

None of it decides anything: it is for the reader of the report. So it must cost little, and where the clock is to decide nothing
it is left out as far as the clock has a say in it.
"""

from __future__ import annotations

from typing import Any

from reports.figures import metric_said
from team.playbook.transcript import Call, Transcript
from team.playbook.wording import called, joined, score
from tools.candidates import CODE, ENSEMBLE
from tools.metrics import find_metric

SLICES_S = 5.0
MOST_NESTED = 3
"""Families among which the nested search chooses: each is fitted on every fold of every fold."""
CURVE_SHARE, MOST_CURVE_S, LEAST_CURVE_S = 0.05, 12.0, 2.0
EXPLANATION_SHARE, MOST_EXPLANATION_S, LEAST_EXPLANATION_S = 0.05, 20.0, 10.0
"""Shares of the whole search time, and seconds. Whoever gives a search a minute wants a model, and no essay about it."""

STRUCTURE_S = 10.0
UNTARGETED = ("groups", "scores")
"""Shapes of predictions without a target."""
STEADY = 0.6
"""Adjusted Rand index from which groups are called the same."""


def slices(t: Transcript, candidate: str) -> Call | None:
    """The search for slices, unless it was made in this turn, or what is handed over tells no rows apart."""
    if t.called("find_slices") or candidate == t.facts.get("best_of_family", {}).get("dummy", {}).get("name"):
        return None
    why = f"Before {candidate} is judged by its mean: is there a part of the table where it fails?"
    return Call("find_slices", {"candidate": candidate, "time_s": SLICES_S}, why)


def standings(t: Transcript, candidate: str) -> Call | None:
    """The paired tests against the other families, unless they were made in this turn or there is no other family."""
    if t.called("compare_models") or len(t.facts.get("best_of_family", {})) < 2:
        return None
    return Call("compare_models", {"leader": candidate}, f"Which other families cannot be told apart from {candidate}?")


def nested(t: Transcript) -> Call | None:
    """The search once more inside every fold, where the user asked for it; it takes as long again as the search was given."""
    if t.facts["wish"].get("validation") != "nested" or t.called("nested_score"):
        return None
    families = [f for f in t.facts.get("best_of_family", {}) if f not in (ENSEMBLE, CODE, "dummy") and f not in t.dropped][:MOST_NESTED]
    if not families:
        return None
    budget = t.facts["budget"]
    arguments: dict[str, Any] = {"families": families, "time_s": float(budget["search_seconds"])}
    why = f"Nested validation was asked for: the choice among {joined(families)} is made again inside every fold, on rows of its own."
    return Call("nested_score", arguments, why)


def curve(t: Transcript, candidate: str) -> Call | None:
    """The learning curve, unless it was drawn in this turn, or trials bound the search rather than the clock."""
    seconds = _seconds(t, CURVE_SHARE, MOST_CURVE_S, LEAST_CURVE_S)
    of_series = t.facts["contract"]["task"] == "forecast"  # a share of the rows of a series is no shorter series
    if seconds is None or of_series or t.called("learning_curve"):
        return None
    return Call("learning_curve", {"candidate": candidate, "time_s": seconds}, "Would more rows help, or have these told what they can?")


def explanation(t: Transcript, candidate: str) -> Call | None:
    """What the candidate relies on, under the same conditions and in searches of some minutes."""
    seconds = _seconds(t, EXPLANATION_SHARE, MOST_EXPLANATION_S, LEAST_EXPLANATION_S)
    if seconds is None or t.called("explain"):
        return None
    asked = {
        "groups": f"Which columns make the groups of {candidate}, and in which words?",
        "scores": f"What makes a row odd to {candidate}?",
    }.get(t.predicts, f"What does {candidate} rely on, and what makes it err?")
    return Call("explain", {"candidate": candidate, "time_s": seconds}, asked)


def structure(t: Transcript, candidate: str) -> Call | None:
    """What was found where no column is predicted, unless it was asked for in this turn. It is the result itself, so it is always asked."""
    if t.called("examine_structure"):
        return None
    asked = {
        "groups": "Would other rows have given these groups, and would chance?",
        "scores": "Which rows stand out, and would other rows have said so?",
    }[t.predicts]
    return Call("examine_structure", {"candidate": candidate, "time_s": STRUCTURE_S}, asked)


def structure_told(found: dict[str, Any]) -> str:
    """Whether there is structure, in sentences."""
    pairs = "one pair" if found["pairs"] == 1 else f"{found['pairs']} pairs"
    alike = f"{score(found['stability'])} ± {found['stability_std']:.2g} over {pairs} of halves"
    if found["predicts"] == "scores":
        steady = "much the same rows stand out" if found["verdict"] == "stable" else "which rows stand out depends on what was learnt from"
        chance = score(found["chance"])
        return f"Fits on two halves of the rows agree on those of the highest scores to {alike} (Jaccard; chance {chance}): {steady}."
    apart = (
        f"silhouette {score(found['score'])} on the rows as they are, {score(found['null_mean'])} on tables with shuffled columns"
        f" (at most {score(found['null_highest'])} of {found['nulls']})"
    )
    halves = f"Fits on two halves agree to {alike} (adjusted Rand index)"
    if found["verdict"] == "no structure":
        return f"There is no structure better than that of a table without any: {apart}. {halves}."
    steady = "the same groups come again" if found["stability"] > STEADY else "other rows give other groups"
    return f"The groups are set apart more than chance would make them: {apart}. {halves}: {steady}."


def _seconds(t: Transcript, share: float, most: float, least: float) -> float | None:
    budget = t.facts["budget"]
    seconds = round(min(most, share * float(budget["search_seconds"])), 1)
    return None if budget["trials"] is not None or seconds < least else seconds


def slices_told(found: dict[str, Any]) -> str:
    """Where a candidate fails, in a sentence."""
    if not found["slices"]:
        if not found["looked_at"]:
            return "No slice of one or two conditions has rows enough to be looked at."
        looked = "one was" if found["looked_at"] == 1 else f"{found['looked_at']:,} were"
        return f"No slice of one or two conditions is worse than the rest beyond chance; {looked} looked at."
    worst = found["slices"][0]
    others = len(found["slices"]) - 1
    more = f" {others} more {'is' if others == 1 else 'are'} worse than the rest." if others else ""
    inside, overall = worst["score"], found["score_overall"]
    if inside is not None and overall is not None and find_metric(found["metric"]).better(overall, inside):
        figures = f"{metric_said(found['metric'])} {score(inside)} there, {score(overall)} on all tested rows"
    else:
        figures = f"{found['loss']} {score(worst['loss'])} there, {score(worst['loss_elsewhere'])} elsewhere"
    return f"It errs most where {joined(worst['conditions'])}, {worst['rows']:,} rows: {figures}.{more}"


def nested_told(found: dict[str, Any]) -> str:
    """What a search is worth on rows that had no part in it, in a sentence."""
    families = joined(list(dict.fromkeys(pick["family"] for pick in found["picks"])))
    optimism = found["optimism"]
    if optimism > 0:
        flattered = f"{score(optimism)} better, which is what it owes to the choice"
    else:
        flattered = f"{score(-optimism)} worse, so the choice flattered nobody" if optimism else "so the choice flattered nobody"
    return (
        f"Made again inside {found['folds']} folds, the choice of a family scores {metric_said(found['metric'])} {score(found['nested'])}"
        f" on rows that had no part in it; its own cross-validation says {score(found['flat'])}, {flattered}. It took {families}."
    )


def standings_told(found: dict[str, Any]) -> str:
    """Who cannot be told apart from the leader, by which test, and what they have."""
    if not found.get("decided", True):
        return f"Whether {called(found['leader'])} is better than the best of the other families was not tested: that takes two folds."
    alike = found["alike"]
    test = f"By the corrected t-test over folds ({found['level']:.0%} for all {found['pairs']} pairs)"
    if not alike:
        return f"{test}, {called(found['leader'])} can be told apart from the best of every other family."
    named = [f"{rival['name']} ({score(rival['score'])})" for rival in found["rivals"] if not rival["apart"]]
    shown = [*named[:4], f"{len(alike) - 4} more"] if len(alike) > 4 else named
    return f"{test}, {called(found['leader'])} cannot be told apart from {_others(found)}: {joined(shown)}."


def alike_told(found: dict[str, Any]) -> str:
    """The same without the test and the names."""
    if not found.get("decided", True):
        return standings_told(found)
    if not found["alike"]:
        return f"{called(found['leader'], first=True)} can be told apart from the best of every other family."
    return f"{called(found['leader'], first=True)} cannot be told apart from {_others(found)}."


def _others(found: dict[str, Any]) -> str:
    alike, rivals = len(found["alike"]), len(found["rivals"])
    if rivals == 1:
        return "the best of the other family"
    return f"the best of {'all' if alike == rivals else f'{alike} of'} {rivals} other families"


def curve_told(found: dict[str, Any]) -> str:
    """Whether more rows would help, in a sentence."""
    interval = f"{found['level']:.0%} interval {score(found['low'])} to {score(found['high'])}"
    gain = f"about {score(found['gain'])} in {metric_said(found['metric'])} ({interval})"
    return {
        "likely": f"Twice the rows are likely to gain {gain}.",
        "hardly": f"Twice the rows would hardly help: they would gain {gain}, less than the score is uncertain by.",
        "unclear": f"Whether twice the rows would help is unclear: by the learning curve they would gain {gain}.",
    }[found["verdict"]]
