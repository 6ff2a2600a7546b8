"""Untrusted candidates: what they cannot see, cannot forge and cannot leave behind, and how their failures are told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from team.events import AttemptMade, CellExecuted, Event, KernelChanged, ProgressMade, ToolReturned
from team.evidence import HandedIn
from team.group import Group
from team.models.metering import MeteredClient
from team.quarantine import _cut
from team.roles import NAMES, roles
from team.stages import Stage
from team.workbench import RoleWorkbench
from tests.rooming import Rooming, rooming
from tests.scripted import ScriptedClient
from tests.tools.coded import CLASSES, VALUES
from tools.candidates import Candidate
from tools.contract import Contract
from tools.predictions import read_predictions, write_predictions

pytestmark = pytest.mark.slow
SHARES = """
import numpy as np


class Shares:
    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / len(y)
        self.begin(X, y)
        return self

    def predict_proba(self, X):
        self.end(X)
        return np.tile(self.shares_, (len(X), 1))

    def begin(self, X, y):
        pass

    def end(self, X):
        pass


def make_model():
    return Shares()
"""
"""Predicts the class shares, in ROC AUC one half. Tests put what a cheat does into `begin` and `end`, and before them."""


def cheat(*, begin: str = "pass", end: str = "pass", before: str = "") -> str:
    """A candidate that does more than predict shares, while it fits and while it predicts."""
    code = SHARES.replace("def begin(self, X, y):\n        pass", f"def begin(self, X, y):\n        {begin}")
    code = code.replace("def end(self, X):\n        pass", f"def end(self, X):\n        {end}")
    return before + code


class Answer:
    """What the engineer was told."""

    def __init__(self, r: Rooming, name: str, error: bool, text: str) -> None:
        self._r, self.name, self.error, self.text = r, name, error, text

    @property
    def detail(self) -> str:
        return str(json.loads(self.text)["detail"])

    @property
    def record(self) -> Candidate:
        return Candidate.model_validate_json((self._r.run.work / "candidates" / self.name / "candidate.json").read_text())

    @property
    def score(self) -> float:
        return next(c.score for c in self._r.room.state.candidates if c.name == self.name)

    @property
    def printed(self) -> list[str]:
        """What each fold printed."""
        cells = [json.loads(line) for line in self._r.run.cells.read_text().splitlines()]
        return ["".join(o["text"] for o in cell["outputs"] if o["output_type"] == "stream") for cell in cells]


async def submit(r: Rooming, name: str, code: str, **more: Any) -> Answer:
    result = await RoleWorkbench(roles()["engineer"], r.room).call_tool("submit_candidate", {"name": name, "code": code, **more})
    return Answer(r, name, result.is_error, result.to_text())


@asynccontextmanager
async def training(tmp_path: Path, sandbox: str, source: str | Path = "sklearn:breast_cancer", **settings: Any) -> AsyncIterator[Rooming]:
    """A run whose holdout is sealed and whose engineer trains."""
    given: dict[str, Any] = {"target": "target", "folds": 2, "search_s": 300, **settings}
    async with rooming(tmp_path / "runs", source, sandbox=sandbox, **given) as r:
        r.enter(Stage.ACQUIRE)
        for tool in ("fetch_data", "seal_holdout"):
            result = await RoleWorkbench(roles()["data_scientist"], r.room).call_tool(tool, {})
            assert not result.is_error, result.to_text()
        r.enter(Stage.TRAIN)
        r.events.clear()
        yield r


def nothing_is_left(r: Rooming) -> bool:
    return not list(r.run.path.glob(".fold-*")) and not list((r.run.work / "candidates").glob("*")) and not r.room.state.candidates


def events_of(r: Rooming, kind: type[Event]) -> list[Any]:
    return [event for event in r.events if isinstance(event, kind)]


async def test_it_is_scored_on_the_host_and_everything_is_on_record(tmp_path: Path) -> None:
    async with training(tmp_path, "unsafe-local") as r:
        answer = await submit(r, "mine", CLASSES)
        told = json.loads(answer.text)
        fact = r.room.state.candidates[0]
        assert (fact.name, fact.family, fact.stage) == ("mine", "code", Stage.TRAIN)
        assert fact.score == told["candidate"]["score"] == answer.record.score > 0.98
        assert fact.fold_scores == told["fold_scores"]
        assert (r.run.work / "candidates" / "mine" / "candidate.py").read_text() == CLASSES
        folder = r.run.work / "candidates" / "mine"
        oof = read_predictions(folder / "oof.parquet", r.hosting.vault.contract, 456)
        assert r.hosting.vault.out_of_fold.decide(oof).score == fact.score
        started = [e for e in events_of(r, KernelChanged) if e.change == "started"]
        assert [(e.facts["candidate"], e.facts["fold"]) for e in started] == [("mine", 1), ("mine", 2)]
        assert len({e.facts["pid"] for e in started}) == 2, "a sandbox of its own for each fold"
        assert [e.status for e in events_of(r, CellExecuted)] == ["ok", "ok"]
        assert [e.facts["fold"] for e in events_of(r, ProgressMade)] == [1, 2]
        assert [e.facts["score"] for e in events_of(r, ProgressMade)] == fact.fold_scores
        returned = events_of(r, ToolReturned)[-1]
        assert returned.search_seconds == r.meter.usage.search_s == returned.seconds
        assert told["seconds"] == pytest.approx(returned.seconds, abs=0.5)
        assert not list(r.run.path.glob(".fold-*"))
        cell = json.loads(r.run.cells.read_text().splitlines()[0])
        assert cell["code"] == "from tools.submission import predict_fold\nfrom tools.show import show\n\nshow(predict_fold())"
        assert r.room.tuned == ["code"], "in the optimise stage, the round's gain is judged by it"
        again = await submit(r, "mine", CLASSES)
        assert "'mine' is there already; choose another name. Taken: mine." in again.detail


async def test_attempts_grow_a_tree_that_is_briefed(tmp_path: Path) -> None:
    async with training(tmp_path, "unsafe-local") as r:
        broken = CLASSES.replace("StandardScaler()", "StandardScaler(mean=0)")
        assert (await submit(r, "mine", broken, idea="scale")).error
        assert not (await submit(r, "mine", CLASSES, idea="scale rightly")).error
        again = await submit(
            r, "softer", CLASSES.replace("LogisticRegression()", "LogisticRegression(C=0.5)"), parent="mine", idea="shrink more"
        )
        unknown = await submit(r, "lost", CLASSES, parent="nobody")
        moves = [(a.name, a.move, a.parent, a.score is not None) for a in r.room.state.attempts]
        assert moves == [("mine", "debug" if i else "draft", "mine" if i else None, bool(i)) for i in (0, 1)] + [
            ("softer", "improve", "mine", True)
        ]
        assert json.loads(again.text)["lesson"] == r.room.state.attempts[-1].lesson
        assert "against mine" in r.room.state.attempts[-1].lesson
        assert "parent 'nobody' is no candidate and no failed attempt; there are: mine, softer" in unknown.text
        assert [e.name for e in events_of(r, AttemptMade)] == ["mine", "mine", "softer"]


SLOW = """
import time
from sklearn.linear_model import LogisticRegression

