"""What the critic objects to, and how it is answered: by evidence, by a reason, or by the playbook when nobody does. Pure.

Work that is sent back is an objection with a number. The stage that gets it back does not end before a role has answered it: by calls of
tools that went well, which are named, or, where it called none, by the reason that it gives in its last words. A turn that brings neither
leaves it open, and after a bounded number of turns the work goes on without an answer, which the report says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

REASON_CHARS = 400
Status = Literal["open", "evidence", "rejected", "overruled"]
_NO_EVIDENCE = frozenset({"review", "record_plan", "write_section", "build_report"})
"""Tools that write down words."""


class ObjectionFact(BaseModel):
    """Something that the critic wants to be mended or explained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    findings: list[str]
    back_to: str
    status: Status = "open"
    by: str = ""
    """The role that answered, and whether the playbook spoke for it."""
    answer: str = ""
    """The reason, or what the role said of its evidence."""
    evidence: list[str] = []
    """Tools whose calls went well in the turn that answered."""


def unanswered(objections: Sequence[ObjectionFact]) -> list[ObjectionFact]:
    """Those that still hold the work up."""
    return [one for one in objections if one.status == "open"]


def raised(objections: Sequence[ObjectionFact], findings: list[str], back_to: str) -> ObjectionFact:
    """The next objection of a run."""
    return ObjectionFact(id=f"objection-{len(objections) + 1}", findings=findings, back_to=back_to)


def answered(objection: ObjectionFact, by: str, done: Sequence[str], words: str) -> ObjectionFact:
    """The objection after a turn; still open where the turn brought neither evidence nor a reason.

    Args:
        done: tools whose calls went well in the turn, in their order.
        words: the last words of the turn.
    """
    evidence = [name for name in dict.fromkeys(done) if name not in _NO_EVIDENCE]
    answer = words.strip()[:REASON_CHARS]
    if not evidence and not answer:
        return objection
    status: Status = "evidence" if evidence else "rejected"
    return objection.model_copy(update={"status": status, "by": by, "answer": answer, "evidence": evidence})


def overruled(objection: ObjectionFact, why: str) -> ObjectionFact:
    """The objection when the work goes on without an answer."""
    return objection.model_copy(update={"status": "overruled", "by": "playbook", "answer": why})
