"""A run done again from its record: what agrees, what differs, and that nothing of it is touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from team.cli import main
from team.errors import MlteamError, UsageError
from team.events import CandidateScored, HoldoutScored
from team.out_of_fold import OutOfFold
from team.repeating import check, repeat, told
from team.rows import Rows
from team.rundir import RunDir
from tests.reports.written import Written, predicted
from tools.predictions import write_predictions

PREDICT = """
import numpy as np, pandas as pd
from tools.predictions import write_predictions
from tools.workspace import workspace
space = workspace()
signal = pd.read_parquet(space.data / "train.parquet")["Mass"].to_numpy() {change}
write_predictions(space.work / "candidates" / "lightgbm-1" / "oof.parquet", space.contract, 40 + 10 * signal, np.arange(len(signal)) % 5)
write_predictions(space.work / "predictions" / "lightgbm-1.parquet", space.contract, np.arange(space.contract.rows_holdout) + 0.5 {change})
"""


def recorded(out: Path, *, change: str = "") -> RunDir:
    """A run of one candidate that one typed cell made; `change` is what the cell says of it beyond what was scored."""
    import numpy as np
    import pandas as pd

    with Written(out) as w:
        w.start()
        fixed = w.seal(task="regression", metric="rmse", direction="minimize", classes=[], positive=None, target="Weight")
        predicted(w.run, fixed)
        signal = pd.read_parquet(w.run.data / "train.parquet")["Mass"].to_numpy()
        path = w.run.work / "candidates" / "lightgbm-1" / "oof.parquet"
        write_predictions(path, fixed, 40 + 10 * signal, np.arange(len(signal)) % fixed.folds)
        (w.run.data / "contract.json").write_text(fixed.model_dump_json())
        write_predictions(w.run.vault / "scored.parquet", fixed, np.arange(fixed.rows_holdout) + 0.5)
        (w.run.vault / "source").mkdir()
        (w.run.vault / "source" / "rows.csv").write_text("Mass,Weight\n")
        named = {"name": "rows.csv", "bytes": 12, "sha256": hashlib.sha256(b"Mass,Weight\n").hexdigest()}
        manifest = json.loads(w.run.manifest.read_text()) | {"files": [named]}
        w.run.manifest.write_text(json.dumps(manifest))
        w.turn("engineer", "train")
        score = OutOfFold(w.run, Rows(w.run)).score(path)
        fact = CandidateScored(
            name="lightgbm-1",
            family="lightgbm",
            score=score.score,
            std_error=0.1,
            fold_scores=score.fold_scores,
            stage="train",
            seconds=1.0,
        )
        call = w.call("engineer", "run_python", {"code": "..."}, between=[fact])
        w.cell(call, "run_python", PREDICT.format(change=change))
        w.add(HoldoutScored(candidate="lightgbm-1", metric="rmse", score=1.0, low=0.9, high=1.1, level=0.95, n=67, looks=1))
    return w.run


def files(run: RunDir) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in sorted(run.path.rglob("*")) if path.is_file()}


def test_what_the_record_does_again_agrees_and_nothing_of_the_run_is_touched(tmp_path: Path) -> None:
    run = recorded(tmp_path)
    before = files(run)
    found = repeat(run, sandbox="unsafe-local")
    assert [(one.name, one.verdict) for one in found.scores] == [("lightgbm-1", "agrees")]
    assert found.predictions == "lightgbm-1 predicts the sealed rows as it did, so its score of 1 stands"
    assert found.agrees
    check(found)
    assert "what the run read (1 file, SHA-256 " in told(found)
    assert files(run) == before


def test_what_comes_out_otherwise_is_named(tmp_path: Path) -> None:
    found = repeat(recorded(tmp_path, change="+ 0.25"), sandbox="unsafe-local")
    (score,) = found.scores
    assert score.verdict == "differs"
    assert score.again != pytest.approx(score.recorded)
    assert found.predictions == "lightgbm-1 predicts the sealed rows otherwise, by up to 0.25"
    with pytest.raises(MlteamError, match=r"1 of 1 scores \(lightgbm-1\) did not come again within 1e-06"):
        check(found)


def test_data_that_is_not_the_runs_ends_it_before_anything_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = recorded(tmp_path)
    (run.vault / "source" / "rows.csv").write_text("Mass,Weight\n1,2\n")
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(run.path), "--sandbox", "unsafe-local"])
    assert ended.value.code == 2
    assert "it is not its data any more" in capsys.readouterr().err


def test_a_run_that_executed_nothing_has_nothing_to_do_again(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
    with pytest.raises(UsageError, match="there is nothing to do again"):
        repeat(w.run, sandbox="unsafe-local")
