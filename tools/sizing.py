"""On how many of its rows a family is fitted: on all of them, unless memory says otherwise.

Two things speak. A fit that took its kernel with it is on record, and its family starts smaller or is left alone. And what
a fit needs is estimated from rows, columns and the family's measured appetite, so that one which cannot fit is not tried.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools import memory
from tools.casualties import Casualties, of_the_rows
from tools.families.base import Family
from tools.families.setting import Setting

LEAST_SHARE = 0.125
"""With fewer of its rows than this, a family is not worth its place."""
FEW_ROWS = 2000
"""So few rows are tried whatever an estimate says: what libraries need of themselves outweighs them."""


class CannotBeFitted(Exception):
    """A family cannot be fitted here at all; the message says why."""


@dataclass(frozen=True)
class Size:
    """The share of the rows that a fit gets, and why it is not all; empty when it is."""

    share: float
    why: str = ""


def size_for(family: Family, rows: int, setting: Setting, lost: Casualties) -> Size:
    """How much of its `rows` rows a family is fitted on.

    Raises:
        CannotBeFitted: when it is left alone for good, or even the least share would not fit into memory.
    """
    if reason := lost.dropped(family.name):
        raise CannotBeFitted(reason)
    share = lost.share(family.name)
    why = "it ran out of memory before" if share < 1 else ""
    room = memory.room_mb()
    if family.memory_mb(round(share * rows), setting) > room:
        memory.give_back()
        room = memory.room_mb()
    while (needed := family.memory_mb(round(share * rows), setting)) > room and share * rows > FEW_ROWS:
        if share / 2 < LEAST_SHARE:
            raise CannotBeFitted(f"it needs about {needed:,.0f} MiB for {of_the_rows(share)}, and {_told(room)}")
        why = why or f"it needs about {needed:,.0f} MiB for {of_the_rows(share)}, and {_told(room)}"
        share /= 2
    return Size(share, why)


def smaller(size: Size, error: BaseException) -> Size | None:
    """What to try after a fit failed for want of memory; None when it failed for another reason, or is small enough already."""
    if not memory.ran_out(error) or size.share / 2 < LEAST_SHARE:
        return None
    memory.give_back()
    return Size(size.share / 2, f"memory ran out on {of_the_rows(size.share)}")


def _told(room: float) -> str:
    return f"{room:,.0f} of {memory.limit_mb():,.0f} MiB are left"
