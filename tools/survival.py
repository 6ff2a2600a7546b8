"""Right-censored times as one column of numbers, and what follows from them without any model.

A **signed time** is the time itself where the event happened, and its negative where the row was censored then, as XGBoost has it.
So the truth of a survival task is an array of shape (n,) like that of any other. A time of 0 keeps its sign.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[Any]]

HAPPENED = {"1", "true", "yes", "y", "t", "event", "dead", "died", "death", "deceased", "failed", "failure", "churned", "relapsed"}
CENSORED = {"0", "false", "no", "n", "f", "censored", "alive", "none", "active", "survived"}


def signed_times(times: Array, events: Array) -> Array:
    """Times (n,) that are 0 or more, and whether each ended with the event (n,), as signed times, float64."""
    return np.where(events.astype(bool), 1.0, -1.0) * np.asarray(times, dtype=np.float64)


def times_of(y: Array) -> Array:
    """Times of signed times, shape (n,)."""
    return np.abs(y)


def events_of(y: Array) -> Array:
    """Whether signed times ended with the event, bool (n,)."""
    return ~np.signbit(y)


def read_events(column: pd.Series) -> pd.Series:
    """Whether the event happened, as 1 and 0, float64, missing where the column is.

    Of two numbers the larger one is the event (0 and 1; 1 and 2 as R's tables have it); of two words the one that says so.

    Raises:
        ValueError: when the column holds more than two values, or words that say nothing; tells what was found.
    """
    import pandas as pd

    found = sorted(column.dropna().unique().tolist(), key=str)
    if len(found) > 2:
        raise ValueError(
            f"it has {len(found)} different values ({', '.join(map(str, found[:5]))}, ...); expected 1 for the event, 0 for censored"
        )
    if not pd.api.types.is_bool_dtype(column) and pd.api.types.is_numeric_dtype(column):
        happened = {max(found)} if len(found) == 2 else {value for value in found if value != 0}
    else:
        words = {value: str(value).strip().lower() for value in found}
        strange = [value for value, word in words.items() if word not in HAPPENED | CENSORED]
        if strange:
            raise ValueError(
                f"it holds {str(strange[0])!r}; expected 1 for the event and 0 for censored, or true and false, dead and alive"
            )
        happened = {value for value, word in words.items() if word in HAPPENED}
    return column.isin(happened).astype("float64").where(column.notna())


def survival_curve(y: Array, counts: Array | None = None) -> tuple[Array, Array]:
    """The product-limit estimate of Kaplan and Meier (1958): distinct event times, and the share that outlives each, shape (m,).

    Args:
        counts: how often each row counts, shape (n,); once when left out.
    """
    moments, at_risk, died = _table(y, counts)
    return moments, np.cumprod(1 - np.divide(died, at_risk, out=np.zeros(len(moments)), where=at_risk > 0))


def survival_interval(y: Array, at: Array) -> tuple[Array, Array, Array]:
    """The share that outlives each time of `at`, and the ends of its 95 % interval, shape (m,) each.

    Rothman's (1978): Wilson's interval of as many rows as would give the share Greenwood's (1926) variance (Cutler and Ederer 1958);
    where nobody or everybody had the event, of the rows that are still observed then. Where none is, the interval is all of 0 to 1.
    """
    moments, at_risk, died = _table(y, None)
    left = at_risk - died
    share = step_values(moments, np.cumprod(1 - np.divide(died, at_risk, out=np.zeros(len(moments)), where=at_risk > 0)), at, before=1.0)
    terms = np.divide(died, at_risk * left, out=np.zeros(len(moments)), where=left > 0)
    spread = step_values(moments, np.cumsum(terms), at, before=0.0)
    still = (times_of(y)[:, None] >= at).sum(axis=0).astype(np.float64)
    inside = (share > 0) & (share < 1) & (spread > 0)
    rows = np.where(inside, np.divide(1 - share, share * spread, out=np.zeros(len(at)), where=inside), still)
    z = 1.959964
    centre = (share * rows + z * z / 2) / (rows + z * z)
    half = z / (rows + z * z) * np.sqrt(share * (1 - share) * rows + z * z / 4)
    return share, np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)


def censoring_curve(y: Array, counts: Array | None = None) -> tuple[Array, Array]:
    """The product-limit estimate of the censoring times: distinct ones, and the share that is not censored by each, shape (m,).

    A row whose event falls on the moment of a censoring was gone before it.

    Args:
        counts: how often each row counts, shape (n,); once when left out.
    """
    times, events = times_of(y), events_of(y)
    return survival_curve(np.where(events, -np.maximum(np.nextafter(times, -np.inf), 0.0), times), counts)


def step_values(moments: Array, values: Array, at: Array, before: float) -> Array:
    """A step function that takes `values` from each of the ascending `moments` on, and `before` up to the first, at times `at`."""
    found: Array = np.concatenate([[before], values])[np.searchsorted(moments, at, side="right")]
    return found


def cumulative_hazard(y: Array) -> tuple[Array, Array]:
    """The estimate of Nelson (1972) and Aalen (1978): distinct event times, and the hazard up to each, shape (m,)."""
    moments, at_risk, died = _table(y)
    return moments, np.cumsum(died / at_risk)


def null_residuals(y: Array) -> Array:
    """Martingale residuals of the model without columns (Therneau, Grambsch and Fleming 1990), shape (n,).

    Of each row, the events seen less the events expected until its time: above 0 for rows that died early, below 0 for rows that held out.
    It is a plain number that goes with the risk, for whatever needs one: encoding categories, weighing columns one by one.
    """
    moments, hazard = cumulative_hazard(y)
    expected = step_values(moments, hazard, times_of(y), before=0.0)
    return events_of(y).astype(np.float64) - expected


def _table(y: Array, counts: Array | None = None) -> tuple[Array, Array, Array]:
    """Distinct event times, the rows at risk just before each, and the events at it."""
    times, events, counts = times_of(y), events_of(y), np.ones(len(y)) if counts is None else counts
    moments, places = np.unique(times[events], return_inverse=True)
    died = np.bincount(places, weights=counts[events], minlength=len(moments))
    order = np.argsort(times, kind="stable")
    left = np.concatenate([[0.0], np.cumsum(counts[order])])
    at_risk = left[-1] - left[np.searchsorted(times[order], moments, side="left")]
    return moments, at_risk, died
