"""What the release manager of the playbook does: open, refit, export, package, track, then register and publish where that is asked for."""

from __future__ import annotations

from typing import Any

from team.playbook.refitting import PATIENCE, export_time, growing_time, refit_time, too_slow
from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import joined, sentence

OUTWARD = ("track_run", "register_model", "publish_run")
"""What comes after the package: one that does not work holds none of the others up."""
_WHY = {
    "register_model": "The user named a registry; whether the model becomes champion there, the paired test on the sealed rows says.",
    "publish_run": "The user named a repository: what was learnt is committed there, data and model by their hashes.",
}


def decide(t: Transcript) -> Decision:
    candidate = t.facts["holdout"]["candidate"]
    opened, finish = t.last("open_holdout"), t.last("finish")
    if finish and t.failure is finish:
        if too_slow(finish) and finish.arguments["time_s"] <= refit_time(t.facts, candidate):
            longer = refit_time(t.facts, candidate) * PATIENCE
            return Call("finish", {"candidate": candidate, "time_s": longer}, "The fit on all rows needs longer than its folds promised.")
        if finish.lost.get("how") == "memory" and len([d for d in t.done if d.tool == "finish"]) == 1:
            why = "Memory ran out beside what earlier calls had left there; a fresh kernel has more of it."
            return Call("finish", finish.arguments, why)
        why = f"{candidate} cannot be refitted on all rows, so the very model that was scored is packaged."
        return Call("package_model", {"as_scored": True}, why)
    # Further formats are a courtesy, and so is what comes after the package.
    if t.failure and t.failure is not opened and t.failure.tool not in ("export_model", *OUTWARD):
        return t.failed()
    if opened is None:
        return Call("open_holdout", {}, "The final score is in the ledger, so the sealed rows may now teach the model too.")
    if finish is None:
        return Call(
            "finish",
            {"candidate": candidate, "time_s": round(refit_time(t.facts, candidate) + growing_time(t.facts, candidate, opened.result), 1)},
            f"The candidate that was scored, {candidate}, is refitted on all rows, with the same settings.",
        )
    if finish.ok and not t.called("export_model") and not t.called("package_model"):
        return Call(
            "export_model", export_time(t.facts), "Other programs read skops and ONNX, so the model is written in these where it can be."
        )
    if not t.called("package_model"):
        return Call("package_model", {}, "The refitted pipeline takes raw rows, so it can be packaged as it is.")
    if not t.called("track_run"):
        return Call("track_run", {}, "Parameters and scores go on record, a child run for every candidate.")
    for tool in t.facts.get("asked_for", []):
        if not t.called(tool):
            return Call(tool, {}, _WHY[tool])
    return Say(" ".join([_packaged(candidate, opened, finish), *(_outcome(done) for tool in OUTWARD if (done := t.last(tool)))]))


def _packaged(candidate: str, opened: Done, finish: Done) -> str:
    rows = f"{opened.result['rows']:,}" if opened.ok else "all"
    fitted = f"is refitted on all {rows} rows and" if finish.ok else "could not be refitted on all rows, so the model that was scored is"
    if finish.ok and (everything := finish.result.get("all_rows")):
        grown = joined(finish.result["grown"]) or "none of its members"
        fitted = f"is refitted on the {rows} rows of the sample, {grown} on all {everything:,} piece by piece, and"
    return f"{candidate} {fitted} packaged in model/."


def _outcome(done: Done) -> str:
    if not done.ok:
        what = {"track_run": "The tracker did not take the run", "register_model": "The model is not registered"}
        return sentence(f"{what.get(done.tool, 'The run is not published')}: {done.why}")
    said = done.result
    match done.tool:
        case "register_model":
            return sentence(f"It is version {said.get('version')} of {said.get('name')}, {said.get('alias')} ({said.get('why')})")
        case "publish_run":
            tag = f", tagged {said['tag']}" if said.get("tag") else ""
            asked = f", proposed as {said['pull_request']}" if said.get("pull_request") else ""
            return sentence(f"The run is on branch {said.get('branch')}{tag}{asked}")
    return _on_record(said)


def _on_record(tracked: dict[str, Any]) -> str:
    store, server = tracked.get("store", "the tracker"), tracked.get("server")
    if tracked.get("kept"):
        waits = joined(tracked.get("waits") or [server])
        return f"The run is on record in {store}; {waits} did not take it ({tracked['why']}), so the record waits in {tracked['kept']}."
    return f"The run is on record in {store}{f' and on {server}' if server else ''}."
