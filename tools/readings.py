"""What models make of the very same rows, made once: the models of several labels read the same columns in the same way."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Made = TypeVar("Made")
_MADE: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar("_MADE", default=None)


@contextmanager
def shared_readings() -> Iterator[None]:
    """Keep what `read_once` is asked for until the end of the block. A block within another shares what that keeps."""
    if _MADE.get() is not None:
        yield
        return
    token = _MADE.set({})
    try:
        yield
    finally:
        _MADE.reset(token)


def sharing() -> bool:
    """Whether readings are kept."""
    return _MADE.get() is not None


def read_once(reader: object, rows: object, read: Callable[[], Made]) -> Made:
    """What `read` makes, or what it made before of the same rows for the same reader.

    Outside of `shared_readings` it is made each time. What is given back may be shared: do not write to it.

    Args:
        reader: known by its identity.
        rows: known by their identity, or bytes that are a digest of them.
    """
    made = _MADE.get()
    if made is None:
        return read()
    key = id(reader), rows if isinstance(rows, bytes) else id(rows)
    if key not in made:
        made[key] = (read(), reader, rows)  # held, so that no other object gets their identity meanwhile
    found: Made = made[key][0]
    return found
