"""Lines that the user types: with editing, completion and a status line on a terminal, plain lines everywhere else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.key_binding import KeyBindings

Interrupted = Callable[[], None]
"""Called for Ctrl-C, in the loop's thread."""


Words = Mapping[str, tuple[str, Sequence[str]]]
"""What Tab completes at the beginning of a line: words, each with its help, and what may stand behind it."""
MENU_ROWS = 6


class Keyboard(Protocol):
    """Where lines come from."""

    async def line(self, prompt: Callable[[], str]) -> str | None:
        """The next line; None when there are no more."""

    def screen(self) -> AbstractContextManager[object]:
        """While it is entered, what is printed does not disturb what is being typed."""

    def repaint(self) -> None:
        """Draw again what stands around the line; from any thread."""


def open_keyboard(words: Words, status: Callable[[], str], unfinished: Callable[[], str], interrupted: Interrupted) -> Keyboard:
    """The keyboard of this process.

    Args:
        status: the line at the bottom of the screen.
        unfinished: the line above the prompt, such as one that is being written; empty where there is none.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        loop.add_signal_handler(signal.SIGINT, interrupted)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, _twice(interrupted))
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalKeyboard(words, status, unfinished, interrupted)
    return PlainKeyboard(loop)


def _twice(interrupted: Interrupted) -> Callable[[], None]:
    """Who asks a program to end wants no question."""

    def ended() -> None:
        interrupted()
        interrupted()

    return ended


class PlainKeyboard:
    """Lines of a pipe, a file or a terminal that can do nothing; read by a thread, so that the rest goes on meanwhile. No prompt is
    written: what the team says would go on behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = loop
        self._wanted = threading.Semaphore(0)
        # A daemon: reading a terminal cannot be ended from outside, and must not keep the process.
        threading.Thread(target=self._read, daemon=True, name="chat-input").start()

    def _read(self) -> None:
        while True:
            self._wanted.acquire()
            try:
                line = sys.stdin.readline()
            except (OSError, ValueError):
                line = ""
            try:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line.rstrip("\r\n") if line else None)
            except RuntimeError:  # the session is over
                return
            if not line:
                return

    async def line(self, prompt: Callable[[], str]) -> str | None:
        self._wanted.release()
        return await self._lines.get()

    def screen(self) -> AbstractContextManager[object]:
        return nullcontext()

    def repaint(self) -> None: ...


class TerminalKeyboard:
    """A line at the bottom of the screen, by prompt_toolkit; everything that is printed goes above it."""

    def __init__(self, words: Words, status: Callable[[], str], unfinished: Callable[[], str], interrupted: Interrupted) -> None:
        from prompt_toolkit import PromptSession

        self._status, self._unfinished = status, unfinished
        self._session: PromptSession[str] = PromptSession(
            completer=_completer(words),
            complete_while_typing=False,
            reserve_space_for_menu=MENU_ROWS,
            bottom_toolbar=lambda: self._fitted(self._status()),
            refresh_interval=0.5,
            key_bindings=_keys(interrupted),
        )

    def _fitted(self, text: str) -> str:
        width = self._session.output.get_size().columns
        return text if len(text) < width else text[: width - 2] + "…"

    def _above(self) -> str:
        return f"{self._fitted(text)}\n" if (text := self._unfinished()) else ""

    async def line(self, prompt: Callable[[], str]) -> str | None:
        try:
            return await self._session.prompt_async(lambda: self._above() + prompt(), handle_sigint=False)
        except EOFError:
            return None

    def screen(self) -> AbstractContextManager[object]:
        from prompt_toolkit.patch_stdout import patch_stdout

        return patch_stdout(raw=True)

    def repaint(self) -> None:
        self._session.app.invalidate()


def _completer(words: Words) -> Completer:
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    class Slashes(Completer):
        def get_completions(self, document: Document, complete_event: object) -> Iterator[Completion]:
            name, space, rest = document.text_before_cursor.partition(" ")
            if not name.startswith("/"):
                return
            if not space:
                yield from (Completion(word, -len(name), display_meta=words[word][0]) for word in words if word.startswith(name))
            elif name in words:
                yield from (Completion(option, -len(rest)) for option in words[name][1] if option.startswith(rest))

    return Slashes()


def _keys(interrupted: Interrupted) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: object) -> None:
        interrupted()

    return keys
