"""Waiting for a fact, with an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psutil

LONGEST_S = 120.0
"""A machine where others work as well takes several times as long as an idle one."""


def wait_for(fact: Callable[[], object], what: str, longest_s: float = LONGEST_S) -> None:
    """Look for a fact twenty times a second.

    Raises:
        TimeoutError: it did not come.
    """
    until, nobody = time.monotonic() + longest_s, threading.Event()
    while not fact():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not within {longest_s:.0f} s")
        nobody.wait(0.05)


def is_gone(pid: int) -> bool:
    """Whether no process of this number does anything."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
