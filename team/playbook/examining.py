"""What the playbook asks about the candidate that is handed over, and how it says what came back.

None of it decides anything: it is for the reader of the report. So it must cost little, and where the clock is to decide nothing
it is left out as far as the clock has a say in it.
"""

from __future__ import annotations

from typing import Any

from team.playbook.transcript import Call, Transcript
from team.playbook.wording import joined, score
from tools.metrics import find_metric

SLICES_S = 5.0
CURVE_SHARE, MOST_CURVE_S, LEAST_CURVE_S = 0.1, 20.0, 2.0
EXPLANATION_SHARE, MOST_EXPLANATION_S, LEAST_EXPLANATION_S = 0.05, 20.0, 10.0
"""Shares of the whole search time, and seconds. Whoever gives a search a minute wants a model, and no essay about it."""

STRUCTURE_S = 10.0
UNTARGETED = ("groups", "scores")
"""Shapes of predictions without a target."""
STEADY = 0.6
"""Adjusted Rand index from which groups are called the same."""


def slices(t: Transcript, candidate: str) -> Call | None:
    """The search for slices, unless it was made in this turn."""
    if t.called("find_slices"):
        return None
    why = f"Before {candidate} is judged by its mean: is there a part of the table where it fails?"
    return Call("find_slices", {"candidate": candidate, "time_s": SLICES_S}, why)


def curve(t: Transcript, candidate: str) -> Call | None:
    """The learning curve, unless it was drawn in this turn, or trials bound the search rather than the clock."""
    seconds = _seconds(t, CURVE_SHARE, MOST_CURVE_S, LEAST_CURVE_S)
    if seconds is None or t.called("learning_curve"):
        return None
    return Call("learning_curve", {"candidate": candidate, "time_s": seconds}, "Would more rows help, or have these told what they can?")


def explanation(t: Transcript, candidate: str) -> Call | None:
    """What the candidate relies on, under the same conditions and in searches of some minutes."""
    seconds = _seconds(t, EXPLANATION_SHARE, MOST_EXPLANATION_S, LEAST_EXPLANATION_S)
    several = t.facts["contract"]["task"] == "multilabel"  # which `explain` does not take apart
    if seconds is None or several or t.called("explain"):
        return None
    return Call("explain", {"candidate": candidate, "time_s": seconds}, f"What does {candidate} rely on, and what makes it err?")


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
    if t.facts["contract"]["task"] == "forecast":  # both take rows apart that belong to one series
        return None
    seconds = round(min(most, share * float(budget["search_seconds"])), 1)
    return None if budget["trials"] is not None or seconds < least else seconds


def slices_told(found: dict[str, Any]) -> str:
    """Where a candidate fails, in a sentence."""
    if not found["slices"]:
        return f"No slice of one or two conditions is worse than the rest beyond chance; {found['looked_at']:,} were looked at."
    worst = found["slices"][0]
    others = len(found["slices"]) - 1
    more = f" {others} more {'is' if others == 1 else 'are'} worse than the rest." if others else ""
    inside, overall = worst["score"], found["score_overall"]
    if inside is not None and overall is not None and find_metric(found["metric"]).better(overall, inside):
        figures = f"{found['metric']} {score(inside)} there, {score(overall)} on all tested rows"
    else:
        figures = f"{found['loss']} {score(worst['loss'])} there, {score(worst['loss_elsewhere'])} elsewhere"
    return f"It errs most where {joined(worst['conditions'])}, {worst['rows']:,} rows: {figures}.{more}"


def curve_told(found: dict[str, Any]) -> str:
    """Whether more rows would help, in a sentence."""
    interval = f"{found['level']:.0%} interval {score(found['low'])} to {score(found['high'])}"
    gain = f"about {score(found['gain'])} in {found['metric']} ({interval})"
    return {
        "likely": f"Twice the rows are likely to gain {gain}.",
        "hardly": f"Twice the rows would hardly help: they would gain {gain}, less than the score is uncertain by.",
        "unclear": f"Whether twice the rows would help is unclear: by the learning curve they would gain {gain}.",
    }[found["verdict"]]
