"""What the chaos harness sees of a run's processes: its log as it grows, and whoever outlives it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from evals.chaos_victim import Follower
from team.events import Event, MessageSpoken, ProgressMade, RunEnded, RunResumed, StageEntered, ToolCalled, ToolReturned
from team.log import EventLog

CALL = ToolCalled(call="c1", turn=1, role="engineer", tool="tune", where="kernel", arguments={})


def test_a_follower_says_how_far_the_run_is_and_what_is_going_on(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    follower.look()
    assert (follower.path, follower.counted, follower.going_on()) == (None, 0, "start")
    run = tmp_path / "20260101-000000-iris"
    run.mkdir()
    log = EventLog(run / "events.jsonl")
    follower.look()
    assert follower.path is None, "a log without an event is no run to go on with"

    def after(*events: Event) -> tuple[int, int, str]:
        for event in events:
            log.append(event)
        follower.look()
        return follower.lines, follower.counted, follower.going_on()

    assert after(StageEntered(stage="optimise", visit=1)) == (1, 1, "optimise: between calls")
    assert after(CALL, ProgressMade(call="c1", facts={})) == (3, 2, "optimise: tune"), "progress does not count"
    assert after(RunResumed(times=1, turn=0, stage="optimise", away_s=1.0)) == (4, 2, "optimise: tune")
    assert follower.resumes == 1
    assert after(ToolReturned(call="c1", tool="tune", status="ok", seconds=1.0)) == (5, 3, "optimise: between calls")
    assert after(RunEnded(status="done", seconds=1.0)) == (6, 4, "documents")
    assert follower.path == run
    log.close()


def test_a_follower_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    line = MessageSpoken(turn=1, role="engineer", text="x", seq=0).model_dump_json().encode() + b"\n"
    (run / "events.jsonl").write_bytes(line + line[:20])
    follower = Follower(tmp_path)
    follower.look()
    assert follower.counted == 1
    (run / "events.jsonl").write_bytes(line + line)
    follower.look()
    assert follower.counted == 2


def test_who_outlives_a_killed_process_is_found_however_it_detached_itself_and_is_ended() -> None:
    # In a process of its own: the harness ends every descendant it has.
    program = """
import json, subprocess, sys
from evals.chaos_victim import adopt_orphans, wait_for_orphans
adopt_orphans()
detached = "import os, sys, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
subprocess.run([sys.executable, "-c", detached, "a daemon"], check=True)
print(json.dumps([wait_for_orphans(False, set(), 0.2)[0], wait_for_orphans(False, set(), 0.2)[0]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, then = json.loads(done.stdout)
    assert first, "nobody was found"
    assert all("a daemon" in one for one in first), "on a busy machine those between may not have gone yet"
    assert then == []
