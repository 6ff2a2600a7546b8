"""What the writer of the playbook does: the sections of the documents from the facts, then the report."""

from __future__ import annotations

from typing import Any

from reports.figures import metric_said
from team.playbook.examining import UNTARGETED, curve_told, nested_told, slices_told, structure_told
from team.playbook.paper import abstract, conclusion, discussion, introduction
from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import called, coverage_sentence, joined, plus_minus, score, spread
from tools.candidates import ENSEMBLE
from tools.constraints import FLOORS
from tools.families import LINEAR

MEANING = {
    "roc_auc": "the chance that a random positive row is ranked above a random negative one",
    "average_precision": "the area under the precision-recall curve",
    "log_loss": "how surprised the predicted probabilities are by the truth, lower is better",
    "brier": "the mean squared error of the probabilities, lower is better",
    "accuracy": "the share of rows whose class is right",
    "balanced_accuracy": "the share of right classes, averaged over classes",
    "poisson_deviance": "how far expected counts lie from those counted, beside their chance, lower is better",
    "qwk": "agreement beyond chance, calls far from the true class weighing most",
    "ordinal_mae": "how many classes a call is off in the mean",
    "rmse": "the typical size of an error, large errors weighing more, in units of the target",
    "mae": "the mean size of an error, in units of the target",
    "mase": "the mean error in units of what a seasonal naive forecast errs by within the training rows",
    "wape": "the sum of the errors as a share of the sum of the values",
    "smape": "the mean error as a share of the mean of true and predicted value",
    "c_index": "the share of pairs of rows of which the one with the higher risk had the event first; 0.5 is chance",
    "c_index_ipcw": "the share of pairs in the right order, weighed so that censoring does not bend it; 0.5 is chance",
    "silhouette": "how much nearer rows are to their own group than to the next; 0 is no separation, 1 the most",
    "davies_bouldin": "the scatter within groups over the distance between them, lower is better",
    "calinski_harabasz": "the variance between groups over that within",
    "agreement": "the rank correlation with four detectors of different make that the host runs, weighted by what they agree on",
    "pinball": "the mean pinball loss over the predicted levels, lower is better",
    "crps": "how far the predicted distribution lies from the value, lower is better",
    "r2": "the share of the target's variance that is explained",
}
MOST_INSIGHTS = 4
"""Sentences on what was found out about the table, the gravest first."""


def decide(t: Transcript) -> Decision:
    if t.failure:
        return t.failed()
    written = {d.arguments["slot"] for d in t.done if d.tool == "write_section"}
    for slot, text in sections(t.facts).items():
        if slot not in written:
            return Call("write_section", {"slot": slot, "text": text}, f"The {slot} section, from the facts of the run.")
    if not t.called("build_report"):
        return Call("build_report", {}, "All sections are written.")
    return Say(_summary(t.facts))


def sections(f: dict[str, Any]) -> dict[str, str]:
    """The prose of every slot, in the order in which it is written. `f` are the facts of a briefing of this stage."""
    meaning = _meaning(f["contract"])
    return {
        "summary": _summary(f),
        "data": _data(f),
        "method": _method(f),
        "result": _result(f),
        "limitations": _limitations(f),
        "abstract": abstract(f, _aim(f)),
        "introduction": introduction(f, meaning),
        "discussion": discussion(f),
        "conclusion": conclusion(f),
    }


