"""What the planner of the playbook does: a plan from the wish and the budget."""

from __future__ import annotations

from team.playbook.examining import UNTARGETED
from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import baselines_said
from tools.contract import Predicts, Task
from tools.families import BASELINES, LEARNS, NETWORKS, OPEN, TABULAR

TIGHT_S = 30.0
"""Below this search time there is little room to tune."""
NETWORKS_S = 240.0
"""Below this search time RealMLP and TabM have no room for the epochs that they need on two cores."""


def decide(t: Transcript) -> Decision:
    if t.failure:
        return Say(f"The plan could not be recorded: {t.failure.why}")
    if t.called("record_plan"):
        return Say(_spoken(t))
    wish, budget = t.facts["wish"], t.facts["budget"]
    named = "columns" if t.task == "multilabel" else "column"
    target = f"{named} {wish['target']!r}" if wish["target"] else "a target that the data scientist will name"
    metric = wish["metric"] or "the usual metric of the problem type"
    seconds = budget["search_seconds"]
    tight = seconds < TIGHT_S and budget["trials"] is None
    families = [*_families(t.task, tight, seconds), *(t.brought if t.task in OPEN else ())]
    tuning = (
        "tuning, for which hardly any time will be left"
        if tight
        else "tuning of the families that lead, round by round, while gains exceed their noise"
    )
    approach = (
        f"{_what(t.predicts, target)} of {wish['source']}, judged by {metric} on rows that nobody has seen."
        f" The search has {seconds:g} seconds: baselines first, then {len(families)} model families on the same folds, then {tuning}."
    )
    leaks = "repeated rows" if t.predicts in UNTARGETED else "columns that give the answer away"
    steps = [
        "Fetch the data, fix the contract and seal the holdout before anybody looks at a row.",
        f"Profile the training rows: kinds of columns, missing values, {leaks}.",
        f"Score {baselines_said(t.task)}, so that it is known what any model must beat.",
        "Train the families with settings that are good on most tables, all on the same folds.",
        f"{tuning[0].upper()}{tuning[1:]}.",
        "Blend the best by their out-of-fold predictions, and keep the blend only if it is better."
        if t.predicts != "groups"
        else "Ask whether other rows would have given the same groups, and whether chance would.",
        "Look at the holdout once, write the report, refit on all rows and package the model.",
    ]
    risks = [
        "Nobody has said what is right: a good score says that the answer is well made, not that it is the one that is wanted."
        if t.predicts in UNTARGETED
        else "A column that is known only after the outcome would make every score too good; the profile scores each column alone.",
        "A covariate that is named with --known and is not known ahead makes backtests and holdout too good, and the forecast impossible."
        if t.task == "forecast"
        else "If rows belong together, by person or by time, a random split flatters; name such a column with --group or --time-column.",
    ]
    if tight:
        risks.append(f"{seconds:g} seconds leave the slower families unexplored.")
    return Call(
        "record_plan",
        {"approach": approach, "steps": steps, "families": families, "risks": risks},
        "Nobody has seen the data, so the plan rests on the wish and the budget alone.",
    )


def _families(task: Task, tight: bool, seconds: float) -> list[str]:
    if task not in TABULAR:
        return [family for family in LEARNS[task] if family not in BASELINES[task][:1]]
    ordered = ["ordered_lightgbm", "ordered_linear"] if task == "ordinal" else []
    networks = NETWORKS if seconds >= NETWORKS_S else NETWORKS[:1]
    if tight:
        return [*ordered, "lightgbm", "catboost", "extra_trees", "linear", "sparse_linear"]
    families = [*ordered, "lightgbm", "catboost", "xgboost", "extra_trees", "random_forest", "linear", "sparse_linear", "knn", *networks]
    return [family for family in families if family in LEARNS[task]]


def _what(predicts: Predicts, target: str) -> str:
    return {
        "quantiles": f"Predict quantiles of {target}",
        "risk": f"Rank rows by how soon the event comes, by the time in {target}",
        "groups": "Find groups among the rows",
        "scores": "Say how unusual each row is, among the rows",
    }.get(predicts, f"Predict {target}")


def _spoken(t: Transcript) -> str:
    done = t.last("record_plan")
    return done.result["approach"] if done else ""
