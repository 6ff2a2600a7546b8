"""Kill real runs at random moments, resume them, and check that nothing is lost.

    python -m evals.chaos [--kills 100] [--sandbox docker bubblewrap] [--seed 0] [--chain K] [--json] [--record FILE]

A chain is one run that is killed several times: its host process by SIGKILL, at an event or at a time, sometimes again within the first
second of the resume or before that has come to work; in every other chain also the kernel, or its container, under a living host. After
each death of the host comes `mlteam resume`. What the chain ends with is compared with a run that nobody disturbed.

The search is bounded by trials, so that the clock decides nothing and equal seeds must give equal scores. Exit code 1 when any chain fails;
its directory is kept, and the command that repeats it is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from evals.chaos_checks import check_run
from evals.chaos_moments import Moment, Timeline, draw
from evals.chaos_table import table
from evals.chaos_victim import Follower, Host, adopt_orphans, wait_for_orphans
from evals.markers import record
from team.log import read_events

WISH = ("run", "sklearn:iris", "--target", "target", "--time", "30m", "--trials", "3", "--folds", "2", "--seed", "1", "--json")
"""A small table on which tuning finds better and the best is used, so that nothing that is lost goes unseen."""
ONE_CORE = {"MLTEAM_SANDBOX__CPUS": "1"}
"""Fits on so few rows take several times as long when their threads have to share a busy machine's cores."""
KILLS_A_CHAIN = 5
POLL_S = 0.002
SEARCH_AGAIN_S = 0.1
PATIENCE = 8
"""A process that takes this many times as long as the undisturbed run, and `GRACE_S` beyond, hangs."""
GRACE_S = 60.0
LONGEST_UNDISTURBED_S = 900.0
MOST_CHAINS_BEYOND = 10
"""Moments that come too late for their run are made up for by more chains, at most so many."""


@dataclass
class Kill:
    """One kill that was made."""

    moment: Moment
    going_on: str
    """What the run was doing: stage and tool, or where between them."""
    event: int
    """Counted events in the log at that moment."""


@dataclass
class Chain:
    """One run, what was done to it, and what came of it."""

    sandbox: str
    number: int
    moments: list[Moment]
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    resumes: int = 0
    restarts: int = 0
    """Starts anew, where nothing was there yet that could be resumed."""
    seconds: float = 0.0
    orphans_gone_s: float = 0.0
    """How long after the run's end its last descendant or container was gone."""
    folder: Path | None = None


