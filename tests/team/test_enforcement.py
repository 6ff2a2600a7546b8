"""Free-form code in a real sandbox tries to pass every constraint, and cannot."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from team.events import ToolReturned
from team.outcome import Outcome
from team.roles import roles
from team.stages import Stage
from tests.rooming import Rooming, rooming
from tests.tools.forecasting import AIRLINE

OTHER_FAMILY = """
import json, os
from pathlib import Path
work = Path(os.environ["MLTEAM_WORK"])
import tools.families, tools.families.linear
from tools.families import family
boosted = family("lightgbm")
tools.families.linear.FAMILIES["linear"] = boosted
tools.families._built_in.cache_clear()
record = json.loads((work / "candidates/linear-1/candidate.json").read_text())
planted = work / "candidates/linear-9"
planted.mkdir()
(planted / "candidate.json").write_text(json.dumps({**record, "name": "linear-9"}))
(planted / "oof.parquet").write_bytes((work / "candidates/linear-1/oof.parquet").read_bytes())
(work / "kept.json").write_text(json.dumps(record))
boosted_record = {**record, "family": "lightgbm", "params": {"learning_rate": 0.1}}
(work / "candidates/linear-1/candidate.json").write_text(json.dumps(boosted_record))
print("done")
"""
PUT_BACK = """
import os
from pathlib import Path
work = Path(os.environ["MLTEAM_WORK"])
(work / "candidates/linear-1/candidate.json").write_text((work / "kept.json").read_text())
"""
FORGED_MEASURES = """
import json, os
from pathlib import Path
import tools.measuring
tools.measuring.latency_of = tools.measuring.size_of = lambda *anything: 0.0
path = Path(os.environ["MLTEAM_WORK"], "candidates/linear-1/candidate.json")
path.write_text(json.dumps({**json.loads(path.read_text()), "latency_ms": 0.0, "size_mb": 0.0}))
"""
OTHER_PREDICTIONS = """
import os
import pandas as pd
path = os.environ["MLTEAM_WORK"] + "/predictions/linear-1.parquet"
predictions = pd.read_parquet(path)
predictions.iloc[:, :] = predictions.to_numpy()[::-1]
predictions.to_parquet(path)
"""
WRAPPED = """
from lightgbm import LGBMClassifier
def make_model():
    return LGBMClassifier(n_estimators=5)
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)), columns=["age", "secret"])
    frame["notes"] = [f"patient number {i} said that it hurts a lot today and was told word{i % 9} to rest" for i in range(120)]
    frame["y"] = np.where(frame["age"] + rng.normal(size=120) > 0, "yes", "no")
    path = tmp_path_factory.mktemp("table") / "t.csv"
    frame.to_csv(path, index=False)
    return path


UNHURRIED = {"search_s": 600}
"""A machine that is busy must not decide."""


async def _begun(r: Rooming) -> None:
    for stage, role, calls in (
        (Stage.ACQUIRE, "data_scientist", [("fetch_data", {}), ("seal_holdout", {})]),
        (Stage.PREPARE, "engineer", [("prepare", {})]),
        (Stage.BASELINE, "engineer", [("train_baselines", {"time_s": 300})]),
    ):
        r.enter(stage)
        for tool, arguments in calls:
            outcome = await r.room.call(roles()[role], tool, arguments)
            assert outcome.status == "ok", outcome.text


async def _engineer(r: Rooming, tool: str, stage: Stage = Stage.TRAIN, **arguments: Any) -> Outcome:
    r.enter(stage)
    return await r.room.call(roles()["engineer"], tool, arguments)


