"""What the data scientist of the playbook does: fetch, fix the contract, profile."""

from __future__ import annotations

from typing import Any

from reports.figures import metric_said
from team.playbook.examining import UNTARGETED
from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import sentence

TARGET_NAMES = ("target", "label", "class", "outcome", "y", "response")
SURE, UNSURE = 0.8, 0.6
"""Confidence from which a guess is called high, and from which there is some."""
TIME_NAMES = ("time", "survival_time", "duration", "days", "weeks", "months", "tenure", "futime", "lifetime")


def decide(t: Transcript) -> Decision:
    if t.failure and not (t.failure.tool == "seal_holdout" and "split" in t.failure.arguments):
        return t.failed()
    return _acquire(t) if t.stage == "acquire" else _analyse(t)


def _acquire(t: Transcript) -> Decision:
    fetched = t.last("fetch_data")
    if fetched is None and "fetch_data" not in t.facts:
        return Call("fetch_data", {}, f"The source is {t.facts['wish']['source']}; it comes first, whole and with its hash.")
    table = fetched.result if fetched else t.facts["fetch_data"]
    sealed = t.last("seal_holdout")
    if sealed is None or not sealed.ok:
        arguments, why = _contract(t, table)
        if sealed is not None:
            return Call("seal_holdout", arguments, _without_split(str(sealed.arguments["column"]), sealed.why))
        ordering, told = _split(t, table)
        return Call("seal_holdout", {**arguments, **ordering}, f"{why}{told}")
    c = sealed.result
    hints = "".join(f" {hint}" for hint in table.get("hints", []))
    left_out = f" {c['rows_without_target']} rows have no target and are left out." if c["rows_without_target"] else ""
    gap = f", and {c['rows_in_gap']:,} lie in the gap between them" if c["rows_in_gap"] else ""
    positive = f" The positive class is {c['positive']!r}." if c["positive"] else ""
    return Say(
        f"{table['rows']:,} rows, {table['columns']} columns.{left_out} The problem is {c['task']}, judged by {c['metric']}"
        f" ({c['direction']}).{positive} {c['rows_holdout']:,} rows are sealed {_sealed(c['split'])};"
        f" {c['rows_train']:,} remain to learn from{gap}. They are validated by {c['validation']}.{_ahead(c)}{_why(c)}{hints}"
    )


def _without_split(column: str, detail: str) -> str:
    """Why it is sealed again without a split that nobody asked for: what was refused may have nothing to do with it."""
    if repr(column) in detail or "split" in detail:
        return f"A split by {column!r} cannot be made ({detail}), so rows are dealt as usual."
    return f"That was refused, so it is asked again without a split by {column!r}, which was the team's own idea."


def _sealed(split: str) -> str:
    """How the holdout was taken, in words."""
    kind, _, column = split.partition(" by ")
    ways = {"group": f"in whole groups of one {column!r}", "time": f"from the latest on by {column!r}"}
    return ways.get(kind, f"by a {split} split")


def _why(c: dict[str, Any]) -> str:
    """The reasons for problem type and metric, and what else they could be."""
    told = []
    for reason in c.get("why", []):
        word, _, rest = reason.partition(" ")
        first = metric_said(word) if word == c["metric"] else word
        told.append(f" {sentence(f'{first[:1].upper()}{first[1:]} {rest}')}")
    return "".join(told)


def _ahead(c: dict[str, Any]) -> str:
    """What was settled of a forecast, in words."""
    forecast = c.get("forecast")
    if not forecast:
        return ""
    steps = forecast["horizon"]
    return f" The forecast is {steps} step{'s' if steps > 1 else ''} ahead. {' '.join(forecast['notes'])}"


