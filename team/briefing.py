"""What a role sees: its prompt, the run's state in a bounded briefing, and the last few messages.

The briefing is the stage's text and one JSON block of facts, so that a language model and the playbook read the same
thing. Old turns are shown by what was said, not by their tool traffic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from team.budget import Meter
from team.roles import stage_text
from team.stages import Stage, State, may_send_back
from tools.contract import Contract
from tools.families import brought
from tools.host import Wish
from tools.schemes import described

CONDUCTOR = "conductor"
LEADERS_SHOWN = 5
OLD_MESSAGES = 6
OLD_MESSAGE_CHARS = 700
FAMILIES_SHOWN = 20
"""Of those that packages bring."""
FACT_CHARS = 1_000
"""Of one text among the facts."""

# The fence of the block, line breaks that JSON leaves as they are, and what reorders or hides text.
_ACTING = re.compile("[`\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")

# Results that a stage needs in full; everywhere else they are summed up or left out.
_FULL_RESULTS: dict[Stage, tuple[str, ...]] = {
    Stage.ACQUIRE: ("fetch_data",),
    Stage.PREPARE: ("profile_table",),
    Stage.DOCUMENT: ("profile_table", "prepare", "evaluate", "find_slices", "learning_curve", "nested_score", "examine_structure"),
    Stage.SELECT: ("examine_structure",),
}


def brief(state: State, wish: Wish, meter: Meter, contract: Contract | None, run: str) -> str:
    """The conductor's message that opens a turn."""
    if state.stage is None:
        raise ValueError("the run has ended: there is nothing to brief")
    facts = _facts(state, wish, meter, contract, run)
    head = f"[stage {state.stage} · visit {state.visit} · turn {state.turns_in_visit + 1}]"
    return f"{head}\n{stage_text(state.stage)}\n\n```json\n{_inert(json.dumps(_shortened(facts), ensure_ascii=False))}\n```"


