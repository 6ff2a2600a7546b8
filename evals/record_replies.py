"""What a language model answered in a run, as a fixture that a server on loopback can play: `python -m evals.record_replies RUN FILE`.

One line a reply, in the order in which they came: role, stage and what was said, text or calls. What was asked is left out, since it holds
scores and seconds that another machine will not have; and so is what the model was paid. The run's source is written as `$SOURCE`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from team.events import RunStarted, TurnStarted
from team.log import read_events
from team.rundir import RunDir

SOURCE = "$SOURCE"


def replies(run: RunDir) -> list[dict[str, Any]]:
    """Replies of a run's models; those that failed are left out."""
    events = list(read_events(run.events))
    stages = {event.turn: str(event.stage) for event in events if isinstance(event, TurnStarted)}
    source = next((event.settings["source"] for event in events if isinstance(event, RunStarted)), "")
    found = []
    for line in run.replies.read_text(encoding="utf-8").splitlines():
        kept = json.loads(line)
        answer = kept.get("answer")
        if answer is None or kept["turn"] not in stages:
            continue
        said = {"text": answer["text"]} if answer["text"] else {"calls": answer["calls"]}
        line = json.dumps({"role": kept["role"], "stage": stages[kept["turn"]], **said}, ensure_ascii=False)
        found.append(json.loads(line.replace(source, SOURCE) if source else line))
    return found


def main(run: str, file: str) -> None:
    found = replies(RunDir(Path(run)))
    Path(file).write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found), encoding="utf-8")
    print(f"{len(found)} replies in {file}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print("usage: python -m evals.record_replies RUN FILE", file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
