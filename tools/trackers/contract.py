"""What every tracker is: something that a run's record is written to, again and again while the run goes on.

A package brings one by an entry point that names a function or a class:

    [project.entry-points."mlteam.trackers"]
    ours = "ourpackage:Ours"          # called with the run's paths, gives a Tracker; --tracker ours
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.trackers.run_record import RunRecord


class Patience(NamedTuple):
    """How long a tracker may take."""

    request_s: int
    """Seconds of silence after which one request has failed. It is not tried again."""
    total_s: float
    """Seconds for all of a record."""


LIVE = Patience(4, 20.0)
IN_A_RUN = Patience(4, 30.0)
BY_COMMAND = Patience(30, 600.0)
OWN = Patience(30, 240.0)
"""For what lies in the run directory: a disk answers, be it slowly."""
TOO_SLOW = "it is too slow"


class Written(NamedTuple):
    """A record that a tracker has."""

    run_id: str
    """What the tracker knows the run by."""
    artefacts: int
    """Files that it took beside the record."""


class NotSent(Exception):
    """The tracker did not take the record; the message says why, in a few words.

    Attributes:
        answered: whether it answered, so that another record may fare better.
    """

    def __init__(self, why: str, answered: bool) -> None:
        super().__init__(why)
        self.answered = answered


class Attachments(NamedTuple):
    """What goes with a record when the run is over."""

    files: Sequence[Path] = ()
    """Contract, report and leaderboard, as far as they are there."""
    package: Path | None = None
    """Folder of the packaged model."""


NOTHING = Attachments()


class Tracker(ABC):
    """One place that shows runs. Tests of `tests/contracts/tracker.py` hold every one to what is promised here.

    A record is the run as it stands: of two records of one run (the same name and beginning) the later one holds. One thread
    calls at a time. Secrets come from the environment, never from a record, and never get into a message.
    """

    @abstractmethod
    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        """Show the record in place of what was written of the run before.

        A record whose status is `running` is one of many: what it adds to the one before is written, and no more than that.
        With any other status the run is over: what is shown then is the whole record, once, whatever was written of it
        before, by whom, and however that ended. A whole record is not given up for one that cannot be written whole.

        Args:
            attachments: files that go along; only with a run that is over.
            patience: how long it may take. It is kept roughly: who calls waits no longer than that for an answer anyway.

        Raises:
            NotSent: for every reason why it was not written, without anything that the other side said.
        """
