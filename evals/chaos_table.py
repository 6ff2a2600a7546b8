"""The figures of a chaos run as a table, and their place in a document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from evals.chaos_moments import Timeline

if TYPE_CHECKING:
    from evals.chaos import Chain

STAGES = ("plan", "acquire", "analyse", "prepare", "baseline", "train", "optimise", "select", "document", "release")
COLUMNS = ("host, by event", "host, by time", "host, again", "kernel", "container")
HEAD = ("What was going on", "Kills", *COLUMNS, "In chains that failed")


class Going(NamedTuple):
    """A row's place: the order of a run's life, then the tool."""

    rank: int
    words: str


def table(chains: Sequence[Chain], timeline: Timeline, seed: int) -> str:
    """Kills by what was going on, in Markdown, with a line about the whole above it."""
    counts: dict[Going, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for chain in chains:
        for kill in chain.kills:
            row = counts[_going(kill.going_on)]
            row[_column(kill.moment.victim, kill.moment.by)] += 1
            row["failed"] += bool(chain.problems)
    rows = [(place.words, sum(row[c] for c in COLUMNS), *(row[c] for c in COLUMNS), row["failed"]) for place, row in sorted(counts.items())]
    total = ("in all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])) if rows else ()
    lines = [HEAD, ("---", *["--:"] * (len(HEAD) - 1)), *rows, *([total] if total else [])]
    body = "\n".join("| " + " | ".join(str(cell) if cell != 0 else "" for cell in line) + " |" for line in lines)
    return f"{_sentence(chains, timeline, seed)}\n\n{body}"


def _sentence(chains: Sequence[Chain], timeline: Timeline, seed: int) -> str:
    kills = sum(len(chain.kills) for chain in chains)
    hosts = sum(kill.moment.victim == "host" for chain in chains for kill in chain.kills)
    failed = sum(bool(chain.problems) for chain in chains)
    resumes = sum(chain.resumes for chain in chains)
    beyond = sum(chain.seconds - timeline.seconds for chain in chains)
    longest = max((chain.orphans_gone_s for chain in chains), default=0.0)
    return (
        f"{kills} kills in {len(chains)} runs (seed {seed}), {hosts} of the host process; {resumes} resumes; "
        f"**{len(chains) - failed} of {len(chains)} runs ended as the undisturbed one, {failed} did not**. "
        f"The undisturbed run takes {timeline.seconds:.0f} s; a kill cost {beyond / max(kills, 1):.1f} s on average, the start of the "
        f"next process counted. {longest:.1f} s after a run's end at most, the last process and container of it was gone."
    )


def _going(words: str) -> Going:
    stage = words.partition(":")[0]
    if stage in STAGES:
        return Going(1 + STAGES.index(stage), words)
    return Going(
        {"start": 0, "documents": 20, "resuming": 21}[words], {"start": "starting", "documents": "last documents"}.get(words, words)
    )


def _column(victim: str, by: str) -> str:
    if victim != "host":
        return victim
    return {"event": "host, by event", "time": "host, by time"}.get(by, "host, again")
