"""A person's sentence as constraints, by rules: what was understood, and which words were not.

No model reads it, so the same words always mean the same. What a rule takes is taken out of the sentence; what is left and says
something is named, since a wish that is half understood is one that is not kept.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from team.constraint import (
    Constraint,
    Device,
    Families,
    ForbidColumn,
    Interpretable,
    MaxLatency,
    MaxSize,
    Memory,
    Monotone,
    NoFamilies,
    NoText,
    distinct,
)

MOST_CHARS = 2_000
"""Of a sentence that is read; what is longer is no constraint but a document."""
TAKEN = "\x00"
"""Stands for a character that a rule has taken."""

GROUPS: dict[str, tuple[str, ...]] = {
    "linear": ("linear", "sparse_linear", "ordered_linear", "lags_linear", "coxnet"),
    "boosted": ("lightgbm", "ordered_lightgbm", "xgboost", "catboost", "lags_lightgbm", "lags_catboost", "survival_boosting"),
    "forest": ("random_forest", "extra_trees", "survival_forest"),
    "tree": ("tree",),
    "network": ("mlp", "realmlp", "tabm", "tabicl", "tabpfn"),
}
"""Families that a person means by a common word."""
_WORDS = {
    "linear": r"(?:generali[sz]ed )?(?:linear|logistic|ridge|lasso)(?: regressions?| models?)?",
    "boosted": r"(?:gradient[- ])?boost(?:ed|ing)(?: trees?| models?)?|boosters?|gbms?|gbdts?",
    "forest": r"(?:random )?forests?(?: models?)?",
    "tree": r"(?:single |decision )trees?(?: models?)?",
    "network": r"(?:neural |deep )(?:networks?|nets?|learning)(?: models?)?|networks|(?:neural|deep) models?",
}
_TREES = r"tree[- ]based(?: models?)?|trees?(?: models?)?"
_FILLING = frozenset(
    """
    a all also always and any are as at be but by can column columns constraint constraints data dataset do ever feature
    features field fields for from hi i if in is it its just keep kindly let make may me model models must my need of ok
    okay on once only or ought our please prediction predictions run shall should so table team thank thanks that the
    their then there they this to too train use used uses using want we which will with would you your
    """.split()  # noqa: SIM905  # so many words read better as one text
)
"""Words that say nothing by themselves."""
_NEVER = (
    r"(?:never|not|don'?t|do not|must not|mustn'?t|should not|shouldn'?t|may not|cannot|can'?t|without|no)\s+(?:ever\s+)?"
    r"(?:(?:be\s+)?(?:us(?:e|ing|ed)|look(?:ing)? at|touch(?:ing)?|includ(?:e|ing)|train(?:ing)? on|learn(?:ing)? from|see|consider)\s+)?"
)
_NEVER_USE = (
    r"(?:(?:never|do not|don'?t|must not|should not|may not|cannot|can'?t)\s+(?:ever\s+)?(?:use|look at|touch|include|"
    r"train on|learn from|see|"
    r"consider)|without(?: using)?|(?:ignore|exclude|drop|forbid|omit|avoid|skip|forget|remove|leave out|leave aside|"
    r"keep out|stay away from))"
)
_NOT_USED = (
    r"(?:(?:must|should|may|can|is|are|shall|will)(?: not|n'?t)(?: to)?(?: ever)? be (?:used|seen|included|looked at|touched)|"
    r"(?:must|should|may|can) never be (?:used|seen|included|looked at|touched)|(?:is|are) (?:not to be used|forbidden|"
    r"off[- ]limits|taboo|banned)|"
    r"(?:is|are) never used)"
)
_OF_COLUMNS = r"(?:(?:the|any|my|our|its|all)\s+)*(?:columns?|features?|fields?|variables?)"
_QUOTED = r"\"[^\"]+\"|'[^']+'|`[^`]+`|“[^”]+”|‘[^’]+’|«[^»]+»"
_WORD = rf"[^\s,;:\"'`“”{TAKEN}]+"
_NAME = rf"(?:{_QUOTED}|{_WORD})"
_NO_NAMES = (
    r"never|do|don|not|no|only|must|should|may|can|use|using|predict|at|with|without|column|columns|feature|features|field|"
    r"fields|and|or|nor|the"
)
"""Words behind which another wish begins, and that name no column unless the table or quotes say so."""
_NUMBER = r"(\d+(?:[.,]\d+)?)\s*"
_MOST = (
    r"(?:(?:no|not) more than|at most|at the most|up to|under|below|less than|fewer than|within|max(?:imum)?(?: of)?|"
    r"a maximum of|smaller than|"
    r"(?:no|not) (?:larger|bigger|longer|slower) than|faster than|quicker than|limit(?:ed)? to|<=?|≤)"
)
_BYTES = r"(k|m|g|t)i?b(?:ytes?)?\b|(kilo|mega|giga|tera)bytes?\b"
_SECONDS = r"(ms|milliseconds?|millis|msecs?|s|secs?|seconds?|µs|us|microseconds?)\b"
_MILLISECONDS = {"m": 1.0, "s": 1000.0, "u": 0.001, "µ": 0.001}
_MEBI = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2}
_MEGA = {"k": 1e-3, "m": 1.0, "g": 1e3, "t": 1e6}


class Reading(BaseModel):
    """What was read in a sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    constraints: tuple[Constraint, ...] = ()
    not_understood: tuple[str, ...] = ()
    """Words that no rule took and that say something, in their order, runs of them together."""
    problems: tuple[str, ...] = ()
    """What was understood and cannot be, such as a column that the table does not have."""

    @property
    def complete(self) -> bool:
        """Whether the whole sentence was understood and can be kept."""
        return bool(self.constraints) and not self.not_understood and not self.problems

    @property
    def told(self) -> str:
        """The reading in a line or two, for whoever said it."""
        parts = ["understood: " + "; ".join(one.told for one in self.constraints)] if self.constraints else []
        parts += ["not understood: " + ", ".join(repr(words) for words in self.not_understood)] if self.not_understood else []
        return ". ".join([*parts, *self.problems]) or "no constraint was understood"


