"""Charts of how a candidate errs at times that may be censored: thirds of the rows by risk, and calibration at the median time."""

from __future__ import annotations

from collections.abc import Iterator

from reports.error_facts import Diagnosis, RiskGroup
from reports.facts import RunFacts
from reports.figures import compact
from reports.plotly_figures import Mark, Scale, Series, plane
from reports.plotly_page import Chart

WHOLE = (-0.02, 1.02)
"""An axis of shares, with room for marks at its ends."""


def survival_charts(d: Diagnosis, facts: RunFacts) -> Iterator[Chart]:
    """Charts of a diagnosis with groups by risk."""
    target = facts.contract.target if facts.contract and facts.contract.target else "time"
    observed = [Series(one.name, _marks(one), dots=False, band=True, steps=True) for one in d.risk_groups]
    said = [
        Series(f"{one.name}, as said", [Mark(x, y) for x, y in zip(one.times, one.said, strict=True)], dots=False, like=place)
        for place, one in enumerate(d.risk_groups)
    ]
    yield Chart(
        "Without the event by predicted risk",
        "Share of each third of the rows that has not had the event, by Kaplan and Meier, with 95 % intervals; dashed what was said of the"
        " same rows by curves that they had no part in.",
        plane([*observed, *said], Scale(target), Scale("Share without the event", WHOLE)),
        "Share without the event by time: " + ", ".join(f"{one.name} {one.events:,} events in {one.rows:,} rows" for one in d.risk_groups),
    )
    if d.calibration and d.moment is not None:
        yield Chart(
            f"Calibration at {compact(d.moment)}",
            f"The chance of the event by {compact(d.moment)}, the median time, as it was said and as it was (by Kaplan and Meier, so that"
            " censored rows count as long as they were seen), in bins of equal size with 95 % intervals. On the dotted line both are the"
            " same.",
            plane(
                [
                    Series(
                        "rows",
                        [
                            Mark(b.said, b.happened, f"said {b.said:.3f}, happened {b.happened:.3f} of {b.n:,} rows", b.low, b.high)
                            for b in d.calibration
                        ],
                    )
                ],
                Scale("Mean predicted chance", WHOLE),
                Scale("Observed share", WHOLE),
                guide=((0.0, 0.0), (1.0, 1.0)),
            ),
            "Calibration: chance of the event that was said, and share that had it",
        )


def _marks(one: RiskGroup) -> list[Mark]:
    return [
        Mark(x, y, f"{one.name}, at {compact(x)}: {y:.3f} without the event ({low:.3f} to {high:.3f}), said {said:.3f}", low, high)
        for x, y, low, high, said in zip(one.times, one.observed, one.low, one.high, one.said, strict=True)
    ]
