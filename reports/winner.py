"""The candidate that a run chose, with the settings that its kernel wrote beside its predictions."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from reports.findings import Fact
from reports.record import CandidateRow
from team.rundir import RunDir
from tools.candidates import Candidate
from tools.files import read_regular

MAX_RECORD_BYTES = 1 << 20


class WinnerMember(Fact):
    """A member of a blend."""

    name: str
    family: str | None
    weight: float
    params: dict[str, Any]


class Winner(Fact):
    """The candidate that a run chose, or, before it has, its best so far.

    Score and folds are the host's; family, parameters and members are what the kernel wrote beside the predictions, and
    None or empty when that is gone.
    """

    name: str
    family: str
    score: float
    std_error: float
    fold_scores: tuple[float, ...]
    preparation: str | None
    params: dict[str, Any] | None
    members: tuple[WinnerMember, ...]

    @property
    def flat(self) -> dict[str, Any]:
        """Parameters by name, those of a blend's members with the member's name before a dot."""
        found: dict[str, Any] = {} if self.preparation in (None, "") else {"preparation": self.preparation}
        found |= self.params or {}
        for member in self.members:
            found[f"{member.name}.weight"] = round(member.weight, 4)
            found |= {f"{member.name}.{name}": value for name, value in member.params.items()}
        return found


def settings_of(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that say how a model was fitted: the hash of its code names it and is no setting."""
    return {name: value for name, value in params.items() if name != "sha256"}


def read_winner(place: RunDir, chosen: CandidateRow) -> Winner:
    """The candidate `chosen` with what its kernel wrote of it."""
    record = _record(place, chosen.name)
    members = []
    for member in record.members if record else []:
        its = _record(place, member.name)
        params = its.params if its else {}
        members.append(WinnerMember(name=member.name, family=its.family if its else None, weight=member.weight, params=params))
    return Winner(
        name=chosen.name,
        family=chosen.family,
        score=chosen.score,
        std_error=chosen.std_error,
        fold_scores=chosen.fold_scores,
        preparation=record.preparation if record else None,
        params=record.params if record else None,
        members=tuple(members),
    )


def _record(place: RunDir, name: str) -> Candidate | None:
    """What the kernel wrote of a candidate; None when it is gone or nothing of the kind."""
    try:
        content = read_regular(place.work / "candidates" / name / "candidate.json", MAX_RECORD_BYTES, place.work)
        return Candidate.model_validate_json(content)
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
