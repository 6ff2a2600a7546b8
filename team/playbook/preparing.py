"""What the engineer of the playbook prepares: which columns take part, what the user's own preparers make of them, and which steps
gain more than chance."""

from __future__ import annotations

from typing import Any

from team.playbook.transcript import Call, Decision, Done, Say, Transcript
from team.playbook.wording import joined
from tools.families import TABULAR

PREPARED = "prepared"
"""The preparation with the preparers that the user asked for, or with steps that gain."""
TRYING_S = 120
"""Seconds of search from which steps are tried, so that the share they take is long enough to tell something."""
TRYING_SHARE = 0.06
"""Of the whole search time. With the rest of what `try_steps` does beside its fits it stays below a tenth."""
MOST_TRYING_S = 60.0


def prepare(t: Transcript) -> Decision:
    done = next((d for d in t.done if d.tool == "prepare"), None)
    if done is None:
        return Call("prepare", {}, "Every family prepares raw rows inside its own folds; here it is settled which columns take part.")
    if not done.ok:
        return t.failed()
    wanted = t.facts["wish"].get("preparers", [])
    if wanted and done is t.done[-1]:
        why = "The baselines go without it, so that it can be told what it brings."
        return Call("prepare", {"name": PREPARED, "preparers": wanted}, f"{joined(wanted)} is asked for on top. {why}")
    if _may_gain(t) and not t.called("try_steps"):
        seconds = round(min(MOST_TRYING_S, TRYING_SHARE * t.facts["budget"]["search_seconds"]), 1)
        why = "Families prepare by themselves; here it is tried whether columns that none of them finds gain more than chance."
        return Call("try_steps", {"time_s": seconds}, why)
    tried = t.last("try_steps")
    steps = tried.result.get("steps", []) if tried and tried.ok else []
    left = tried.result.get("left_out", []) if tried and tried.ok else []
    if tried and (steps or left) and tried is t.done[-1]:
        return Call(
            "prepare", {"name": PREPARED, **({"steps": steps} if steps else {}), **({"drop": left} if left else {})}, _gains(steps, left)
        )
    p = done.result
    dropped = p.get("dropped", [])
    why = "; ".join(f"{d['column']!r}: {d['reason']}" for d in dropped[:4])
    left_out = f" Left out: {why}{f' and {len(dropped) - 4} more' if len(dropped) > 4 else ''}." if dropped else " No column is left out."
    return Say(
        f"The preparation is validated on training rows: {p['columns_used']} of {p['columns_in']} columns take part"
        f" and make {p['features_out']} features.{left_out}{_prepared(t, wanted or steps)}{_tried(tried)}"
    )


def _gains(steps: list[str], left: list[str]) -> str:
    """Why a second preparation is made, in words."""
    told = []
    if steps:
        told.append(f"{joined(steps)} {'gains' if len(steps) == 1 else 'gain'} more than chance on the same folds.")
    if left:
        told.append(f"{joined(left)} {'does' if len(left) == 1 else 'do'} not gain more than chance there.")
    return f"{' '.join(told)} The baselines go by the first one, so that it can be told what that brings."


def _may_gain(t: Transcript) -> bool:
    """Whether steps are worth a share of the search: there is time, the clock may decide, and nobody asked for preparers."""
    budget, contract = t.facts.get("budget", {}), t.facts.get("contract")
    if contract is None or t.facts["wish"].get("preparers") or t.task not in TABULAR or t.constraints.monotone:
        return False
    return budget.get("trials") is None and budget.get("search_seconds_left", 0) >= TRYING_S and t.facts.get("visit", 1) == 1


def _tried(tried: Done | None) -> str:
    """What was tried beside, in words."""
    if tried is None or not tried.ok:
        return f" No step was tried: {tried.why}" if tried else ""
    lost = [one["step"] for one in tried.result.get("tried", []) if not one["kept"]]
    verbs = ("does", "is") if len(lost) == 1 else ("do", "are")
    return f" {joined(lost)} {verbs[0]} not gain more than chance, and {verbs[1]} left out." if lost else ""


def _prepared(t: Transcript, wanted: list[str]) -> str:
    if not wanted:
        return ""
    if t.failure and t.failure.tool == "prepare":
        return f" It stays with these: {t.failure.why}"
    return f" With {joined(wanted)} they make {t.done[-1].result['features_out']}."


def preparation(t: Transcript) -> dict[str, Any]:
    """The argument that names the preparation, where it is not the default one."""
    return {"preparation": PREPARED} if t.facts.get("preparation") == PREPARED else {}
