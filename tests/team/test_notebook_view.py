"""The display of a run in a cell: what it says, that nothing in it acts, and that the bar never goes back."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from reports.card import render_live
from team.board import Board
from team.events import (
    CandidateScored,
    Event,
    FellBack,
    HoldoutScored,
    MessageSpoken,
    ProgressMade,
    RunEnded,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from team.notebook_view import STAGES, plain

STARTED = RunStarted(run="r1", settings={"source": "a.csv", "target": "y", "time": 60.0}, versions={})


def seen(*events: Event) -> Board:
    board = Board()
    for event in events:
        board(event)
    return board


def candidate(name: str, score: float) -> CandidateScored:
    return CandidateScored(name=name, family="f", score=score, std_error=0.01, fold_scores=[score], stage="train", seconds=1)


class Elements(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_line_and_the_page_say_where_the_run_stands() -> None:
    sealed = {"metric": "rmse", "direction": "minimize"}
    board = seen(
        STARTED,
        SandboxChosen(sandbox="bubblewrap", why="."),
        StageEntered(stage="train", visit=1),
        TurnStarted(turn=1, role="engineer", stage="train", briefing=""),
        ToolCalled(call="a", turn=1, role="engineer", tool="seal_holdout", where="host", arguments={}),
        ToolReturned(call="a", tool="seal_holdout", status="ok", seconds=1, result=sealed),
        candidate("linear-1", 2.5),
        candidate("lightgbm-1", 1.25),
        MessageSpoken(turn=1, role="engineer", text="Six families."),
        ToolCalled(call="c", turn=1, role="engineer", tool="train", where="kernel", arguments={}),
        ProgressMade(call="c", facts={"family": "mlp"}),
    )
    now = board.glance()
    assert [c.name for c in now.leaders] == ["lightgbm-1", "linear-1"], "the smaller error leads"
    assert plain(now).startswith("mlteam r1  train  ")
    assert "best lightgbm-1 rmse 1.25 ± 0.01" in plain(now)
    text = " ".join(" ".join(Elements(render_live(now, STAGES, "Pausing.")).text).split())
    for told in (
        "a.csv → y",
        "at work",
        "in bubblewrap",
        "Pausing.",
        "2 candidates RMSE",
        "family mlp",
        "Six families.",
        "0 of 60 s",
    ):
        assert told in text


def test_the_bar_never_goes_back_and_ends_full() -> None:
    board, shares = seen(STARTED), []
    steps: list[Event] = [
        StageEntered(stage="train", visit=1),
        ToolReturned(call="c", tool="train", status="ok", seconds=25, search_seconds=25),
        StageEnded(stage="train", visit=1, outcome="", seconds=25, search_seconds=25),
        StageEntered(stage="prepare", visit=2),
        StageEnded(stage="prepare", visit=2, outcome="", seconds=1, search_seconds=0),
        StageEntered(stage="train", visit=2),
        ToolReturned(call="d", tool="train", status="ok", seconds=90, search_seconds=90),
        StageEnded(stage="release", visit=1, outcome="", seconds=1, search_seconds=0),
        RunEnded(status="done", seconds=120),
    ]
    for step in steps:
        board(step)
        shares.append(board.glance().done)
    assert shares == sorted(shares)
    assert shares[-2] < shares[-1] == 1.0


HOSTILE = "</style></pre><script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>\u202e\x00"


def hostile(words: str) -> list[Event]:
    return [
        RunStarted(run=words, settings={"source": words, "target": words, "time": 60.0}, versions={}),
        SandboxChosen(sandbox=words, why=words),
        StageEntered(stage="train", visit=2),
        TurnStarted(turn=1, role=words, stage="train", briefing=words),
        MessageSpoken(turn=1, role=words, text=words),
        candidate(words, 0.5),
        HoldoutScored(candidate=words, metric=words, score=0.8, low=0.7, high=0.9, level=0.95, n=10, looks=1),
        FellBack(stage="train", role=words, reason=words),
        ToolCalled(call="c", turn=1, role=words, tool=words, where="host", arguments={words: words}),
        ProgressMade(call="c", facts={words: words}),
    ]


@given(st.one_of(st.just(HOSTILE), st.text(alphabet=st.sampled_from("<>&\"'/ =abscript\u202e\x00\n"))))
def test_no_words_of_data_or_models_are_markup(words: str) -> None:
    page = render_live(seen(*hostile(words)).glance(), STAGES, words)
    found = Elements(page)
    assert found.tags <= {
        "style",
        "div",
        "p",
        "b",
        "span",
        "code",
        "progress",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
    }
    assert found.attributes <= {"class", "max", "value", "open"}
    assert "\u202e" not in page
    assert "\x00" not in page


def test_the_plain_line_is_one_line_without_controls() -> None:
    line = plain(seen(*hostile("a\nb\x1b[2J\u2028c")).glance(), "n\x07\n")
    assert line.isprintable()