@pytest.mark.bubblewrap
async def test_columns_that_are_taken_away_are_nowhere_for_code_to_find(table: Path, tmp_path: Path) -> None:
    search = (
        "import os, pandas as pd\nfrom pathlib import Path\nfound = []\n"
        "for root in (os.environ['MLTEAM_DATA'], os.environ['MLTEAM_WORK'], '/'):\n"
        "    for here, folders, names in os.walk(root):\n"
        "        folders[:] = [f for f in folders if os.path.join(here, f) not in ('/proc', '/sys', '/usr', '/dev', '/root', '/work')]\n"
        "        for name in names:\n"
        "            path = Path(here, name)\n"
        "            try:\n"
        "                raw = path.read_bytes() if path.is_file() and path.stat().st_size < 10**7 else b''\n"
        "            except OSError:\n"
        "                continue\n"
        "            if b'it hurts' in raw or (path.suffix == '.parquet' and {'secret', 'notes'} & set(pd.read_parquet(path))):\n"
        "                found.append(str(path))\n"
        "print('found', sorted(set(found)))\n"
        "train = pd.read_parquet(os.environ['MLTEAM_DATA'] + '/train.parquet')\nprint(list(train))"
    )
    said = {"constraint": ["never use column secret, no text columns"]}
    async with rooming(tmp_path, table, target="y", sandbox="bubblewrap", **said) as r:
        r.enter(Stage.ACQUIRE)
        for tool in ("fetch_data", "seal_holdout"):
            assert (await r.room.call(roles()["data_scientist"], tool, {})).status == "ok"
        outcome = await _engineer(r, "run_python", code=search)
        assert outcome.text.strip().splitlines()[-2:] == ["found []", "['age', 'y']"]
    # The same code finds them where nothing forbids them.
    async with rooming(tmp_path / "free", table, target="y", sandbox="bubblewrap") as r:
        r.enter(Stage.ACQUIRE)
        for tool in ("fetch_data", "seal_holdout"):
            assert (await r.room.call(roles()["data_scientist"], tool, {})).status == "ok"
        outcome = await _engineer(r, "run_python", code=search)
        assert "train.parquet" in outcome.text
        assert "'secret'" in outcome.text


async def test_code_cannot_pass_another_family_off_as_one_that_is_allowed(table: Path, tmp_path: Path) -> None:
    async with rooming(tmp_path, table, target="y", constraint=["linear models only", "a row in at most 60 seconds"], **UNHURRIED) as r:
        await _begun(r)
        refused = await _engineer(r, "train", families=["lightgbm"], time_s=5)
        assert "the contract allows linear, sparse_linear" in refused.text
        wrapped = await _engineer(r, "submit_candidate", name="mine", code=WRAPPED, idea="boost", time_s=20)
        assert wrapped.status == "refused"
        assert "what a module wraps cannot be seen from outside" in wrapped.text
        assert (await _engineer(r, "run_python", code=OTHER_FAMILY)).text.strip().endswith("done")
        evaluated = await _engineer(r, "evaluate", Stage.SELECT, candidate="linear-1", time_s=300)
        assert "'linear-1' is a model of lightgbm: the contract allows" in evaluated.text
        assert r.room.state.evaluated == []
        assert "linear-9" not in {c.name for c in r.room.state.candidates}
        assert (await _engineer(r, "run_python", code=PUT_BACK)).status == "ok"
        # The tools that code had changed are gone with its kernel: this is a linear model, whatever the memory held.
        outcome = await _engineer(r, "evaluate", Stage.SELECT, candidate="linear-1", time_s=300)
        assert outcome.status == "ok", outcome.text
        assert 0 <= (outcome.result or {})["latency_ms"] < 60_000
        description = json.loads((r.run.work / "fitted/linear-1/model.json").read_text())
        assert [member["family"] for member in description["members"]] == ["linear"]
        assert b"lightgbm" not in (r.run.work / "fitted/linear-1/pipeline.joblib").read_bytes()
        planted = await _engineer(r, "evaluate", Stage.SELECT, candidate="linear-9", time_s=300)
        assert "the host has scored no candidate 'linear-9'" in planted.text
        assert (await _engineer(r, "run_python", code=OTHER_PREDICTIONS)).status == "ok"
        r.enter(Stage.SELECT)
        critic = roles()["critic"]
        assert (await r.room.call(critic, "review", {"verdict": "accept", "findings": ["It stands."]})).status == "ok"
        scored = await r.room.call(critic, "score_holdout", {"candidate": "linear-1"})
        assert scored.status == "refused"
        assert "has been changed since" in scored.text
        degraded = [event.reason for event in r.events if event.kind == "fell_back"]
        assert any("'linear-9' does not count: code wrote it" in reason for reason in degraded)