def _shortened(value: Any) -> Any:
    """The facts with long texts cut: a column may have a name of a megabyte."""
    if isinstance(value, str):
        return _cut(value, FACT_CHARS)
    if isinstance(value, dict):
        return {_cut(str(key), FACT_CHARS): _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value


def _inert(document: str) -> str:
    """JSON in which no text from the data can end the block, start a line or hide: such characters are escaped."""
    return _ACTING.sub(lambda found: "\\u0060" if found[0] == "`" else json.dumps(found[0])[1:-1], document)


def _facts(state: State, wish: Wish, meter: Meter, contract: Contract | None, run: str) -> dict[str, Any]:
    assert state.stage is not None
    facts: dict[str, Any] = {
        "run": run,
        "stage": state.stage.value,
        "visit": state.visit,
        "turn": state.turns_in_visit + 1,
        "wish": {
            **{name: getattr(wish, name) for name in ("source", "target", "goal", "metric", "event", "validation")},
            "task": wish.named_task,
        },
        "budget": {
            "search_seconds": meter.limits.search_s,
            "search_seconds_left": round(meter.search_left_s, 1),
            "trials": meter.limits.trials,
            "trials_left": meter.trials_left,
        },
    }
    if len(wish.objectives) > 1:
        facts["wish"]["objectives"] = list(wish.objectives)
    if wish.preparers:
        facts["wish"]["preparers"] = list(wish.preparers)
    if families := brought():
        facts["families_brought"] = families[:FAMILIES_SHOWN]
    if contract is not None:
        facts["contract"] = contract.model_dump(
            exclude={"features": True, "schema_version": True, "constraints": True, "forecast": {"scales"}}
        ) | {
            "features": len(contract.features),
            "classes": contract.classes[:20],
            "scheme": described(contract),
            "predicts": contract.predicts,
        }
        if contract.constraints.binding:
            facts["contract"]["constraints"] = contract.constraints.model_dump(mode="json", exclude_defaults=True)
    facts |= {key: state.results[tool] for tool in _FULL_RESULTS.get(state.stage, ()) if tool in state.results for key in [tool]}
    facts |= _summaries(state)
    if state.candidates and contract is not None:
        facts["leaderboard"] = leaderboard(state, contract)[:LEADERS_SHOWN]
        facts["best_of_family"] = best_of_family(state, contract)
    if state.rounds:
        facts["rounds"] = [
            r.model_dump(include={"round", "gain", "noise", "families", "candidates"}) | {"real": r.real} for r in state.rounds
        ]
    if state.reviews:
        facts["last_review"] = state.reviews[-1].model_dump(mode="json", include={"stage", "verdict", "findings", "back_to"})
    if state.evaluated:
        facts["evaluated"] = state.evaluated
    if state.holdout:
        facts["holdout"] = state.holdout.model_dump()
    facts |= {key: lost for key, lost in (("dropped", state.dropped), ("unfit", state.unfit)) if lost}
    if state.refit_failure:
        facts["refit_failure"] = state.refit_failure
    facts["reviewed"] = state.review() is not None
    facts["may_send_back_to"] = [stage.value for stage in may_send_back(state)]
    return facts


def _summaries(state: State) -> dict[str, Any]:
    """One-line versions of results whose whole is not needed."""
    summary: dict[str, Any] = {}
    if plan := state.results.get("record_plan"):
        summary["plan"] = {"approach": plan["approach"], "families": plan["families"]}
    if profile := state.results.get("profile_table"):
        summary["data_warnings"] = [warning["message"] for warning in profile["warnings"]][:12]
        strong = sorted((c for c in profile["profiles"] if c["association"] is not None), key=lambda c: -c["association"])
        summary["strongest_columns"] = [{"column": c["column"], "association": round(c["association"], 3)} for c in strong[:5]]
    if "prepare" in state.results:
        summary["preparation"] = state.results["prepare"].get("name")
    skipped = [item for tool in ("train_baselines", "train") for item in state.results.get(tool, {}).get("skipped", [])]
    if skipped:
        summary["skipped"] = skipped[:12]
    if ensemble := state.results.get("ensemble"):
        summary["ensemble"] = ensemble
    if tuned := state.results.get("tune"):
        summary["last_tuning"] = {key: tuned[key] for key in ("candidate", "trials_done", "trials_pruned", "gain", "gain_std_error")}
    return summary


def leaderboard(state: State, contract: Contract) -> list[dict[str, Any]]:
    """Candidates, best first, by the score that the host computed."""
    order = sorted(state.candidates, key=lambda c: c.score, reverse=contract.direction == "maximize")
    return [c.model_dump(mode="json", include={"name", "family", "score", "std_error", "seconds"}) for c in order]


def best_of_family(state: State, contract: Contract) -> dict[str, dict[str, Any]]:
    """The best candidate of every family, best family first."""
    best: dict[str, dict[str, Any]] = {}
    for row in leaderboard(state, contract):
        best.setdefault(row["family"], {key: row[key] for key in ("name", "score", "std_error", "seconds")})
    return best


class BriefingContext(ChatCompletionContext):
    """Keeps everything, shows the last briefing and what came after it in full, and of older turns the words.

    Tool calls and their results are never parted, because only whole turns are left out.
    """

    component_provider_override = "team.briefing.BriefingContext"

    async def get_messages(self) -> list[LLMMessage]:
        return bounded(self._messages)


def bounded(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The part of `messages` that a request holds."""
    opening = max((i for i, m in enumerate(messages) if _is_briefing(m)), default=0)
    old = [m for m in messages[:opening] if isinstance(m, UserMessage) and isinstance(m.content, str) and not _is_briefing(m)]
    shown: list[LLMMessage] = [UserMessage(content=_cut(str(m.content)), source=m.source) for m in old[-OLD_MESSAGES:]]
    return shown + [m for m in messages[opening:] if not isinstance(m, SystemMessage)]


def _is_briefing(message: LLMMessage) -> bool:
    return isinstance(message, UserMessage) and message.source == CONDUCTOR


def _cut(text: str, most: int = OLD_MESSAGE_CHARS) -> str:
    return text if len(text) <= most else text[:most] + f" … ({len(text) - most} characters left out)"
