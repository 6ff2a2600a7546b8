"""Rich's console, as wide as the terminal that it writes to is now."""

from __future__ import annotations

import os

from rich.console import Console, ConsoleDimensions

PROBLEM = "color(161)"
"""What went wrong. Rich's red is what a theme makes of it; this one of the 256 stands out from black and from white alike."""


class TerminalConsole(Console):
    """Rich takes every terminal that calls itself dumb for one of 80 columns, and an exported `COLUMNS` for the truth after a resize."""

    @property
    def size(self) -> ConsoleDimensions:
        try:
            columns, lines = os.get_terminal_size(self.file.fileno()) if self.file.isatty() else (0, 0)
        except (OSError, ValueError):  # it is closed, or only looks like a terminal
            columns = lines = 0
        return ConsoleDimensions(columns, lines) if columns and lines else super().size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


__all__ = ["PROBLEM", "TerminalConsole"]