class Slow(LogisticRegression):
    def fit(self, X, y):
        until = time.monotonic() + len(X) / 1000
        while time.monotonic() < until:
            pass
        return super().fit(X.fillna(0), y)

def make_model():
    return Slow()
"""


async def test_libraries_are_imported_before_its_fold_begins(tmp_path: Path) -> None:
    before = "import sys\nprint('skrub' in sys.modules, 'sklearn.ensemble' in sys.modules)\n"
    async with training(tmp_path, "unsafe-local") as r:
        answer = await submit(r, "mine", cheat(before=before))
        assert answer.printed
        assert all(text.startswith("True True\n") for text in answer.printed)


async def test_a_module_is_tried_on_few_rows_before_time_is_spent_on_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=12_000), "b": rng.normal(size=12_000)})
    frame.assign(target=(frame.a + rng.normal(size=12_000) > 0).astype(int)).to_csv(tmp_path / "many.csv", index=False)
    async with training(tmp_path, "unsafe-local", tmp_path / "many.csv") as r:
        answer = await submit(r, "slow", SLOW, time_s=6)
        assert answer.error
        assert "on 1,000 rows a fit takes 1." in answer.text
        assert "2 folds of 4,800 rows would take about" in answer.text
        assert nothing_is_left(r)
        assert [e.facts.get("sample_rows") for e in events_of(r, ProgressMade)] == [1000]


async def test_values_over_time_are_predicted_from_earlier_rows_alone(tmp_path: Path) -> None:
    from sklearn.datasets import load_diabetes

    table = load_diabetes(as_frame=True).frame
    table.assign(day=pd.date_range("2024-01-01", periods=len(table)).astype(str)).to_csv(tmp_path / "table.csv", index=False)
    code = VALUES.replace(
        "def make_model", "class Earlier(Ridge):\n    def fit(self, X, y):\n        return self.later(X, y)\n\n\ndef make_model"
    ).replace("return Ridge()", "return Earlier()")
    code = code.replace(
        "        return self.later(X, y)",
        "        self.last_ = X['day'].max()\n        return super().fit(X.drop(columns='day'), y)\n\n"
        "    def predict(self, X):\n        assert X['day'].min() > self.last_\n        return super().predict(X.drop(columns='day'))",
    )
    async with training(tmp_path, "unsafe-local", tmp_path / "table.csv", time_column="day") as r:
        answer = await submit(r, "mine", code)
        assert not answer.error, answer.text
        oof = pd.read_parquet(r.run.work / "candidates" / "mine" / "oof.parquet")
        assert (oof["prediction"].isna() == (oof["fold"] == -1)).all()
        assert 0 < oof["prediction"].isna().mean() < 0.5
        assert answer.score < 80


def test_rows_are_handed_over_in_an_order_that_says_nothing(tmp_path: Path) -> None:
    """In a table that is sorted by its target, position would give it away."""
    from sklearn.datasets import load_breast_cancer

    from tests.tools.conftest import write_workspace
    from tools.columns import coerce
    from tools.folds import make_validation

    table = load_breast_cancer(as_frame=True).frame.sort_values("target", kind="stable")
    space = write_workspace(tmp_path / "sorted", table, "target", "binary")
    schema = (space.data / "schema.json").read_bytes()

    def handed_over(rows: pd.DataFrame, contract: Contract) -> tuple[list[np.ndarray], list[float]]:
        folds = _cut(rows, make_validation(rows, contract), schema)
        assert sorted(np.concatenate([fold.check for fold in folds])) == list(range(len(rows)))
        told = [abs(np.corrcoef(np.arange(len(f.check)), rows["target"].astype(int).iloc[f.check])[0, 1]) for f in folds]
        return [coerce(rows.iloc[f.check], space.schema).to_numpy() for f in folds], told

    assert max(handed_over(space.table("train"), space.contract)[1]) < 0.25


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (cheat(begin="print('a clue'); X['colour']"), "fold 1 of 2 failed: fitting failed: KeyError: 'colour'\nTraceback"),
        (cheat(end="self.shares_ = self.shares_ * np.nan"), "fold 1 of 2 failed: predictions.parquet: 456 predictions are missing or not"),
        (cheat(begin="import os; os._exit(3)"), "fold 1 of 2 took its sandbox with it: exit code 3"),
        (cheat(begin="import ctypes; ctypes.string_at(0)"), "fold 1 of 2 took its sandbox with it: killed by signal 11 (SIGSEGV)"),
    ],
    ids=["exception", "nan", "exit", "crash"],
)
async def test_a_fold_that_fails_is_named_with_its_own_words_and_leaves_nothing(tmp_path: Path, code: str, told: str) -> None:
    async with training(tmp_path, "unsafe-local") as r:
        answer = await submit(r, "mine", code)
        assert json.loads(answer.text)["error"] == "error"
        assert told in answer.detail
        assert answer.detail.startswith("fold 1 of 2 printed:\na clue\nfold 1 of 2 failed: ") == ("clue" in code)
        assert nothing_is_left(r)
        assert r.room.fatal is None
        returned = events_of(r, ToolReturned)[-1]
        assert 0 < returned.search_seconds == r.meter.usage.search_s, "what was tried is charged"
        assert len(events_of(r, CellExecuted)) == 1, "a failure is not tried fold by fold"


async def test_a_later_fold_is_named_too(tmp_path: Path) -> None:
    """The first of these three folds has a row more than the others."""
    async with training(tmp_path, "unsafe-local", "sklearn:wine", folds=3) as r:
        rows = [len(rows) for rows in np.array_split(np.arange(r.hosting.vault.contract.rows_train), 3)]
        assert rows[0] > rows[1]
        answer = await submit(r, "mine", cheat(end=f"assert len(X) == {rows[0]}"))
        assert answer.detail.startswith("fold 2 of 3 failed: predicting failed: AssertionError")
        assert nothing_is_left(r)


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_fold_that_never_ends_is_ended(tmp_path: Path, deaf: bool) -> None:
    begin = "while True: pass"
    if deaf:
        begin = f"import signal\n        for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n        {begin}"
    async with training(tmp_path, "unsafe-local") as r:
        answer = await submit(r, "mine", cheat(begin=begin), time_s=5)
        last = answer.detail.splitlines()[-1]
        assert re.match(r"fold 1 of 2 did not end in the \d\.\d s that were left\. Nothing is kept\. Submit a lighter model", last)
        assert nothing_is_left(r)
        assert 5 <= r.meter.usage.search_s < 30


async def test_folds_that_cannot_all_be_done_in_time_are_not_begun(tmp_path: Path) -> None:
    spin = "import time; end = time.monotonic() + 2\n        while time.monotonic() < end: pass"
    async with training(tmp_path, "unsafe-local", folds=5) as r:
        answer = await submit(r, "mine", cheat(begin=spin), time_s=9)
        assert "after fold 1 of 5: one takes about" in answer.detail
        assert "are left of 9 s. Nothing is kept. Submit a lighter model" in answer.detail
        assert len(events_of(r, CellExecuted)) == 1
        assert nothing_is_left(r)


async def test_no_more_time_than_the_search_has_left_is_given(tmp_path: Path) -> None:
    async with training(tmp_path, "unsafe-local", search_s=6) as r:
        answer = await submit(r, "mine", cheat(begin="while True: pass"), time_s=500)
        assert re.search(r"\nfold 1 of 2 did not end in the \d\.\d s that were left", answer.detail)
        assert r.room.state.search_spent
        assert "time limit reached" in (await submit(r, "mine", SHARES)).detail


async def test_code_that_was_not_handed_in_is_no_candidate(tmp_path: Path) -> None:
    """Whoever runs in the work folder can write files that look like it, or put others in their place."""
    async with training(tmp_path, "unsafe-local") as r:
        assert not (await submit(r, "mine", SHARES)).error
        folder, vault = r.run.work / "candidates", r.hosting.vault
        labels = vault.rows.labels()
        for name in ("planted", "swapped"):
            shutil.copytree(folder / "mine", folder / name)
            write_predictions(folder / name / "oof.parquet", vault.contract, np.column_stack([1 - labels, labels]))
        state, problems = r.room.evidence.of_candidates(r.room.state, HandedIn("swapped", 0.5))
        assert state == r.room.state
        assert [p.partition(":")[0] for p in problems] == ["candidate 'planted' is rejected", "candidate 'swapped' is rejected"]
        assert "code is scored by submit_candidate alone" in problems[0]
        again = await submit(r, "planted", SHARES)
        assert "'planted' is there already" in again.detail


@pytest.mark.parametrize("planted", ["candidates", "candidates/mine"])
async def test_a_link_that_is_planted_meanwhile_leads_nowhere(tmp_path: Path, planted: str) -> None:
    """Code that still runs in the run's own kernel can write to the work folder while the folds are fitted."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with training(tmp_path, "unsafe-local") as r:

        def plant(event: Event) -> None:
            if isinstance(event, ProgressMade) and event.facts["fold"] == 2:
                place = r.run.work / planted
                place.parent.mkdir(exist_ok=True)
                place.symlink_to(elsewhere)

        r.log.subscribe(plant)
        answer = await submit(r, "mine", SHARES)
        assert answer.error
        assert not list(elsewhere.iterdir())
        assert not r.room.state.candidates
        assert not list(r.run.path.glob(".fold-*"))
        assert (r.run.work / planted).is_symlink()


