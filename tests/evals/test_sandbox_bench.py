"""The sandbox bench: its judges on executors that behave and on ones that do not, its figures' names, its tables."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from evals import sandbox_behaviours as behaviours
from evals.sandbox_behaviours import QUESTIONS, SCENARIOS, Scenario, Verdict
from evals.sandbox_bench import measure, measure_memory
from evals.sandbox_contestants import NAMES, Conditions, Opened, Reply, contestant
from evals.sandbox_host import is_kernel
from evals.sandbox_tables import (
    BEGIN,
    END,
    FIGURES,
    Measured,
    as_json,
    as_markdown,
    as_text,
    behaviour_table,
    evidence,
    figure_table,
    rewrite,
    targets,
)
from team.errors import UsageError

EXECUTE = """
import contextlib, io, json, sys
space = {}
for line in sys.stdin:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(json.loads(line), space)
        answer = {"ok": True, "text": printed.getvalue()}
    except Exception as error:
        answer = {"ok": False, "text": repr(error)}
    print(json.dumps(answer), flush=True)
"""


class Careless:
    """An executor of the simplest kind: a child process that executes what it is sent, whose deadline only ends the wait, which
    forgets what was printed before an exception, takes no long lines, and takes a dead child for one that is slow."""

    name = "careless"
    kernel_program = ""
    spares = False
    folder = "."

    def obstacle(self) -> str | None:
        return None

    @asynccontextmanager
    async def open(self, work: Path, conditions: Conditions) -> AsyncIterator[Opened]:
        self._work, self._timeout_s = work, conditions.timeout_s
        await self._start()
        try:
            yield self
        finally:
            await self._stop()

    async def run(self, code: str) -> Reply:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        if self._child.returncode is not None:
            await self._start()
        self._child.stdin.write(json.dumps(code).encode() + b"\n")
        try:
            answer = json.loads(await asyncio.wait_for(self._child.stdout.readline(), self._timeout_s) or "null")
        except TimeoutError:
            answer = None
        except ValueError as error:  # a line that is longer than the reader takes
            answer = {"ok": False, "text": repr(error)}
        if answer is None and self._child.stdout.at_eof():
            await self._stop()
            await self._start()
        return Reply(**answer) if answer else Reply(False, "timeout")

    async def renew(self) -> None:
        pass

    async def settle(self) -> None:
        pass

    def containers(self, host: int) -> list[str]:
        return []

    async def _start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._child = await asyncio.create_subprocess_exec(sys.executable, "-c", EXECUTE, stdin=pipe, stdout=pipe, cwd=self._work)

    async def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        await self._child.communicate()  # wait() alone never returns while the reader holds more than it takes


@pytest.mark.parametrize(
    ("play", "wrong"),
    [
        (behaviours.silent_deadline, {"interrupted"}),
        (behaviours.outputs, {"kept", "output_2", "output_10"}),
        (behaviours.death, {"told", "cause", "lost"}),
        (behaviours.plot, {"plot"}),
        (behaviours.memory, {"memory"}),
        (behaviours.network, {"network"}),
    ],
)
async def test_judges_see_what_a_careless_executor_does_wrong(play: Scenario, wrong: set[str], tmp_path: Path) -> None:
    verdicts = await play(Careless(), tmp_path)
    assert {question for question, verdict in verdicts.items() if verdict.yes is False} == wrong, verdicts


@pytest.mark.parametrize(
    ("play", "wrong"),
    [
        (behaviours.silent_deadline, set()),
        (behaviours.printing_deadline, set()),
        (behaviours.outputs, set()),
        (behaviours.plot, set()),
        (behaviours.death, set()),
        (behaviours.memory, set()),
        (behaviours.network, {"network"}),
        (behaviours.killed_host, {"environment"}),
    ],
)
async def test_judges_see_what_a_child_process_of_ours_can_and_cannot_do(play: Scenario, wrong: set[str], tmp_path: Path) -> None:
    verdicts = await play(contestant("unsafe-local"), tmp_path)
    assert {question for question, verdict in verdicts.items() if not verdict.yes} == wrong, verdicts


async def test_judges_see_that_autogen_s_own_executor_lets_a_cell_go_on(tmp_path: Path) -> None:
    who = contestant("autogen-local")
    if reason := who.obstacle():
        pytest.skip(reason)
    verdict = (await behaviours.silent_deadline(who, tmp_path))["interrupted"]
    assert verdict.yes is False
    assert "its file came 3 s after the deadline" in verdict.seen


def test_every_question_is_answered_by_one_scenario() -> None:
    answered = [question for _, questions in SCENARIOS for question in questions]
    assert sorted(answered) == sorted(QUESTIONS)


async def test_a_scenario_that_cannot_be_played_leaves_its_questions_open(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Careless):
        async def _start(self) -> None:
            raise OSError("no more processes")

        async def _stop(self) -> None:
            pass

    monkeypatch.setattr(behaviours, "SCENARIOS", ((behaviours.plot, ("plot",)), (behaviours.death, ("told", "cause", "goes_on", "lost"))))
    monkeypatch.setattr(behaviours, "QUESTIONS", {key: QUESTIONS[key] for key in ("plot", "told", "cause", "goes_on", "lost")})
    verdicts = await behaviours.judge(Broken())
    assert {verdict.yes for verdict in verdicts.values()} == {None}
    assert "no more processes" in verdicts["plot"].seen


@pytest.mark.slow
async def test_a_round_gives_every_figure() -> None:
    figures = await measure(contestant("unsafe-local")) | measure_memory("unsafe-local")
    assert set(figures) == {figure for figure in FIGURES if " " not in figure}
    assert None not in figures.values()
    assert 0 < (figures["helpers"] or 0) < (figures["first"] or 0)


def test_contestants_have_names_and_a_wrong_one_is_told() -> None:
    assert {"docker", "docker-tcp", "bubblewrap", "unsafe-local", "autogen-local", "autogen-docker"} == set(NAMES)
    assert all(contestant(name).name == name for name in NAMES)
    with pytest.raises(UsageError, match="no contestant 'podman': expected one of docker, "):
        contestant("podman")


@pytest.mark.parametrize(
    ("command", "kernel"),
    [
        (["/usr/bin/python3.11", "-P", "/x/inside/start.py", "/y/kernel.json"], True),
        (["/usr/bin/python3.11", "-I", "-S", "/x/inside/guard.py"], False),
        (["bwrap", "--unshare-all", "python3", "/x/inside/start.py"], False),
        ([], False),
    ],
)
def test_a_kernel_is_told_from_its_helpers(command: list[str], kernel: bool) -> None:
    assert is_kernel(command, "inside/start.py") is kernel
    assert not is_kernel(command, "")


class TestTables:
    @pytest.fixture
    def found(self) -> Measured:
        good = dict.fromkeys(QUESTIONS, Verdict(True, "as it should be"))
        bad = {**good, "kept": Verdict(False, "told: a | b"), "plot": Verdict(None, "could not be judged")}
        return Measured(
            "a machine",
            samples={
                "docker": {"start": [0.9, 0.5, 0.6], "cell": [4.0, 9.0, 7.0], "spare": [0.04], "output": [0.2, 0.2]},
                "rival": {"start": [2.0, 1.0, 3.0], "cell": [50.0], "output": [0.1, None]},
            },
            verdicts={"docker": good, "rival": bad},
            absent={"bubblewrap": "it is not installed"},
        )

    def test_figures_are_medians_with_their_part_of_the_largest(self, found: Measured) -> None:
        head, *rows = figure_table(found)
        assert head == ["figure", "docker", "rival"]
        cells = {row[0]: row[1:] for row in rows}
        assert cells[FIGURES["start"]] == ["0.60 (0.30)", "2.00 (1.00)"]
        assert cells[FIGURES["cell"]] == ["7.0 (0.14)", "50.0 (1.00)"]
        assert cells[FIGURES["start quickest"]] == ["0.50 (0.50)", "1.00 (1.00)"]

    def test_a_failed_round_is_a_failure_and_what_does_not_exist_a_dash(self, found: Measured) -> None:
        cells = {row[0]: row[1:] for row in figure_table(found)}
        assert cells[FIGURES["output"]] == ["0.20 (1.00)", "fails"]
        assert cells[FIGURES["spare"]] == ["0.04 (1.00)", "-"]

    def test_answers_are_words_and_rest_on_facts(self, found: Measured) -> None:
        cells = {row[0]: row[1:] for row in behaviour_table(found)}
        assert cells[QUESTIONS["kept"]] == ["yes", "no"]
        assert cells[QUESTIONS["plot"]] == ["yes", "?"]
        assert evidence(found) == [f"{QUESTIONS['kept']}: rival: told: a | b", f"{QUESTIONS['plot']}: rival: could not be judged"]

    def test_targets_are_met_or_missed(self, found: Measured) -> None:
        start, cell, _ = targets(found)
        assert start.endswith("under 0.8 wanted, 0.60, met (0.50 in the quickest round)")
        assert cell.endswith("under 6 wanted, 7.00, MISSED (4.00 in the quickest round)")
        del found.samples["docker"]
        assert targets(found) == []

    def test_all_forms_hold_everything(self, found: Measured) -> None:
        for text in (as_text(found), as_markdown(found)):
            assert "a machine" in text
            assert "0.60 (0.30)" in text
            assert "bubblewrap did not take part: it is not installed" in text
        document = json.loads(as_json(found))
        assert document["figures"]["docker"]["start"] == 0.6
        assert document["verdicts"]["rival"]["kept"] == {"yes": False, "seen": "told: a | b"}

    def test_a_document_is_rewritten_between_its_marks_alone(self, found: Measured, tmp_path: Path) -> None:
        document = tmp_path / "sandbox.md"
        document.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter\n")
        rewrite(document, as_markdown(found))
        once = document.read_text()
        rewrite(document, as_markdown(found))
        assert document.read_text() == once
        assert once.startswith(f"# Before\n\n{BEGIN}\n\na machine\n")
        assert once.endswith(f"{END}\n\nAfter\n")
        assert "\nold\n" not in once

    @pytest.mark.parametrize("text", ["no marks", f"{END}\n{BEGIN}", BEGIN])
    def test_a_document_without_marks_is_left_alone(self, tmp_path: Path, text: str) -> None:
        document = tmp_path / "sandbox.md"
        document.write_text(text)
        with pytest.raises(UsageError, match=r"expected the lines .*begin.*end"):
            rewrite(document, "new")
        assert document.read_text() == text
        with pytest.raises(UsageError, match="there is no such file"):
            rewrite(tmp_path / "other.md", "new")


def test_the_project_s_document_has_the_marks() -> None:
    text = (Path(__file__).parents[2] / "docs/sandbox.md").read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text.partition(BEGIN)[2]
