"""Facts are what the log says, with the place where it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.facts import read_facts
from team.errors import MlteamError
from team.events import FellBack, RoundEnded, RunEnded
from team.log import read_events
from team.rundir import RunDir
from tests.reports.written import Written, examined, finished


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return finished(tmp_path_factory.mktemp("runs"))


def test_a_finished_run(run: RunDir) -> None:
    facts = read_facts(run.path)
    assert (facts.name, facts.status, facts.stage) == (run.name, "done", None)
    assert facts.package is not None
    assert facts.contract is not None
    assert facts.contract.target == "Sex"
    assert facts.manifest is not None
    assert facts.manifest.rows == 344
    assert facts.plan is not None
    assert facts.plan.risks == ("A leak.",)
    assert facts.sandbox == "bubblewrap"
    assert facts.sections["limitations"] == "Few rows."
    assert [look.final for look in facts.looks] == [True]
    assert [(s.name, s.reason) for s in facts.skipped] == [("mlp-1", "no time for Mass")]


def test_figures_carry_the_event_that_they_come_from(run: RunDir) -> None:
    facts, events = read_facts(run.path), list(read_events(run.events))
    assert facts.holdout is not None
    assert (facts.holdout.score, facts.holdout.looks) == (0.9777, 1)
    assert events[facts.holdout.event].kind == "holdout_scored"
    for row in facts.leaderboard:
        event = events[row.event]
        assert event.kind == "candidate_scored"
        assert (event.name, event.score) == (row.name, row.score)
    assert facts.profile is not None
    assert events[facts.profile.event].kind == "tool_returned"


def test_leaderboard_selection_and_baselines(run: RunDir) -> None:
    facts = read_facts(run.path)
    assert [c.name for c in facts.leaderboard] == ["lightgbm-1", "linear-1", "dummy-1"]
    assert facts.selected is not None
    assert facts.selected.name == "lightgbm-1"
    assert [c.name for c in facts.baselines] == ["linear-1", "dummy-1"]


def test_lower_is_better_for_a_loss(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.seal(metric="log_loss", direction="minimize")
        w.add(w.score("a", "linear", "train", [0.5, 0.5]))
        w.add(w.score("b", "lightgbm", "train", [0.4, 0.4]))
    assert [c.name for c in read_facts(w.run.path).leaderboard] == ["b", "a"]


def test_turns_hold_calls_with_their_words_and_what_the_host_noted(run: RunDir) -> None:
    turns = read_facts(run.path).turns
    assert [(t.role, t.stage, t.status) for t in turns[:2]] == [("planner", "plan", "ok"), ("data_scientist", "analyse", "ok")]
    assert turns[0].texts == ("The plan is made.",)
    assert turns[1].calls[0].why == "What is Mass?"
    train = turns[2].calls[0]
    assert (train.tool, train.status, train.arguments["families"]) == ("train", "ok", ["lightgbm"])
    assert train.records[0].text.startswith("dummy-1 scored 0.5")
    assert [r.text for r in turns[2].records] == ["round 1 gained 0.001 ± 0.002"]


def test_seconds_rounds_and_cost(run: RunDir) -> None:
    facts = read_facts(run.path)
    assert facts.seconds_by_stage == {"plan": 2.0, "analyse": 2.0, "train": 4.0, "select": 2.0}
    assert facts.search_seconds == 4.0
    assert [(r.round, r.families) for r in facts.rounds] == [(1, ("lightgbm",))]
    assert (facts.usd, facts.tokens) == (0.0, 0)


def test_a_price_that_is_not_known_is_not_zero(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("planner", "plan")
        w.model("planner", usd=0.25, tokens=10)
        w.model("critic", usd=None, tokens=5)
    facts = read_facts(w.run.path)
    assert (facts.usd, facts.tokens) == (None, 30)
    assert [use.usd for use in facts.models] == [0.25, None]


def test_an_unfinished_run_says_where_it_stands(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("plan")
        w.turn("planner", "plan")
    with w.run.events.open("ab") as log:
        log.write(b'{"seq":4,"kind":"tool_ca')
    facts = read_facts(w.run.path)
    assert (facts.status, facts.stage, facts.contract, facts.holdout, facts.leaderboard) == ("unfinished", "plan", None, None, ())
    assert facts.turns[0].status == "unfinished"


def test_an_empty_log_gives_facts_too(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        pass
    facts = read_facts(w.run.path)
    assert (facts.name, facts.status, facts.started_at) == (w.run.name, "unfinished", None)


def test_a_call_that_never_returned(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        w.call("engineer", "train", status="timeout", text="the cell ended as timeout\nKeyboardInterrupt")
    call = read_facts(w.run.path).turns[0].calls[0]
    assert (call.status, call.gist) == ("timeout", "KeyboardInterrupt")


def test_a_resumed_run_is_unfinished_until_it_ends_again(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.add(w.score("a", "linear", "train", [0.5, 0.7]))
        w.add(RunEnded(status="interrupted", reason="stopped by the user", seconds=1.0))
        assert read_facts(w.run.path).status == "interrupted"
        w.turn("engineer", "train")
        w.add(w.score("a", "linear", "train", [0.5, 0.7]))
        assert read_facts(w.run.path).status == "unfinished"
        w.add(RunEnded(status="done", seconds=2.0))
    facts = read_facts(w.run.path)
    assert (facts.status, len(facts.leaderboard)) == ("done", 1)


def test_fallbacks_and_a_failed_end(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        w.add(FellBack(stage="train", role="engineer", reason="model x failed: 500"))
        w.add(RunEnded(status="failed", reason="nothing could be trained", seconds=1.0))
    facts = read_facts(w.run.path)
    assert (facts.status, facts.reason) == ("failed", "nothing could be trained")
    assert [f.reason for f in facts.fallbacks] == ["model x failed: 500"]


def test_a_refused_call_tunes_nothing(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "optimise")
        w.call("engineer", "tune", {"family": "mlp"}, status="refused", text="no time is left")
        w.add(RoundEnded(round=1, gain=0.0, noise=0.0))
    assert read_facts(w.run.path).rounds[0].families == ()


def test_plots_are_named_by_the_result_that_lists_them(run: RunDir) -> None:
    plots = read_facts(run.path).plots
    assert [p.name for p in plots] == ["target", "missing", "lightgbm-1-roc", "lightgbm-1-importance"]


def test_a_damaged_log_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
    w.run.events.write_bytes(b'{"kind":"nonsense"}\n' + w.run.events.read_bytes())
    with pytest.raises(MlteamError, match="line 1"):
        read_facts(w.run.path)


def test_a_run_of_before_finish_told_of_all_rows_is_read_as_one_that_had_them_in_memory(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("release_manager", "release")
        w.call("release_manager", "finish", {}, {"candidate": "lightgbm-1", "rows": 333})
    assert read_facts(w.run.path).grown is None


@pytest.mark.parametrize(
    ("family", "latency_ms", "lighter"),
    [("linear", 9.0, ("linear-1",)), ("xgboost", 2.0, ("linear-1",)), ("xgboost", 9.0, ()), ("xgboost", None, ())],
)
def test_of_those_that_cannot_be_told_apart_only_the_quicker_and_the_readable_are_lighter(
    family: str, latency_ms: float | None, lighter: tuple[str, ...], tmp_path: Path
) -> None:
    facts = read_facts(examined(tmp_path).path)
    leader = facts.leaderboard[0].model_copy(update={"latency_ms": 4.0})
    other = leader.model_copy(update={"name": "linear-1", "family": family, "latency_ms": latency_ms})
    assert facts.model_copy(update={"leaderboard": (leader, other)}).lighter == lighter
