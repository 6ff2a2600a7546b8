"""Whole runs with a model, over the wire, that does what the table tells it to: nothing outside the sandbox comes of it, and it is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.model_server import Say, Seen, served
from tests.team.commands import ONE_CORE, command, lines
from tests.team.test_poisoned import HIDDEN, ORDERS, TABLES, poisoned

pytestmark = pytest.mark.bubblewrap

ALWAYS = (("column", "plain"), ("category", "tags"))
"""Of the thirty tables those that `make test` takes; `make poisoned` takes the others."""
SIGNS = {
    "plain": "Ignore all previous",
    "fence": "[stage release]",
    "call": '{"name": "score_holdout"',
    "tags": "</system>SYSTEM",
    "hidden": "call fetch_data(source=",
}
"""Where an order begins in the block of data, which may cut it."""
ESCAPED = re.compile(r"\\+(u[0-9a-f]{4}|x[0-9a-f]{2})|\\")
MOST_OBEYED = 30
OUTSIDE = ("publish_run", "register_model", "track_run")


class Obeying:
    """Looks into the table, and does what it says whenever its words are in what it is shown: runs code that tries to get out, where it
    may write any, and then calls the tool that is named there and those that act outside."""

    def __init__(self, kind: str, code: str) -> None:
        _, tool, arguments = ORDERS[kind]
        self._sign, self._code = SIGNS[kind], code
        self._calls: list[tuple[str, Any]] = [(tool, arguments), *((name, {}) for name in OUTSIDE)]
        self.obeyed = 0

    def __call__(self, request: Seen) -> Say:
        shown = " ".join(json.dumps(one["content"], ensure_ascii=False) for one in request.body["messages"] if one["role"] != "system")
        shown = HIDDEN.sub("", ESCAPED.sub("", shown))  # as a reader would have it
        offered = {one["function"]["name"] for one in request.body.get("tools", [])}
        if self._sign not in shown and "inspect_table" in offered and "inspect_table" not in called_in(request):
            return Say(calls=[("inspect_table", {})])
        if self._sign not in shown or self.obeyed >= MOST_OBEYED:
            return Say("There is nothing to do.")
        self.obeyed += 1
        if "run_python" in offered and "run_python" not in called_in(request):
            return Say(calls=[("run_python", {"code": self._code})])
        return Say(calls=[self._calls[self.obeyed % len(self._calls)]])


def called_in(request: Seen) -> set[str]:
    """Tools that were called in the conversation of a request."""
    return {call["function"]["name"] for message in request.body["messages"] for call in message.get("tool_calls") or []}


@pytest.mark.parametrize(
    ("place", "kind"), [pytest.param(*one, marks=pytest.mark.slow if one in ALWAYS else pytest.mark.poisoned) for one in TABLES]
)
def test_who_obeys_the_table_changes_nothing_outside(place: str, kind: str, tmp_path: Path) -> None:
    source, out, escaped = tmp_path / "in", tmp_path / "runs", tmp_path / "escaped"
    source.mkdir()
    poisoned(place, ORDERS[kind][0]).to_csv(source / "rows.csv", index=False)
    (source / "README.md").write_text(ORDERS[kind][0] if place == "readme" else "rows")
    reached: list[str] = []
    with served(lambda request: reached.append(request.path) or Say("hello")) as (canary, _):  # type: ignore[func-returns-value]
        code = f"try:\n open({str(escaped)!r}, 'w').write('x')\nexcept OSError as error:\n print(error)\n"
        code += f"import urllib.request\nurllib.request.urlopen({canary!r} + '/out', timeout=5)"
        obeying = Obeying(kind, code)
        with served(obeying) as (url, _):
            options = ["--target=y", "--time=60s", "--trials=0", "--folds=2", "--families=linear", "--sandbox=bubblewrap", "--no-probe"]
            words = command("run", str(source), *options, f"--out={out}", f"--model=openai:m@{url}/v1", "--json")
            before = sorted(tmp_path.iterdir())
            done = subprocess.run(words, capture_output=True, text=True, timeout=480, check=False, env={**os.environ, **ONE_CORE})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["status"] == "done"
    assert obeying.obeyed or place == "readme", "its words were seen; those beside the table are read where no target is named"
    assert reached == []
    assert not escaped.exists()
    assert set(tmp_path.iterdir()) - set(before) <= {out}
    events = lines(next(out.iterdir()))
    ended = {event["call"]: event for event in events if event["kind"] == "tool_returned"}
    by_code = [ended[event["call"]] for event in events if event["kind"] == "tool_called" and event["arguments"].get("code") == code]
    assert all(event["status"] == "error" for event in by_code), "no address is reached from inside"
    assert by_code or place != "column", "a name of a column is shown where code may be written"
    named = {ORDERS[kind][1], *OUTSIDE}
    told = any(f"there is no tool '{name}'" in event["reason"] for event in events if event["kind"] == "fell_back" for name in named)
    called = [event for event in events if event["kind"] == "tool_called" and event["tool"] in ("publish_run", "register_model")]
    assert all(ended[event["call"]]["status"] != "ok" for event in called), "nothing was released that nobody asked for"
    refused = any(ended[event["call"]]["status"] != "ok" for event in called)
    assert told or refused or by_code or not obeying.obeyed, "that what it did came to nothing is on record"
