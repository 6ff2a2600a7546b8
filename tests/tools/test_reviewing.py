"""Reviews and the one look: bounded, and in this order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from team.stages import MAX_SEND_BACKS, ReviewFact, Stage, State
from tests.hosting import Hosting
from tools.intake import fetch_data
from tools.predictions import write_predictions
from tools.reviewing import review
from tools.scoring import score_holdout
from tools.sealing import seal_holdout
from tools.spec import ToolRefused


@pytest.fixture
def hosting(tmp_path: Path) -> Hosting:
    h = Hosting(tmp_path / "runs", "sklearn:diabetes", target="target")
    fetch_data(h.host)
    seal_holdout(h.host)
    h.state = State(stage=Stage.SELECT, visits={Stage.SELECT: 1})
    return h


def test_work_goes_back_only_where_the_stage_allows_it(hosting: Hosting) -> None:
    assert review(hosting.host, "send_back", ["leak"], back_to="prepare").back_to == "prepare"
    with pytest.raises(ToolRefused, match="expected one of prepare, train, optimise"):
        review(hosting.host, "send_back", ["leak"], back_to="plan")
    with pytest.raises(ToolRefused, match="goes with verdict `send_back`"):
        review(hosting.host, "accept", ["fine"], back_to="train")
    hosting.state = hosting.state.model_copy(update={"send_backs": MAX_SEND_BACKS})
    with pytest.raises(ToolRefused, match="Accept, and say what is wrong"):
        review(hosting.host, "send_back", ["leak"], back_to="train")


def test_the_holdout_is_looked_at_only_for_accepted_work_with_predictions(hosting: Hosting) -> None:
    with pytest.raises(ToolRefused, match="review the selection first"):
        score_holdout(hosting.host, "c")
    accepted = ReviewFact(stage=Stage.SELECT, visit=1, verdict="accept", findings=["fine"])
    hosting.state = hosting.state.model_copy(update={"reviews": [accepted]})
    with pytest.raises(ToolRefused, match="the engineer calls evaluate"):
        score_holdout(hosting.host, "c")
    with pytest.raises(ToolRefused, match="no candidate name"):
        score_holdout(hosting.host, "../../vault/holdout_labels")
    contract = hosting.vault.contract
    write_predictions(hosting.run.work / "predictions" / "c.parquet", contract, np.full(contract.rows_holdout, 150.0))
    scored = score_holdout(hosting.host, "c")
    assert (scored.metric, scored.n, scored.looks) == ("rmse", contract.rows_holdout, 1)