EXAMPLES = "never use column X; linear models only; CPU only; no more than 2 GB; no text columns; predict in under 5 ms"


def read_constraints(text: str, columns: Sequence[str] = ()) -> Reading:
    """Read a sentence, or several.

    Args:
        columns: of the table, where it is known: names are then found in whatever case, and strange ones are a problem.
    """
    sentence = _Sentence(text[:MOST_CHARS].replace(TAKEN, " "), list(map(str, columns)))
    for rule in _RULES:
        rule(sentence)
    left = sentence.left() + (["…"] if len(text) > MOST_CHARS else [])
    found = distinct([one for _, one in sorted(sentence.found, key=lambda pair: pair[0])])
    return Reading(text=text, constraints=tuple(found), not_understood=tuple(left), problems=tuple(sentence.problems))


def whole(text: str, columns: Sequence[str] = ()) -> list[Constraint]:
    """The constraints of a sentence that must be understood whole.

    Raises:
        ValueError: saying what was understood, and what was not.
    """
    reading = read_constraints(text, columns)
    if not reading.complete:
        raise ValueError(f"{reading.told}. Say it as in: {EXAMPLES}")
    return list(reading.constraints)


class _Sentence:
    """A text from which rules take what they understand."""

    def __init__(self, text: str, columns: list[str]) -> None:
        self.text = text
        self.columns = columns
        self.found: list[tuple[int, Constraint]] = []
        self.problems: list[str] = []
        self._rest = text

    def matches(self, pattern: str) -> Iterator[re.Match[str]]:
        """Where a pattern stands in what nobody has taken."""
        place, expression = 0, re.compile(pattern, re.IGNORECASE)
        while (match := expression.search(self._rest, place)) is not None:
            yield match
            place = max(match.end(), match.start() + 1)

    def take(self, match: re.Match[str], *constraints: Constraint) -> None:
        words = " ".join(match[0].split())
        self._rest = self._rest[: match.start()] + TAKEN * (match.end() - match.start()) + self._rest[match.end() :]
        self.found += [(match.start(), one.model_copy(update={"said": words})) for one in constraints]

    def left(self) -> list[str]:
        """What nobody took and is more than filling, in runs."""
        runs: list[list[str]] = [[]]
        for word in re.sub(f"{TAKEN}+", f" {TAKEN} ", self._rest).split():
            bare = word.strip(".,;:!?()[]{}\"'`“”-–—")
            if TAKEN in word or not bare or bare.lower() in _FILLING:
                if runs[-1]:
                    runs.append([])
                continue
            runs[-1].append(bare)
        return [" ".join(run) for run in runs if run]

    def column(self, name: str) -> str | None:
        """The column that is meant; None, with a problem put on record, where the table has none of that name."""
        name = name.strip("\"'`“”‘’«»") if len(name) > 1 else name
        if not self.columns or name in self.columns:
            return name
        if len(same := [c for c in self.columns if c.lower() == name.lower()]) == 1:
            return same[0]
        near = difflib.get_close_matches(name, self.columns, n=2, cutoff=0.6)
        self.problems.append(
            f"the table has no column {name!r}"
            + (f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; it has {_few(self.columns)}")
        )
        return None


def _few(names: list[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")


def _bytes(sentence: _Sentence) -> None:
    """An amount of bytes is the model's size where the words around it speak of the model's file, else the memory of what runs."""
    of_model = r"(?:model|file|package|artefact|artifact|pickle)s?"
    number = rf"{_NUMBER}(?:{_BYTES})"
    for match in sentence.matches(
        rf"(?:(?:the\s+)?(?:saved |packaged |final )?{of_model}\b[\w\s]{{0,24}}?\s+)?(?:(?:use|uses|using|take|takes|"
        rf"needs?)\s+)?{_MOST}\s*{number}"
        rf"(?:\s+(?:of |in |on )?(?:the\s+)?(?:ram|memory|mem|main memory|size|disk|file|{of_model}))*|(?:memory|"
        rf"ram)(?: limit)?(?: of| is|:|=)?\s*{number}"
    ):
        words = match[0].lower()
        groups = [g for g in match.groups() if g]
        amount, unit = float(groups[0].replace(",", ".")), groups[1][0].lower()
        sized = re.search(rf"\b(?:size|disk|large|larger|big|bigger|smaller|{of_model})\b", words) and not re.search(
            r"\b(?:ram|memory|mem)\b", words
        )
        if amount <= 0:
            sentence.problems.append(f"{' '.join(match[0].split())!r} leaves nothing")
            sentence.take(match)
        elif sized:
            sentence.take(match, MaxSize(mb=amount * _MEGA[unit]))
        else:
            sentence.take(match, Memory(mb=max(1, round(amount * _MEBI[unit]))))


def _latency(sentence: _Sentence) -> None:
    row = r"(?:\s*(?:per|a|for a|for each|for every|each|/)\s*(?:single\s+)?(?:row|prediction|request|call|sample))?"
    what = (
        r"(?:(?:(?:a|each|one|every|single)\s+)*(?:predict(?:s|ed|ing|ions?)?|scor(?:e|es|ing)|inference|latenc(?:y|ies)|"
        r"respon(?:d|ds|se)|answers?|rows?)\b[\w\s,]{0,30}?\s+)"
    )
    for match in sentence.matches(
        rf"{what}(?:in\s+)?{_MOST}\s*{_NUMBER}{_SECONDS}{row}|{_MOST}\s*{_NUMBER}{_SECONDS}(?:\s*(?:per|a|for a|for each|"
        rf"for every|each|/)\s*(?:single\s+)?(?:row|prediction|request|call|sample)|\s+latency)"
    ):
        groups = [g for g in match.groups() if g]
        amount = float(groups[0].replace(",", ".")) * _unit_ms(groups[1])
        if amount <= 0:
            sentence.problems.append(f"{' '.join(match[0].split())!r} leaves no time")
            sentence.take(match)
        else:
            sentence.take(match, MaxLatency(ms=amount))


def _unit_ms(unit: str) -> float:
    unit = unit.lower()
    return _MILLISECONDS["u"] if unit.startswith(("u", "µ", "micro")) else 1.0 if unit.startswith("m") else 1000.0


def _device(sentence: _Sentence) -> None:
    gpu = r"(?:gpus?|cuda|graphics (?:processors?|cards?|units?)|accelerators?)"
    for match in sentence.matches(
        rf"\b(?:(?:only|just|use only|stick to|stay on|run on)\s+(?:the\s+|on\s+the\s+|on\s+)?cpus?(?:\s+only)?|"
        rf"cpus?[- ]only|on (?:the )?cpu(?: only)?|"
        rf"{_NEVER}(?:(?:the|a|any)\s+)?{gpu}|{_NEVER_USE}\s+(?:(?:the|a|any)\s+)?{gpu})\b"
    ):
        sentence.take(match, Device())


def _text(sentence: _Sentence) -> None:
    text = r"(?:free[- ]?)?texts?(?:ual)?"
    what = (
        rf"(?:(?:any|the|all)\s+)*(?:(?:columns?|features?|fields?)\s+(?:of|with)\s+(?:free\s+)?text|"
        rf"{text}(?:[- ](?:columns?|features?|fields?|data))?)"
    )
    for match in sentence.matches(
        rf"\b(?:{_NEVER_USE}\s+{what}|{_NEVER}{what}|{text}(?: (?:columns?|features?|fields?))?\s+{_NOT_USED})(?!\w)"
    ):
        sentence.take(match, NoText())


def _interpretable(sentence: _Sentence) -> None:
    word = r"(?:interpretable|explainable|readable|transparent|white[- ]box|glass[- ]box|human[- ]readable)"
    for match in sentence.matches(
        rf"\b(?:(?:only\s+)?(?:an?\s+)?{word}(?:\s+models?)?(?:\s+only)?|no black[- ]box(?:es)?(?:\s+models?)?|"
        rf"(?:a\s+)?models? (?:that|which) (?:i|we|a person|people|humans?|one) can (?:read|understand|explain))\b"
    ):
        if re.search(r"(?:\bnot?|n't|never)\s+(?:\w+\s+){0,3}$", sentence.text[: match.start()], re.IGNORECASE):
            continue  # "need not be interpretable" asks for nothing
        sentence.take(match, Interpretable())


def _families(sentence: _Sentence) -> None:
    from tools.families import all_names

    named = "|".join(sorted(map(re.escape, all_names()), key=len, reverse=True))
    one = rf"(?:{'|'.join([*_WORDS.values(), _TREES, named])})"
    several = rf"{one}(?:\s*(?:,|\band\b|\bor\b|\bnor\b|/|&|, (?:and|or))\s*(?:no\s+)?{one})*"
    for match in sentence.matches(
        rf"\b(?:{_NEVER_USE}|no|not|{_NEVER}(?:(?:fit|train|try)\s+)?)\s*(?:(?:any|a|the)\s+)?(?P<out>{several})\b(?!\s+only)"
    ):
        if not re.search(r"\bonly\b", match[0], re.IGNORECASE):
            sentence.take(match, NoFamilies(names=_meant(match["out"])))
    for match in sentence.matches(
        rf"\b(?:(?:only|just|exclusively|nothing but|stick to|no (?:other )?models? (?:other than|but|"
        rf"except))\s+(?:(?:ever\s+)?(?:use|fit|train|try|consider)\s+)?"
        rf"(?:an?\s+|the\s+)?(?P<only>{several})|(?P<alone>{several})\s+(?:only|alone|exclusively|and nothing else))\b"
    ):
        if re.search(r"(?:\bnot|n't)\s+(?:\w+\s+)?$", sentence.text[: match.start()], re.IGNORECASE):
            continue  # "not only linear models" is the opposite
        sentence.take(match, Families(names=_meant(match["only"] or match["alone"])))


def _meant(text: str) -> tuple[str, ...]:
    """The families that a list of words means."""
    from tools.families import all_names

    found: list[str] = []
    rest = text
    for name in sorted(all_names(), key=len, reverse=True):
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", rest, re.IGNORECASE) and (name not in GROUPS or name != "linear"):
            found += [] if name == "tree" else [name]
            rest = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", rest, flags=re.IGNORECASE) if name != "tree" else rest
    for group, pattern in _WORDS.items():
        if re.search(rf"(?<!\w)(?:{pattern})(?!\w)", rest, re.IGNORECASE):
            found += GROUPS[group]
            rest = re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", " ", rest, flags=re.IGNORECASE)
    if re.search(rf"(?<!\w)(?:{_TREES})(?!\w)", rest, re.IGNORECASE):
        found += (*GROUPS["tree"], *GROUPS["forest"], *GROUPS["boosted"])
    return tuple(dict.fromkeys(found))


def _monotone(sentence: _Sentence) -> None:
    up, down = (
        r"ris(?:e|es|ing)|increas(?:e|es|ing)|grows?|goes? up|go up|higher",
        r"falls?|falling|decreas(?:e|es|ing)|drops?|goes? down|go down|shrinks?|lower",
    )
    for match in sentence.matches(
        rf"\b(?:(?:the\s+)?(?:predictions?|price|risk|probability|forecast|target|outcome)\s+)?(?:must|may|should|can|"
        rf"shall|has to)?\s*(?:only|never|always)\s+"
        rf"(?P<way>{up}|{down})\s+(?:with|in|when|as)\s+(?:{_OF_COLUMNS}\s+|the\s+)?(?P<name>{_NAME})(?:\s+(?:rises|"
        rf"increases|grows|goes up))?"
    ):
        rises = re.fullmatch(up, match["way"], re.IGNORECASE) is not None
        if re.search(r"\bnever\b", match[0], re.IGNORECASE):
            rises = not rises
        name = sentence.column(match["name"].rstrip(".!?"))
        sentence.take(match, *([] if name is None else [Monotone(column=name, sign=1 if rises else -1)]))


def _columns(sentence: _Sentence) -> None:
    """Columns that are named: behind a verb that takes them away, or before one, and by names of several words where the table has them."""
    known = "".join(rf"{re.escape(name)}(?!\w)|" for name in sorted(sentence.columns, key=len, reverse=True) if name.strip())
    name = rf"(?:{_QUOTED}|{known}(?!(?:{_NO_NAMES})\b){_WORD})"
    names = rf"{name}(?:\s*(?:,\s*(?:(?:and|or|nor)\s+)?|\s(?:and|or|nor|&)\s)\s*(?:{_OF_COLUMNS}\s+)?(?:the\s+)?{name})*"
    after = r"(?:\s+(?:columns?|features?|fields?|variables?)\b)?"
    for pattern in (
        rf"\b(?:{_NEVER_USE}|no|not|never)\s+{_OF_COLUMNS}\s+(?:(?:called|named)\s+)?(?P<names>{names})",
        rf"\b(?:{_NEVER_USE})\s+(?:(?:the|my|our)\s+)?(?P<names>{names}){after}",
        rf"\bno\s+(?P<names>{names})\s+(?:columns?|features?|fields?|variables?)\b",
        rf"(?:{_OF_COLUMNS}\s+(?:(?:called|named)\s+)?|(?<!\w)(?:the\s+)?)(?<![\w\"'`])(?P<names>{names}){after}\s+{_NOT_USED}",
    ):
        for match in sentence.matches(pattern):
            found = [part.rstrip(".!?:") for part in re.findall(name, _glue(match["names"]), re.IGNORECASE)]
            meant = [column for part in found if part and (column := sentence.column(part)) is not None]
            sentence.take(match, *(ForbidColumn(column=column) for column in meant))


def _glue(names: str) -> str:
    """A list of names without what stands between them and is none."""
    return re.sub(rf"(?<![\w\"'`“])(?:{_OF_COLUMNS}|and|or|nor|the)(?=\s)", " ", names, flags=re.IGNORECASE)


_RULES: tuple[Callable[[_Sentence], None], ...] = (_latency, _bytes, _device, _text, _monotone, _families, _interpretable, _columns)
"""In this order: what a rule has taken, none behind it sees."""
