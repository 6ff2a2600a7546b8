"""What the engineer of the playbook prepares: which columns take part, and what the user's own preparers make of them."""

from __future__ import annotations

from typing import Any

from team.playbook.transcript import Call, Decision, Say, Transcript
from team.playbook.wording import joined

PREPARED = "prepared"
"""The preparation with the preparers that the user asked for."""


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
    p = done.result
    dropped = p.get("dropped", [])
    why = "; ".join(f"{d['column']!r}: {d['reason']}" for d in dropped[:4])
    left_out = f" Left out: {why}{f' and {len(dropped) - 4} more' if len(dropped) > 4 else ''}." if dropped else " No column is left out."
    return Say(
        f"The preparation is validated on training rows: {p['columns_used']} of {p['columns_in']} columns take part"
        f" and make {p['features_out']} features.{left_out}{_prepared(t, wanted)}"
    )


def _prepared(t: Transcript, wanted: list[str]) -> str:
    if not wanted:
        return ""
    if t.failure:
        return f" It stays with these: {t.failure.result.get('detail')}"
    return f" With {joined(wanted)} they make {t.done[-1].result['features_out']}."


def preparation(t: Transcript) -> dict[str, Any]:
    """The argument that names the preparation, where it is not the default one."""
    return {"preparation": PREPARED} if t.facts.get("preparation") == PREPARED else {}
