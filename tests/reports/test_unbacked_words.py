"""A language model that makes figures up, in a whole run: they are named to it, and no document has them in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from team.events import ToolReturned
from team.log import read_events
from team.run import astart
from team.rundir import RunDir
from team.settings import load_settings
from tests.contracts.model_client import KEY
from tests.model_server import ModelServer, Reaction, Say, Seen, model_server
from tools.documents import MOST_REFUSALS

pytestmark = pytest.mark.slow
INVENTED = "0.98765"
IN_WORDS = "nine hundred and eighty-seven"


class Boaster(ModelServer):
    """A writer that is told that its figure is on no record, and writes it again."""

    def __init__(self) -> None:
        super().__init__()
        self._times = 0

    def reacts(self, request: Seen) -> Reaction:
        self._times += 1
        if self._times <= MOST_REFUSALS + 1:
            text = f"It reaches an accuracy of {INVENTED} on {IN_WORDS} rows, as attempt {'I' * self._times} says."
            return Say(calls=[("write_section", {"slot": "summary", "text": text})])
        return Say(calls=[("build_report", {})]) if self._times == MOST_REFUSALS + 2 else Say("Done.")


async def test_what_a_model_makes_up_is_named_to_it_and_stands_in_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with model_server(Boaster) as server:
        settings = {
            "source": "sklearn:iris",
            "target": "target",
            "time": "120s",
            "trials": 0,
            "folds": 3,
            "families": ["linear"],
            "sandbox": {"kind": "unsafe-local", "cpus": 1},
            "out": tmp_path,
            "models": {"writer": f"openai:boaster@{server.url}/v1"},
        }
        summary = await astart(load_settings(settings))
    run = RunDir(Path(summary["run"]))
    returned = [e for e in read_events(run.events) if isinstance(e, ToolReturned) and e.tool == "write_section"]
    assert [e.status for e in returned[: MOST_REFUSALS + 1]] == ["refused"] * MOST_REFUSALS + ["ok"]
    assert all(f"'{INVENTED}'" in e.text and f"'{IN_WORDS}'" in e.text for e in returned[:MOST_REFUSALS])
    assert returned[MOST_REFUSALS].result is not None
    assert returned[MOST_REFUSALS].result["replaced"] == [IN_WORDS, INVENTED]
    assert summary["status"] == "done"
    sections = json.loads(run.sections.read_text(encoding="utf-8"))
    assert "rows that nobody had seen" in sections["summary"], "the playbook's text stands"
    assert not [slot for slot, text in sections.items() if INVENTED in text or IN_WORDS in text]
    for document in ("summary.md", "model_card.md"):
        assert INVENTED not in (run.reports / document).read_text(encoding="utf-8")
    prose = run.report.read_text(encoding="utf-8").partition('id="team"')[0]
    assert INVENTED not in prose, "it stands among the words of the turn alone"
