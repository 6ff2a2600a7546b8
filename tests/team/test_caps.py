"""Who is told when models near a cap: once for each share, also over a resume, whatever is not known."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from signal import SIGKILL

import pytest

from reports.facts import read_facts
from reports.html import compose
from reports.ledger import read_ledger
from team.budget import Limits, Meter
from team.caps import Caps, warning
from team.cli import main
from team.console import LiveView
from team.errors import UsageError
from team.events import BudgetWarned, ModelCalled, ResourcesUsed
from team.log import read_events
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings
from team.summary import read_summary
from tests.model_server import Say, Seen, served
from tests.scripted import ScriptedClient
from tests.team.commands import command, follow, running

RUN = ["--target=target", "--time=200s", "--trials=0", "--folds=2", "--families=linear", "--sandbox=unsafe-local", "--no-probe"]


def test_each_share_of_each_cap_is_told_once() -> None:
    limits = Limits(search_s=10, usd=Decimal(1), tokens=1000, told_usd=Decimal("0.4"))
    meter, caps = Meter(limits), Caps()
    meter.charge_model(100, 0, Decimal("0.2"))
    assert [(e.cap, e.share) for e in caps.crossed(meter.usage, limits)] == [("warn_cost", 0.5)]
    meter.charge_model(400, 100, Decimal("0.3"))
    first = caps.crossed(meter.usage, limits)
    assert [(e.cap, e.share) for e in first] == [("max_cost", 0.5), ("max_tokens", 0.5), *(("warn_cost", s) for s in (0.75, 0.9, 1.0))]
    assert caps.crossed(meter.usage, limits) == []
    assert Caps(first).crossed(meter.usage, limits) == [BudgetWarned(cap="warn_cost", share=0.5, spent=0.5, limit=0.4)]
    other = Limits(search_s=10, usd=Decimal("0.9"))
    assert [e.limit for e in Caps(first).crossed(meter.usage, other)] == [0.9], "another cap is told of anew"


def test_calls_without_a_price_do_not_hide_what_the_others_cost() -> None:
    limits = Limits(search_s=10, told_usd=Decimal(1))
    meter = Meter(limits)
    meter.charge_model(10, 0, None)
    meter.charge_model(10, 0, Decimal("0.6"))
    assert (meter.usage.usd, meter.usage.least_usd, meter.usage.unpriced_calls) == (None, Decimal("0.6"), 1)
    assert [e.share for e in Caps().crossed(meter.usage, limits)] == [0.5]


def test_a_person_reads_what_it_means() -> None:
    hard = BudgetWarned(cap="max_cost", share=0.9, spent=1.82, limit=2)
    soft = BudgetWarned(cap="warn_tokens", share=1, spent=12_345, limit=12_000)
    assert warning(hard) == "models have taken $1.82 of $2, 90% of --max-cost (then the playbook goes on)"
    assert warning(soft) == "models have taken 12,345 of 12,000 tokens, 100% of --warn-tokens (nothing is stopped)"
    with LiveView(file := io.StringIO()) as view:
        view(hard)
    assert "90% of --max-cost" in file.getvalue()


def test_a_soft_cap_in_dollars_needs_prices_too(tmp_path: Path) -> None:
    given = {"source": "sklearn:iris", "target": "target", "out": tmp_path, "model": "openai:big", "warn_cost": "0.5"}
    with pytest.raises(UsageError, match=r"--warn-cost 0.5 needs the price of openai:big.*--warn-tokens"):
        start(load_settings(given), clients=lambda _: ScriptedClient([]))


@pytest.mark.slow
def test_a_killed_run_warns_once_and_its_hours_and_dollars_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that only talks, for a cent an answer, until its soft cap of five cents is reached, and its hard one would be passed."""

    def answer(request: Seen) -> Say:
        return Say("I would rather talk about the weather.", usage=(900, 0, 100, 0))

    config = tmp_path / "mlteam.yaml"
    config.write_text("prices: {'openai:m': {input: 11, output: 1, cache_read: 1}}\n")
    out = tmp_path / "runs"
    with served(answer) as (url, _):
        options = [*RUN, f"--out={out}", f"--model=openai:m@{url}/v1", f"--config={config}", "--warn-cost=0.05", "--max-cost=0.15"]
        with running(command("run", "sklearn:iris", *options)) as process:
            run = follow(process, out, lambda e: e["kind"] == "budget_warned" and e["share"] == 0.5)
            process.send_signal(SIGKILL)
            process.wait(60)
        before = [e for e in read_events(run / "events.jsonl") if isinstance(e, BudgetWarned)]
        assert before
        with pytest.raises(SystemExit) as ended:
            main(["resume", str(run)])
        assert ended.value.code == 0
    shown = capsys.readouterr()
    events = list(read_events(run / "events.jsonl"))
    calls = [e for e in events if isinstance(e, ModelCalled) and e.model == "m"]
    assert 7 < len(calls) <= 15
    assert {(e.input_tokens, e.cache_read_tokens, e.usd) for e in calls} == {(1000, 100, 0.01)}, "900 at 11 and 100 at 1 dollar a million"
    warned = [e for e in events if isinstance(e, BudgetWarned)]
    assert [e.share for e in warned if e.cap == "warn_cost"] == [0.5, 0.75, 0.9, 1.0]
    assert [e.share for e in warned if e.cap == "max_cost"][:1] == [0.5]
    assert len({(e.cap, e.share) for e in warned}) == len(warned)
    assert "$0.05 of $0.05, 100% of --warn-cost" in " ".join(shown.err.split())
    summary = read_summary(RunDir(run))
    assert any("cost limit reached" in why and "the playbook goes on from here" in why for why in summary["fallbacks"])
    assert summary["cost"]["usd"] == summary["cost"]["usd_at_least"] == pytest.approx(len(calls) / 100)
    assert len(summary["cost"]["warnings"]) == len(warned)
    used = [e for e in events if isinstance(e, ResourcesUsed)]
    assert summary["resources"]["cpu_hours"] == pytest.approx(sum(e.cpu_seconds for e in used) / 3600, abs=1e-6)
    assert summary["resources"]["cpu_hours"] > 0
    assert summary["resources"]["gpu_hours"] == 0
    assert not (run / "resources.json").exists()
    report = (run / "reports" / "report.html").read_text()
    for told in ("$0.05 of $0.05, 100% of --warn-cost (nothing is stopped)", "Counted by dollars per million tokens", "of processor time"):
        assert told in report
    facts = read_facts(run)
    compose(facts, {}, None, read_ledger(run, facts.events))  # raises where a figure of the page is not on record

    for by in ("role", "stage", "day", "model", "run"):
        with pytest.raises(SystemExit) as ended:
            main(["cost", str(run), "--by", by])
        assert ended.value.code == 0
        assert f"${len(calls) / 100:.2g}" in capsys.readouterr().out
