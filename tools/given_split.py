"""The split that a source itself brings, as positions of the rows that were kept: its holdout, and its folds as signs of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.spec import InputRefused

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from tools.host import Wish
    from tools.sources.contract import OwnSplit

    Array = np.ndarray[Any, np.dtype[Any]]

SIGNS = "0123456789abcdefghijklmnopqrstuvwxyz"
"""One a fold, in the contract's text of a sign a row."""
NO_FOLD = "-"
HOLDOUT_PARTS = ("test", "validation")
"""Names of parts that can be a holdout, the better one first."""


class GivenSplit(NamedTuple):
    """A source's own split of the rows that a run works on."""

    train: Array
    """Positions, ascending int64; so is `holdout`."""
    holdout: Array
    folds: str
    """The fold of each training row as its sign, `-` for rows that no fold validates; empty where the source has none for them."""
    told: str
    """A sentence for the manifest and the report."""


def given_split(vault: Path, wish: Wish, at: Array) -> GivenSplit:
    """What the source brings, for `--own-split`. Of its folds the first is the holdout, and the others are the folds.

    Args:
        at: of each row that is kept, its position in the source's table, ascending.

    Raises:
        InputRefused: the source brings none, it does not fit its own table, or other wishes contradict it.
    """
    import numpy as np

    from tools.sources.contract import record

    fetched = record(vault)
    split = fetched.split
    if split is None:
        raise InputRefused(
            f"{fetched.source} brings no split of its own, which --own-split asks for; openml:task/ID does, and hf:owner/name with files of"
            " train and test. Leave --own-split out."
        )
    beside = {"--group": wish.group, "--time-column": wish.time_column, "--holdout": wish.holdout != type(wish).holdout}
    if clash := [option for option, value in beside.items() if value]:
        raise InputRefused(f"--own-split takes the holdout that the source brings; leave {clash[0]} or --own-split out.")
    own = _by_parts(split, vault) if split.parts else _by_folds(split)
    holdout, folds = np.isin(at, own.holdout), ""
    if own.folds:
        if wish.folds or wish.leave_one_out or wish.repeats or wish.validation not in (None, "nested"):
            raise InputRefused(f"{fetched.source} brings its own folds; leave --folds, --repeats, --validation or --own-split out.")
        signs = np.full(int(at.max(initial=-1)) + 1, NO_FOLD)
        for sign, fold in zip(SIGNS, own.folds, strict=False):
            signs[fold[fold < len(signs)]] = sign
        folds = "".join(signs[at[~holdout]])
    if not holdout.any() or holdout.all():
        raise InputRefused(
            f"{fetched.source}: none or all of the rows with a target are in the holdout that it brings. Leave --own-split out."
        )
    return GivenSplit(np.flatnonzero(~holdout), np.flatnonzero(holdout), folds, own.told)


class _Own(NamedTuple):
    holdout: Array
    folds: list[Array]
    told: str


def _by_folds(split: OwnSplit) -> _Own:
    import numpy as np

    found = [np.asarray(fold, dtype=np.int64) for fold in split.folds]
    first, others = found[0], found[1:]
    if len(others) > len(SIGNS):
        raise InputRefused(f"the source's own split has {len(found)} folds; at most {len(SIGNS) + 1} are kept. Leave --own-split out.")
    if len(np.unique(np.concatenate(found))) < sum(map(len, found)):
        raise InputRefused("the source's own split tests some rows in two folds, which no holdout can do. Leave --own-split out.")
    if len(others) < 2:
        return _Own(first, [], f"The holdout is the one that the source itself brings ({len(first):,} rows); the folds are our own.")
    told = f"The split is the source's own: its first of {len(found)} folds is the holdout, the others are the folds."
    return _Own(first, others, told)


def _by_parts(split: OwnSplit, vault: Path) -> _Own:
    import numpy as np

    from tools.conversion import reading_of

    files, begin = {}, 0
    for file in reading_of(vault).files:
        files[file.name] = np.arange(begin, begin + file.rows)
        begin += file.rows
    parts = {
        part: np.concatenate([files[name] for name in names]) for part, names in split.parts.items() if all(name in files for name in names)
    }
    sealed = next((part for part in HOLDOUT_PARTS if part in parts), None)
    if sealed is None or len(parts) < 2:
        raise InputRefused(
            "the files of the source's own split were not read as one table under each other, so nobody knows which rows they are."
            " Leave --own-split out."
        )
    if sealed == "test" and "validation" in parts:
        told = "The split is the source's own: its test part is the holdout, its validation part the one fold that validates."
        return _Own(parts["test"], [parts["validation"]], told)
    return _Own(parts[sealed], [], f"The holdout is the source's own {sealed} part; the folds are our own.")
