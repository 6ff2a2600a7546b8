"""Every exception that leaves mlteam, with the exit code that the command line gives it.

    MlteamError                 1   a run failed; the run directory says where
    ├── UsageError              2   bad input or settings: the user changes something and tries again
    ├── BudgetExceeded          3   a limit the user set was reached
    ├── PrerequisiteMissing     4   something must be installed or started first
    │   └── SandboxUnavailable  4   no sandbox of the kind asked for works here
    ├── Diverged              1   a replayed run asked something else than its recording
    └── Interrupted           130   the user stopped it

A message names the value, what was expected and the next command, and is printed once, without a traceback.
"""

from __future__ import annotations


class MlteamError(Exception):
    """Base of all. Raised itself when a run fails for a reason that has no better class."""

    exit_code = 1


class UsageError(MlteamError):
    """Input or settings that cannot be used. Nothing half-made is left behind."""

    exit_code = 2


class BudgetExceeded(MlteamError):
    """A limit was reached.

    Attributes:
        limit: name of the limit, such as `time`.
        value: what was spent.
        allowed: what was allowed.
    """

    exit_code = 3

    def __init__(self, limit: str, value: float, allowed: float, unit: str) -> None:
        self.limit, self.value, self.allowed, self.unit = limit, value, allowed, unit
        super().__init__(f"{limit} limit reached: {value:g} of {allowed:g} {unit} spent")


class PrerequisiteMissing(MlteamError):
    """Something outside the project is missing; the message holds the command that provides it."""

    exit_code = 4


class SandboxUnavailable(PrerequisiteMissing):
    """No sandbox of the kind asked for works on this machine."""


class Diverged(MlteamError):
    """A run that is replayed went another way than its recording; the message names the request and what differs."""


class Interrupted(MlteamError):
    """The user stopped the run; what was finished is on disk."""

    exit_code = 130