class Harness:
    """Runs chains of one sandbox kind against one undisturbed run of it."""

    def __init__(self, sandbox: str, base: Path, seed: int) -> None:
        self.sandbox, self.seed = sandbox, seed
        self.base = base / sandbox
        self._temporary = base / "t"  # a short name: sockets lie below it
        self._docker = sandbox == "docker"
        self._env = os.environ | ONE_CORE | {"TMPDIR": str(self._temporary)}
        self.base.mkdir()
        self._temporary.mkdir(exist_ok=True)

    def undisturbed(self) -> Timeline:
        """Let one run go through in peace.

        Raises:
            RuntimeError: when even that fails.
        """
        folder = self.base / "undisturbed"
        folder.mkdir()
        host = self._start(folder, "run")
        while host.running and host.seconds < LONGEST_UNDISTURBED_S:
            time.sleep(POLL_S)
        ended = time.time()
        if host.code != 0:
            raise RuntimeError(f"the undisturbed run ended with exit code {host.code}:\n{host.last_words()}")
        self.peaceful = Path(host.document()["run"])
        left, _ = wait_for_orphans(self._docker, {host.pid})
        left += self._left_behind()
        if left:
            raise RuntimeError(f"even the undisturbed run leaves something behind: {', '.join(left)}")
        self.timeline = Timeline(list(read_events(self.peaceful / "events.jsonl")), host.started, ended)
        return self.timeline

    def chain(self, number: int, kills: int) -> Chain:
        """Run, kill and resume until the run has ended, and check what there is."""
        chain = Chain(self.sandbox, number, draw(self.seed, self.sandbox, number, self.timeline, kills))
        chain.folder = self.base / str(number)
        chain.folder.mkdir()
        begun = time.monotonic()
        follower = Follower(chain.folder / "runs")
        pids = self._through(chain, follower)
        chain.seconds = time.monotonic() - begun
        left, chain.orphans_gone_s = wait_for_orphans(self._docker, pids)
        chain.problems += [f"orphan: {one}" for one in left]
        chain.problems += [f"temporary folder: {one}" for one in self._left_behind()]
        if follower.path is not None and not chain.problems:
            inside = any(kill.moment.victim != "host" for kill in chain.kills)
            chain.problems += check_run(follower.path, self.peaceful, same_calls=not inside)
        if not chain.problems:
            shutil.rmtree(chain.folder)
        return chain

    def _through(self, chain: Chain, follower: Follower) -> set[int]:
        """Take the run from its start to its end, or to what keeps it from it. Returns the processes that were started."""
        assert chain.folder is not None
        waiting = list(chain.moments)
        host, pids = self._start(chain.folder, "run"), set()
        while True:
            pids.add(host.pid)
            if not self._kill_in_time(host, waiting, follower, chain):
                break
            follower.look()
            if follower.path is None:
                chain.restarts += 1
                host = self._start(chain.folder, f"run-{chain.restarts}")
            else:
                chain.resumes += 1
                host = self._start(chain.folder, f"resume-{chain.resumes}", "resume", str(follower.path), "--json")
        if host.running:
            chain.problems.append(f"hangs: {host.seconds:.0f} s after its start the process has not ended, in {follower.going_on()}")
            host.kill()
        elif self._was_over(host, chain, follower):
            chain.resumes -= 1
        elif host.code != 0 or host.document().get("status") != "done":
            chain.problems.append(f"ends: exit code {host.code}, in {follower.going_on()}: {host.last_words()[-600:]}")
        return pids

    def _was_over(self, host: Host, chain: Chain, follower: Follower) -> bool:
        """Whether a resume was refused because the last process had nothing left to do when it was killed."""
        if host.code != 2 or "has ended: there is nothing to go on with" not in host.last_words():
            return False
        assert chain.folder is not None
        shown = self._start(chain.folder, "show", "show", str(follower.path), "--json")
        while shown.running:
            time.sleep(POLL_S)
        return shown.document().get("status") == "done"

    def _kill_in_time(self, host: Host, waiting: list[Moment], follower: Follower, chain: Chain) -> bool:
        """Follow a process and strike at its moments. Returns whether it was killed; otherwise it has ended, or hangs."""
        follower.look()
        lines_before = follower.lines
        first = lines_before == 0
        due: float | None = None
        stood = 0
        while host.running and host.seconds < PATIENCE * self.timeline.seconds + GRACE_S:
            follower.look()
            if waiting:
                written = follower.lines - lines_before
                moment = waiting[0]
                if due is None and self._reached(moment, follower.counted, written, first):
                    due = (host.started if moment.by == "start" or not moment.after else time.time()) + moment.delay
                    stood = follower.counted
                # On a machine that is less busy than it was, the next event may come before the moment that lies before it.
                if due is not None and (time.time() >= due or (moment.by == "time" and follower.counted > stood)):
                    if not host.strike(moment.victim):
                        due = time.time() + SEARCH_AGAIN_S  # between two kernels
                        continue
                    chain.kills.append(Kill(moment, follower.going_on() if first or written else "resuming", follower.counted))
                    waiting.pop(0)
                    due = None
                    if moment.victim == "host":
                        return True
            time.sleep(POLL_S)
        return False

    @staticmethod
    def _reached(moment: Moment, counted: int, written: int, first: bool) -> bool:
        """Whether the event has come that a moment's delay counts from."""
        if moment.by == "start":
            return True
        if moment.by == "resume":
            return written >= moment.after
        # A resumed process stands there from its start; it is to come to work before the next moment.
        return counted >= moment.after and (first or written > 0)

    def _start(self, folder: Path, name: str, *arguments: str) -> Host:
        wish = arguments or (*WISH, "--sandbox", self.sandbox, "--out", str(folder / "runs"))
        return Host(wish, folder, name, self._env, self._docker)

    def _left_behind(self) -> list[str]:
        """What lies in the folder for temporary files, of which nothing is wanted any more."""
        left = []
        for path in sorted(self._temporary.iterdir()):
            if path.is_file() and path.stat().st_size == 0 and re.fullmatch(r"[a-z0-9_]{8}", path.name):
                path.unlink()  # with such a file, there for an instant, Python tries whether the folder can be written to
                continue
            inside = sorted(str(part.relative_to(path)) for part in path.rglob("*"))
            left.append(f"{path.name} with {', '.join(inside) or 'nothing'}")
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100, help="kills to make in each sandbox")
    parser.add_argument("--sandbox", nargs="+", default=["docker", "bubblewrap"], choices=["docker", "bubblewrap", "unsafe-local"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chain", type=int, help="run this chain alone")
    parser.add_argument("--each", type=int, default=KILLS_A_CHAIN, help="kills in a chain")
    parser.add_argument("--minutes", type=float, default=240, help="begin no further chain after so many")
    parser.add_argument("--json", action="store_true", help="print one JSON document at the end")
    parser.add_argument("--record", type=Path, help="put the figures between the markers of this document")
    options = parser.parse_args()
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failed = run(options)
    finally:
        wait_for_orphans("docker" in options.sandbox, set(), 0)
    sys.exit(1 if failed else 0)


def run(options: argparse.Namespace) -> bool:
    """All chains that were asked for. Returns whether anything failed."""
    base = Path(tempfile.mkdtemp(prefix="mlc-", dir="/tmp"))
    deadline = time.monotonic() + 60 * options.minutes
    failed, documents = False, []
    for sandbox in options.sandbox:
        harness = Harness(sandbox, base, options.seed)
        timeline = harness.undisturbed()
        say(f"{sandbox}: the undisturbed run takes {timeline.seconds:.0f} s and tells {len(timeline.at)} events")
        chains: list[Chain] = []
        numbers = [options.chain] if options.chain is not None else range(-(-options.kills // options.each) + MOST_CHAINS_BEYOND)
        for number in numbers:
            made = sum(len(chain.kills) for chain in chains)
            if (made >= options.kills and options.chain is None) or time.monotonic() > deadline:
                break
            chains.append(harness.chain(number, options.each))
            tell(chains[-1], options.seed, options.each)
        made = sum(len(chain.kills) for chain in chains)
        enough = made >= options.kills or options.chain is not None
        if not enough:
            say(f"{sandbox}: only {made} of {options.kills} kills were made")
        failed |= not enough or any(chain.problems for chain in chains)
        text = table(chains, timeline, options.seed)
        say("\n" + text + "\n")
        if options.record:
            record(options.record, f"chaos {sandbox}", text)
        documents.append({"sandbox": sandbox, "kills": made, "seconds": timeline.seconds, "chains": [asdict(chain) for chain in chains]})
    if options.json:
        print(json.dumps(documents, indent=1, default=str))
    if failed:
        say(f"what failed is kept in {base}")
    else:
        shutil.rmtree(base)
    return failed


def tell(chain: Chain, seed: int, each: int) -> None:
    """One line about a chain, and one for each of its problems."""
    kills = "; ".join(f"{kill.moment} ({kill.going_on})" for kill in chain.kills)
    late = f"; {len(chain.moments) - len(chain.kills)} came too late" if len(chain.kills) < len(chain.moments) else ""
    result = "FAILED" if chain.problems else "as undisturbed"
    say(f"{chain.sandbox} seed {seed} chain {chain.number}: {kills}{late} -> {chain.seconds:.0f} s, {chain.resumes} resumes, {result}")
    for problem in chain.problems:
        say(f"    {problem}")
    if chain.problems:
        say(f"    kept in {chain.folder}; alone: {again(chain, seed, each)}")


def again(chain: Chain, seed: int, each: int) -> str:
    """The command that repeats a chain."""
    return f"python -m evals.chaos --sandbox {chain.sandbox} --seed {seed} --each {each} --chain {chain.number}"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
