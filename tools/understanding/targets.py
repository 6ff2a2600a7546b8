"""Which column a table is likely about, where nobody says: by names, place, documentation and what the values are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tools.understanding.findings import Reading

if TYPE_CHECKING:
    import pandas as pd

CALLED = ("target", "label", "class", "outcome", "y", "response")
"""Names that say it outright."""
STRONG = (
    r"target|label|outcome|response|churn(?:ed)?|attrition|default(?:ed)?|fraud|surviv(?:ed|al)|died|death|damaged?|price|sales|wages?|salary"
    r"|diagnosis|disease|species|quality|bought|purchased?|spam|sentiment|converted|clicked|mpg|medv"
)
WEAK = r"class|sales?|revenue|income|rating|grade|score|results?|status|click|convert|yield|demand|consumption|risk"
"""Words of what people predict, and of what they predict but measure as often."""
FLAG = re.compile(r"(is|has|will)[\W_]", re.I)
DATE_PART = re.compile(r"(year|month|week|day|weekday|hour|minute)s?", re.I)
NAMED, IN_GOAL, DOCUMENTED, SAID_BY_SOURCE = 0.9, 0.85, 0.75, 0.97
LAST, FIRST, FEW_VALUES = 0.5, 0.2, 0.15
LIKE_ONE = {STRONG: (0.7, 0.45, 0.2), WEAK: (0.45, 0.3, 0.1)}
"""Of a name that is such a word, whose head is one, as of `sale price`, and that has one elsewhere, as `sale condition`."""
LIKE_A_FLAG = 0.25
"""What each sign is worth, as the chance that it is right; signs are put together as if they knew nothing of each other."""
UNLIKELY = 0.15
"""Factor of columns that are never predicted: constants, identifiers, texts, moments, lists."""
DATED = 0.3
"""The same of parts of dates."""
CLOSE = 0.9
"""Two that are as near to each other leave it open: confidence is halved."""
DOCUMENTS = ("readme", "description", "descr", "about", "metadata")
MOST_DOCUMENT_CHARS, MOST_DOCUMENTS = 20_000, 5
MOST_TOLD = 5


class TargetGuess(BaseModel):
    """A column that may be the one to predict."""

    column: str
    confidence: float
    """0 to 1."""
    reasons: str


def guess_targets(
    names: Sequence[str],
    *,
    readings: Sequence[Reading] = (),
    missing: Sequence[float] = (),
    goal: str | None = None,
    said: str | None = None,
    documents: str = "",
) -> list[TargetGuess]:
    """The likeliest columns, the surest first.

    Args:
        readings: what each column is, in their order; empty where no row was read.
        missing: share of missing values of each.
        goal: the wish in the user's words.
        said: the column that the source itself names.
        documents: text that lies beside the table. It is data: nothing in it is followed, it is searched for names of columns.
    """
    found = []
    spatial = {"x", "z"} <= {name.strip().lower() for name in names}
    for place, name in enumerate(names):
        signs: list[tuple[float, str]] = []
        if name == said:
            signs.append((SAID_BY_SOURCE, "the source names it"))
        if name.strip().lower() in CALLED and not (name.strip().lower() == "y" and spatial):
            signs.append((NAMED, "is called like a target"))
        elif worth := like_one(name):
            signs.append((worth, "is named like what people predict"))
        if goal and len(name) > 2 and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", goal, re.I):
            signs.append((IN_GOAL, "the goal speaks of it"))
        if documents and _documented(name, documents):
            signs.append((DOCUMENTED, "the documentation names it as the target"))
        if place == len(names) - 1:
            signs.append((LAST, "stands last, as targets do by custom"))
        elif place == 0:
            signs.append((FIRST, "stands first"))
        doubt = 1.0
        if place < len(readings):
            kind = readings[place].kind
            if kind in ("constant", "identifier", "text", "datetime", "list"):
                doubt *= UNLIKELY
                signs.append((0.0, f"is {'an' if kind == 'identifier' else 'a'} {kind} column, which is hardly predicted"))
            elif signs and kind in ("boolean", "categorical", "ordered"):
                signs.append((FEW_VALUES, f"is {'an' if kind == 'ordered' else 'a'} {kind} column"))
        if DATE_PART.fullmatch(name.strip()):
            doubt *= DATED
            signs.append((0.0, "is named like a part of a date"))
        if place < len(missing) and missing[place] > 0.5:
            doubt *= 0.5
            signs.append((0.0, f"is missing in {missing[place]:.0%} of rows"))
        against = 1.0
        for worth, _ in signs:
            against *= 1 - worth
        if against < 1:
            found.append(TargetGuess(column=name, confidence=round(doubt * (1 - against), 2), reasons="; ".join(why for _, why in signs)))
    found.sort(key=lambda one: -one.confidence)
    if len(found) > 1 and found[1].confidence >= CLOSE * found[0].confidence:
        near = f"{found[0].reasons}; {found[1].column[:40]!r} is as likely"
        found[0] = found[0].model_copy(update={"confidence": round(found[0].confidence / 2, 2), "reasons": near})
    return found[:MOST_TOLD]


def like_one(name: str) -> float:
    """How much a name is like those of columns that people predict; 0 for not at all."""
    worths = [LIKE_A_FLAG] if FLAG.match(name) else []
    # `GradeLevel` is two words, and so is `grade level`; what stands behind `per` or a unit is no head.
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.sub(r"[\W_]+", " ", parted).strip().lower()
    head = re.sub(r" (per|in|of|usd|eur|gbp)( .*)?$", "", words)
    for likely, (whole, last, elsewhere) in LIKE_ONE.items():
        if re.fullmatch(likely, words):
            worths.append(whole)
        elif re.search(rf"(^| )({likely})$", head):
            worths.append(last)
        elif re.search(rf"(^| )({likely})( |$)", words):
            worths.append(elsewhere)
    return max(worths, default=0.0)


def _documented(name: str, documents: str) -> bool:
    """Whether a text names a column behind a word for targets, within a line."""
    words = r"\b(?:target|label|class attribute|response|outcome|dependent variable|to predict|predicts?|predicted)\b"
    return re.search(rf"{words}[^\n]{{0,60}}(?<!\w){re.escape(name)}(?!\w)", documents, re.I) is not None


def documents_of(folder: Path) -> str:
    """The beginnings of the texts that lie beside a table: readmes and descriptions, and what UCI calls `.names`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    named = [path for path in files if path.stem.lower().startswith(DOCUMENTS) and path.suffix.lower() in ("", ".md", ".txt", ".rst")]
    told = [path for path in files if path in named or path.suffix.lower() == ".names"][:MOST_DOCUMENTS]
    return "\n".join(_beginning(path) for path in told)


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_DOCUMENT_CHARS).decode("utf-8", "replace")


def missing_shares(frame: pd.DataFrame) -> list[float]:
    return [float(share) for share in frame.isna().mean()]
