"""The paper as it is written: LaTeX by PyLaTeX beside the plain text of all that it says, for the ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from reports.glyphs import FALL, RISE, Outline
from reports.shaping import seen
from reports.tex import drawn, escape, spoken, typed

MOST_NAME = 44
KEPT_TOGETHER = 10
"""Rows of a table that no page is broken between; a longer one goes on with its head on the next page."""
HEAD_LINES = 8
"""Of text, that a heading, the caption below it and the head of a table take."""
_GLYPH = re.compile(r"\\glyph\{([0-9A-F]+)\}")
_DRAWN = (
    # What programs read and copy: unseen letters that stand for the characters.
    r"\leavevmode\rlap{\pdfliteral direct{3 Tr}\csname under-#1\endcsname\pdfliteral direct{0 Tr}}"
    # What is seen: its page of glyphs.pdf.
    rf"\raisebox{{-{FALL}em}}[0.75em][0.2em]"
    rf"{{\includegraphics[height={FALL + RISE:g}em,page=\csname glyph-#1\endcsname]{{figures/glyphs}}}}"
)
_WIDTHS = {r"\textemdash{}": 1000, "m": 833, "n": 556, "i": 278}
_DASH = 1000
_UNDER = ((920, r"\textemdash{}"), (670, "m"), (420, "n"), (0, "i"))
"""The unseen letter of about the same width, from so many thousandths of an em on, so that no program sees a gap between two."""
_PREAMBLE = (
    r"\emergencystretch=3em",
    r"\newcommand{\code}[1]{{\footnotesize\ttfamily #1}}",
    r"\newcolumntype{L}[1]{>{\raggedright\arraybackslash\hspace{0pt}}p{#1}}",
    r"\pdfsuppressptexinfo=-1 \pdftrailerid{}",
    rf"\DeclareRobustCommand{{\glyph}}[1]{{{_DRAWN}}}",
    r"\setlength{\LTcapwidth}{\textwidth}",
    # A heading stays with the table that follows: longtable, unlike text, lets a page end between them.
    r"\newcommand{\room}[1]{\par\penalty-100 \ifdim\dimexpr\pagegoal-\pagetotal\relax<#1\relax\vfil\break\fi}",
)


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
            ("longtable", None),
            ("natbib", ["numbers", "sort"]),
        ):
            self._document.packages.append(Package(name, options=options))
        self._document.packages.append(Package("hyperref", options=["hidelinks"]))
        for line in _PREAMBLE:
            self._document.preamble.append(NoEscape(line))
        self._document.preamble.append(Command("title", NoEscape(escape(title, 160))))
        self._document.preamble.append(Command("author", "mlteam"))
        self._document.preamble.append(Command("date", date))
        self._document.append(NoEscape(r"\pagestyle{plain}\maketitle"))
        self._headed = 0
        """Where the last heading ends, in parts of the document."""
        self.said: list[str] = []
        """Everything that was said, as plain text."""

    def tex(self) -> tuple[str, list[Outline]]:
        """The LaTeX source, and what is drawn, in the order of its pages in `figures/glyphs.pdf`."""
        codes = sorted(set(_GLYPH.findall(self._document.dumps())))
        outlines = []
        for page, code in enumerate(codes, 1):
            text = bytes.fromhex(code).decode("utf-16-be")
            one = drawn(text)
            assert one is not None, code  # since `escape` names nothing else
            outlines.append(one)
            self._document.preamble.append(self._raw(rf"\expandafter\def\csname glyph-{code}\endcsname{{{page}}}"))
            self._document.preamble.append(self._raw(rf"\expandafter\def\csname under-{code}\endcsname{{{_under(text, one.width)}}}"))
        return str(self._document.dumps()), outlines

    def section(self, title: str, level: int = 1) -> None:
        self._add(rf"\{'sub' * (level - 1)}section{{{escape(title)}}}")
        self._headed = len(self._document.data)

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
        """Lines for a shell; they are no claim."""
        lines = r" \\ ".join(map(typed, text.split("\n")))
        self._add("\\begin{quote}\\raggedright\\ttfamily\\small " + lines + "\\end{quote}")

    def table(self, caption: str, widths: Sequence[float], head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose columns take these shares of the text's width; a width of 0 is a column of numbers, as wide as they are."""
        if not rows:
            return
        self.said += [caption, *(" ".join(row) for row in rows)]
        if self._headed == len(self._document.data) > 0:
            lines = HEAD_LINES + 2 * min(len(rows), KEPT_TOGETHER)
            self._document.data[-1] = self._raw(rf"\room{{{lines}\baselineskip}}{self._document.data[-1]}")
        columns = "".join("r" if width == 0 else rf"L{{{width}\textwidth}}" for width in widths)
        top = rf"\toprule {' & '.join(map(escape, head))} \\ \midrule"
        ends = r" \\*" if len(rows) <= KEPT_TOGETHER else r" \\"
        body = "\n".join(
            " & ".join(escape(cell, MOST_NAME if width == 0 else 160) for cell, width in zip(row, widths, strict=True))
            + (ends if number < len(rows) else r" \\")
            for number, row in enumerate(rows, 1)
        )
        self._add(
            rf"{{\small\setlength{{\tabcolsep}}{{4pt}}\begin{{longtable}}{{@{{}}{columns}@{{}}}}"
            f"\n\\caption{{{escape(caption)}}} \\\\*\n{top}\n\\endfirsthead\n{top}\n\\endhead\n{body}\n\\bottomrule\n\\end{{longtable}}}}"
        )

    def figure(self, caption: str, name: str) -> None:
        """A figure where it is spoken of: longtable does not count what floats on its page."""
        self.said.append(caption)
        self._add(
            f"\\begin{{figure}}[H]\\centering\n\\includegraphics[width=\\textwidth]{{figures/{name}}}\n\\caption{{{escape(caption)}}}\n\\end{{figure}}"
        )

    def references(self) -> None:
        self._add("\\bibliographystyle{plainnat}\n\\bibliography{references}")

    def _add(self, source: str) -> None:
        made: Any = self._raw(source)
        self._document.append(made)


def _under(text: str, width: int) -> str:
    """Unseen letters together as wide as what is drawn, each with what it stands for."""
    parts = seen(text)
    made, start = [], 0.0
    for place, part in enumerate(parts, 1):
        end = width * sum(map(len, parts[:place])) / len(text)
        code = part.encode("utf-16-be").hex().upper()
        letters, length = _letters(end - start)
        made.append(rf"\pdfliteral direct{{/Span<</ActualText<FEFF{code}>>>BDC}}{letters}\pdfliteral direct{{EMC}}")
        start += length
    return "".join(made)


def _letters(width: float) -> tuple[str, int]:
    """One letter or several of about this width, and how wide they are."""
    dashes = max(0, int((width - _UNDER[0][0]) // _DASH))
    rest = width - dashes * _DASH
    letter = next((letter for least, letter in _UNDER if rest >= least), "i")
    return _UNDER[0][1] * dashes + letter, dashes * _DASH + _WIDTHS[letter]
