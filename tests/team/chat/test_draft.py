"""Replies on the screen while they come: nothing twice, nothing that may be a call, nothing that acts on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from team.board import Board
from team.chat.draft import Draft, prose
from team.chat.screen import Screen
from team.chat.watch import Watch
from team.events import MessageSpoken, RepairAsked, ToolCalled, TurnStarted

SENTENCE = "The table has 344 rows and a target that is nearly balanced, so accuracy would do as well as the area under the curve."


class Watched:
    """A watch on a screen of 80 columns that is no terminal."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.grew = 0
        self.board = Board()
        self.watch = Watch(Screen(self.out), self.board, self._changed)
        self.watch(TurnStarted(turn=1, role="engineer", stage="train", briefing=""))

    def _changed(self) -> None:
        self.grew += 1

    def hear(self, text: str, size: int = 5) -> None:
        self.watch.hear("")
        for at in range(0, len(text), size):
            self.watch.hear(text[at : at + size])

    def speak(self, text: str) -> None:
        self.watch(MessageSpoken(turn=1, role="engineer", text=text))

    @property
    def words(self) -> str:
        return " ".join(self.out.getvalue().split())


def test_full_lines_stand_on_the_screen_before_the_reply_is_whole() -> None:
    watched = Watched()
    watched.hear(SENTENCE[:90])
    assert watched.words.startswith("engineer The table has 344 rows")
    assert watched.watch.unfinished
    assert watched.watch.unfinished in SENTENCE
    assert watched.grew >= 18
    watched.hear("")
    assert watched.words == "engineer " + SENTENCE[:90].strip()


def test_what_was_heard_is_not_said_again() -> None:
    watched = Watched()
    watched.hear(SENTENCE)
    watched.speak(SENTENCE)
    assert watched.words == f"engineer {SENTENCE}"
    assert [words.text for words in watched.board.glance().words] == [SENTENCE]


def test_a_call_that_comes_before_the_words_are_logged_repeats_nothing() -> None:
    watched = Watched()
    watched.hear(SENTENCE)
    watched.watch(ToolCalled(call="c", turn=1, role="engineer", tool="train", where="kernel", arguments={}))
    watched.speak(SENTENCE)
    assert watched.words.count("344 rows") == 1


def test_thoughts_that_were_not_streamed_are_said_beside_what_was() -> None:
    watched = Watched()
    watched.hear(SENTENCE)
    watched.speak(f"Let me think.\n\n{SENTENCE}")
    assert watched.words.count("344 rows") == 1
    assert "Let me think." in watched.words


def test_the_rest_of_a_reply_that_was_held_back_is_said_when_it_is_read() -> None:
    watched = Watched()
    watched.hear('I look at it {"name": "profile_table"}')
    assert "profile" not in watched.words
    watched.speak("I look at it and then go on.")
    assert watched.words == "engineer I look at it and then go on."


def test_a_reply_that_is_asked_for_again_stays_and_the_new_one_follows() -> None:
    watched = Watched()
    watched.hear(SENTENCE)
    watched.watch(RepairAsked(turn=1, role="engineer", problem="no tool was called"))
    watched.hear("Now I train.")
    watched.speak("Now I train.")
    assert watched.words.count("344 rows") == watched.words.count("Now I train.") == 1
    assert watched.words.index("asked again") < watched.words.index("Now I train.")


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("I profile it.\n```json\n{", "I profile it."),
        ('<tool_call>{"name"', ""),
        ("[TOOL_CALLS] [", ""),
        ('Good.\nprofile_table(table="train")', "Good."),
        ("Next, train_base", "Next,"),
        ("p < 0.05 (see `Sex`) and more", "p < 0.05 (see `Sex`) and more"),
        ("<think>hidden</think>Then this.", "Then this."),
        ("<think>hidden so far", ""),
        ("Action: train", ""),
        ("It ends in a tick `", "It ends in a tick "),
    ],
)
def test_only_prose_is_shown_while_it_comes(reply: str, shown: str) -> None:
    assert prose(reply).strip() == shown.strip()


@settings(max_examples=30)
@given(st.lists(st.text(alphabet=st.sampled_from("ab \n\x1b[]0;mJ\x07\x9b\u202e\u2028")), max_size=30))
def test_no_piece_acts_on_the_terminal_and_all_of_it_arrives(pieces: list[str]) -> None:
    draft_lines: list[str] = []
    draft = Draft(lambda: 40, lambda line, first: draft_lines.append(line), lambda: None)
    for piece in pieces:
        draft.hear(piece)
    draft.close()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", "".join(draft_lines))
