"""Host tool of the critic: the one look at the holdout."""

from __future__ import annotations

from typing import Annotated

from tools.holdout_score import HoldoutScore
from tools.host import HostContext
from tools.spec import ToolRefused, tool


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
    others = ctx.other_scores()
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
        others=others.scores,
        other_ends=others.ends,
    )
