"""What a model answers becomes calls that can be made: read, mended, asked for again twice, then given up to the playbook."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, CreateResult, FunctionExecutionResultMessage, LLMMessage, RequestUsage, UserMessage

from team.errors import EmptyReply, ReplyCut
from team.events import CallsRecovered, FellBack, RepairAsked, ToolCalled, ToolReturned, TurnEnded
from team.group import Group
from team.guidance import Terms
from team.log import read_events
from team.models import make_client
from team.models.delegating import DelegatingClient
from team.models.recovering import ECHOED, NOTHING_SAID, NoUsableCall, RecoveringClient, refused_rounds
from team.playbook import PlaybookClient
from team.repairs import RepairDesk
from team.roles import NAMES, roles
from team.run import start
from team.rundir import RunDir
from team.settings import Settings
from team.stages import CandidateFact, Stage
from tests.rooming import Rooming, rooming
from tests.scripted import Line, ScriptedClient
from tools.spec import registry

PLAN = {"approach": "a", "steps": ["s"], "families": [], "risks": []}
AS_TEXT = f"```json\n{json.dumps({'name': 'record_plan', 'arguments': PLAN})}\n```"


class Scene:
    """A group whose planner is scripted, behind the client that mends."""

    def __init__(self, r: Rooming, *lines: Line, client: Any = None) -> None:
        self.planner = client or ScriptedClient(lines)
        terms = Terms(predicts="classes", seconds_left=30.0)
        self.desk = RepairDesk(r.room.emit, lambda: r.room.state, lambda: 1, lambda: terms)
        self.group = Group({name: RecoveringClient(self.planner, name, self.desk) for name in NAMES}, r.room, lambda *_: None)

    async def turn(self, speaker: str = "planner") -> str:
        return await self.group.turn(speaker, "[stage]\nPlan.")

    @property
    def shown(self) -> list[LLMMessage]:
        """What the model was shown last."""
        return list(self.planner.requests[-1].messages)


def of(events: Sequence[object], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_call_in_the_text_is_made_and_told(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, f"I plan.\n{AS_TEXT}", "The plan is recorded.")
        assert await scene.turn() == "The plan is recorded."
        scene.planner.assert_complete()
        assert r.room.state.planned
        (event,) = of(r.events, CallsRecovered)
        assert (event.role, event.tools, event.form) == ("planner", ["record_plan"], "fenced")
        asked, answered = scene.shown[-2:]
        assert isinstance(asked, AssistantMessage)
        assert asked.thought == "I plan."
        assert isinstance(answered, FunctionExecutionResultMessage)


async def test_words_alone_are_asked_about_where_the_stage_needs_a_call(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, "I will record the plan.", AS_TEXT, "Done.")
        assert await scene.turn() == "Done."
        (event,) = of(r.events, RepairAsked)
        assert event.problem == "no tool was called, and `record_plan` has not recorded a plan"
        words, repair = scene.planner.requests[1].messages[-2:]
        assert words.content == "I will record the plan."
        assert "record_plan(approach: text, steps: [text], families: [text], risks: [text])" in str(repair.content)
        assert len(str(repair.content)) < 500
        assert not any("Not done" in str(m.content) for m in scene.shown), "repairs are not repeated in later requests"


async def test_words_end_a_turn_in_which_the_stage_has_what_it_needs(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.OPTIMISE)
        assert await Scene(r, "Nothing is worth tuning.").turn("engineer") == "Nothing is worth tuning."
        assert not of(r.events, RepairAsked)


async def test_a_reply_that_was_cut_off_is_told_to_be_shorter(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, ReplyCut("cut off"), AS_TEXT, "Done.")
        assert await scene.turn() == "Done."
        assert "be shorter" in str(scene.planner.requests[1].messages[-1].content)
        (event,) = of(r.events, RepairAsked)
        assert event.problem.startswith("the reply was cut off at its longest")


async def test_a_model_that_says_nothing_where_nothing_is_missing_has_ended_its_turn(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, EmptyReply("nothing"), AS_TEXT, EmptyReply("nothing"))
        assert await scene.turn() == NOTHING_SAID
        scene.planner.assert_complete()
        (event,) = of(r.events, RepairAsked)
        assert event.problem == "no tool was called, and `record_plan` has not recorded a plan"


async def test_a_call_that_went_well_and_is_made_once_more_ends_the_turn(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, AS_TEXT, f"Recorded.\n{AS_TEXT}")
        assert await scene.turn() == "Recorded."
        assert [event.tool for event in of(r.events, ToolReturned)] == ["record_plan"]


async def test_a_call_that_is_made_once_more_where_another_is_missing_is_told_as_that(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.DOCUMENT)
        section = json.dumps({"name": "write_section", "arguments": {"slot": "data", "text": "Rows."}})
        scene = Scene(r, section, section, section, section)
        with pytest.raises(RuntimeError, match="write_section was called already and went well, and `build_report` has not run"):
            await scene.turn("writer")
        assert [event.tool for event in of(r.events, ToolReturned)] == ["write_section"]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("record_plan(approach=", "the call record_plan(...) cannot be read: it breaks off"),
        ('{"name": "record_plans", "arguments": {}}', "there is no tool 'record_plans' here; did you mean record_plan?"),
        ("I shall plan.", "no tool was called"),
    ],
)
async def test_two_repairs_and_then_it_is_given_up(tmp_path: Path, bad: str, problem: str) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scene = Scene(r, bad, bad, bad)
        with pytest.raises(RuntimeError, match="it was told 2 times"):
            await scene.turn()
        scene.planner.assert_complete()
        assert len(of(r.events, RepairAsked)) == 2
        assert problem in str(scene.desk.take_given_up())
        assert scene.desk.take_given_up() is None


async def test_arguments_that_do_not_fit_come_back_with_the_expected_shape_and_are_given_up_after_two_repairs(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        bad: Line = ("record_plan", {**PLAN, "steps": 7, "stpes": "x" * 5_000})
        scene = Scene(r, bad, bad, bad)
        with pytest.raises(RuntimeError, match="do not fit"):
            await scene.turn()
        scene.planner.assert_complete()
        told = json.loads(str(of(r.events, ToolReturned)[0].text and scene.shown[-1].content[0].content))
        assert told["expected"] == "record_plan(approach: text, steps: [text], families: [text], risks: [text])"
        assert "unknown argument 'stpes' (did you mean 'steps'?)" in told["detail"]
        assert len(json.dumps(told)) < 500


async def test_a_good_call_between_bad_ones_starts_the_count_again(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.DOCUMENT)
        good: Line = ("write_section", {"slot": "data", "text": "Rows."})
        bad: Line = ("write_section", {"slot": "dta", "text": "Rows."})
        scene = Scene(r, bad, bad, good, bad, bad, good, "I", "am", "done", client=None)
        with pytest.raises(RuntimeError, match="`build_report` has not run"):
            await scene.turn("writer")
        scene.planner.assert_complete()


async def test_a_repair_shows_a_call_that_would_do(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.ACQUIRE, results={"fetch_data": {}})
        scene = Scene(r, "I would split by group.", "Still words.", "And words.")
        with pytest.raises(RuntimeError, match="it was told 2 times"):
            await scene.turn("data_scientist")
        assert scene.shown[-1].content.endswith('Answer with the call alone, as JSON: {"name": "seal_holdout", "arguments": {}}')


async def test_one_call_in_vain_is_no_answer_and_two_are(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.ACQUIRE, results={"fetch_data": {}})
        grouped: Line = ("seal_holdout", {"target": "target", "split": "group"})
        scene = Scene(r, grouped, "A column is missing.", grouped, "It cannot be done.")
        assert await scene.turn("data_scientist") == "It cannot be done."
        assert len(of(r.events, RepairAsked)) == 1


async def test_a_call_of_a_tool_that_is_not_there_ends_a_turn_whose_work_is_done(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        strange = '{"name": "baseline", "arguments": {"rows": 3}}'
        scene = Scene(r, AS_TEXT, strange, strange)
        await scene.turn()
        scene.planner.assert_complete()
        assert r.room.state.planned
        assert len(of(r.events, RepairAsked)) == 1


async def test_a_model_of_its_own_is_asked_for_once_and_may_be_declined(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        scored = CandidateFact(
            name="linear-1", family="linear", score=0.9, std_error=0.01, fold_scores=[0.9], stage=Stage.TRAIN, seconds=1.0
        )
        r.enter(Stage.TRAIN, results={"train": {}}, candidates=[scored])
        scene = Scene(r, "The families are scored.", "Nothing can gain more than the noise.")
        assert await scene.turn("engineer") == "Nothing can gain more than the noise."
        (event,) = of(r.events, RepairAsked)
        assert event.problem == "the families are scored, and it has written no model of its own"
        assert "make_model" in str(scene.shown[-1].content)


async def test_a_module_in_a_fence_is_handed_in(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.TRAIN, results={"train": {}})
        scene = Scene(r, "A tree.\n```python\ndef make_model():\n    return 1\n```", "No contract is there yet.", "None.", "None.")
        with pytest.raises(RuntimeError):
            await scene.turn("engineer")
        (called,) = of(r.events, ToolCalled)
        assert (called.tool, called.arguments["idea"]) == ("submit_candidate", "A tree.")
        (recovered,) = of(r.events, CallsRecovered)
        assert recovered.form == "fenced module"


async def test_words_of_its_own_instructions_are_nothing_that_a_model_said(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        (example,) = re.findall(r'and end: "([^"]+)"', roles()["engineer"].prompt)
        r.enter(Stage.OPTIMISE)
        assert await Scene(r, example).turn("engineer") == ECHOED
        assert await Scene(r, f"{example}\n\nNothing is worth tuning.").turn("engineer") == "Nothing is worth tuning."


async def test_words_in_the_form_of_a_briefing_are_words(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        r.enter(Stage.OPTIMISE)
        said = '{"role": "engineer", "text": "Nothing is worth tuning."}\n\nThat is all.'
        assert await Scene(r, said).turn("engineer") == "Nothing is worth tuning.\n\nThat is all."


class Native(DelegatingClient):
    """Answers with calls whose argument texts are just as given."""

    component_provider_override = "tests.Native"

    def __init__(self, *replies: list[tuple[str, str]] | str) -> None:
        super().__init__(PlaybookClient())
        self.replies = list(replies)
        self.requests: list[Sequence[LLMMessage]] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.requests.append(list(messages))
        reply = self.replies.pop(0)
        content: Any = (
            reply if isinstance(reply, str) else [FunctionCall(id=f"n{i}", name=n, arguments=a) for i, (n, a) in enumerate(reply)]
        )
        return CreateResult(finish_reason="stop", content=content, usage=RequestUsage(3, 2), cached=False)


async def create(client: Native, *tools: str, missing: str | None = None) -> CreateResult:
    class Desk:
        def missing(self, role: str) -> str | None:
            return missing

        def example(self, role: str) -> None: ...
        def invitation(self, role: str) -> None: ...
        def recovered(self, *_: object) -> None: ...
        def asked_again(self, *_: object) -> None: ...
        def gave_up(self, *_: object) -> None: ...

    schemas = [{"name": name, "description": "", "parameters": registry()[name].schema()} for name in tools]
    return await RecoveringClient(client, "engineer", Desk()).create([UserMessage(content="Go.", source="conductor")], tools=schemas)


@pytest.mark.parametrize(
    ("name", "arguments", "mended"),
    [
        ("train", '{"families": ["linear"],}', {"families": ["linear"]}),
        ("functions.train", "{'families': ['linear']}", {"families": ["linear"]}),
        ("run_python", "", {}),
        ("run_python", "null", {}),
        ("run_python", '{"code": "print(\\"\\ud83d\\")"}', {"code": 'print("?")'}),
    ],
)
async def test_native_calls_are_mended_and_keep_their_id(name: str, arguments: str, mended: dict[str, Any]) -> None:
    reply = await create(Native([(name, arguments)]), "train", "run_python")
    assert isinstance(reply.content, list)
    (call,) = reply.content
    assert (call.id, json.loads(call.arguments)) == ("n0", mended)
    assert call.name in ("train", "run_python")


async def test_a_good_native_reply_is_handed_on_as_it_came() -> None:
    client = Native([("train", '{"families":  ["linear"]}')])
    reply = await create(client, "train")
    assert reply.content == [FunctionCall(id="n0", name="train", arguments='{"families":  ["linear"]}')]


async def test_native_calls_that_cannot_be_mended_are_asked_for_again_and_every_reply_is_counted() -> None:
    client = Native([("score_holdouts", "{}")], [("score_holdout", "[1]")], [("score_holdout", '{"candidate": "a"}')])
    reply = await create(client, "score_holdout")
    assert [call.name for call in reply.content if isinstance(call, FunctionCall)] == ["score_holdout"]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (9, 6)
    told = [str(messages[-1].content) for messages in client.requests[1:]]
    assert "did you mean score_holdout?" in told[0]
    assert "must be one object, not list" in told[1]


async def test_a_name_that_is_only_like_a_lasting_tool_is_never_taken_for_it() -> None:
    bad = [("ScoreHoldout", '{"candidate": "a"}')]
    with pytest.raises(NoUsableCall, match="write its name exactly"):
        await create(Native(bad, bad, bad), "score_holdout")


def test_only_rounds_at_the_end_that_did_not_fit_are_counted() -> None:
    from autogen_core.models import FunctionExecutionResult

    def round_(content: str, is_error: bool) -> FunctionExecutionResultMessage:
        return FunctionExecutionResultMessage(content=[FunctionExecutionResult(content=content, name="t", call_id="c", is_error=is_error)])

    misfit = round_('{"error": "refused", "detail": "d", "expected": "t()"}', True)
    failed = round_('{"error": "error", "detail": "out of memory"}', True)
    opening = UserMessage(content="Go.", source="conductor")
    assert refused_rounds([misfit, opening, misfit, misfit]) == 2
    assert refused_rounds([opening, misfit, failed]) == 0
    assert refused_rounds([opening, misfit, round_("{}", False), misfit]) == 1


def test_a_model_that_only_talks_leaves_each_step_to_the_playbook_and_the_run_ends_well(tmp_path: Path) -> None:
    class Talker(ScriptedClient):
        async def create(self, messages: Any, **options: Any) -> CreateResult:
            return CreateResult(finish_reason="stop", content="Certainly!", usage=RequestUsage(1, 1), cached=False)

    summary = start(
        Settings(
            source="sklearn:iris",
            target="target",
            time=30,
            families=["linear"],  # quick on any machine, so that every step comes to its fact
            trials=1,
            out=tmp_path,
            model="openai:talker@http://h/v1",
            sandbox={"kind": "unsafe-local"},
        ),
        clients=lambda spec: make_client(spec) if spec == "playbook" else Talker([]),
    )
    assert summary["status"] == "done"
    events = list(read_events(RunDir(Path(summary["run"])).events))
    falls = [event for event in of(events, FellBack) if not event.what]
    assert {event.stage for event in falls} == set(Stage) - {Stage.OPTIMISE}
    assert all("could not be used after 2 repairs: no tool was called" in event.reason for event in falls)
    assert not [event for event in falls if "goes on from here" in event.reason], "a model that answers is asked again in the next step"
    assert summary["fallbacks"] == [event.reason for event in falls]
    failed = [event for event in of(events, TurnEnded) if event.status == "failed"]
    assert len(failed) == len(falls)
