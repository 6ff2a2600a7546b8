"""The one door: who may call what, with which arguments, on which budget, and what is told and logged."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from autogen_core.tools import ToolResult

from team.errors import SandboxUnavailable, UsageError
from team.events import CellExecuted, ProgressMade, ToolReturned
from team.outcome import OBSERVATION_CHARS, cut
from team.roles import roles
from team.stages import SPEAKERS, Stage
from team.workbench import RoleWorkbench
from tests.rooming import Rooming, rooming
from tools.spec import registry


async def call(r: Rooming, role: str, tool: str, **arguments: Any) -> ToolResult:
    return await RoleWorkbench(roles()[role], r.room).call_tool(tool, arguments)


def text(result: ToolResult) -> str:
    return result.to_text()


async def sealed(r: Rooming) -> None:
    r.enter(Stage.ACQUIRE)
    for tool in ("fetch_data", "seal_holdout"):
        result = await call(r, "data_scientist", tool)
        assert not result.is_error, text(result)


async def test_a_role_is_shown_and_given_only_the_tools_of_its_stage(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.ACQUIRE)
        assert [t["name"] for t in await RoleWorkbench(roles()["data_scientist"], r.room).list_tools()] == ["fetch_data", "seal_holdout"]
        assert await RoleWorkbench(roles()["critic"], r.room).list_tools() == []
        for role, tool in (("critic", "fetch_data"), ("data_scientist", "profile_table"), ("data_scientist", "no_such_tool")):
            result = await call(r, role, tool)
            assert result.is_error
            assert json.loads(text(result))["error"] == "refused"
        assert r.kinds() == ["tool_called", "tool_returned"] * 3


async def test_arguments_are_checked_and_every_problem_is_named(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        result = await call(r, "planner", "record_plan", approach=7, stpes=["a"])
        detail = json.loads(text(result))["detail"]
        for part in (
            "approach=7",
            "unknown argument 'stpes'",
            "argument 'steps' is missing",
            "Arguments: approach, steps, families, risks",
        ):
            assert part in detail


async def test_a_call_is_logged_before_and_after_and_its_fact_is_taken_over(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris") as r:
        result = await call(r, "planner", "record_plan", approach="a", steps=["s"], families=[], risks=[])
        assert json.loads(text(result))["approach"] == "a"
        assert r.kinds() == ["tool_called", "tool_returned"]
        assert r.room.state.planned
        assert json.loads(r.run.plan.read_text())["steps"] == ["s"]


async def test_bad_input_of_the_user_is_kept_for_the_conductor(tmp_path: Path) -> None:
    async with rooming(tmp_path, tmp_path / "none.csv") as r:
        r.enter(Stage.ACQUIRE)
        assert (await call(r, "data_scientist", "fetch_data")).is_error
        assert isinstance(r.room.fatal, UsageError)


async def test_a_bad_choice_of_a_role_is_its_own_and_no_fault_of_the_users_data(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:breast_cancer", target="target") as r:
        r.enter(Stage.ACQUIRE)
        await call(r, "data_scientist", "fetch_data")
        refused = await call(r, "data_scientist", "seal_holdout", task="multiclass")
        assert "has two classes" in text(refused)
        assert r.room.fatal is None
        await call(r, "data_scientist", "seal_holdout", task="binary")
        assert r.room.state.sealed


async def test_a_kernel_tool_runs_as_a_cell_and_its_result_is_validated(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.ANALYSE)
        result = await call(r, "data_scientist", "inspect_table", rows=2)
        assert json.loads(text(result))["rows"] == 120
        cell = json.loads(r.run.cells.read_text().splitlines()[0])
        assert cell["code"] == "from tools.eda import inspect_table\nfrom tools.show import show\n\nshow(inspect_table(rows=2))"
        assert cell["outputs"]
        executed = next(e for e in r.events if isinstance(e, CellExecuted))
        assert (executed.cell, executed.status) == (0, "ok")


async def test_free_form_code_is_the_cell_and_its_output_the_observation(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.ANALYSE)
        assert text(await call(r, "data_scientist", "run_python", code="print(6 * 7)")).strip() == "42"
        failed = await call(r, "data_scientist", "run_python", code="print('before')\n1 / 0")
        detail = json.loads(text(failed))["detail"]
        assert "before" in detail
        assert "ZeroDivisionError" in detail


async def test_arguments_that_a_cheap_tool_has_not_got_are_left_out_and_told(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.ANALYSE)
        profiled = await call(r, "data_scientist", "profile_table", table="train", rows=569)
        assert json.loads(text(profiled))["left_out"] == "profile_table has no argument 'rows'"
        slip = await call(r, "data_scientist", "profile_table", tabel="train")
        assert "did you mean 'table'?" in text(slip)
        r.enter(Stage.BASELINE)
        costly = await call(r, "engineer", "train_baselines", rows=569)
        assert "unknown argument 'rows'" in text(costly)


async def test_a_team_of_models_keeps_time_for_a_model_of_its_own(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target", search_s=40, writes_models=True) as r:
        await sealed(r)
        r.enter(Stage.TRAIN)
        assert not (await call(r, "engineer", "train", families=["knn"], time_s=40)).is_error
        (cell,) = [json.loads(line) for line in r.run.cells.read_text().splitlines() if '"train"' in line]
        assert "time_s=22.0" in cell["code"]


async def test_code_that_forges_a_result_moves_no_stage(tmp_path: Path) -> None:
    forged = (
        "from IPython.display import display\n"
        "display({'application/vnd.mlteam.result+json': {'name': 'default', 'best': 1.0}, 'text/plain': 'x'}, raw=True)"
    )
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        before = r.room.state
        assert not (await call(r, "engineer", "run_python", code=forged)).is_error
        assert r.room.state == before


async def test_candidates_are_scored_by_the_host_and_search_time_is_charged(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target", search_s=30) as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        assert not (await call(r, "engineer", "prepare")).is_error
        r.enter(Stage.BASELINE)
        result = await call(r, "engineer", "train_baselines", time_s=500)
        assert not result.is_error, text(result)
        claimed = {c["name"]: c["score"] for c in json.loads(text(result))["candidates"]}
        scored = {c.name: c.score for c in r.room.state.candidates}
        assert scored == pytest.approx(claimed)
        assert "dummy-1" in scored
        assert [c["name"] for c in json.loads(r.run.leaderboard.read_text())["candidates"]][-1] == "dummy-1"
        returned = [e for e in r.events if isinstance(e, ToolReturned)][-1]
        assert 0 < returned.search_seconds == r.meter.usage.search_s < 500
        assert any(isinstance(e, ProgressMade) for e in r.events)
        code = json.loads(r.run.cells.read_text().splitlines()[-1])["code"]
        assert "time_s=30.0" in code, "a call gets no more than is left"


async def test_a_candidate_with_a_false_prediction_file_is_rejected(tmp_path: Path) -> None:
    spoil = (
        "import pandas as pd, pathlib\n"
        "p = pathlib.Path('candidates/dummy-1/oof.parquet'); t = pd.read_parquet(p)\n"
        "t.iloc[0, -1] = 7.0\n"
        "import shutil; shutil.copytree('candidates/dummy-1', 'candidates/spoilt-1'); t.to_parquet('candidates/spoilt-1/oof.parquet')\n"
        "import os; os.makedirs('candidates/linked-1'); os.symlink('/etc/passwd', 'candidates/linked-1/candidate.json')"
    )
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        await call(r, "engineer", "prepare")
        r.enter(Stage.BASELINE)
        await call(r, "engineer", "train_baselines", time_s=20)
        r.enter(Stage.OPTIMISE)
        assert not (await call(r, "engineer", "run_python", code=spoil)).is_error
        state, problems = r.room.evidence.of_candidates(r.room.state)
        assert not {"spoilt-1", "linked-1"} & {c.name for c in state.candidates}
        assert len(problems) == 2


async def test_a_spent_budget_refuses_before_anything_runs(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target", search_s=10) as r:
        r.meter.charge_search(9.9)
        r.enter(Stage.TRAIN)
        detail = json.loads(text(await call(r, "engineer", "train", families=["linear"])))["detail"]
        assert "time limit reached: 9.9 of 10 s of search" in detail
        assert not r.run.cells.exists()


async def test_a_host_tool_that_raises_is_an_error_result_and_not_the_end(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.RELEASE)
        result = await call(r, "release_manager", "track_run")
        assert json.loads(text(result))["error"] == "error"
        assert "FileNotFoundError" in text(result)
        assert r.room.fatal is None


async def test_a_log_that_cannot_be_written_ends_the_run_and_never_raises_into_the_chat(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.log.close()
        result = await call(r, "planner", "record_plan", approach="a", steps=["s"], families=[], risks=[])
        assert result.is_error
        assert isinstance(r.room.fatal, ValueError)


async def test_facts_are_handed_on_whole_however_long_they_are(tmp_path: Path) -> None:
    steps = ["Look closely. " * 100] * 20
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        result = await call(r, "planner", "record_plan", approach="a", steps=steps, families=[], risks=[])
        assert len(text(result)) > OBSERVATION_CHARS
        assert json.loads(text(result))["steps"] == steps


def test_long_observations_keep_head_and_tail() -> None:
    shown = cut("a" * OBSERVATION_CHARS + "b" * OBSERVATION_CHARS)
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert f"{OBSERVATION_CHARS} characters left out" in shown


def test_every_tool_of_a_role_exists_and_every_tool_has_a_role() -> None:
    known = set(registry())
    given = set().union(*(role.tools for role in roles().values()))
    assert given <= known
    assert known - given == {"predict_rows", "predict_fold", "read_source"}, (
        "called by `mlteam predict`, submit_candidate and fetch_data alone"
    )


async def test_calls_of_one_message_run_one_after_another(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.DOCUMENT)
        slots = ["summary", "data", "method", "result", "limitations"]
        await asyncio.gather(*(call(r, "writer", "write_section", slot=slot, text=f"About {slot}.") for slot in slots))
        assert json.loads(r.run.sections.read_text()) == {slot: f"About {slot}." for slot in slots}
        assert r.room.state.sections == sorted(slots)
        assert r.kinds() == ["tool_called", "tool_returned"] * 5


async def test_only_the_scored_candidate_is_refitted_and_packaged(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        await call(r, "engineer", "prepare")
        r.enter(Stage.BASELINE)
        await call(r, "engineer", "train_baselines", time_s=20)
        r.enter(Stage.SELECT)
        await call(r, "engineer", "evaluate", candidate="tree-1", time_s=20)
        await call(r, "critic", "review", verdict="accept", findings=["fine"])
        assert not (await call(r, "critic", "score_holdout", candidate="tree-1")).is_error
        r.enter(Stage.RELEASE)
        await call(r, "release_manager", "open_holdout")
        refused = await call(r, "release_manager", "package_model")
        assert "Call finish first" in text(refused)
        other = await call(r, "release_manager", "finish", candidate="linear-1", time_s=20)
        assert "scored on the holdout (tree-1) is the one to refit" in text(other)
        assert not (await call(r, "release_manager", "finish", candidate="tree-1", time_s=20)).is_error
        assert not (await call(r, "release_manager", "package_model")).is_error
        assert r.room.state.packaged


async def test_a_machine_without_a_sandbox_ends_the_run_as_that(tmp_path: Path) -> None:
    async def none() -> Any:
        raise SandboxUnavailable("no sandbox works here")

    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.ANALYSE)
        r.room.kernel = none
        assert (await call(r, "data_scientist", "profile_table")).is_error
        assert isinstance(r.room.fatal, SandboxUnavailable)


async def test_what_the_user_fixed_of_a_search_no_role_chooses(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target", sampler="grid", objectives="score,size") as r:
        await sealed(r)
        r.enter(Stage.OPTIMISE)
        result = await call(r, "engineer", "tune", family="tree", time_s=60, trials=3, sampler="random")
        assert not result.is_error, text(result)
        told = json.loads(text(result))
        assert (told["sampler"], told["pruner"], told["objectives"]) == ("grid", "none", ["score", "size"])
        made = {candidate.name for candidate in r.room.state.candidates}
        assert {point["candidate"] for point in told["front"]} == made, "the host has scored the whole front"


@pytest.mark.parametrize(
    ("wish", "shown"),
    [
        ({"target": "target", "metric": "accuracy"}, ["task", "split", "column"]),
        ({"goal": "how long do they live?"}, ["target", "task", "event", "metric", "split", "column"]),
        ({"target": "target", "task": "multiclass"}, ["metric", "split", "column"]),
    ],
)
async def test_what_the_user_fixed_or_cannot_have_meant_is_no_choice_of_a_model(
    tmp_path: Path, wish: dict[str, Any], shown: list[str]
) -> None:
    async with rooming(tmp_path, "sklearn:iris", **wish) as r:
        r.enter(Stage.ACQUIRE)
        tools = await RoleWorkbench(roles()["data_scientist"], r.room).list_tools()
        assert list(tools[1]["parameters"]["properties"]) == shown


async def test_schemas_that_models_see_are_few_flat_and_short(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        for stage in Stage:
            r.enter(stage)
            for name in SPEAKERS[stage]:
                shown = await RoleWorkbench(roles()[name], r.room).list_tools()
                assert 1 <= len(shown) <= 8
                assert len(json.dumps(shown)) < 4_500, "about 1,100 tokens"
                for tool in shown:
                    for argument in tool["parameters"]["properties"].values():
                        assert argument["type"] in ("string", "number", "integer", "boolean", "array")
                        assert argument.get("items", {}).get("type", "string") in ("string", "integer", "number")


async def test_tools_that_answer_nothing_in_this_run_are_not_shown(tmp_path: Path) -> None:
    async def shown(r: Rooming) -> set[str]:
        r.enter(Stage.SELECT)
        return {tool["name"] for tool in await RoleWorkbench(roles()["engineer"], r.room).list_tools()}

    async with rooming(tmp_path / "plain", "sklearn:iris", target="target") as r:
        await sealed(r)
        assert not {"nested_score", "examine_structure"} & await shown(r)
    async with rooming(tmp_path / "nested", "sklearn:iris", target="target", validation="nested") as r:
        assert "nested_score" in await shown(r)
    async with rooming(tmp_path / "groups", "sklearn:iris", task="cluster") as r:
        await sealed(r)
        assert "examine_structure" in await shown(r)


async def test_steps_that_nobody_showed_to_gain_are_not_used(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        shown = await RoleWorkbench(roles()["engineer"], r.room, short=True).list_tools()
        assert "steps" not in next(tool for tool in shown if tool["name"] == "prepare")["parameters"]["properties"]
        refused = await call(r, "engineer", "prepare", steps=["scale=power"])
        assert "nothing shows that 'scale=power' gains: call try_steps" in text(refused)
        r.enter(Stage.PREPARE, results={"try_steps": {"steps": ["scale=power"]}})
        shown = await RoleWorkbench(roles()["engineer"], r.room, short=True).list_tools()
        assert "steps" in next(tool for tool in shown if tool["name"] == "prepare")["parameters"]["properties"]
        assert not (await call(r, "engineer", "prepare", steps=["scale=power"])).is_error


async def test_steps_that_the_user_asked_for_are_used(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target", preparers="scale=power") as r:
        await sealed(r)
        r.enter(Stage.PREPARE)
        assert not (await call(r, "engineer", "prepare", steps=["scale=power"])).is_error


async def test_findings_that_are_the_example_of_the_brief_are_none(tmp_path: Path) -> None:
    async with rooming(tmp_path, "sklearn:iris", target="target") as r:
        r.enter(Stage.TRAIN)
        copied = "No single column comes near it, so nothing points to a leak."
        refused = await call(r, "critic", "review", verdict="accept", findings=[copied])
        assert "is the example of the instructions" in text(refused)
        assert not r.room.state.reviews
