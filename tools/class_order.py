"""The order of a target's classes, which the contract fixes: of two the positive one comes last, of ordinal ones the highest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tools.contract import Task
from tools.host import Wish
from tools.spec import InputRefused

if TYPE_CHECKING:
    import pandas as pd

AFFIRMATIVE = {"1", "true", "yes", "y", "t", "positive", "pos"}
NEGATIVE = {"0", "false", "no", "n", "f", "negative", "neg", "-1"}


def classes_of(labels: pd.Series, task: Task, wish: Wish) -> list[str]:
    """The classes in the order of the contract, which of ordinal ones only numbers and the user can tell.

    Raises:
        InputRefused: when the order is not known, or is not that of the labels.
    """
    found = ordered_classes(labels, task)
    if task != "ordinal":
        return found
    if wish.classes is None:
        if all(_number(label) for label in found):
            return found
        raise InputRefused(
            f"target {labels.name!r} has the labels {', '.join(found[:20])}, whose order is not known."
            " Name them from the lowest to the highest with --classes, as in --classes low,mid,high."
        )
    if len(set(wish.classes)) < len(wish.classes) or set(wish.classes) != set(found):
        strange, missing = [c for c in wish.classes if c not in found], [c for c in found if c not in wish.classes]
        parts = [f"no row has {', '.join(map(repr, strange))}"] if strange else []
        parts += [f"it lacks {', '.join(map(repr, missing[:20]))}"] if missing else []
        raise InputRefused(
            f"--classes {','.join(wish.classes)}: expected every class of target {labels.name!r} once;"
            f" {' and '.join(parts) or 'a class stands there twice'}."
        )
    return list(wish.classes)


def _number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def ordered_classes(labels: pd.Series, task: Task) -> list[str]:
    """Class labels in a stable order: numbers by value, text by letter; of two, the positive one last.

    Positive is the affirmative word (1, yes, true) or, failing that, the rarer class.
    """
    counts = labels.value_counts()
    names = [str(name) for name in counts.index]
    if task == "binary":
        words = [name.strip().lower() for name in names]
        affirmative = [n for n, w in zip(names, words, strict=True) if w in AFFIRMATIVE]
        negative = [n for n, w in zip(names, words, strict=True) if w in NEGATIVE]
        if len(affirmative) == 1:
            return [next(n for n in names if n != affirmative[0]), affirmative[0]]
        if len(negative) == 1:
            return [negative[0], next(n for n in names if n != negative[0])]
        return sorted(names, key=lambda name: (-counts[name], name))
    try:
        return sorted(names, key=float)
    except ValueError:
        return sorted(names)
