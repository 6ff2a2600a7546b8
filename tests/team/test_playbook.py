"""The playbook decides by the messages alone: the same transcript, the same answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from team.playbook import PlaybookClient
from team.playbook.paper import conclusion, introduction
from team.playbook.transcript import NotABriefing
from team.roles import roles

CONTRACT = {
    "task": "binary",
    "target": "y",
    "metric": "roc_auc",
    "direction": "maximize",
    "rows_train": 5000,
    "rows_holdout": 1000,
    "folds": 5,
    "features": 9,
    "split": {"kind": "stratified", "column": None},
    "scheme": "5 folds into which every class is dealt evenly; because the target holds classes",
}


def request(
    role: str, stage: str, done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] | None = None, **facts: Any
) -> list[LLMMessage]:
    """A request as the group sends it; `done` holds (tool, arguments, result), the result a text when the call failed."""
    base = {
        "stage": stage,
        "visit": 1,
        "turn": 1,
        "run": "r",
        "reviewed": False,
        "wish": {"source": "a.csv", "target": "y", "goal": None, "metric": None},
        "budget": {"search_seconds": 60, "search_seconds_left": 40, "trials": None, "trials_left": None},
        "contract": CONTRACT,
    } | facts
    messages: list[LLMMessage] = [
        SystemMessage(content=roles()[role].system_message),
        UserMessage(content=f"[stage {stage}]\n```json\n{json.dumps(base)}\n```", source="conductor"),
    ]
    for k, (tool, arguments, result) in enumerate(done or []):
        call = FunctionCall(id=f"c{k}", name=tool, arguments=json.dumps(arguments))
        failed = isinstance(result, str)
        content = json.dumps({"error": "error", "detail": result} if failed else result)
        messages += [
            AssistantMessage(content=[call], source=role),
            FunctionExecutionResultMessage(content=[FunctionExecutionResult(content=content, name=tool, call_id=f"c{k}", is_error=failed)]),
        ]
    return messages


async def answer(*args: Any, **facts: Any) -> CreateResult:
    return await PlaybookClient().create(request(*args, **facts))


def called(result: CreateResult) -> tuple[str, dict[str, Any]]:
    assert isinstance(result.content, list), f"said instead of called: {result.content}"
    return result.content[0].name, json.loads(result.content[0].arguments)


def board(**families: tuple[float, float]) -> dict[str, Any]:
    order = sorted(families, key=lambda f: -families[f][0])
    best = {f: {"name": f"{f}-1", "score": families[f][0], "std_error": families[f][1], "seconds": 1} for f in order}
    return {"best_of_family": best, "leaderboard": [{"name": f"{f}-1", "family": f, **best[f]} for f in order]}


async def test_the_same_request_gets_the_same_answer_from_another_client() -> None:
    first = await answer("engineer", "train", **board(dummy=(0.5, 0), linear=(0.8, 0.01)))
    again = await answer("engineer", "train", **board(dummy=(0.5, 0), linear=(0.8, 0.01)))
    assert first == again
    assert first.thought
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (0, 0)


async def test_without_a_briefing_it_refuses() -> None:
    with pytest.raises(NotABriefing):
        await PlaybookClient().create([UserMessage(content="hello", source="user")])


async def test_the_planner_records_a_plan_once() -> None:
    tool, arguments = called(await answer("planner", "plan"))
    assert tool == "record_plan"
    assert "'y'" in arguments["approach"]
    said = await answer("planner", "plan", [(tool, arguments, arguments)])
    assert said.content == arguments["approach"]


@pytest.mark.parametrize(("names", "target"), [(["a", "Class", "z"], "Class"), (["a", "b", "z"], "z")])
async def test_the_data_scientist_finds_a_target_and_says_how_sure_it_is(names: list[str], target: str) -> None:
    table = {"rows": 9, "columns": 3, "table": [{"name": n} for n in names]}
    wish = {"source": "a.csv", "target": None, "goal": None, "metric": None}
    result = await answer("data_scientist", "acquire", [("fetch_data", {}, table)], wish=wish)
    assert called(result) == ("seal_holdout", {"target": target})
    assert result.thought is not None
    assert ("high confidence" in result.thought) == (target == "Class")


async def test_the_data_scientist_takes_the_surest_guess_and_splits_by_what_was_found() -> None:
    group = {"column": "who", "kind": "group", "confidence": 0.85, "reasons": "is named like a key"}
    doubtful = {"column": "day", "kind": "time", "confidence": 0.5, "reasons": "holds moments"}
    guesses = [{"column": c, "confidence": p, "reasons": "stands last"} for c, p in (("z", 0.5), ("b", 0.3))]
    table = {"rows": 9, "columns": 3, "table": [{"name": n} for n in "abz"], "targets": guesses, "orderings": [group, doubtful]}
    wish = {"source": "a.csv", "target": None, "goal": None, "metric": None}
    result = await answer("data_scientist", "acquire", [("fetch_data", {}, table)], wish=wish)
    assert called(result) == ("seal_holdout", {"target": "z", "split": "group", "column": "who"})
    assert "little confidence (50%): stands last. Next would be 'b'" in str(result.thought)
    refused = [("fetch_data", {}, table), ("seal_holdout", called(result)[1], "one class is left")]
    assert called(await answer("data_scientist", "acquire", refused, wish=wish)) == ("seal_holdout", {"target": "z"})
    for other in ({"task": "forecast"}, {"validation": "loo"}):
        asked = called(await answer("data_scientist", "acquire", [("fetch_data", {}, table)], wish={**wish, **other}))
        assert asked == ("seal_holdout", {"target": "z"})


async def test_a_gate_that_fails_stands_in_the_profile_and_in_the_review() -> None:
    gates = [{"gate": "single feature", "verdict": "fail", "evidence": "'x' alone reaches ROC AUC 1."}, {"gate": "a", "verdict": "pass"}]
    profile = {"profiles": [], "warnings": [], "gates": gates, "scorecard": [{"aspect": "overall", "grade": 88}]}
    said = await answer("data_scientist", "analyse", [("profile_table", {}, profile)])
    assert "1 of the 2 gates for leaks that apply are passed. “single feature” fails: 'x' alone" in str(said.content)
    assert "graded 88 of 100" in str(said.content)
    facts = board(lightgbm=(0.9, 0.01), dummy=(0.5, 0)) | {"failed_gates": {"single feature": "'x' alone reaches ROC AUC 1."}}
    findings = called(await answer("critic", "train", **facts))[1]["findings"]
    assert "The gate for leaks “single feature” fails: 'x' alone reaches ROC AUC 1." in findings


async def test_many_rows_are_not_given_to_forests_and_every_table_gets_more_than_one_linear_model() -> None:
    few = called(await answer("engineer", "train", contract={**CONTRACT, "rows_train": 150}))[1]["families"]
    many = called(await answer("engineer", "train", contract={**CONTRACT, "rows_train": 500_000}))[1]["families"]
    assert {"catboost", "mlp", "linear"} <= set(few)
    assert "linear" in many
    assert "random_forest" not in many
    assert "lightgbm" in many


async def test_where_baselines_alone_may_be_trained_they_get_a_configuration_that_is_new() -> None:
    trials = {"search_seconds": 60, "search_seconds_left": 40, "trials": 2, "trials_left": 2}
    interpretable = {**CONTRACT, "constraints": {"interpretable": True}}
    tool, arguments = called(await answer("engineer", "train", contract=interpretable, budget=trials))
    assert (tool, arguments["families"], arguments["per_family"]) == ("train", ["sparse_linear", "linear", "tree"], 2)
    patients = {**interpretable, "task": "survival", "metric": "c_index"}
    arguments = called(await answer("engineer", "train", contract=patients, budget=trials))[1]
    assert (arguments["families"], arguments["per_family"]) == (["coxnet"], 2)
    assert called(await answer("engineer", "train", budget=trials))[1]["per_family"] == 1
    late = {**trials, "trials": None, "search_seconds_left": 1.2}
    said = await answer("engineer", "train", budget=late)
    assert "no time left" in str(said.content), "the share of it would be less than a call may ask for"


async def test_only_families_that_lead_are_tuned() -> None:
    facts = board(lightgbm=(0.90, 0.005), catboost=(0.899, 0.005), random_forest=(0.80, 0.005), dummy=(0.5, 0))
    tool, arguments = called(await answer("engineer", "optimise", **facts))
    assert (tool, arguments["family"]) == ("tune", "lightgbm")
    tuned = {
        "candidate": {"name": "t", "score": 0.91},
        "gain": 0.01,
        "gain_std_error": 0.001,
        "trials_done": 5,
        "trials_pruned": 1,
        "seconds": 10,
    }
    second = called(await answer("engineer", "optimise", [("tune", arguments, tuned)], **facts))
    assert second[1]["family"] == "catboost"
    said = await answer("engineer", "optimise", [("tune", arguments, tuned), ("tune", second[1], tuned)], **facts)
    assert isinstance(said.content, str)
    assert "lightgbm: 6 trials (1 stopped early)" in said.content


async def test_nothing_is_tuned_when_the_ensemble_needs_the_time() -> None:
    budget = {"search_seconds": 60, "search_seconds_left": 8, "trials": None, "trials_left": None}
    said = await answer("engineer", "optimise", budget=budget, **board(lightgbm=(0.9, 0.01)))
    assert isinstance(said.content, str)
    assert "nothing is tuned" in said.content


async def test_trials_are_shared_out_and_never_exceeded() -> None:
    facts = board(lightgbm=(0.90, 0.005), catboost=(0.899, 0.005))
    budget = {"search_seconds": 600, "search_seconds_left": 600, "trials": 8, "trials_left": 8}
    _, first = called(await answer("engineer", "optimise", budget=budget, **facts))
    assert 1 <= first["trials"] <= 8
    budget["trials_left"] = 1
    assert called(await answer("engineer", "optimise", budget=budget, **facts))[1]["trials"] == 1


async def test_the_blend_is_evaluated_only_where_it_is_recommended() -> None:
    facts = board(lightgbm=(0.90, 0.005), catboost=(0.899, 0.005))
    tool, arguments = called(await answer("engineer", "select", **facts))
    assert tool == "ensemble"
    blend = {
        "candidate": {"name": "ensemble", "score": 0.91},
        "members": [{"name": "lightgbm-1", "weight": 0.5}, {"name": "catboost-1", "weight": 0.5}],
        "best_single": "lightgbm-1",
        "best_single_score": 0.90,
        "gain": 0.01,
        "gain_std_error": 0.001,
        "recommended": "ensemble",
        "refit_seconds": 3,
        "seconds": 2,
    }
    for recommended in ("ensemble", "lightgbm-1"):
        done = [(tool, arguments, {**blend, "recommended": recommended})]
        tool_called, given = called(await answer("engineer", "select", done, **facts))
        assert (tool_called, given["candidate"]) == ("evaluate", recommended)
        assert 5 < given["time_s"] < 20
    failed = [(tool, arguments, blend), ("evaluate", {"candidate": "ensemble"}, "out of memory")]
    assert called(await answer("engineer", "select", failed, **facts))[1]["candidate"] == "lightgbm-1"


SLICES: dict[str, Any] = {
    "candidate": "lightgbm-1",
    "loss": "log loss",
    "looked_at": 1234,
    "metric": "roc_auc",
    "score_overall": 0.9,
    "slices": [{"conditions": ["age > 60", "plan = 'basic'"], "loss": 0.8, "loss_elsewhere": 0.3, "rows": 210, "score": 0.71}],
}
STANDINGS: dict[str, Any] = {
    "leader": "lightgbm-1",
    "level": 0.05,
    "pairs": 3,
    "rivals": [{"name": "linear-1", "score": 0.89, "apart": False}, {"name": "dummy-1", "score": 0.5, "apart": True}],
    "alike": ["linear-1"],
}
NESTED: dict[str, Any] = {
    "metric": "roc_auc",
    "folds": 5,
    "nested": 0.88,
    "flat": 0.9,
    "optimism": 0.02,
    "picks": [{"fold": 0, "family": "lightgbm"}, {"fold": 1, "family": "catboost"}],
}
CURVE: dict[str, Any] = {
    "candidate": "lightgbm-1",
    "metric": "roc_auc",
    "gain": 0.012,
    "low": 0.005,
    "high": 0.02,
    "level": 0.9,
    "verdict": "likely",
}


async def test_without_a_candidate_there_is_none_to_hand_over() -> None:
    for facts in ({}, {"leaderboard": []}):
        said = await answer("engineer", "select", **facts)
        assert said.content == "No candidate was done before the time of the search was over, so there is none to hand over."


async def test_the_critic_accepts_before_it_looks_at_the_holdout() -> None:
    facts = board(lightgbm=(0.9, 0.005), dummy=(0.5, 0.0)) | {"evaluated": ["lightgbm-1"], "may_send_back_to": ["train"]}
    floor = board(dummy=(0.5, 0.0)) | {"evaluated": ["dummy-1"], "may_send_back_to": []}
    assert called(await answer("critic", "select", **floor))[0] == "review", (
        "a model that ignores the columns fails in no part of the table"
    )
    assert called(await answer("critic", "select", **facts)) == ("find_slices", {"candidate": "lightgbm-1", "time_s": 5.0})
    searched = ("find_slices", {"candidate": "lightgbm-1"}, SLICES)
    assert called(await answer("critic", "select", [searched], **facts)) == ("compare_models", {"leader": "lightgbm-1"})
    compared = ("compare_models", {"leader": "lightgbm-1"}, STANDINGS)
    tool, arguments = called(await answer("critic", "select", [searched, compared], **facts))
    assert (tool, arguments["verdict"]) == ("review", "accept")
    told = "It errs most where age > 60 and plan = 'basic', 210 rows: "
    test = "By the corrected t-test over folds (5% for all 3 pairs), lightgbm-1"
    assert arguments["findings"][-2:] == [
        f"{told}ROC AUC 0.71 there, 0.9 on all tested rows.",
        f"{test} cannot be told apart from the best of 1 of 2 other families: linear-1 (0.89).",
    ]
    better = {**SLICES, "slices": [{**SLICES["slices"][0], "score": 0.95}]}
    alone = ("compare_models", {}, {**STANDINGS, "alike": []})
    _, other = called(await answer("critic", "select", [("find_slices", {}, better), alone], **facts))
    assert other["findings"][-2:] == [
        f"{told}log loss 0.8 there, 0.3 elsewhere.",
        f"{test} can be told apart from the best of every other family.",
    ]
    accepted = [searched, compared, ("review", arguments, {**arguments, "back_to": None})]
    assert called(await answer("critic", "select", accepted, **facts)) == ("score_holdout", {"candidate": "lightgbm-1"})


async def test_a_search_for_slices_that_fails_or_finds_none_keeps_no_review_back() -> None:
    facts = board(lightgbm=(0.9, 0.005), dummy=(0.5, 0.0)) | {"evaluated": ["lightgbm-1"], "may_send_back_to": []}
    for result in ("80 validated rows are too few", {**SLICES, "slices": []}):
        done = [("find_slices", {}, result), ("compare_models", {}, "the predictions of 'dummy-1' cannot be read any more")]
        tool, arguments = called(await answer("critic", "select", done, **facts))
        assert (tool, arguments["verdict"]) == ("review", "accept")
        assert any("1,234 were looked at" in finding for finding in arguments["findings"]) == isinstance(result, dict)


async def test_nested_validation_is_asked_for_where_the_user_did_and_told() -> None:
    wish = {"source": "a.csv", "target": "y", "goal": None, "metric": None, "validation": "nested"}
    facts = board(lightgbm=(0.90, 0.005), catboost=(0.89, 0.005), linear=(0.8, 0.01), tree=(0.7, 0.01), dummy=(0.5, 0)) | {"wish": wish}
    done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [
        ("ensemble", {}, "no"),
        ("evaluate", {"candidate": "lightgbm-1"}, {"candidate": "lightgbm-1"}),
    ]
    asked = called(await answer("engineer", "select", done, **facts))
    assert asked == ("nested_score", {"families": ["lightgbm", "catboost", "linear"], "time_s": 60.0})
    after = called(await answer("engineer", "select", [*done, ("nested_score", {}, NESTED)], **facts))
    assert after[0] == "learning_curve"
    holdout = {"candidate": "lightgbm-1", "score": 0.9, "low": 0.85, "high": 0.94, "level": 0.95, "n": 100, "looks": 1}
    facts |= {"holdout": holdout, "nested_score": NESTED}
    _, arguments = called(
        await answer("writer", "document", [("write_section", {"slot": s}, {}) for s in ("summary", "data", "method")], **facts)
    )
    assert "ROC AUC 0.88 on rows that had no part in it; its own cross-validation says 0.9, 0.02 better" in arguments["text"]


async def test_examining_gets_a_small_share_of_the_search_and_nothing_where_trials_decide() -> None:
    facts = board(lightgbm=(0.90, 0.005)) | {"ensemble": None}
    done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [("evaluate", {"candidate": "lightgbm-1"}, {"candidate": "lightgbm-1"})]

    def budget(seconds: float, trials: int | None = None) -> dict[str, Any]:
        return {"search_seconds": seconds, "search_seconds_left": 0, "trials": trials, "trials_left": trials}

    for seconds, given in ((60, 3.0), (3600, 12.0)):
        asked = called(await answer("engineer", "select", done, **facts, budget=budget(seconds)))
        assert asked == ("learning_curve", {"candidate": "lightgbm-1", "time_s": given})
    for without in (budget(600, trials=3), budget(12)):
        assert isinstance((await answer("engineer", "select", done, **facts, budget=without)).content, str)
    explained = called(await answer("engineer", "select", [*done, ("learning_curve", {}, CURVE)], **facts, budget=budget(240)))
    assert explained == ("explain", {"candidate": "lightgbm-1", "time_s": 12.0})
    both: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [*done, ("learning_curve", {}, CURVE), ("explain", {}, "no time")]
    assert isinstance((await answer("engineer", "select", both, **facts, budget=budget(240))).content, str)
    drawn = await answer("engineer", "select", [*done, ("learning_curve", {}, CURVE)], **facts, budget=budget(60))
    assert str(drawn.content).endswith("Twice the rows are likely to gain about 0.012 in ROC AUC (90% interval 0.005 to 0.02).")
    refused = await answer("engineer", "select", [*done, ("learning_curve", {}, "too few rows")], **facts, budget=budget(60))
    assert str(refused.content).endswith("nobody has compared them with anything yet.")


@pytest.mark.parametrize(
    ("split", "data", "limits"),
    [
        ({"kind": "random"}, "a row, at random.", "The split is random: if"),
        ({"kind": "stratified"}, "a row, at random within classes.", "The split is random within classes: if"),
        ({"kind": "group", "column": "ward"}, "a row, in whole groups of 'ward'.", "The split keeps 'ward' apart"),
        ({"kind": "time", "column": "day"}, "a row, the latest by 'day'.", "The holdout is the latest part by 'day'"),
        ({"kind": "given"}, "a row, those that the source itself keeps for it.", "The split is the source's own: if"),
    ],
)
def test_the_writer_has_words_for_every_split_and_every_slot(split: dict[str, Any], data: str, limits: str) -> None:
    from team.playbook.writer import sections

    holdout = {"candidate": "ensemble", "n": 100, "score": 0.88, "low": 0.85, "high": 0.94, "level": 0.95, "looks": 1}
    profile = {
        "profiles": [{"column": "age", "kind": "numeric", "missing": 0.2}, {"column": "plan", "kind": "categorical", "missing": 0.0}],
        "warnings": [{"message": "'plan' holds one value and says nothing"}],
        "insights": ["Values may be missing at random (Little's test, p = 0.4)."],
        "scorecard": [{"aspect": "overall", "grade": 90}, {"aspect": "balance", "grade": 71}, {"aspect": "validity", "grade": 100}],
    }
    facts = board(ensemble=(0.9, 0.005), lightgbm=(0.89, 0.005), linear=(0.85, 0.01), dummy=(0.5, 0))
    facts |= {"holdout": holdout, "profile_table": profile, "strongest_columns": [{"column": "age", "association": 0.7}]}
    facts["leaderboard"][0]["name"] = holdout["candidate"]
    contract = {"target": "paid", "metric": "roc_auc", "direction": "maximize", "task": "binary", "positive": "yes", "features": 2}
    sealed = {"split": {"column": None, **split}, "classes": ["no", "yes"], "rows_train": 400, "rows_holdout": 100}
    facts["contract"] = {**contract, **sealed, "folds": 5, "scheme": "5 folds; because nothing ties rows together"}
    facts["wish"] = {"source": "/home/me/loans.csv", "target": "paid", "goal": None, "metric": None}
    made = sections(facts)
    assert f"{data} Of the 2 columns beside the target, 1 is numeric and 1 is categorical." in made["data"]
    assert "Values are missing in 1 of them: 'age' (20%). Values may be" in made["data"]
    assert made["data"].endswith("Of its grades for quality the lowest is “balance”, 71.")
    assert made["limitations"].startswith(limits)
    assert "'age' tells most about the target: make sure that it is known" in made["limitations"]
    assert "a random row of class 'yes' is ranked above a random one of class 'no'" in made["summary"]
    assert "from 2 columns of loans.csv." in made["introduction"]
    assert "the ensemble, reaches ROC AUC 0.88" in made["abstract"]
    assert "ROC AUC is 0.02 lower than in cross-validation, which is worse" in made["discussion"]
    assert not any("roc_auc" in text or "/home" in text for text in made.values())


async def test_the_writer_tells_what_is_known_of_the_candidate_that_was_scored() -> None:
    holdout = {"candidate": "lightgbm-1", "n": 100, "score": 0.9, "low": 0.85, "high": 0.94, "level": 0.95, "looks": 1}
    facts = board(lightgbm=(0.9, 0.005)) | {"holdout": holdout, "find_slices": SLICES, "learning_curve": {**CURVE, "candidate": "other"}}
    done = [("write_section", {"slot": slot}, {}) for slot in ("summary", "data", "method", "result")]
    tool, arguments = called(await answer("writer", "document", done, **facts))
    assert (tool, arguments["slot"]) == ("write_section", "limitations")
    assert "It errs most where age > 60 and plan = 'basic'" in arguments["text"]
    assert "Twice the rows" not in arguments["text"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"task": "multilabel", "classes": ["red", "big"]}, "predicting the labels 'red' and 'big' reaches"),
        ({"task": "forecast"}, "forecasting 'y' reaches"),
        ({"task": "survival", "event": "died"}, "ranking rows by the risk of 'died' reaches"),
    ],
)
async def test_the_writer_names_what_was_predicted_as_the_task_has_it(task: dict[str, Any], said: str) -> None:
    holdout = {"candidate": "lightgbm-1", "n": 100, "score": 0.9, "low": 0.85, "high": 0.94, "level": 0.95, "looks": 1}
    facts = board(lightgbm=(0.9, 0.005)) | {"holdout": holdout}
    facts["contract"] = CONTRACT | {"target": "y"} | task
    _, summary = called(await answer("writer", "document", [], **facts))
    assert said in summary["text"]
    _, data = called(await answer("writer", "document", [("write_section", {"slot": "summary"}, {})], **facts))
    assert data["slot"] == "data"


@pytest.mark.parametrize(
    ("families", "told"),
    [
        ({"lightgbm": 2.0, "linear": 3.0}, "Where a model that a person can read matters, linear-1 cannot be told apart"),
        ({"lightgbm": 2.0, "catboost": 0.5}, "Where a quicker answer matters, catboost-1 cannot be told apart"),
        ({"lightgbm": 2.0, "catboost": 1.95}, ""),
        ({"linear": 0.5, "lightgbm": 9.0}, ""),
    ],
)
def test_another_model_is_offered_only_for_what_speaks_for_it(families: dict[str, float], told: str) -> None:
    """Milliseconds for a row by family; the first one leads."""
    facts = board(**{family: (0.9 - 0.001 * place, 0.005) for place, family in enumerate(families)})
    for row in facts["leaderboard"]:
        row["latency_ms"] = families[row["family"]]
    leader, *alike = [f"{family}-1" for family in families]
    holdout = {"candidate": leader, "n": 100, "score": 0.9, "low": 0.85, "high": 0.94, "level": 0.95, "looks": 1}
    said = conclusion(facts | {"contract": CONTRACT, "holdout": holdout, "compare_models": {"leader": leader, "alike": alike}})
    assert told in said
    assert bool(told) == ("may be taken instead" in said)


async def test_a_forecast_is_asked_and_concluded_as_one() -> None:
    ahead = {"time": "month", "series": ["city"], "horizon": 12, "known": []}
    contract = CONTRACT | {"task": "forecast", "target": "sales", "metric": "wape", "direction": "minimize", "forecast": ahead}
    strongest = [{"column": "city", "association": 0.9}]
    asked = introduction(
        board(seasonal_naive=(0.1, 0.01))
        | {"contract": contract, "wish": {"source": "houses.csv", "metric": "wape"}, "strongest_columns": strongest},
        "",
    )
    assert "what 'sales' will be in the next 12 steps, for each series by 'city', told from its own past in the series" in asked
    assert "Of the columns alone" not in asked


async def test_what_is_planned_can_be_done_where_no_column_is_predicted() -> None:
    wish = {"source": "a.csv", "target": None, "goal": None, "metric": None, "task": "cluster"}
    _, plan = called(await answer("planner", "plan", wish=wish, contract={}))
    assert not any("Blend" in step or "answer away" in step for step in plan["steps"])
    assert not any("outcome" in risk for risk in plan["risks"])


async def test_a_dummy_that_was_selected_is_called_what_it_is() -> None:
    holdout = {"candidate": "dummy-1", "n": 100, "score": 0.5, "low": 0.5, "high": 0.5, "level": 0.95, "looks": 1}
    _, summary = called(await answer("writer", "document", [], **board(dummy=(0.5, 0.0)) | {"holdout": holdout}))
    assert summary["text"].endswith("It is a model that ignores the columns: no other was finished, or none was better.")


async def test_a_score_that_a_dummy_may_have_too_is_told_as_no_skill() -> None:
    holdout = {"candidate": "tree-1", "n": 50, "score": 0.52, "low": 0.4, "high": 0.6, "level": 0.95, "looks": 1}
    leads = board(dummy=(0.5, 0.0), tree=(0.55, 0.02))
    _, unsure = called(await answer("writer", "document", [], **leads | {"holdout": holdout}))
    assert "do not show that anything was learnt from the columns" in unsure["text"]
    _, sure = called(await answer("writer", "document", [], **leads | {"holdout": holdout | {"low": 0.51}}))
    assert "do not show" not in sure["text"]
    _, worse = called(await answer("writer", "document", [], **leads | {"holdout": holdout | {"score": 0.3, "low": 0.2, "high": 0.45}}))
    assert "All of the interval is worse" in worse["text"]
    assert "All of the interval" not in sure["text"] + unsure["text"]


async def test_the_critic_looks_at_nothing_before_there_are_predictions() -> None:
    said = await answer("critic", "select", **board(lightgbm=(0.9, 0.005)))
    assert isinstance(said.content, str)


async def test_the_critic_sends_back_when_only_baselines_work_and_time_is_left() -> None:
    facts = board(linear=(0.6, 0.01), dummy=(0.5, 0.0)) | {"may_send_back_to": ["prepare", "train"]}
    tool, arguments = called(await answer("critic", "train", **facts))
    assert (tool, arguments["verdict"], arguments["back_to"]) == ("review", "send_back", "train")
    bounded = await answer("critic", "train", **(facts | {"may_send_back_to": []}))
    assert called(bounded)[1]["verdict"] == "accept"


async def test_the_release_manager_packages_the_candidate_that_was_scored() -> None:
    holdout = {"holdout": {"candidate": "ensemble"}, "ensemble": {"candidate": {"name": "ensemble"}, "refit_seconds": 5}}
    done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = []
    order = []
    for _ in range(5):
        tool, arguments = called(await answer("release_manager", "release", done, **holdout))
        order.append(tool)
        done.append((tool, arguments, {"rows": 10, "store": "mlflow.db"}))
        assert tool != "finish" or arguments == {"candidate": "ensemble", "time_s": 7.5}
    assert order == ["open_holdout", "finish", "export_model", "package_model", "track_run"]


async def test_the_release_manager_goes_on_to_what_the_user_asked_for_and_tells_what_did_not_work() -> None:
    facts = {"holdout": {"candidate": "c"}, "asked_for": ["register_model", "publish_run"]}
    done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [
        (tool, {}, {"rows": 10}) for tool in ("open_holdout", "finish", "package_model")
    ]
    done.append(("track_run", {}, "the server is on fire"))
    assert called(await answer("release_manager", "release", done, **facts)) == ("register_model", {})
    done.append(("register_model", {}, {"name": "m", "version": "2", "alias": "challenger", "why": "no difference beyond chance"}))
    assert called(await answer("release_manager", "release", done, **facts)) == ("publish_run", {})
    done.append(("publish_run", {}, {"branch": "exp/r", "tag": "v0.2.0", "pull_request": "http://forge/1"}))
    said = str((await answer("release_manager", "release", done, **facts)).content)
    assert said == (
        "c is refitted on all 10 rows and packaged in model/. The tracker did not take the run: the server is on fire."
        " It is version 2 of m, challenger (no difference beyond chance). The run is on branch exp/r, tagged v0.2.0, proposed as http://forge/1."
    )


async def test_a_model_that_cannot_be_exported_is_packaged_all_the_same() -> None:
    done = [("open_holdout", {}, {"rows": 10}), ("finish", {}, {"seconds": 1}), ("export_model", {}, "the kernel died")]
    assert called(await answer("release_manager", "release", done, holdout={"candidate": "c"})) == ("package_model", {})


@pytest.mark.parametrize(
    ("tracked", "said"),
    [
        ({}, "The run is on record in mlflow.db."),
        ({"server": "http://host:1"}, "The run is on record in mlflow.db and on http://host:1."),
        (
            {"server": "http://host:1", "kept": "outbox/tracker.json", "why": "it answered 500"},
            "http://host:1 did not take it (it answered 500), so the record waits in outbox/tracker.json.",
        ),
        (
            {"server": "wandb, http://host:1", "waits": ["http://host:1"], "kept": "outbox/tracker.json", "why": "it answered 500"},
            "http://host:1 did not take it (it answered 500), so the record waits in outbox/tracker.json.",
        ),
    ],
)
async def test_the_release_manager_says_who_has_the_record(tracked: dict[str, Any], said: str) -> None:
    done = [(tool, {}, {"rows": 10}) for tool in ("open_holdout", "finish", "package_model")]
    answered = await answer(
        "release_manager", "release", [*done, ("track_run", {}, {"store": "mlflow.db", **tracked})], holdout={"candidate": "c"}
    )
    assert str(answered.content).endswith(said)


@pytest.mark.parametrize(
    ("role", "stage", "tool"),
    [
        ("planner", "plan", "record_plan"),
        ("data_scientist", "analyse", "profile_table"),
        ("engineer", "train", "train"),
        ("writer", "document", "build_report"),
    ],
)
async def test_a_failed_tool_is_told_and_not_repeated_for_ever(role: str, stage: str, tool: str) -> None:
    said = await answer(role, stage, [(tool, {}, "Thread 0x00007fb3 (most recent call first):\n  File 'a.py'\nthe disk is on fire")])
    assert isinstance(said.content, str)
    assert "the disk is on fire" in said.content
    assert "Thread" not in said.content


async def test_a_refit_that_needs_longer_gets_longer_once() -> None:
    facts = {"holdout": {"candidate": "c"}, "leaderboard": [{"name": "c", "seconds": 1.0}]}
    opened = ("open_holdout", {}, {"rows": 10})
    tool, first = called(await answer("release_manager", "release", [opened], **facts))
    failed = (tool, first, "'c' could not be fitted in 4 s; give finish a larger time_s.")
    tool, second = called(await answer("release_manager", "release", [opened, failed], **facts))
    assert (tool, second["candidate"]) == ("finish", "c")
    assert second["time_s"] > 2 * first["time_s"]
    again = (tool, second, "'c' could not be fitted in 20 s; give finish a larger time_s.")
    scored = called(await answer("release_manager", "release", [opened, failed, again], **facts))
    assert scored == ("package_model", {"as_scored": True})


async def test_a_family_of_a_package_joins_the_portfolio_and_is_tuned_when_it_leads() -> None:
    facts = {"families_brought": ["nearest"]}
    planned = called(await answer("planner", "plan", **facts))[1]["families"]
    assert "nearest" in planned
    trained = called(await answer("engineer", "train", **facts, plan={"approach": "a", "families": planned}))[1]["families"]
    assert trained[-1] == "nearest"
    assert (
        "nearest" not in called(await answer("engineer", "train", **facts, plan={"approach": "a", "families": ["catboost"]}))[1]["families"]
    )
    leads = board(nearest=(0.9, 0.001), lightgbm=(0.8, 0.001))
    assert called(await answer("engineer", "optimise", **facts, **leads))[1]["family"] == "nearest"


async def test_preparers_that_the_user_asked_for_are_tried_on_top_and_left_out_when_they_fail() -> None:
    wish = {"source": "a.csv", "target": "y", "goal": None, "metric": None, "preparers": ["ratios"]}
    default = {"columns_used": 8, "columns_in": 9, "features_out": 12, "dropped": []}
    first = called(await answer("engineer", "prepare", wish=wish))
    assert first == ("prepare", {})
    second = called(await answer("engineer", "prepare", [("prepare", {}, default)], wish=wish))
    assert second == ("prepare", {"name": "prepared", "preparers": ["ratios"]})
    both = [("prepare", {}, default), ("prepare", second[1], default | {"features_out": 20})]
    assert "With ratios they make 20" in str((await answer("engineer", "prepare", both, wish=wish)).content)
    assert called(await answer("engineer", "train", wish=wish, preparation="prepared"))[1]["preparation"] == "prepared"
    failed = [("prepare", {}, default), ("prepare", second[1], "preparer 'ratios' of package 'lab' failed")]
    assert "It stays with these: preparer 'ratios'" in str((await answer("engineer", "prepare", failed, wish=wish)).content)
    assert "preparation" not in called(await answer("engineer", "train", wish=wish, preparation="default"))[1]


async def test_steps_are_tried_where_there_is_time_and_used_where_they_gain() -> None:
    budget = {"search_seconds": 600, "search_seconds_left": 600, "trials": None, "trials_left": None}
    default = {"columns_used": 8, "columns_in": 9, "features_out": 12, "dropped": []}
    done: list[tuple[str, dict[str, Any], dict[str, Any] | str]] = [("prepare", {}, default)]
    assert called(await answer("engineer", "prepare", done, budget=budget)) == ("try_steps", {"time_s": 36.0})
    tried = {
        "steps": ["make=ratios"],
        "tried": [{"step": "make=dates", "kept": False}, {"step": "make=ratios", "kept": True}],
        "seconds": 9,
    }
    done.append(("try_steps", {"time_s": 36.0}, tried))
    wanted = called(await answer("engineer", "prepare", done, budget=budget))
    assert wanted == ("prepare", {"name": "prepared", "steps": ["make=ratios"]})
    done.append(("prepare", wanted[1], default | {"features_out": 20}))
    said = str((await answer("engineer", "prepare", done, budget=budget)).content)
    assert "With make=ratios they make 20. make=dates does not gain more than chance, and is left out." in said
    table = {"steps": [], "tried": [{"step": "gather=orders", "kept": False}], "left_out": ["orders.*"], "seconds": 9}
    without = called(await answer("engineer", "prepare", [done[0], ("try_steps", {}, table)], budget=budget))
    assert without == ("prepare", {"name": "prepared", "drop": ["orders.*"]})
    nothing = [*done[:1], ("try_steps", {}, {"steps": [], "tried": [], "seconds": 1})]
    assert "12 features" in str((await answer("engineer", "prepare", nothing, budget=budget)).content)
    refused = [*done[:1], ("try_steps", {}, "too few rows")]
    assert "No step was tried: too few rows" in str((await answer("engineer", "prepare", refused, budget=budget)).content)
    for unfit in (budget | {"search_seconds_left": 60}, budget | {"trials": 5, "trials_left": 5}):
        assert "12 features" in str((await answer("engineer", "prepare", done[:1], budget=unfit)).content)


async def test_the_knee_of_several_objectives_is_told() -> None:
    facts = board(lightgbm=(0.9, 0.005), dummy=(0.5, 0.0)) | {
        "budget": {"search_seconds": 60, "search_seconds_left": 8, "trials": None, "trials_left": None}
    }
    ends = [{"candidate": f"lightgbm-tuned-{i}", "values": {"score": 0.9, "latency": 1.5 - i}, "knee": i == 1} for i in range(2)]
    tuned = {"candidate": {"score": 0.9}, "trials_done": 9, "trials_pruned": 0, "gain": 0.0, "gain_std_error": 0.0, "seconds": 7.5}
    done = ("tune", {"family": "lightgbm", "time_s": 8}, tuned | {"front": ends, "objectives": ["score", "latency"]})
    said = str((await answer("engineer", "optimise", [done], **facts)).content)
    assert "2 candidates trade score and latency for each other, the knee is lightgbm-tuned-1 (score 0.9 and latency 0.5 ms)" in said


async def test_networks_that_need_minutes_are_planned_for_long_searches_and_fitted_when_they_are_named() -> None:
    def families(found: tuple[str, dict[str, object]]) -> set[object]:
        return set(found[1]["families"])  # type: ignore[call-overload]

    long = {"budget": {"search_seconds": 600, "search_seconds_left": 500, "trials": None, "trials_left": None}}
    assert {"realmlp", "tabm"} <= families(called(await answer("engineer", "train", **long)))
    assert {"mlp", "realmlp", "tabm"} & families(called(await answer("engineer", "train"))) == {"mlp"}
    named = {**CONTRACT, "constraints": {"families": ["tabm", "catboost"]}}
    assert families(called(await answer("engineer", "train", contract=named))) == {"tabm", "catboost"}
