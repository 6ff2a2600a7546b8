"""A question at a terminal: asked on it, answered on it, and asked again when the answer is neither."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from team.approval import ApprovalDecision, ApprovalRequest
from team.asking import terminal_asker
from team.console import LiveView

REQUEST = ApprovalRequest(
    call="c", tool="track_run", role="release_manager", stage="release", outside=True, what="send the run to \x1b[2Jhttp://127.0.0.1:5000"
)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of the terminal that standard input is."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours
    os.close(ours)


def _answered(keyboard: int, typed: bytes) -> tuple[ApprovalDecision, str]:
    screen = io.StringIO()
    ask = terminal_asker(LiveView(screen))
    assert ask is not None

    async def scene() -> ApprovalDecision:
        os.write(keyboard, typed)
        return await asyncio.wait_for(ask(REQUEST), 60)

    return asyncio.run(scene()), screen.getvalue()


@pytest.mark.parametrize(("typed", "allowed"), [(b"y\n", True), (b"YES\n", True), (b"n\n", False), (b"\n", False)])
def test_an_answer_is_taken_as_it_is_typed(keyboard: int, typed: bytes, allowed: bool) -> None:
    decision, screen = _answered(keyboard, typed)
    assert (decision.allowed, decision.by) == (allowed, "terminal")
    assert "Allow track_run to send the run to http://127.0.0.1:5000? [y/N]" in screen
    assert "\x1b[2J" not in screen


def test_what_is_neither_is_asked_again(keyboard: int) -> None:
    decision, screen = _answered(keyboard, b"perhaps\ny\n")
    assert decision.allowed
    assert "'perhaps' is neither y nor n" in screen


def test_an_end_of_input_is_nobody(keyboard: int) -> None:
    decision, _ = _answered(keyboard, b"\x04")
    assert (decision.allowed, decision.by) == (False, "nobody")
    assert "--approve track_run" in decision.reason


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert terminal_asker(LiveView(io.StringIO())) is None
