"""Every exception that leaves mlteam, with the exit code that the command line gives it.

    MlteamError                 1   a run failed; the run directory says where
    ├── UsageError              2   bad input or settings: the user changes something and tries again
    ├── BudgetExceeded          3   a limit the user set was reached
    ├── PrerequisiteMissing     4   something must be installed or started first
    │   └── SandboxUnavailable  4   no sandbox of the kind asked for works here
    ├── DeadEnd                 1   a run has no model, and going on with it would not make one
    ├── Diverged                1   a replayed run asked something else than its recording
    ├── ModelError              1   a model gave no reply that can be used
    │   ├── KeyRefused          1   the endpoint does not take the key, or not for this model
    │   ├── ModelUnknown        1   the endpoint has no such model, or no such address
    │   ├── RequestRefused      1   the endpoint does not take the request
    │   ├── ContextOverflow     1   the request is longer than the model can read
    │   ├── ModelOverloaded     1   too many requests, or no credit left
    │   ├── ModelUnreachable    1   no connection, an answer cut off, a server that failed
    │   │   └── ModelTooSlow    1   no answer in time, or no further piece of one
    │   └── UnusableReply       1   an answer that is none: a page, nothing, a refusal to answer
    │       ├── ReplyCut        1   an answer that was ended at its longest before anything of it could be used
    │       └── EmptyReply      1   an answer without a word or a call
    └── Interrupted           130   the user stopped it

A message names the value, what was expected and the next command, and is printed once, without a traceback.
"""

from __future__ import annotations

from typing import Any


class MlteamError(Exception):
    """Base of all. Raised itself when a run fails for a reason that has no better class."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback: the message says what to do, and where it was raised does not help."""
        from team.terminal import clean

        return [f"{type(self).__name__}: {clean(str(self))}"]


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


class DeadEnd(MlteamError):
    """A run has no model for a reason that stands in its settings, such as bounds that nothing keeps to: it takes another run."""


class Diverged(MlteamError):
    """A run that is replayed went another way than its recording; the message names the request and what differs."""


class ModelError(MlteamError):
    """A model gave no reply that can be used. The message says what can be done, in one line and without the key.

    Attributes:
        transient: whether the same request may well be answered in a moment.
        retry_after_s: seconds that the endpoint asks to wait for; None when it said nothing.
        spent: usage of the requests that came to this, as the model clients count it; None where nobody knows.
    """

    transient = False

    def __init__(self, message: str, *, transient: bool | None = None, retry_after_s: float | None = None, spent: Any = None) -> None:
        super().__init__(message)
        self.transient = type(self).transient if transient is None else transient
        self.retry_after_s, self.spent = retry_after_s, spent


class KeyRefused(ModelError):
    """The endpoint does not take the key, or not for this model."""


class ModelUnknown(ModelError):
    """The endpoint has no model of this name, or the address is no endpoint."""


class RequestRefused(ModelError):
    """The endpoint does not take the request as it is."""


class ContextOverflow(ModelError):
    """The request is longer than the model, or the endpoint, can take."""


class ModelOverloaded(ModelError):
    """Too many requests for this key or this endpoint, or no credit left."""

    transient = True


class ModelUnreachable(ModelError):
    """No connection, an answer that was cut off, or a server that failed."""

    transient = True


class ModelTooSlow(ModelUnreachable):
    """No answer in time, or no further piece of one: a deadline of `Deadlines` was met."""


class UnusableReply(ModelError):
    """An answer came, and nothing can be done with it."""


class ReplyCut(UnusableReply):
    """The model wrote up to the longest reply that it may give, and nothing of that is a whole call or a text."""


class EmptyReply(UnusableReply):
    """The model ended its reply before it had said anything: a weak one does where it has nothing to add."""


class Interrupted(MlteamError):
    """The user stopped the run; what was finished is on disk."""

    exit_code = 130
