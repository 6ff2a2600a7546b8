from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from team.stoppable import SIGNALS, interruptible, stoppable

LEFT_BEHIND = """
import asyncio, sys
from team.stoppable import stoppable

async def conversation():
    try:
        await asyncio.sleep(3600)
    finally:
        raise ValueError("called too many times")

async def work():
    kept.append(asyncio.ensure_future(conversation()))
    await asyncio.sleep(0)
    raise RuntimeError("the disk is full")

kept = []
try:
    asyncio.run({run})
except RuntimeError as error:
    print(error, file=sys.stderr)
"""


@pytest.mark.parametrize(("run", "told"), [("stoppable(work())", False), ("work()", True)], ids=["stoppable", "plain"])
def test_what_is_left_running_has_no_last_word(run: str, told: bool) -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND.replace("{run}", run)], capture_output=True, text=True, timeout=60, check=True)
    assert ("called too many times" in done.stderr) is told
    assert done.stderr.endswith("the disk is full\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_a_key_does(number: signal.Signals) -> None:
    async def work() -> None:
        os.kill(os.getpid(), number)
        await asyncio.sleep(3600)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stoppable(work()))


def test_what_it_returns_is_given_on() -> None:
    async def work() -> str:
        return "done"

    assert asyncio.run(stoppable(work())) == "done"


ENDING = """
import os, signal, sys
from team.stoppable import interruptible

number, ignored = signal.Signals[sys.argv[1]], signal.Signals[sys.argv[2]]
signal.signal(ignored, signal.SIG_IGN)
try:
    with interruptible():
        os.kill(os.getpid(), ignored)
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            for each in (number, signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), each)
            print("cleaned up", flush=True)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
    sys.exit(130)
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_one_signal_interrupts_and_those_behind_it_cut_nothing_off(number: str) -> None:
    ignored = "SIGHUP" if number != "SIGHUP" else "SIGINT"  # as nohup and scripts have them
    words = [sys.executable, "-c", ENDING, number, ignored]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "")


def test_signals_are_as_they_were_behind_a_block_that_none_interrupted() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in SIGNALS] == before
