"""A run in a real receiver of OTLP: every turn and tool call is found there, and its page shows the trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from team.events import CellExecuted, ModelCalled, ToolCalled, TurnStarted, WorkTimed
from team.log import read_events
from tests.notebook.lab import browser, browser_program
from tests.observe.phoenix import phoenix_program, running_phoenix

pytestmark = [
    pytest.mark.phoenix,
    pytest.mark.skipif(phoenix_program() is None, reason="there is no Phoenix: make observe installs one of its own"),
    pytest.mark.skipif(browser_program() is None, reason="there is no Chromium: apt-get install chromium"),
]
REPOSITORY = Path(__file__).parents[2]
WITHIN_S = 60


async def test_every_turn_and_tool_call_of_a_run_is_found_in_phoenix_and_on_its_page(tmp_path: Path) -> None:
    asked = ["run", str(REPOSITORY / "evals/data/penguins.csv"), "--target", "Sex", "--time", "5s", "--out", str(tmp_path), "--json"]
    store = tmp_path / "phoenix"
    store.mkdir()
    with running_phoenix(store) as phoenix:
        environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.address, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run([sys.executable, "-m", "team.cli", *asked], env=environment, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        summary = json.loads(done.stdout)
        assert not [told for told in summary["fallbacks"] if "trace" in str(told)]
        run = Path(summary["run"])
        written = [json.loads(line) for line in (run / "traces.jsonl").read_text().splitlines()]
        found = phoenix.spans(len(written))
        events = list(read_events(run / "events.jsonl"))
        assert {one["context"]["span_id"] for one in found} == {one["context"]["span_id"][2:] for one in written}
        assert len(found) == len(written), "none of them twice"
        (trace,) = {one["context"]["trace_id"] for one in found}
        by_operation = [one["attributes"].get("gen_ai.operation.name") for one in found]
        turns = {(one["attributes"]["mlteam.turn"], one["name"]) for one in found if "mlteam.turn" in one["attributes"]}
        assert turns == {(one.turn, f"invoke_agent {one.role}") for one in events if isinstance(one, TurnStarted)}
        calls = {one["attributes"]["gen_ai.tool.call.id"]: one["name"] for one in found if "gen_ai.tool.call.id" in one["attributes"]}
        assert calls == {one.call: f"execute_tool {one.tool}" for one in events if isinstance(one, ToolCalled)}
        assert by_operation.count("chat") == sum(isinstance(one, ModelCalled) for one in events)
        assert sum(one["name"].startswith("cell ") for one in found) == sum(isinstance(one, CellExecuted) for one in events)
        timed = [one for event in events if isinstance(event, WorkTimed) for one in event.spans]
        assert {one.kind for one in timed} >= {"fit", "refit"}
        assert sum(one["attributes"].get("mlteam.kind") in ("fit", "refit", "trial", "pilot") for one in found) == len(timed)
        kinds = {one["name"].split()[0]: one["span_kind"] for one in found}
        assert (kinds["invoke_agent"], kinds["chat"], kinds["execute_tool"]) == ("AGENT", "LLM", "TOOL")
        page = f"{phoenix.address}/projects/{phoenix.project()}/traces/{trace}"
        async with browser(page, width=1600, height=1400) as shown:
            for words in ("invoke_workflow mlteam", "invoke_agent planner", "execute_tool fetch_data"):
                await shown.until(f"document.body?.innerText.includes({words!r})", WITHIN_S)
            await shown.screenshot(_kept("phoenix.png", tmp_path))


def _kept(name: str, tmp_path: Path) -> Path:
    """Where a screenshot goes: to the folder that SCREENSHOTS names, for who wants to look."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
