"""End things for certain in a program that can be cancelled at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are done; what they raise is not of interest any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def to_the_end(work: Coroutine[Any, Any, T], hurry: Callable[[], None] | None = None) -> T:
    """Await `work` without letting a cancellation stop it half-way; the cancellation is raised afterwards.

    Args:
        hurry: called at each cancellation, to make the rest short.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
            if hurry:
                hurry()
        except BaseException:  # raised below, by the task itself
            break
    result = task.result()
    if cancelled:
        raise cancelled
    return result