async def test_a_model_that_is_too_slow_and_too_large_is_caught_by_the_hosts_own_measure(table: Path, tmp_path: Path) -> None:
    said = ["a row in at most 0.0001 ms", "the model must be smaller than 0.1 kB on disk"]
    async with rooming(tmp_path, table, target="y", constraint=said, **UNHURRIED) as r:
        await _begun(r)
        assert (await _engineer(r, "run_python", code=FORGED_MEASURES)).status == "ok"
        outcome = await _engineer(r, "evaluate", Stage.SELECT, candidate="linear-1", time_s=300)
        assert outcome.status == "error"
        assert re.search(r"takes .* ms for a row, .* and .* MB on file, .*, as the host measured", outcome.text)
        assert r.room.state.evaluated == []
        assert "linear-1" in r.room.state.unfit


async def test_a_forecast_that_has_learnt_the_holdout_is_timed_by_moments_after_it(tmp_path: Path) -> None:
    """The rows of the holdout lie in its past, which no forecast tells of."""
    wish = {"target": "passengers", "task": "forecast", "max_latency_ms": 60_000, **UNHURRIED}
    async with rooming(tmp_path, AIRLINE, **wish) as r:
        await _begun(r)
        assert (await _engineer(r, "evaluate", Stage.SELECT, candidate="seasonal_naive-1", time_s=300)).status == "ok"
        review = await r.room.call(roles()["critic"], "review", {"verdict": "accept", "findings": ["It stands."]})
        assert review.status == "ok", review.text
        scored = await r.room.call(roles()["critic"], "score_holdout", {"candidate": "seasonal_naive-1"})
        assert scored.status == "ok", scored.text
        r.enter(Stage.RELEASE)
        for tool, arguments in (("open_holdout", {}), ("finish", {"candidate": "seasonal_naive-1", "time_s": 300})):
            outcome = await r.room.call(roles()["release_manager"], tool, arguments)
            assert outcome.status == "ok", outcome.text


async def test_a_kernel_that_is_held_to_the_processor_is_shown_no_other(table: Path, tmp_path: Path) -> None:
    async with rooming(tmp_path, table, target="y", constraint=["CPU only", "no more than 1 GB"], sandbox="unsafe-local") as r:
        outcome = await _shown(r, "import os\nprint(repr(os.environ.get('CUDA_VISIBLE_DEVICES')), os.environ['MLTEAM_DEVICE'])")
        assert outcome == "'' cpu"
        assert await _shown(r, "import os\nprint(os.environ['MLTEAM_MEMORY_MB'])") == "1024"


@pytest.mark.bubblewrap
async def test_memory_beyond_what_was_said_ends_what_takes_it(table: Path, tmp_path: Path) -> None:
    async with rooming(tmp_path, table, target="y", constraint=["no more than 600 MB"], sandbox="bubblewrap") as r:
        await _shown(r, "print('ready')")
        r.enter(Stage.TRAIN)
        outcome = await r.room.call(roles()["engineer"], "run_python", {"code": "taken = bytearray(900 * 2**20)\nprint('took it')"})
        assert outcome.status in ("died", "error")
        assert "took it" not in outcome.text
        assert [e.status for e in r.events if isinstance(e, ToolReturned)][-1] == outcome.status


async def _shown(r: Rooming, code: str) -> str:
    r.enter(Stage.ACQUIRE)
    for tool in ("fetch_data", "seal_holdout"):
        await r.room.call(roles()["data_scientist"], tool, {})
    return (await _engineer(r, "run_python", code=code)).text.strip()
