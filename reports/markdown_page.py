"""A Markdown document that grows part by part, beside the plain text of all that it says, for the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from reports.markdown import escape, paragraphs


class MarkdownPage:
    """Texts are inert: nothing in them is markup."""

    def __init__(self, title: str) -> None:
        self._blocks = [f"# {escape(title)}"]
        self.said: list[str] = [title]

    def text(self) -> str:
        return "\n\n".join(self._blocks) + "\n"

    def heading(self, title: str, level: int = 2) -> None:
        self._blocks.append(f"{'#' * level} {title}")

    def say(self, text: str) -> None:
        self.said.append(text)
        self._blocks.append(paragraphs(text))

    def items(self, texts: Sequence[str]) -> None:
        if texts:
            self.said += texts
            self._blocks.append("\n".join(f"- {escape(text)}" for text in texts))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows:
            self.said += [" ".join(row) for row in rows]
            lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
            self._blocks.append("\n".join(f"| {' | '.join(line)} |" for line in lines))

    def command(self, text: str) -> None:
        """Lines for a shell; they are no claims. A fence longer than any in the text cannot be ended by it."""
        fence = "```"
        while fence in text:
            fence += "`"
        self._blocks.append(f"{fence}sh\n{text}\n{fence}")


def _cell(text: str) -> str:
    """A cell begins no line, so what would begin a list or a heading there needs no reference."""
    return escape(f"x {text}")[2:]
