"""Two whole sessions of a small model, as it answered in them, played again over the wire: each ends with a model of its own and a report.

`sessions/` holds what Qwen2.5-Coder-1.5B-Instruct (Q4_K_M) said on two cores, recorded by `python -m evals.record_replies`. The answers are
played by role and stage, since scores and seconds are another machine's; when a role has no line left it says that it is done.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evals.record_replies import SOURCE, replies
from team.events import CandidateScored, FellBack, TurnEnded, TurnStarted
from team.log import read_events
from team.roles import roles
from team.run import astart
from team.rundir import RunDir
from team.settings import load_settings
from tests.contracts.model_client import KEY
from tests.model_server import ModelServer, Reaction, Say, Seen, model_server

pytestmark = pytest.mark.slow
SESSIONS = Path(__file__).parent / "sessions"
ACTING = 0.6
"""Of the turns, those that must do without the playbook."""


class Player(ModelServer):
    """Gives each role, stage by stage, the answers that it once gave."""

    def __init__(self, session: Path, source: str) -> None:
        super().__init__()
        self._lines: dict[tuple[str, str], deque[Say]] = {}
        for line in session.read_text(encoding="utf-8").splitlines():
            said = json.loads(line.replace(SOURCE, source))
            calls = [(call["name"], call["arguments"]) for call in said.get("calls", [])]
            self._lines.setdefault((said["role"], said["stage"]), deque()).append(Say(said.get("text", ""), calls))
        self._titles = {f"# {role.title}": name for name, role in roles().items()}

    def reacts(self, request: Seen) -> Reaction:
        system, *turn = (str(message["content"]) for message in request.body["messages"])
        stage = re.search(r"\[stage (\w+)\]", "\n".join(turn))
        assert stage is not None, "a briefing names its stage"
        left = self._lines.get((self._titles[system.splitlines()[0]], stage[1]))
        return left.popleft() if left else Say("Done.")


def passengers(folder: Path) -> Path:
    """A table with the columns of the one that the second session was about; its rows are made by rule."""
    rng, rows = np.random.default_rng(0), 900
    sex, pclass = rng.choice(["male", "female"], rows, p=[0.65, 0.35]), rng.choice(["1st", "2nd", "3rd"], rows, p=[0.25, 0.2, 0.55])
    age = rng.normal(30, 13, rows).clip(0.5, 75).round()
    logit = 2.4 * (sex == "female") + 1.1 * (pclass == "1st") - 0.02 * age - 1.2
    survived = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    age[rng.random(rows) < 0.4] = np.nan
    names = [f"Passenger, {'Mr' if s == 'male' else 'Miss'} {number}" for number, s in enumerate(sex)]
    file = folder / "titanic.csv"
    pd.DataFrame({"Name": names, "PClass": pclass, "Age": age, "Sex": sex, "Survived": survived}).to_csv(file, index=False)
    return file


@pytest.mark.parametrize(("session", "target"), [("titanic", "Survived"), ("breast_cancer", "target")])
async def test_a_recorded_session_ends_with_a_model_of_its_own_and_a_report(
    session: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    source = passengers(tmp_path) if session == "titanic" else f"sklearn:{session}"
    async with model_server(lambda: Player(SESSIONS / f"{session}.jsonl", str(source))) as server:
        settings = load_settings(
            {
                "source": str(source),
                "target": target,
                "time": "120s",
                "folds": 3,
                "sandbox": {"kind": "unsafe-local", "cpus": 1},
                "out": tmp_path / "runs",
                "model": f"openai:qwen@{server.url}/v1",
            }
        )
        summary = await astart(settings)
    run = RunDir(Path(summary["run"]))
    assert summary["status"] == "done"
    assert "are withheld" not in (run.path / "reports" / "report.html").read_text(encoding="utf-8")
    assert (run.path / "model").is_dir()
    events = list(read_events(run.events))
    turns = {event.turn for event in events if isinstance(event, TurnStarted)}
    failed = {event.turn for event in events if isinstance(event, TurnEnded) and event.status != "ok"}
    taken_over = sum(isinstance(event, FellBack) and not event.what for event in events)
    assert len(failed) <= taken_over
    assert len(turns) - taken_over >= ACTING * len(turns), Counter(type(event).__name__ for event in events)
    assert any(isinstance(event, CandidateScored) and event.family == "code" for event in events), "it wrote a model, and that was scored"
    assert replies(run), "what is recorded can be recorded again"