async def cancelled(r: Rooming, when: Callable[[], bool], code: str) -> None:
    """Let a scripted engineer submit, and cancel the turn as soon as `when` is true."""
    client = ScriptedClient([("submit_candidate", {"name": "mine", "code": code}), "unused"])
    group = Group({name: MeteredClient(client, name, "openai:scripted", lambda _: None) for name in NAMES}, r.room, lambda *_: None)
    task = asyncio.create_task(group.turn("engineer", "[stage train]"))
    while not when():
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)


@pytest.mark.parametrize("moment", ["called", "second sandbox", "first fold"])
async def test_a_cancelled_turn_ends_its_sandboxes(tmp_path: Path, moment: str) -> None:
    # Looked at from outside: a fold that is fitting has made this file.
    mark = tmp_path / "fitting"
    code = cheat(begin=f"open({str(mark)!r}, 'w').close()\n        while True: pass")
    others = set(psutil.Process().children(recursive=True))  # of tests before this one, such as workers of a process pool

    async with training(tmp_path, "unsafe-local") as r:
        reached = {
            "called": lambda: "tool_called" in r.kinds(),
            "second sandbox": lambda: r.kinds().count("kernel_changed") == 2,
            "first fold": mark.exists,
        }
        await cancelled(r, reached[moment], code)
        assert nothing_is_left(r)
        assert set(psutil.Process().children(recursive=True)) <= others
        if moment == "first fold":
            assert not (await submit(r, "mine", SHARES)).error, "the next call finds everything as it was"


