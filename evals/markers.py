"""Figures in a document, between two markers that say what they are."""

from __future__ import annotations

from pathlib import Path


def record(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->`.

    Raises:
        ValueError: when the document lacks the markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{document} has no markers {begin} and {end} to put the figures between.")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