def _contract(t: Transcript, table: dict[str, Any]) -> tuple[dict[str, Any], str]:
    wish = t.facts["wish"]
    if wish["target"]:
        task = wish.get("task")
        follows = (
            f"the user fixed the problem type, {task}; its values must fit" if task else "problem type and metric follow from its values"
        )
        return {}, f"The user named the target, {wish['target']!r}; {follows}."
    if t.predicts in UNTARGETED:
        what = "groups" if t.predicts == "groups" else "anomalies"
        return {}, f"The user asked for {what}, so no column is predicted; the host makes what they are judged against."
    names = [column["name"] for column in table["table"]]
    if t.predicts != "risk" and (guesses := table.get("targets")):
        first = guesses[0]
        sure = "high" if first["confidence"] >= SURE else "some" if first["confidence"] >= UNSURE else "little"
        next_ = f" Next would be {guesses[1]['column']!r} ({guesses[1]['confidence']:.0%})." if len(guesses) > 1 else ""
        why = f"{first['column']!r} is taken with {sure} confidence ({first['confidence']:.0%}): {first['reasons']}"
        return {"target": first["column"]}, f"No target was named; {why}.{next_} Name another with --target."
    usual = TIME_NAMES if t.predicts == "risk" else TARGET_NAMES
    if (told := table.get("named_target")) in names:
        return {"target": told}, f"No target was named; the source itself says that {told!r} is to be predicted, so it is."
    named = next((n for n in names if n.strip().lower() in usual), None)
    if named:
        return {"target": named}, f"No target was named; {named!r} is called like one, so it is taken with high confidence."
    last = names[-1]
    return {
        "target": last
    }, f"No target was named and no column is called like one; the last column, {last!r}, is taken by custom. Name another with --target."


def _split(t: Transcript, table: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Arguments of a split that respects groups or order of time, where these were found with confidence, and why."""
    wish = t.facts["wish"]
    if wish.get("task") in ("forecast", "survival") or wish.get("validation") or wish.get("own_split") or t.predicts in UNTARGETED:
        return {}, ""
    sure = [one for one in table.get("orderings", []) if one["confidence"] >= SURE]
    if not sure:
        return {}, ""
    one = sure[0]
    what = "stay on one side of the split" if one["kind"] == "group" else "are sealed from the latest on"
    return {
        "split": one["kind"],
        "column": one["column"],
    }, f" Rows of {one['column']!r} {what} ({one['confidence']:.0%} sure: {one['reasons']})."


def _analyse(t: Transcript) -> Decision:
    done = t.last("profile_table")
    if done is None:
        return Call("profile_table", {}, "Kinds, gaps and single-column strength decide how to prepare and which families can help.")
    p = done.result
    kinds: dict[str, int] = {}
    for column in p["profiles"]:
        kinds[column["kind"]] = kinds.get(column["kind"], 0) + 1
    gaps = [c for c in p["profiles"] if c.get("missing", 0) > 0]
    parts = [", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1])) + " columns."]
    if gaps:
        worst = max(gaps, key=lambda c: c["missing"])
        parts.append(f"{len(gaps)} have missing values, most in {worst['column']!r} ({worst['missing']:.0%}).")
    else:
        parts.append("No value is missing.")
    strongest = max((c for c in p["profiles"] if c["association"] is not None), key=lambda c: c["association"], default=None)
    if strongest:
        measure = {"values": "R²", "quantiles": "R²", "risk": "concordance"}.get(t.predicts, "ROC AUC")
        parts.append(f"The strongest single column is {strongest['column']!r} with {measure} {strongest['association']:.2f} alone.")
    parts += [sentence(warning["message"]) for warning in p["warnings"][:4]]
    return Say(" ".join([*parts, *_gates(p)]))


def _gates(profile: dict[str, Any]) -> list[str]:
    """What the gates for leaks found, and the grade of the table."""
    gates = profile.get("gates", [])
    ran = [gate for gate in gates if gate["verdict"] in ("pass", "fail")]
    failed = [gate for gate in ran if gate["verdict"] == "fail"]
    passed = f"{len(ran) - len(failed)} of the {len(ran)} gates for leaks that apply are passed."
    told = [passed if len(ran) > 1 else "The one gate for leaks that applies is passed."] if len(ran) > len(failed) else []
    told += [f"“{gate['gate']}” fails: {gate['evidence']}" for gate in failed]
    grade = next((one for one in profile.get("scorecard", []) if one["aspect"] == "overall"), None)
    return [*told, f"The table's quality is graded {grade['grade']} of 100."] if grade else told