def _summary(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    if _predicts(f) in UNTARGETED:
        return _found(f)
    aim = _aim(f)
    meaning = _meaning(c)
    text = (
        f"On {h['n']:,} rows that nobody had seen, {aim} reaches {metric_said(c['metric'])} {score(h['score'])}"
        f" ({h['level']:.0%} interval {score(h['low'])} to {score(h['high'])})" + (f": {meaning}." if meaning else ".")
    )
    dummy = f["best_of_family"].get("dummy")
    if dummy and dummy["name"] == h["candidate"]:
        text += " It is a model that ignores the columns: no other was finished, or none was better."
    elif dummy:
        text += f" A model that ignores the columns has {score(dummy['score'])}."
        if h["low"] <= dummy["score"] <= h["high"]:
            text += " The interval holds that too: these rows do not show that anything was learnt from the columns."
        elif h["high"] < dummy["score"] if c["direction"] == "maximize" else h["low"] > dummy["score"]:
            text += " All of the interval is worse: what was learnt from the columns does not hold on these rows."
    floor = f["best_of_family"].get("seasonal_naive")
    if floor and h["candidate"] != floor["name"]:
        text += f" In the backtests the seasonal naive forecast has {score(floor['score'])}."
    line = next((family for family in LINEAR if family in f["best_of_family"]), "")
    simple = f["best_of_family"].get(line)
    top = next(iter(f["best_of_family"].items()))
    if simple and top[0] != line:
        near = abs(top[1]["score"] - simple["score"]) <= 2 * max(top[1]["std_error"], simple["std_error"])
        text += f" A linear model has {score(simple['score'])} in cross-validation, " + (
            "which the best candidate does not clearly beat: most of what these columns tell is simple."
            if near
            else f"clearly behind {score(top[1]['score'])} of the best candidate: there is structure that a line cannot follow."
        )
    return text


def _meaning(c: dict[str, Any]) -> str:
    """What the metric says of this target."""
    if c["metric"] == "roc_auc" and len(c.get("classes", [])) == 2 and c.get("positive") in c["classes"]:
        other = next(label for label in c["classes"] if label != c["positive"])
        return f"the chance that a random row of class {c['positive']!r} is ranked above a random one of class {other!r}"
    meant = MEANING.get(c["metric"], "")
    return f"{meant}, in the mean over labels" if c["task"] == "multilabel" and c["metric"] in ("roc_auc", "average_precision") else meant


def _aim(f: dict[str, Any]) -> str:
    c = f["contract"]
    if _predicts(f) in UNTARGETED:
        return "finding groups of rows" if _predicts(f) == "groups" else "finding rows that stand out"
    if c.get("event"):
        return f"ranking rows by the risk of {c['event']!r}"
    if c["task"] == "multilabel":
        return f"predicting the labels {joined([repr(name) for name in c['classes']])}"
    return f"{'forecasting' if c['task'] == 'forecast' else 'predicting'} {c['target']!r}"


def _predicts(f: dict[str, Any]) -> str:
    return str(f["contract"].get("predicts", "values"))


def _found(f: dict[str, Any]) -> str:
    """The summary where no column is predicted."""
    c, h, found = f["contract"], f["holdout"], f.get("examine_structure")
    figures = (
        f"{metric_said(c['metric'])} {score(h['score'])} ({h['level']:.0%} interval {score(h['low'])} to {score(h['high'])}),"
        f" {MEANING[c['metric']]}"
    )
    if _predicts(f) == "scores":
        text = f"On {h['n']:,} rows that nobody had seen, the anomaly scores of {h['candidate']} have {figures}."
        text += (
            f" The labels of {c['target']!r} served to score and to choose; no detector was shown them."
            if c["target"]
            else " There are no labels, so this says that detectors agree, not that they are right."
        )
    else:
        known = len(found["groups"]) if found and found["candidate"] == h["candidate"] else 0
        count = {0: "the groups", 1: "one group for all"}.get(known, f"{known} groups")
        text = f"{h['candidate']} finds {count}. {h['n']:,} rows that nobody had seen, put into them, have {figures}."
    if found and found["candidate"] == h["candidate"]:
        text += f" {structure_told(found)}"
        for group in found["groups"][:6]:
            if group["differs"]:
                told = joined([f"{d['column']} {d['here']} (elsewhere {d['elsewhere']})" for d in group["differs"][:3]])
                text += f" {group['name'].capitalize()}, {group['rows']:,} rows: {told}."
    return text


def _data(f: dict[str, Any]) -> str:
    c, p = f["contract"], f.get("profile_table", {})
    profiles = p.get("profiles", [])
    kinds: dict[str, int] = {}
    for column in profiles:
        kinds[column["kind"]] = kinds.get(column["kind"], 0) + 1
    taken = {
        "random": "at random",
        "stratified": f"at random within {_within(f)}",
        "group": f"in whole groups of {c['split']['column']!r}",
        "time": f"the latest by {c['split']['column']!r}",
        "given": "those that the source itself keeps for it",
    }[c["split"]["kind"]]
    text = f"{c['rows_train']:,} rows were used to learn. {c['rows_holdout']:,} were sealed before anybody saw a row, {taken}."
    if of := c.get("sampled_from"):
        text += f" They are a random sample of the {of:,} rows that there are, as many as the memory of the sandbox has room for."
    if kinds:
        beside = "" if not c["target"] else " beside the labels" if c["task"] == "multilabel" else " beside the target"
        told = joined([f"{n} {'is' if n == 1 else 'are'} {kind}" for kind, n in kinds.items()])
        if c["features"] == 1:
            text += f" The one column{beside} is {next(iter(kinds))}."
        elif len(profiles) < c["features"]:
            text += f" Of the {c['features']} columns{beside}, {len(profiles)} were described one by one; {told}."
        elif len(kinds) == 1:
            text += f" All {c['features']} columns{beside} are {next(iter(kinds))}."
        else:
            text += f" Of the {c['features']} columns{beside}, {told}."
    gaps = sorted((x for x in profiles if x.get("missing", 0) > 0), key=lambda x: -x["missing"])
    if gaps:
        named = joined([f"{x['column']!r} ({x['missing']:.0%})" for x in gaps[:3]])
        text += f" Values are missing in {len(gaps)} of them{', most in' if len(gaps) > 3 else ':'} {named}."
    for told in p.get("insights", [])[:MOST_INSIGHTS]:
        text += f" {told}"
    if grades := [g for g in p.get("scorecard", []) if g["aspect"] != "overall" and g["grade"] < 100]:
        worst = min(grades, key=lambda g: g["grade"])
        text += f" Of its grades for quality the lowest is “{worst['aspect']}”, {worst['grade']}."
    return text


def _within(f: dict[str, Any]) -> str:
    """What a stratified split deals out evenly."""
    return {"risk": "events and censored rows", "scores": "labels"}.get(_predicts(f), "classes")


def _method(f: dict[str, Any]) -> str:
    c = f["contract"]
    families = [name for name in f["best_of_family"] if name not in (*FLOORS, ENSEMBLE)]
    tried = f"{'1 family was' if len(families) == 1 else f'{len(families)} families were'} tried: {joined(families)}"
    tried = tried if families else "No family beyond the baselines was tried"
    text = (
        f"Every candidate was validated alike, by {c['scheme'].replace('; ', ', ')}. It is scored by its out-of-fold predictions,"
        f" outside the kernel that trained it. {tried}."
    )
    tuned = [r for r in f.get("rounds", []) if r["families"]]
    if tuned:
        last = tuned[-1]
        ended = "real, so the budget ended the search" if last["real"] else "inside its noise, so tuning stopped there"
        rounds = f"{len(tuned)} round{'s' if len(tuned) > 1 else ''}"
        text += f" {rounds} of tuning followed; the last gained {score(last['gain'])} ± {spread(last['noise'])}, {ended}."
    else:
        text += " No time was left for tuning."
    skipped = f.get("skipped", [])
    if skipped:
        named = [f"{s['name']} ({s['reason']})" for s in skipped[:4]]
        text += f" Not trained: {joined(named)}."
    return text


def _result(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    best = [row for row in f["leaderboard"] if row["name"] == h["candidate"]]
    text = f"{called(h['candidate'], first=True)} was selected."
    if best:
        inside = h["low"] <= best[0]["score"] <= h["high"]
        text += f" Its cross-validated {metric_said(c['metric'])} is {plus_minus(best[0]['score'], best[0]['std_error'])}, " + (
            "inside the holdout's interval: nothing says that the selection flattered itself."
            if inside
            else "outside the holdout's interval: trust the holdout."
        )
    blend = f.get("ensemble")
    if blend and h["candidate"] == blend["candidate"]["name"]:
        text += f" It is a weighted average of {joined([f'{name} ({weight:.2f})' for name, weight in _members(blend)])}."
        if stack := blend.get("stack"):
            over = f"{len(stack['inputs'])} candidates" + (" and the rows themselves" if stack.get("preparation") else "")
            text += f" A second layer ({stack['family']}) over {over} has {stack['share']:.2f} of the prediction."
    if found := f.get("nested_score"):
        text += f" {nested_told(found)}"
    looks = "once" if h["looks"] == 1 else f"{h['looks']} times"
    return text + f" The holdout was looked at {looks}.{coverage_sentence(h)}"


def _members(blend: dict[str, Any]) -> list[tuple[str, float]]:
    return [(member["name"], member["weight"]) for member in blend["members"]]


def _limitations(f: dict[str, Any]) -> str:
    c, h = f["contract"], f["holdout"]
    together = "if rows belong together, by person, place or time, the score is too good for new ones."
    text = {
        "random": f"The split is random: {together}",
        "stratified": f"The split is random within {_within(f)}: {together}",
        "group": f"The split keeps {c['split']['column']!r} apart, so the score speaks for new values of it, not for later times.",
        "time": f"The holdout is the latest part by {c['split']['column']!r}, so the score speaks for the time right after it.",
        "given": f"The split is the source's own: {together}",
    }[c["split"]["kind"]]
    if c.get("forecast") and not c["forecast"]["series"]:
        text += (
            " Errors of one series are like those of the steps beside them, so the interval, which takes rows for independent, is narrow."
        )
    wide = abs(h["high"] - h["low"])
    if wide > 1e-9 * max(abs(h["low"]), abs(h["high"])):  # a model that says the same of every row may have none
        text += f" With {h['n']:,} rows in the holdout the interval is {score(wide)} wide: smaller differences cannot be seen on them."
    if (strongest := f.get("strongest_columns")) and not c.get("forecast"):
        names = joined([repr(s["column"]) for s in strongest[:3]])
        tell, they = ("tells", "it is") if len(strongest) == 1 else ("tell", "they are")
        text += f" Alone, {names} {tell} most about the target: make sure that {they} known at the moment of prediction."
    for tool, told in (("find_slices", slices_told), ("learning_curve", curve_told)):
        if (found := f.get(tool)) and found["candidate"] == h["candidate"]:
            text += f" {told(found)}"
    return text