@pytest.mark.bubblewrap
class TestCheats:
    """Modules that would rather score well than predict well, in the sandbox that is there against them."""

    async def test_no_validation_label_can_be_found(self, tmp_path: Path) -> None:
        before = """
import os, sys
import pandas as pd

LIBRARIES = ("/usr", sys.prefix, sys.base_prefix)

def tables():
    for folder, folders, names in os.walk("/"):
        if folder == "/":
            folders[:] = [f for f in folders if f not in ("proc", "sys", "dev")]
        for path in (os.path.join(folder, name) for name in names):
            if path.startswith(LIBRARIES) and not path.endswith(".parquet"):
                continue
            try:
                if open(path, "rb").read(4) == b"PAR1":
                    yield path, pd.read_parquet(path)
            except OSError:
                pass

def labels():
    found = {}
    for path, table in tables():
        if "target" in table:
            print("labels lie in", path)
            found |= {tuple(row[:-1]): row[-1] for row in table.itertuples(index=False)}
    return found
"""
        end = "known = labels(); print(sum(tuple(row) in known for row in X.itertuples(index=False)), 'of', len(X), 'labels')"
        async with training(tmp_path, "bubblewrap") as r:
            answer = await submit(r, "mine", cheat(before=before, end=end))
            assert answer.printed == ["labels lie in /mlteam/data/train.parquet\n0 of 228 labels\n"] * 2
            assert answer.score == 0.5

    async def test_nothing_is_found_of_an_earlier_fold(self, tmp_path: Path) -> None:
        places = "('.', '/tmp', '/dev/shm', os.path.expanduser('~'), '/mlteam/connection')"
        begin = (
            f"import os\n        for place in {places}:\n            print(os.path.exists(place + '/kept'), end=' ')\n"
            "            open(place + '/kept', 'w').close()\n        print(os.listdir('.'), sorted(os.listdir('/mlteam/data')))"
        )
        async with training(tmp_path, "bubblewrap") as r:
            answer = await submit(r, "mine", cheat(begin=begin))
            own = ["candidate.py", "contract.json", "schema.json", "train.parquet", "validation.parquet"]
            assert answer.printed == [f"{'False ' * 5}['kept'] {own}\n"] * 2

    async def test_a_false_score_is_just_text(self, tmp_path: Path) -> None:
        before = """
from IPython import get_ipython
from IPython.display import display

def boast(*_):
    print("roc_auc 1.0")
    display({"application/vnd.mlteam.result+json": {"score": 1.0, "rows": 1, "fit_seconds": 1e9, "predict_seconds": 1e9}}, raw=True)

boast()
get_ipython().events.register("post_run_cell", boast)
"""
        async with training(tmp_path, "bubblewrap") as r:
            answer = await submit(r, "mine", cheat(before=before))
            assert answer.score == answer.record.score == 0.5
            assert "roc_auc 1.0" in answer.printed[0]
            fitting = sum(e.seconds for e in events_of(r, CellExecuted))
            assert answer.record.fit_seconds <= fitting, "a fold cannot have fitted for longer than it ran"
            assert json.loads(answer.text)["candidate"]["score"] == 0.5

    async def test_a_false_result_of_another_shape_fails_the_fold(self, tmp_path: Path) -> None:
        before = """
from IPython import get_ipython
from IPython.display import display
show = lambda *_: display({"application/vnd.mlteam.result+json": {"score": 1.0}, "text/plain": ""}, raw=True)
get_ipython().events.register("post_run_cell", show)
"""
        async with training(tmp_path, "bubblewrap") as r:
            assert "fold 1 of 2 failed: its cell showed no result of the right shape" in (await submit(r, "m", cheat(before=before))).detail

    async def test_patched_libraries_change_its_own_predictions_alone(self, tmp_path: Path) -> None:
        before = """
import pandas, pyarrow.parquet, sklearn.metrics, tools.folds, tools.metrics, tools.predictions

encode = tools.predictions.encode_predictions
tools.predictions.encode_predictions = lambda contract, predictions, fold=None: encode(contract, 1 - predictions, fold)
tools.metrics.score = sklearn.metrics.roc_auc_score = lambda *_, **__: 1.0
tools.folds.make_folds = pandas.read_parquet = pandas.DataFrame.to_parquet = None
"""
        async with training(tmp_path, "bubblewrap") as r:
            patched = (await submit(r, "patched", before + CLASSES)).score
            plain = (await submit(r, "plain", CLASSES)).score
            assert patched == pytest.approx(1 - plain), "it scores as what it wrote, and the next one as ever"
            assert plain > 0.98

    @pytest.mark.parametrize(
        ("trap", "told"),
        [
            ("os.symlink(good, path)", "cannot read it as a regular file"),
            ("os.mkfifo(path)", "not a regular file"),
            ("os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 64 << 20)", "67,108,864 bytes; at most"),
            ("None", "No such file"),
        ],
        ids=["link", "fifo", "huge", "nothing"],
    )
    async def test_what_is_no_file_of_predictions_is_refused(self, tmp_path: Path, trap: str, told: str) -> None:
        """What the module puts in the place of the file once its cell is over."""
        good = tmp_path / "good.parquet"
        before = (
            "import os\nfrom IPython import get_ipython\n"
            f"path, good = 'predictions.parquet', {str(good)!r}\n"
            f"def trap(*_): os.unlink(path); {trap}\n"
            "get_ipython().events.register('post_run_cell', trap)\n"
        )
        async with training(tmp_path, "bubblewrap") as r:
            write_predictions(good, r.hosting.vault.contract, np.full((228, 2), 0.5))
            answer = await submit(r, "mine", cheat(before=before))
            assert answer.detail.startswith("fold 1 of 2 failed: predictions.parquet: ")
            assert told in answer.detail
            assert nothing_is_left(r)

    async def test_a_process_that_is_left_behind_ends_with_its_sandbox(self, tmp_path: Path) -> None:
        mark = f"left-behind-{os.getpid()}"
        begin = (
            "import subprocess\n"
            f"        code = 'import os, time\\nif os.fork(): os._exit(0)\\nos.setsid(); print(flush=True); time.sleep(600)  # {mark}'\n"
            "        self.out = subprocess.Popen(['python3', '-c', code], stdout=subprocess.PIPE).stdout.readline() and None\n"
            "        print('it runs')"
        )
        async with training(tmp_path, "bubblewrap") as r:
            answer = await submit(r, "mine", cheat(begin=begin))
            assert answer.printed == ["it runs\n"] * 2
            assert [p.pid for p in psutil.process_iter(["cmdline"]) if any(mark in part for part in p.info["cmdline"] or ())] == []
