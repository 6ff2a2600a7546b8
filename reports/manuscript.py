"""The paper as it is written: LaTeX by PyLaTeX beside the plain text of all that it says, for the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.tex import escape, spoken

MOST_NAME = 44


class Manuscript:
    """A document that grows part by part."""

    def __init__(self, title: str, date: str) -> None:
        from pylatex import Command, Document, NoEscape, Package

        self._raw = NoEscape
        self._document = Document(
            documentclass="article", document_options=["10pt", "a4paper"], fontenc="T1", inputenc="utf8", lmodern=True, page_numbers=False
        )
        for name, options in (
            ("geometry", ["margin=27mm"]),
            ("booktabs", None),
            ("graphicx", None),
            ("array", None),
            ("float", None),
            ("natbib", ["numbers", "sort"]),
        ):
            self._document.packages.append(Package(name, options=options))
        self._document.packages.append(Package("hyperref", options=["hidelinks"]))
        for line in (
            r"\emergencystretch=3em",
            r"\newcommand{\code}[1]{{\footnotesize\ttfamily #1}}",
            r"\newcolumntype{L}[1]{>{\raggedright\arraybackslash\hspace{0pt}}p{#1}}",
            r"\pdfsuppressptexinfo=-1 \pdftrailerid{}",
        ):
            self._document.preamble.append(NoEscape(line))
        self._document.preamble.append(Command("title", NoEscape(escape(title, 160))))
        self._document.preamble.append(Command("author", "mlteam"))
        self._document.preamble.append(Command("date", date))
        self._document.append(NoEscape(r"\maketitle"))
        self.said: list[str] = []
        """Everything that was said, as plain text."""

    def tex(self) -> str:
        return str(self._document.dumps())

    def section(self, title: str, level: int = 1) -> None:
        self._add(rf"\{'sub' * (level - 1)}section{{{escape(title)}}}")

    def abstract(self, text: str) -> None:
        self.said.append(text)
        self._add("\\begin{abstract}\n" + "\n\n".join(spoken(text)) + "\n\\end{abstract}")

    def say(self, text: str, cite: Sequence[str] = ()) -> None:
        """Prose; paragraphs are parted by empty lines. With citations the last sentence comes without its full stop."""
        self.said.append(text)
        source = "\n\n".join(spoken(text))
        self._add((source + (rf"~\citep{{{','.join(cite)}}}." if cite else "")) + r"\par")

    def items(self, texts: Sequence[str]) -> None:
        if texts:
            self.said += texts
            self._add("\\begin{itemize}\n" + "\n".join(rf"\item {escape(text, 600)}" for text in texts) + "\n\\end{itemize}")

    def command(self, text: str) -> None:
        """A line for a shell; it is no claim."""
        self._add("\\begin{quote}\\raggedright\\ttfamily\\small " + escape(text) + "\\end{quote}")

    def table(self, caption: str, widths: Sequence[float], head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose columns take these shares of the text's width; a width of 0 is a column of numbers, as wide as they are."""
        from pylatex import Tabular

        if not rows:
            return
        self.said += [caption, *(" ".join(row) for row in rows)]
        columns = "".join("r" if width == 0 else rf"L{{{width}\textwidth}}" for width in widths)
        table = Tabular(columns, booktabs=True, col_space="4pt", width=len(widths))
        table.add_row([self._raw(escape(cell)) for cell in head])
        table.append(self._raw(r"\midrule"))
        for row in rows:
            table.add_row([self._raw(escape(cell, MOST_NAME if width == 0 else 160)) for cell, width in zip(row, widths, strict=True)])
        self._add(
            "\\begin{table}[H]\\centering\\small\n\\caption{" + escape(caption) + "}\n\\smallskip\n" + table.dumps() + "\n\\end{table}"
        )

    def figure(self, caption: str, name: str) -> None:
        self.said.append(caption)
        self._add(
            f"\\begin{{figure}}[H]\\centering\n\\includegraphics[width=\\textwidth]{{figures/{name}}}\n\\caption{{{escape(caption)}}}\n\\end{{figure}}"
        )

    def references(self) -> None:
        self._add("\\bibliographystyle{plainnat}\n\\bibliography{references}")

    def _add(self, source: str) -> None:
        made: Any = self._raw(source)
        self._document.append(made)
