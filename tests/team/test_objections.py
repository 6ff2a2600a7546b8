"""The critic's objections hold a stage up until they are answered, and never for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from team.casting import PLAYBOOK
from team.events import FellBack, ObjectionAnswered, ObjectionRaised, StageEntered
from team.guidance import Terms, invitation
from team.log import read_events
from team.models import make_client
from team.objections import ObjectionFact, answered, overruled, raised, unanswered
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from team.stages import CandidateFact, ReviewFact, Stage, State, missing, outcome
from tests.rooming import rooming
from tests.scripted import ScriptedClient

OPEN = ObjectionFact(id="objection-1", findings=["One column tells it all."], back_to="prepare")


def test_they_are_numbered() -> None:
    assert [raised([], ["a"], "train").id, raised([OPEN], ["b"], "train").id] == ["objection-1", "objection-2"]


@pytest.mark.parametrize(
    ("done", "words", "status"),
    [
        (["prepare"], "The column is out.", "evidence"),
        (["train", "train"], "", "evidence"),
        ([], "It is known when the model is used.", "rejected"),
        (["write_section"], "It stands.", "rejected"),
        ([], "  ", "open"),
    ],
)
def test_evidence_or_a_reason_answers_and_silence_does_not(done: list[str], words: str, status: str) -> None:
    found = answered(OPEN, "engineer", done, words)
    assert (found.status, found.answer) == (status, words.strip())
    assert unanswered([found]) == ([OPEN] if status == "open" else [])


@pytest.mark.parametrize(
    "state",
    [
        State(stage=Stage.PREPARE, prepared=True),
        State(stage=Stage.OPTIMISE, visits={Stage.OPTIMISE: 1}, search_spent=True),
        State(
            stage=Stage.TRAIN,
            visits={Stage.TRAIN: 1},
            candidates=[CandidateFact(name="a", family="a", score=1, std_error=0, fold_scores=[1], stage=Stage.TRAIN, seconds=1)],
            reviews=[ReviewFact(stage=Stage.TRAIN, visit=1, verdict="accept", findings=["Fine."])],
        ),
    ],
    ids=lambda state: str(state.stage),
)
def test_a_stage_does_not_end_while_one_is_open(state: State) -> None:
    assert outcome(state) is not None
    held = state.model_copy(update={"objections": [OPEN]})
    assert outcome(held) is None
    assert missing(held, "engineer") is None, "words are an answer"
    asked = invitation(held, "engineer", Terms())
    assert asked is not None
    assert asked.words.startswith("objection-1 of the critic waits: One column tells it all.")
    assert asked != invitation(held, "engineer", Terms(worked=True)), "calls that go well are an answer"
    for closed in (answered(OPEN, "engineer", ["train"], ""), overruled(OPEN, "nobody answered")):
        assert outcome(state.model_copy(update={"objections": [closed]})) == outcome(state)


async def test_work_that_is_sent_back_is_an_objection_on_record_and_so_is_its_answer(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.TRAIN)
        evidence = r.room.evidence
        result = {"verdict": "send_back", "findings": ["Trees were not tried."], "back_to": "train"}
        state = evidence.of_result(r.room.state, "review", result)
        state = evidence.of_answer(state, lambda one: answered(one, "engineer", ["train"], "Trees are in."))
        state = evidence.of_answer(state, lambda one: overruled(one, "too late"))
        (asked,) = [event for event in r.events if isinstance(event, ObjectionRaised)]
        (closed,) = [event for event in r.events if isinstance(event, ObjectionAnswered)]
        assert (asked.id, asked.findings) == (closed.id, ["Trees were not tried."])
        assert (closed.status, closed.by, closed.evidence, closed.answer) == ("evidence", "engineer", ["train"], "Trees are in.")
        assert not unanswered(state.objections)


@pytest.mark.slow
def test_in_a_run_the_engineer_answers_and_the_report_shows_it(tmp_path: Path) -> None:
    back = {"verdict": "send_back", "findings": ["Trees were not tried."], "back_to": "prepare"}
    critic = ScriptedClient([("review", back), "Trees, please.", ("review", {"verdict": "accept", "findings": ["They are in."]}), "Fine."])
    given = {"source": "sklearn:iris", "target": "target", "time": "60s", "trials": 0, "folds": 2, "families": "linear,tree"}
    settings = load_settings({**given, "sandbox": "unsafe-local", "out": tmp_path, "models": {"critic": "openai:c@http://h/v1"}})
    summary = start(settings, clients=lambda spec: make_client(spec) if spec == PLAYBOOK else critic)
    assert summary["status"] == "done"
    run = RunDir(Path(summary["run"]))
    events = list(read_events(run.events))
    (asked,) = [event for event in events if isinstance(event, ObjectionRaised)]
    (closed,) = [event for event in events if isinstance(event, ObjectionAnswered)]
    assert (closed.id, closed.status, closed.by, closed.evidence) == (asked.id, "evidence", "engineer", ["prepare"])
    entered = [event for event in events if isinstance(event, StageEntered)]
    after = next(event for event in entered if event.seq > closed.seq)
    assert (after.stage, entered[entered.index(after) - 1].stage) == ("baseline", "prepare"), "only then it went on"
    assert not [event for event in events if isinstance(event, FellBack) and "objection" in event.reason]
    report = run.report.read_text(encoding="utf-8")
    assert "Answered by evidence" in report
    assert "Trees were not tried." in report
