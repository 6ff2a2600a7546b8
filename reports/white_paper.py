"""The white paper: a run as a paper in LaTeX, with vector figures, tables and references, and as a PDF where LaTeX is installed.

Every number that it states stands on record: it is held against the ledger, and one that does not ends the build.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from reports import paper_sections
from reports.facts import RunFacts, read_facts
from reports.glyphs import glyphs_pdf
from reports.ledger import Ledger, check, read_ledger
from reports.manuscript import Manuscript
from reports.paper_figures import draw
from reports.references import bibtex, cited
from reports.typesetting import TypesettingFailed, typeset
from team.errors import PrerequisiteMissing
from team.rundir import RunDir, write_atomic


class Paper(NamedTuple):
    tex: Path
    pdf: Path | None
    """None where it could not be set; `problem` says why."""
    problem: str = ""
    overfull_pt: float = 0.0
    """By how much the worst box sticks out of its line."""


def write_paper(run: Path) -> Paper:
    """Write `reports/paper/` of the run directory `run`: `paper.tex`, `references.bib` and `figures/`, and `reports/white_paper.pdf`.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
        UnbackedFigure: when the paper would state a number that is not on record.
        PrerequisiteMissing: when PyLaTeX is not installed.
    """
    place = RunDir(run)
    facts = read_facts(place.path)
    folder = place.reports / "paper"
    text, figures = compose(facts, read_ledger(place.path, facts.events))
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "figures").mkdir(parents=True)
    write_atomic(folder / "paper.tex", text)
    write_atomic(folder / "references.bib", bibtex(cited(facts)))
    for name, content in figures.items():
        (folder / "figures" / name).write_bytes(content)
    pdf = place.reports / "white_paper.pdf"
    pdf.unlink(missing_ok=True)
    try:
        overfull = typeset(folder, pdf, int(facts.started_at or 0))
    except (PrerequisiteMissing, TypesettingFailed) as error:
        return Paper(folder / "paper.tex", None, str(error))
    return Paper(folder / "paper.tex", pdf, overfull_pt=overfull)


def compose(facts: RunFacts, ledger: Ledger) -> tuple[str, dict[str, bytes]]:
    """The LaTeX text, and the figures by file name."""
    try:
        import pylatex  # noqa: F401
    except ImportError:
        raise PrerequisiteMissing("no PyLaTeX here, which writes the paper. Type: pip install 'mlteam[paper]'") from None
    figures = draw(facts)
    if facts.profile is not None:
        ledger = ledger.with_file(
            f"event {facts.profile.event}: reasons of grades", [one.why for one in facts.profile.understanding.scorecard]
        )
    if facts.winner is not None:
        ledger = ledger.with_file(f"what the kernel wrote of {facts.winner.name}", facts.winner.flat)
    moment = datetime.fromtimestamp(facts.started_at or 0, UTC)
    paper = Manuscript(paper_sections.title(facts), f"{moment.day} {moment:%B %Y}")
    for write in paper_sections.PARTS:
        write(paper, facts, figures)
    check(ledger, "the white paper", paper.said)
    text, drawn = paper.tex()
    return text, {**figures, "glyphs.pdf": glyphs_pdf(drawn)} if drawn else figures
