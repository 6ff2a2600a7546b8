"""What language models added to a run: the best model that a role wrote beside the best of the engine's own families."""

from __future__ import annotations

from collections.abc import Sequence

from reports.findings import Fact
from reports.record import CandidateRow, ModelUse
from tools.candidates import CODE, ENSEMBLE
from tools.constraints import FLOORS
from tools.gain import judge_gain


class Bought(Fact):
    """Scores of the two, and whether the difference is more than noise. Both were searched for in the same budget."""

    usd: float | None
    """What all calls cost; None where a price is not known."""
    tries: int
    """Models that roles wrote and the host scored."""
    written: CandidateRow | None
    engine: CandidateRow | None
    gain: float | None = None
    """How much better the written one is, above 0 is better, in the metric's units."""
    std_error: float | None = None
    real: bool = False


def bought(models: Sequence[ModelUse], board: Sequence[CandidateRow], usd: float | None, folds: int, *, maximize: bool) -> Bought | None:
    """None where the playbook alone spoke.

    Args:
        board: all candidates, the best first.
        folds: of one repeat.
    """
    if all(use.program for use in models):
        return None
    written = [row for row in board if row.family == CODE]
    engine = next((row for row in board if row.family not in (CODE, ENSEMBLE, *FLOORS)), None)
    first = written[0] if written else None
    if first is None or engine is None:
        return Bought(usd=usd, tries=len(written), written=first, engine=engine)
    sign = 1.0 if maximize else -1.0
    differences = [sign * (a - b) for a, b in zip(first.fold_scores, engine.fold_scores, strict=False)]
    found = judge_gain(sign * (first.score - engine.score), differences, 1 / max(1, folds - 1), len(written))
    return Bought(usd=usd, tries=len(written), written=first, engine=engine, gain=found.gain, std_error=found.std_error, real=found.real)
