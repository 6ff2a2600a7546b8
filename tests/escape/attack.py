"""What an attack is: a hostile cell, and how the host tells whether it got through."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from team.sandbox import CellResult, Limits
from team.sandbox.inside import seccomp

if TYPE_CHECKING:
    from tests.escape.scene import Scene

_MACHINE = os.uname().machine if os.uname().machine in ("x86_64", "aarch64") else "x86_64"
NUMBERS = seccomp.numbers(seccomp._REFUSED + seccomp._ABSENT + seccomp._CHECKED, _MACHINE)
FILTERED = {*seccomp.numbers(seccomp._REFUSED, _MACHINE), *seccomp.numbers(seccomp._ABSENT, _MACHINE), "clone", "personality", "set-id"}
"""What is refused by the filter, by the names that cells give to what they try."""

PRELUDE = f"""
import ctypes, errno, json, os, pathlib, shutil, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
numbers = {NUMBERS!r}

def reason(error):
    return errno.errorcode.get(getattr(error, "errno", None) or 0, type(error).__name__)

def attempt(what, function):
    try:
        found = function()
    except BaseException as error:
        print("STOPPED", what, reason(error), flush=True)
        return None
    print("THROUGH", what, repr(found)[:400], flush=True)
    return found

def fail(number, why):
    raise OSError(number, why)

def call(name, *arguments):
    ctypes.set_errno(0)
    found = libc.syscall(numbers[name], *arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), name)
    return found

def child(function):
    # In a process of its own, whose end says how it went: 0 for through, else the errno.
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            function()
            code = 0
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "in the child")
    return "done"
"""
"""What every hostile cell may use. Each way that it tries is printed as STOPPED or THROUGH, so that a cell that never came to
try is no success of the sandbox."""

_MEANINGS = {
    "ENETUNREACH": "no route: a network of its own",
    "EAFNOSUPPORT": "this family of sockets is refused by the filter",
    "ECONNREFUSED": "nobody listens there: namespaces of its own",
    "ENOENT": "is not there",
    "EROFS": "read-only",
    "ESRCH": "no such process: a process namespace of its own",
    "EXDEV": "on another mount",
    "EPERM": "not permitted",
    "EACCES": "permission denied",
    "ENOSYS": "not implemented",
}


@dataclass(frozen=True)
class Verdict:
    """Whether an attack got through, and what was seen of it."""

    through: bool
    seen: str


Judge = Callable[["Scene", CellResult], Verdict | Awaitable[Verdict]]


@dataclass(frozen=True)
class Local:
    """The control: the same cell gets through in `unsafe-local`, by the same judge if no other is named."""

    root: bool = False
    """Whether that takes a caller who is root; for others the control is left out."""
    missing: Callable[[], str | None] = lambda: None
    """Why the control can show nothing on this machine; None when it can."""
    limits: Limits | None = None
    """For a kernel with wider limits, since `unsafe-local` keeps them as well."""
    judge: Judge | None = None


@dataclass(frozen=True)
class Host:
    """The control: what a host that took no care would do with what the cell left, which gets hit."""

    naive: Callable[[Scene, CellResult], bool | Awaitable[bool]]
    """Returns whether it was hit."""


@dataclass(frozen=True)
class No:
    """There is no control, and why."""

    why: str


@dataclass(frozen=True)
class Attack:
    """One way out, or one way to fool the host."""

    name: str
    tries: str
    cell: str
    """Code that runs after PRELUDE; `$name` is filled with a fact of the scene. Empty where the data alone is hostile."""
    judge: Judge
    control: Local | Host | No
    before: Callable[[Scene], None] | None = None
    """What is put in place outside before the cell runs."""
    timeout_s: float = 20.0
    limits: Limits | None = None
    """For a kernel of its own; None shares the one of the class, with the default limits."""
    lasting: bool = False
    """Whether something of it goes on after the cell, so that its kernel must be ended."""
    machine: str | None = None
    """The only architecture it is written for."""

    def code(self, facts: dict[str, str]) -> str:
        return PRELUDE + Template(self.cell).substitute(facts)


async def judged(judge: Judge, scene: Scene, result: CellResult) -> Verdict:
    verdict = judge(scene, result)
    return await verdict if inspect.isawaitable(verdict) else verdict


def held(seen: str) -> Verdict:
    return Verdict(False, seen)


def got_through(seen: str) -> Verdict:
    return Verdict(True, seen)


def attempts(result: CellResult) -> tuple[list[str], list[str]]:
    """What the cell says got through, and what stopped the rest, in words."""
    lines = re.findall(r"^(STOPPED|THROUGH) (\S+) (.*)$", result.text, re.MULTILINE)
    through = [f"{what}: {how}" for word, what, how in lines if word == "THROUGH"]
    stopped = list(dict.fromkeys(_stop(what, how) for word, what, how in lines if word == "STOPPED"))
    return through, stopped


def by_its_word(scene: Scene, result: CellResult) -> Verdict:
    """Nothing that the cell tried may have worked, by what it says. For what leaves no trace outside."""
    through, stopped = attempts(result)
    if through:
        return got_through("; ".join(through))
    assert stopped, f"the cell tried nothing: {result.status} {result.cause} {result.text[-300:]} {result.traceback}"
    return held("; ".join(stopped))


def by_fact(fact: Callable[[Scene, CellResult], str | None]) -> Judge:
    """Judge by a fact seen from outside, which `fact` names when the attack got through; the cell's word says what stopped it."""

    def judge(scene: Scene, result: CellResult) -> Verdict:
        if seen := fact(scene, result):
            return got_through(seen)
        _, stopped = attempts(result)
        assert stopped, f"the cell tried nothing: {result.status} {result.cause} {result.text[-300:]} {result.traceback}"
        return held("; ".join(stopped))

    return judge


def _stop(what: str, how: str) -> str:
    if what in FILTERED and how in ("EPERM", "ENOSYS"):
        return f"{how}: the filter of system calls"
    return f"{how}: {_MEANINGS[how]}" if how in _MEANINGS else how
