"""Host tool of the critic: the one look at the holdout."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from tools.coverage import Coverage
from tools.host import HostContext
from tools.spec import ToolRefused, tool


class HoldoutScore(BaseModel):
    """The final score with its bootstrap interval."""

    candidate: str
    metric: str
    score: float
    low: float
    high: float
    level: float
    n: int
    looks: int
    groups: int | None = None
    """Number of groups that the interval resampled whole; None where it resampled rows."""
    intervals: list[Coverage] = []
    """Where values are predicted: how many of the holdout's lay inside the intervals around them."""
    others: dict[str, float] = {}
    """Other metrics of the same predictions on the same rows, by name. They decided nothing."""


@tool(where="host", timeout_s=120, lasting=True)
def score_holdout(
    ctx: HostContext,
    candidate: Annotated[str, "Name of the accepted candidate whose holdout predictions `evaluate` wrote."],
) -> HoldoutScore:
    """Score the accepted candidate's holdout predictions against the sealed labels. This can be done once."""
    from tools.predictions import PredictionError

    if not ctx.accepted():
        raise ToolRefused("review the selection first: the holdout is looked at once, for an accepted candidate.")
    if not candidate.replace("-", "").replace("_", "").isalnum():
        raise ToolRefused(f"{candidate!r} is no candidate name.")
    path = ctx.run.work / "predictions" / f"{candidate}.parquet"
    if not path.exists():
        raise ToolRefused(f"candidate {candidate!r} has no holdout predictions: the engineer calls evaluate({candidate!r}) first.")
    try:
        interval, looks = ctx.vault.score_holdout(candidate, path, decision=ctx.decision(candidate))
    except PredictionError as error:
        raise ToolRefused(f"predictions of {candidate!r} break the contract: {error}") from None
    return HoldoutScore(
        candidate=candidate,
        metric=ctx.vault.contract.metric,
        score=interval.score,
        low=interval.low,
        high=interval.high,
        level=interval.level,
        n=interval.n,
        looks=looks,
        groups=interval.groups,
        intervals=ctx.measure_intervals(),
        others=ctx.other_scores(),
    )
