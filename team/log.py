"""The event log: append, read back, and tell whoever subscribed.

One JSON document a line. A line is written with one `write` call and flushed; `sync` forces it to the disk and is
called when a step ends. Values of secret-looking environment variables never reach the file.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from team.errors import MlteamError
from team.events import EVENT, SCHEMA_VERSION, Event
from tools.sources.secrets import hidden

Subscriber = Callable[[Event], None]

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)", re.IGNORECASE)
_SHORTEST_SECRET = 8


class EventLog:
    """Append-only log of one run.

    Subscribers are called after the line is written, in the order they subscribed; what they raise is not caught,
    since a broken view is a bug.
    """

    def __init__(self, path: Path) -> None:
        drop_torn_line(path)
        # Unbuffered: a line is one write, and after a full disk nothing is left over to fail again on closing.
        self._file = path.open("ab", buffering=0)
        self._next = max((event.seq + 1 for event in read_events(path)), default=0)
        self._subscribers: list[Subscriber] = []
        self._redact = redactor()

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def append(self, event: Event) -> Event:
        """Write `event` with its place and time filled in, and return it so."""
        event = event.model_copy(update={"seq": self._next, "at": time.time()})
        plain = _as_json(event)
        line = self._redact(plain or _mended(event))
        if line != plain:
            event = EVENT.validate_json(line)  # what subscribers see goes to files too
        self._file.write(line.encode() + b"\n")
        self._next += 1
        self.tell(event)
        return event

    def tell(self, event: Event) -> None:
        """Tell the subscribers of an event that stands in the log."""
        for subscriber in self._subscribers:
            subscriber(event)

    @property
    def length(self) -> int:
        """The number that the next event gets."""
        return self._next

    def sync(self) -> None:
        """Force everything appended so far to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[Event]:
    """Events of a log in order. What follows the last newline, as a crash may leave it, is passed over.

    Raises:
        MlteamError: when a line is damaged, naming it, or was written by a later version.
    """
    for number, line in enumerate(_lines(path), 1):
        event, problem = _read(line)
        if event is None:
            raise MlteamError(
                f"{path}, line {number}: {problem}. `mlteam resume {path.parent}` goes on from what is good, if the run has not ended."
            )
        yield event


def mend(path: Path) -> list[str]:
    """Take damaged lines out of a log, so that it can be read and appended to. The damaged log is kept beside it.

    Returns:
        What was found, in words; empty for a log that was good.

    Raises:
        MlteamError: when the log was written by a later version of mlteam.
    """
    found = []
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        found.append(f"{path.name}: the last line was torn off in the middle; what it began to say is gone")
    good = []
    for number, line in enumerate(_lines(path), 1):
        event, problem = _read(line)
        if event is None:
            found.append(f"{path.name}, line {number}: {problem}; it is passed over")
        else:
            good.append(line)
    if found:
        spare = path.with_name(f"{path.name}.damaged")
        if not spare.exists():
            spare.write_bytes(content)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(b"".join(line + b"\n" for line in good))
        temporary.replace(path)
    return found


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _read(line: bytes) -> tuple[Event | None, str]:
    """One event, or None and what is wrong with the line.

    Raises:
        MlteamError: when it says that it was written by a later version.
    """
    try:
        return EVENT.validate_json(line), ""
    except ValidationError as error:
        _refuse_later_version(line)
        return None, error.errors()[0]["msg"]


def _refuse_later_version(line: bytes) -> None:
    try:
        version = json.loads(line).get("schema_version", 0)
    except (ValueError, AttributeError):
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise MlteamError(
            f"the run was written by a later mlteam (events of version {version}; this one reads up to {SCHEMA_VERSION}). "
            "Use that version, or a newer one."
        )


def _as_json(event: Event) -> str | None:
    """The event as JSON, or None when it holds half a surrogate pair, as a model can send it."""
    try:
        return event.model_dump_json()
    except ValueError:
        return None


def _mended(event: Event) -> str:
    return json.dumps(event.model_dump(mode="python"), ensure_ascii=False).encode("utf-8", "replace").decode()


def drop_torn_line(path: Path) -> None:
    """Cut off what a crash left behind the last newline, so that the next event starts on a line of its own."""
    content = path.read_bytes() if path.exists() else b""
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def redactor() -> Callable[[str], str]:
    """A function that replaces the values of secret-looking environment variables, also as JSON writes them, and what was looked up."""
    secrets = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET}
    secrets |= {json.dumps(value)[1:-1] for value in secrets}
    if not secrets:
        return hidden
    pattern = re.compile("|".join(re.escape(secret) for secret in sorted(secrets, key=len, reverse=True)))
    return lambda text: hidden(pattern.sub("[redacted]", text))
