"""One notebook a candidate: what was executed to make it and to look at it, with what it came from, what it scored and how it stands.

The cells are those of the journal with the outputs that they gave, as in the notebook of the run; here they are the ones that this
candidate rests on, so that one of them can be read, and executed again, without all others.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from reports.commands import run_folder
from reports.facts import RunFacts, read_facts
from reports.figures import compact, metric_title
from reports.ledger import Ledger, check, read_ledger
from reports.markdown import escape, paragraphs
from reports.notebook import Cell, document, executed, markdown_cell
from reports.record import CandidateRow
from reports.solution_tree import Node, grow
from reports.visible import visible
from team.events import CandidateScored, Event, ToolCalled, ToolReturned
from team.log import read_events
from team.rundir import RunDir, write_atomic
from tools.candidates import ENSEMBLE

PREPARING = ("prepare", "try_steps")
"""Tools whose files every candidate is made from."""
MOST_NOTEBOOKS = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
SETUP = 'import os\n\nif os.path.basename(os.getcwd()) == "notebooks":\n    os.chdir("..")  # to data/ and replay/ of the run'


def write_candidate_notebooks(run: Path) -> Path | None:
    """Write `notebooks/NAME.ipynb` for every candidate of the run directory `run`, and return the folder; None where there is none.

    The same run gives the same bytes. They are not written at the end of a run, but when they are asked for.

    Raises:
        MlteamError: when the event log is damaged, naming the line.
        UnbackedFigure: when one would state a number that is not on record.
    """
    place = RunDir(run)
    facts, ledger = read_facts(place.path), read_ledger(place.path)
    events = list(read_events(place.events))
    if not facts.leaderboard:
        return None
    shutil.rmtree(place.notebooks, ignore_errors=True)
    place.notebooks.mkdir()
    makers, nodes = makers_of(events), {node.name: node for node in grow(facts)}
    for rank, row in enumerate(facts.leaderboard[:MOST_NOTEBOOKS], 1):
        made = compose(facts, place, row, rank, makers, nodes, ledger)
        write_atomic(place.notebooks / _file_name(row), json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    return place.notebooks


def _file_name(row: CandidateRow) -> str:
    return f"{_UNSAFE.sub('_', row.name)}.ipynb"


def makers_of(events: Sequence[Event]) -> dict[str, str]:
    """The call that each candidate was last scored in, by name."""
    going: list[str] = []
    found: dict[str, str] = {}
    for event in events:
        if isinstance(event, ToolCalled):
            going.append(event.call)
        elif isinstance(event, ToolReturned) and event.call in going:
            going.remove(event.call)
        elif isinstance(event, CandidateScored) and going:
            found[event.name] = going[-1]
    return found


def compose(
    facts: RunFacts, place: RunDir, row: CandidateRow, rank: int, makers: Mapping[str, str], nodes: Mapping[str, Node], ledger: Ledger
) -> dict[str, object]:
    """The notebook of one candidate; all that its words state is on record."""
    calls = _calls(facts, row, makers)
    opening = _opening(facts, row, rank, nodes)
    closing = _closing(facts, row)
    check(ledger, f"the notebook of {row.name}", [*opening, *closing])
    execute = f"jupyter nbconvert --to notebook --execute notebooks/{_file_name(row)}"
    again = f"cd {visible(run_folder(facts))}\nrm -rf replay\n{execute}".replace("```", "")
    about = (
        "The cells below are those of the run that this candidate rests on, with the outputs that they gave, and those that looked at it."
        " A search makes several candidates in one cell. To execute them again, in an environment with mlteam installed:"
    )
    told = [
        f"# {escape(row.name)}",
        *map(paragraphs, opening),
        about,
        f"```sh\n{again}\n```",
    ]
    setup: Cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "setup",
        "metadata": {"mlteam": {"setup": True}},
        "outputs": [],
        "source": SETUP.splitlines(keepends=True),
    }
    end = markdown_cell("closing", "## How it stands\n\n" + "\n\n".join(map(paragraphs, closing)))
    return document(facts, [markdown_cell("opening", "\n\n".join(told)), setup, *executed(facts, place, calls), end])


def _calls(facts: RunFacts, row: CandidateRow, makers: Mapping[str, str]) -> set[str]:
    """The calls that prepared its columns, made it, and looked at it; a blend rests on all candidates before it."""
    own = makers.get(row.name)
    calls = {own} if own else set()
    if row.family == ENSEMBLE:
        calls |= {makers[other.name] for other in facts.leaderboard if other.event <= row.event and other.name in makers}
    for turn in facts.turns:
        for call in turn.calls:
            about = row.name in (call.arguments.get("candidate"), call.arguments.get("leader"))
            prepared = call.tool in PREPARING and call.status == "ok" and call.event < row.event
            if about or prepared:
                calls.add(call.call)
    return calls


def _opening(facts: RunFacts, row: CandidateRow, rank: int, nodes: Mapping[str, Node]) -> list[str]:
    metric = metric_title(facts.contract.metric) if facts.contract else "score"
    place = "the best" if rank == 1 else "one"
    scored = f"{metric} {compact(row.score)} with a standard error of {compact(row.std_error)}"
    made = f"A candidate of run {facts.name}: family {row.family}, made in stage {row.stage}."
    told = [f"{made} Out of fold it has {scored}, and is {place} of {len(facts.leaderboard)} candidates."]
    node = nodes.get(row.name)
    if node is not None and node.parent is not None:
        parent = next((one.name for one in nodes.values() if one.event == node.parent), None)
        if parent and parent != row.name:
            told.append(f"In the solution tree it comes from {parent} ({node.move}).")
    attempt = next((one for one in reversed(facts.attempts) if one.name == row.name), None)
    if attempt is not None and attempt.gain is not None and attempt.gain_std_error is not None and attempt.against:
        told.append(
            f"Against {attempt.against} it gained {compact(attempt.gain)} ± {compact(attempt.gain_std_error)}:"
            f" {'more than chance gives the best of so many attempts' if attempt.real else 'no more than chance may give'}."
        )
    return told


def _closing(facts: RunFacts, row: CandidateRow) -> list[str]:
    told = [f"Scores of its folds: {', '.join(compact(value) for value in row.fold_scores)}. Its fits took {row.seconds:.1f} s in all."]
    if row.latency_ms is not None and row.size_mb is not None:
        told.append(f"A single row takes {row.latency_ms:.3g} ms, and the model {row.size_mb:.3g} MB on file, as its kernel measured them.")
    if (s := facts.standings) and s.leader != row.name:
        rival = next((one for one in s.rivals if one.name == row.name), None)
        if rival is not None:
            told.append(f"The tests {'tell it apart from' if rival.apart else 'cannot tell it apart from'} {s.leader}.")
    h = facts.holdout
    if h is not None and h.candidate == row.name:
        told.append(
            f"It was taken in the end. On {h.n:,} rows that nobody had seen it has {compact(h.score)}"
            f" ({100 * h.level:g} % interval {compact(h.low)} to {compact(h.high)})."
        )
    elif h is not None:
        told.append(f"The run took {h.candidate}; this one was never scored on the holdout.")
    return told
