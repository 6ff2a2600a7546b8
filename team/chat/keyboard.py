"""Lines that the user types: with editing, completion and a status line on a terminal, plain lines everywhere else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings

Interrupted = Callable[[], None]
"""Called for Ctrl-C, in the loop's thread."""


class Keyboard(Protocol):
    """Where lines come from."""

    async def line(self, prompt: Callable[[], str]) -> str | None:
        """The next line; None when there are no more."""

    def screen(self) -> AbstractContextManager[object]:
        """While it is entered, what is printed does not disturb what is being typed."""

    def close(self) -> None: ...


def open_keyboard(words: Sequence[str], status: Callable[[], str], interrupted: Interrupted) -> Keyboard:
    """The keyboard of this process.

    Args:
        words: what Tab completes at the beginning of a line.
        status: the line at the bottom of the screen.
    """
    loop = asyncio.get_running_loop()
    if threading.current_thread() is threading.main_thread():
        loop.add_signal_handler(signal.SIGINT, interrupted)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, _twice(interrupted))
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalKeyboard(words, status, interrupted)
    return PlainKeyboard(loop)


def _twice(interrupted: Interrupted) -> Callable[[], None]:
    """Who asks a program to end wants no question."""

    def ended() -> None:
        interrupted()
        interrupted()

    return ended


class PlainKeyboard:
    """Lines of a pipe, a file or a terminal that can do nothing; read by a thread, so that the rest goes on meanwhile."""

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
        if sys.stdout.isatty():
            print(prompt(), end="", flush=True)
        self._wanted.release()
        return await self._lines.get()

    def screen(self) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None: ...


class TerminalKeyboard:
    """A line at the bottom of the screen, by prompt_toolkit; everything that is printed goes above it."""

    def __init__(self, words: Sequence[str], status: Callable[[], str], interrupted: Interrupted) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import WordCompleter

        self._status = status
        self._session: PromptSession[str] = PromptSession(
            completer=WordCompleter(list(words), sentence=True),
            complete_while_typing=False,
            bottom_toolbar=lambda: self._toolbar(),
            refresh_interval=0.5,
            key_bindings=_keys(interrupted),
        )

    def _toolbar(self) -> str:
        width = self._session.output.get_size().columns
        text = self._status()
        return text if len(text) < width else text[: width - 2] + "…"

    async def line(self, prompt: Callable[[], str]) -> str | None:
        try:
            return await self._session.prompt_async(prompt, handle_sigint=False)
        except EOFError:
            return None

    def screen(self) -> AbstractContextManager[object]:
        from prompt_toolkit.patch_stdout import patch_stdout

        return patch_stdout(raw=True)

    def close(self) -> None: ...


def _keys(interrupted: Interrupted) -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("c-c")
    def _(event: object) -> None:
        interrupted()

    return keys
