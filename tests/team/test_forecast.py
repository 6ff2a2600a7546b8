"""What a run is said to take before it begins: by one small question over the wire, by earlier runs, and against the caps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from team.cli import main
from team.events import CostForecast, Event, ModelCalled, RunEnded, RunStarted
from team.forecast import INPUT_TOKENS, OUTPUT_TOKENS, REQUESTS, REST_S, forecast
from team.log import read_events
from team.models.probing import REPLY_TOKENS, Probe, asked_models, probe
from team.pricing import with_prices
from team.rundir import list_runs
from team.settings import Settings, load_settings
from team.summary import summarise
from tests.model_server import Fail, Reaction, Say, Seen, served

NUMBERS = ", ".join(map(str, range(1, 41)))


class Server:
    """Answers as `react` says and keeps what it was asked."""

    def __init__(self, react: Callable[[Seen], Reaction]) -> None:
        self.react, self.seen = react, list[Seen]()

    def __call__(self, seen: Seen) -> Reaction:
        self.seen.append(seen)
        return self.react(seen)


@pytest.fixture
def counting() -> Iterator[tuple[Server, str]]:
    """It counts 344 tokens of a request that a length by four has for half as many, and 119 of the reply."""
    server = Server(lambda seen: Say(NUMBERS, usage=(344, 119, 0, 0), piece=4))
    with served(server) as (url, _):
        yield server, f"openai:m@{url}/v1"


def settings(tmp_path: Path, model: str, **more: Any) -> Settings:
    config = tmp_path / "mlteam.yaml"
    config.write_text("prices: {'openai:m': {input: 10, output: 20}}\n")
    return with_prices(
        load_settings({"source": "sklearn:iris", "target": "target", "out": tmp_path / "runs", "model": model, **more}, config)
    )


async def test_one_bounded_question_a_model_measures_it(counting: tuple[Server, str], tmp_path: Path) -> None:
    server, model = counting
    asked = settings(tmp_path, model, models={"critic": f"{model},playbook", "writer": "playbook"})
    assert asked_models(asked) == [model]
    probes, calls = await probe(asked)
    (request,) = server.seen
    assert request.body.get("max_tokens", request.body.get("max_completion_tokens")) == REPLY_TOKENS
    assert "tools" not in request.body
    (one,), (call,) = probes, calls
    assert (one.input_tokens, one.output_tokens, one.usd, one.error) == (344, 119, pytest.approx(0.00582), "")
    assert one.first_s is not None
    assert 0 < one.first_s <= one.seconds
    assert (call.turn, call.role, call.model, call.usd) == (0, "team", "m", pytest.approx(0.00582))
    assert (await probe(asked, known=probes))[1] == [], "what is known is not asked again"
    assert len(server.seen) == 1


async def test_a_model_that_does_not_answer_is_told_and_stops_nothing(tmp_path: Path) -> None:
    with served(lambda seen: Fail(401, "bad key")) as (url, _):
        asked = settings(tmp_path, f"openai:m@{url}/v1")
        (one,), (call,) = await probe(asked)
    assert one.error
    assert call.error
    foreseen = forecast(asked, [one])
    assert foreseen.untimed == (one.model,)
    assert "did not answer a small question" in foreseen.grounds(tmp_path)
    assert foreseen.seconds == (600 + REST_S[0], 600 + REST_S[1])


def test_a_probe_calibrates_tokens_and_bounds_seconds(tmp_path: Path) -> None:
    asked = settings(tmp_path, "openai:m", time="100s")
    one = Probe(model="openai:m", input_tokens=200, output_tokens=100, seconds=3.0, first_s=1.0, counting=2.0)
    assert one.seconds_of(400, 50) == (2.0, 3.0), "reading by the token, or one way there for all of it; writing by the token"
    foreseen = forecast(asked, [one])
    assert foreseen.tokens == 2 * REQUESTS * (INPUT_TOKENS + OUTPUT_TOKENS)
    per_call = (2 * INPUT_TOKENS * 10 + 2 * OUTPUT_TOKENS * 20) / 10**6
    assert foreseen.usd == pytest.approx(Decimal(str(REQUESTS * per_call)))
    low, high = one.seconds_of(2 * INPUT_TOKENS, 2 * OUTPUT_TOKENS) or (0, 0)
    assert foreseen.seconds == (pytest.approx(100 + REST_S[0] + REQUESTS * low), pytest.approx(100 + REST_S[1] + REQUESTS * high))


def test_a_price_that_nobody_knows_is_named(tmp_path: Path) -> None:
    both = forecast(settings(tmp_path, "openai:m", models={"critic": "openai:other"}))
    assert both.usd is None
    assert both.least_usd > 0
    assert "at least $" in both.told
    assert "no price is known of openai:other" in both.told
    assert "dollars unknown" in forecast(settings(tmp_path, "openai:other")).told
    assert forecast(settings(tmp_path, "playbook")).told.endswith("$0.00 (the playbook costs nothing)")


def earlier(out: Path, name: str, calls: list[ModelCalled]) -> None:
    """A run that was done, as its log has it."""
    from team.budget import Usage
    from team.rundir import RunDir
    from team.stages import State

    run = RunDir(out / name)
    run.path.mkdir(parents=True)
    begun: list[Event] = [RunStarted(run=name, settings={}, versions={}), *calls]
    run.events.write_text("".join(f"{event.model_dump_json()}\n" for event in begun))
    summary = summarise(run, State(), Usage(search_s=20), "done", "", 100.0)
    lines = [
        event.model_copy(update={"seq": seq}) for seq, event in enumerate([*begun, RunEnded(status="done", seconds=100, summary=summary)])
    ]
    run.events.write_text("".join(f"{line.model_dump_json()}\n" for line in lines))


def call(role: str, model: str, tokens: int, seconds: float) -> ModelCalled:
    facts: dict[str, Any] = {"turn": 1, "provider": "openai", "output_tokens": 10, "usd": None, "finish_reason": "stop"}
    return ModelCalled(role=role, model=model, input_tokens=tokens, seconds=seconds, **facts)


def test_what_earlier_runs_took_goes_before_the_probe(tmp_path: Path) -> None:
    for k, tokens in enumerate((1000, 3000, 2000)):
        earlier(tmp_path / "runs", f"2026010{k}-000000-a", [call("planner", "m", tokens, 5.0), call("critic", "n", 500, 1.0)])
    asked = settings(
        tmp_path, "openai:m", time="100s", models=dict.fromkeys(("data_scientist", "engineer", "writer", "release_manager"), "playbook")
    )
    one = Probe(model="openai:m", input_tokens=100, output_tokens=10, seconds=2.0, first_s=1.0, counting=9.0)
    foreseen = forecast(asked, [one])
    assert foreseen.tokens == 2010 + 510, "the planner's by the median of its model, the critic's by those of another"
    assert (foreseen.measured, foreseen.runs) == (3, 3)
    rest = 100 - 20 - 6.0
    assert foreseen.seconds == (pytest.approx(100 + rest + 5 + 2.0), pytest.approx(100 + rest + 5 + 1.0 + 5.0)), "the critic's by the probe"


def test_caps_below_the_forecast_are_told_and_what_follows(tmp_path: Path) -> None:
    found = forecast(settings(tmp_path, "openai:m", max_cost="0.01", warn_tokens=10)).beyond(
        settings(tmp_path, "openai:m", max_cost="0.01", warn_tokens=10)
    )
    assert [told.partition(" are more than ")[2] for told in found] == [
        "--max-cost 0.01: the playbook goes on when it is reached",
        "--warn-tokens 10: you will be told of it",
    ]


def _run(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str, *words: str) -> tuple[Any, str, str]:
    config = tmp_path / "mlteam.yaml"
    config.write_text("prices: {'openai:m': {input: 10, output: 20}}\n")
    given = [
        "sklearn:iris",
        "--target=target",
        f"--out={tmp_path / 'runs'}",
        f"--model={model}",
        f"--config={config}",
        "--sandbox=unsafe-local",
    ]
    with pytest.raises(SystemExit) as ended:
        main(["run", *given, *words])
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def test_the_command_foresees_and_makes_nothing(counting: tuple[Server, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, model = counting
    code, out, _ = _run(capsys, tmp_path, model, "--forecast", "--json", "--max-cost=0.05")
    document = json.loads(out)
    assert code == 0
    assert document["usd"] > 0.05
    assert document["probes"][0]["output_tokens"] == 119
    assert "the playbook goes on" in document["beyond"][0]
    code, out, _ = _run(capsys, tmp_path, model, "--forecast", "--no-probe")
    assert code == 0
    assert out.startswith("forecast   ")
    assert len(server.seen) == 1, "one question for the first, none for the second"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("cap", ["--max-cost=0.001", "--max-tokens=100"])
def test_a_cap_that_does_not_pay_for_the_question_is_refused_before_it_is_asked(
    cap: str, counting: tuple[Server, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, model = counting
    code, _, err = _run(capsys, tmp_path, model, cap)
    assert code == 2
    assert f"{cap.replace('=', ' ')} does not even pay for the question" in err
    assert not server.seen
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_begins_with_its_forecast_and_pays_for_the_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def react(seen: Seen) -> Reaction:
        return Say(NUMBERS, usage=(300, 119, 0, 0)) if "one small question" in str(seen.body["messages"][0]) else Fail(401, "no")

    with served(react) as (url, _):
        options = ["--time=200s", "--trials=0", "--folds=2", "--families=linear", "--json"]
        code, out, err = _run(capsys, tmp_path, f"openai:m@{url}/v1", *options)
    assert code == 0
    assert "forecast   " in err
    summary = json.loads(out)
    (run,) = list_runs(tmp_path / "runs")
    events = list(read_events(run.events))
    (foreseen,) = [e for e in events if isinstance(e, CostForecast)]
    (asked,) = [e for e in events if isinstance(e, ModelCalled) and e.turn == 0]
    assert foreseen.probes[0]["usd"] == asked.usd == pytest.approx(0.00538)
    assert foreseen.usd is not None
    assert events.index(foreseen) < 8
    assert summary["cost"]["input_tokens"] >= 300
    assert summary["cost"]["usd_at_least"] >= 0.00538
