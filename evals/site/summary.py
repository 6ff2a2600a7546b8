"""The results of an eval in words and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from evals.attempts import Attempt
from evals.blocks import ending, rightly, well
from evals.figures import RIGHT, Spread, Standing
from evals.ranking import ALPHA
from reports.figures import duration, metric_title, p_value, score_format
from reports.markdown import escape

MOST_REASONS = 30
MOST_REASON_CHARS = 200


def verdict(standing: Standing) -> str:
    """What ranks say, in a sentence or two."""
    ranked = [place for place in standing.places if place.rank is not None]
    if len(standing.places) < 2:
        return "One system alone: its scores stand below, and there is nothing to rank it against."
    if len(ranked) < 2:
        return "There are no ranks: no task has attempts of the systems with the same seed."
    best, rank = ranked[0].system, ranked[0].rank
    assert rank is not None
    tied = [place.system for place in ranked[1:] if place.rank and abs(place.rank.value - rank.value) < 1e-9]
    if len(tied) == len(ranked) - 1:
        return f"All {len(ranked)} systems share the average rank {rank.value:.2f}."
    told = f"{_and([best, *tied])} {'have' if tied else 'has'} the best average rank, {rank.value:.2f} of {len(ranked)}."
    if standing.test is None:
        return f"{told} Over one task ranks are not tested."
    if standing.test.p > ALPHA:
        chance = f"the ranks differ by no more than chance (Friedman's test, p {p_value(standing.test.p)})"
        return f"{told} Over {standing.test.tasks} tasks {chance}."
    together = alike(standing)
    apart = [place.system for place in ranked[1:] if place.system not in together]
    if not together:
        return f"{told} It is told apart from all others."
    if not apart:
        return f"{told} It is told apart from none of the others."
    return f"{told} It is told apart from {_and(apart)}, and not from {_and(together)}."


def alike(standing: Standing) -> list[str]:
    """Systems that ranks do not tell apart from the best; none where they were not tested."""
    if standing.test is None:
        return []
    best = standing.places[0].system
    return list(dict.fromkeys(system for group in standing.test.groups if best in group for system in group if system != best))


def markdown(standings: Sequence[Standing], attempts: Sequence[Attempt]) -> str:
    """All standings, and the failures of all attempts. Names and reasons are inert."""
    suites = ", ".join(dict.fromkeys(escape(standing.suite) for standing in standings))
    parts = [f"# mlteam eval: {suites}"]
    for standing in standings:
        parts += [f"## {escape(standing.suite)}, {duration(standing.budget_s)} an attempt", *_standing(standing)]
    parts += ["## Failures", *_failures(attempts)]
    return "\n\n".join(parts) + "\n"


def _standing(standing: Standing) -> Iterator[str]:
    yield escape(verdict(standing))
    rows = [
        (
            escape(place.system),
            _figure(place.rank, "{:.2f}"),
            _figure(place.normalised, "{:.3f}"),
            str(place.best),
            f"{place.failed} of {place.attempts}",
            duration(place.cost.wall_s),
            "unknown" if place.cost.dollars is None else f"{place.cost.dollars:.4g}",
        )
        for place in standing.places
    ]
    yield _table(("system", "average rank", "normalised score", "best on", "failed", "mean time", "mean US dollars"), rows)
    if standing.test is not None:
        f = "" if standing.test.f is None else f"F {standing.test.f:.2f}, "
        yield (
            f"Friedman's test over {standing.test.tasks} tasks: χ² {standing.test.chi2:.2f}, {f}p {escape(p_value(standing.test.p))}."
            f" Critical difference of average ranks (Nemenyi, 5 %): {standing.test.critical_difference:.2f}."
        )
        groups = [" = ".join(map(escape, group)) for group in standing.test.groups]
        yield "Not told apart: " + ("; ".join(groups) if groups else "none") + "."
    yield from (escape(note) for note in standing.notes)
    yield "### Scores"
    yield _table(("task", "metric", *map(escape, standing.systems)), [_scores(standing, k) for k in range(len(standing.tasks))])
    if standing.duels:
        yield "### Who beats whom"
        duels = [(escape(d.first), escape(d.second), f"{d.wins}-{d.ties}-{d.losses}", _figure(d.share, "{:.2f}")) for d in standing.duels]
        yield _table(("first", "second", "wins-ties-losses", "share of wins"), duels)


def _scores(standing: Standing, k: int) -> tuple[str, ...]:
    task = standing.tasks[k]
    cells = {cell.system: cell for cell in task.cells}
    figure = score_format(next((cell.score.value for cell in task.cells if cell.score and cell.score.value), 1.0))
    texts = []
    for system in standing.systems:
        cell = cells.get(system)
        if cell is None:
            texts.append("not tried")
            continue
        parts = []
        if cell.score is not None and task.metric == RIGHT:
            texts.append(rightly(cell.score.value, cell.attempts))
            continue
        if cell.score is not None:
            best = cell.rank is not None and cell.rank == task.cells[0].rank
            text = figure(cell.score.value)
            between = (
                f" ({figure(cell.score.low)} to {figure(cell.score.high)})"
                if cell.score.low is not None and cell.score.high is not None
                else ""
            )
            parts.append((f"**{text}**" if best else text) + between)
        if cell.failed:
            parts.append("failed" if cell.failed == cell.attempts else f"{cell.failed} of {cell.attempts} failed")
        texts.append(", ".join(parts))
    better = "" if task.metric == RIGHT else " ↑" if task.direction == "max" else " ↓"
    return (escape(task.name), f"{escape(metric_title(task.metric))}{better}", *texts)


def _failures(attempts: Sequence[Attempt]) -> Iterator[str]:
    failed = [row for row in attempts if not well(row)]
    if not failed:
        yield f"None of {len(attempts)} attempts failed."
        return
    counts = Counter((row.system, row.status, row.reason) for row in failed)
    rows = [
        (escape(system), ending(status), str(count), escape(reason[:MOST_REASON_CHARS]))
        for (system, status, reason), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
    yield f"{len(failed)} of {len(attempts)} attempts failed."
    yield _table(("system", "ended", "attempts", "reason"), rows[:MOST_REASONS])
    if len(rows) > MOST_REASONS:
        yield f"{len(rows) - MOST_REASONS} more reasons are in `site/failures.html`."


def _figure(spread: Spread | None, form: str) -> str:
    if spread is None:
        return "–"
    text = form.format(spread.value)
    return text if spread.low is None or spread.high is None else f"{text} ({form.format(spread.low)} to {form.format(spread.high)})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "--|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)])


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
