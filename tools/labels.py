"""Several labels a row as one column of text: `a;c` where labels a and c are true, nothing where none is.

One column is what a vault seals, folds deal out and a module's rows come without, so nothing there has to know of several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.spec import InputRefused

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

SEPARATOR = ";"
MOST_LABELS = 50
CALLED = 0.5
"""The probability from which on a label is called, where no decision says otherwise."""
FEWEST_ROWS = 2
"""Of each label, true as well as false: one to learn from and one to score."""


def named_columns(target: str, columns: list[str]) -> list[str]:
    """The columns that `a,b,c` names, when it names several and is none itself; else nothing."""
    names = [part.strip() for part in target.split(",")]
    return names if target not in columns and len(names) > 1 and all(name in columns for name in names) else []


def joined(frame: pd.DataFrame, names: list[str]) -> pd.Series:
    """The label columns as one of text, missing where any of them is.

    Raises:
        InputRefused: naming the column that holds something but 0 and 1, or too few of one of them.
    """
    import pandas as pd

    if len(set(names)) < len(names):
        raise InputRefused(f"--target {','.join(names)}: a column stands there twice; name each label once.")
    if len(names) > MOST_LABELS:
        raise InputRefused(f"--target names {len(names)} labels, expected {MOST_LABELS} at most.")
    known = frame[names].notna().all(axis=1)
    text = pd.Series("", index=frame.index, dtype=object)
    for name in names:
        if SEPARATOR in name:
            raise InputRefused(f"label column {name!r} has {SEPARATOR!r} in its name, which stands between labels; rename it.")
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values) or not values[known].isin([0, 1]).all():
            strange = next((value for value in values[known] if value not in (0, 1)), None)
            raise InputRefused(f"label column {name!r} holds {str(strange)!r}, expected 0 and 1 alone.")
        true = values.fillna(0).astype(bool) & known
        if min(true.sum(), known.sum() - true.sum()) < FEWEST_ROWS:
            raise InputRefused(
                f"label column {name!r} is 1 in {int(true.sum())} of {int(known.sum())} rows; expected {FEWEST_ROWS} of both at least."
                " Leave it out of --target."
            )
        text[true] += f"{SEPARATOR}{name}"
    return text.str.removeprefix(SEPARATOR).where(known, None)


def indicators(text: pd.Series, names: list[str]) -> Array:
    """Which labels each row has, shape (n, labels), int64 of 0 and 1.

    Raises:
        ValueError: for a label that is none of `names`.
    """
    import numpy as np

    places = {name: place for place, name in enumerate(names)}
    found = np.zeros((len(text), len(names)), dtype=np.int64)
    for row, value in enumerate(text.fillna("").astype(str)):
        for label in filter(None, value.split(SEPARATOR)):
            if label not in places:
                raise ValueError(f"{label!r} is none of the labels {', '.join(names)}")
            found[row, places[label]] = 1
    return found


def told(proba: Array, names: list[str]) -> list[str]:
    """The labels that each row is called, joined: those whose probability, tilted by a decision where there is one, is one half or more."""
    return [SEPARATOR.join(name for name, said in zip(names, row, strict=True) if said >= CALLED) for row in proba]
