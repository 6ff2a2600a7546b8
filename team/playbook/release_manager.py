"""What the release manager of the playbook does: open, refit, export, package, track, in this order."""

from __future__ import annotations

from typing import Any

from team.playbook.refitting import PATIENCE, growing_time, refit_time, too_slow
from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import joined


def decide(t: Transcript) -> Decision:
    candidate = t.facts["holdout"]["candidate"]
    if t.failure and t.failure.tool == "track_run":
        return Say(f"The model is packaged, but the tracker did not take the run: {t.failure.result.get('detail')}")
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
    if t.failure and t.failure is not opened and t.failure is not t.last("export_model"):  # further formats are a courtesy
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
        return Call("export_model", {}, "Other programs read skops and ONNX, so the model is written in these where it can be.")
    if not t.called("package_model"):
        return Call("package_model", {}, "The refitted pipeline takes raw rows, so it can be packaged as it is.")
    if not t.called("track_run"):
        return Call("track_run", {}, "Parameters and scores go on record, a child run for every candidate.")
    rows, tracked = f"{opened.result['rows']:,}" if opened.ok else "all", t.last("track_run")
    fitted = f"is refitted on all {rows} rows and" if finish.ok else "could not be refitted on all rows, so the model that was scored is"
    if finish.ok and (everything := finish.result.get("all_rows")):
        grown = joined(finish.result["grown"]) or "none of its members"
        fitted = f"is refitted on the {rows} rows of the sample, {grown} on all {everything:,} piece by piece, and"
    return Say(f"{candidate} {fitted} packaged in model/. {_on_record(tracked.result if tracked else {})}")


def _on_record(tracked: dict[str, Any]) -> str:
    store, server = tracked.get("store", "the tracker"), tracked.get("server")
    if tracked.get("kept"):
        return f"The run is on record in {store}; {server} did not take it ({tracked['why']}), so the record waits in {tracked['kept']}."
    return f"The run is on record in {store}{f' and on {server}' if server else ''}."
