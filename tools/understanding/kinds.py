"""What the values of a column mean, how surely, and why.

The schema's kinds say how models read a column; these say what it is, for people and for what a preparation may try.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tools.contract import ColumnKind
from tools.understanding.findings import Kind, Reading
from tools.word_orders import are_ranges, scale_of

if TYPE_CHECKING:
    import pandas as pd

RARER = 0.25
"""Of the commonest number's rows, what the largest of a count has at most."""
LOOKED_AT = 2000
"""Values of a column whose text is read."""
BEINGS = (
    "patient|subject|person|individual|participant|respondent|volunteer|donor|child|customer|client|user|member|guest|passenger|tenant|owner"
    "|buyer|seller|host|borrower|applicant|household|student|pupil|teacher|employee|worker|driver|rider|player|athlete|animal|specimen|speaker"
)
"""Whom rows may be about, and what else a key may be a key of, as in `store_id`."""
THINGS = "family|school|vehicle|machine|device|sensor|account|session|visit|case|plot|site|author|company|firm|store|shop"
_NAMED_KEY = re.compile(
    rf"(^|[\W_])((({BEINGS}|{THINGS}|order|item|product|row|record|invoice|ticket|transaction)s?)?(id|nr)|ids|uid|uuid|guid|key|identifier|index"
    r"|rownames?|row_?num(ber)?)$",
    re.I,
)
_CAMEL_KEY = re.compile(r"[a-z](Id|ID|Uuid|UUID|Key)$")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.I)
_LATITUDE, _LONGITUDE = re.compile(r"(^|[\W_])lat(itude)?([\W_]|$)", re.I), re.compile(r"(^|[\W_])(lon|lng|long|longitude)([\W_]|$)", re.I)
_PLACE = re.compile(r"(^|[\W_])(country|nation|province|region|county|city|town|zip|zip_?code|postal_?code|postcode)([\W_]|$)", re.I)
_STATE, _STATE_CODE = (
    re.compile(r"(^|(addr(ess)?|home|us|birth|origin|dest|shipping|billing)[\W_])state([\W_](code|name))?$", re.I),
    re.compile("[A-Z]{2}"),
)
"""A state of a country; of an order or a relationship it is none."""
_COORDINATES = re.compile(
    r"\(?-?\d{1,3}\.\d+\s*[,; ]\s*-?\d{1,3}\.\d+\)?|(?:POINT|POLYGON|LINESTRING)\s*Z?\s*\(.*\)|\{.*\"coordinates\".*\}", re.I
)
_LISTED = re.compile(r"\s*[\[({].*[\])}]\s*", re.S)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?( ?[ap]m)?", re.I)
_MARK = re.compile(r"[A-G]\d?[+-]?", re.I)
_JUDGED = re.compile(
    r"(^|[\W_])(rating|score|grade|level|stars?|rank|stage|severity|quality|satisfaction|condition|priority|class)([\W_]|$)", re.I
)
_YEAR = re.compile(r"(^|[\W_])(year|yr)([\W_]|$)", re.I)
_CYCLE = re.compile(r"(^|[\W_])(month|mo|quarter|week|weekday|day|dow|hour|hr|minute)(_?of_?\w+)?$", re.I)
_POSTAL = re.compile(r"zip|postal|postcode", re.I)
SEPARATORS = (";", "|", ",")
YES_NO = ({"yes", "no"}, {"y", "n"}, {"t", "f"}, {"true", "false"}, {"on", "off"})


def named_like_a_key(name: str) -> bool:
    """Whether a name says that its column identifies something, as `id`, `customer_id` and `orderID` do."""
    return _NAMED_KEY.search(name.strip()) is not None or _CAMEL_KEY.search(name.strip()) is not None


def read_column(name: str, values: pd.Series, kind: ColumnKind) -> Reading:
    """What a column is taken for.

    Args:
        values: as they stand in the table.
        kind: how the schema reads them.
    """
    found, confidence, reasons = _read(name, values, kind)
    return Reading(column=name[:80], kind=found, confidence=round(confidence, 2), reasons="; ".join(reasons)[:240])


Found = tuple[Kind, float, list[str]]


def _read(name: str, values: pd.Series, kind: ColumnKind) -> Found:
    from pandas.api import types

    present = values.dropna()
    distinct = int(present.nunique()) if present.dtype != object else int(present.astype(str).nunique())
    if distinct == 0:
        return "constant", 1.0, ["holds no value"]
    if distinct == 1:
        return "constant", 1.0 if not values.isna().any() else 0.7, ["holds one value" + (" or none" if values.isna().any() else "")]
    if types.is_bool_dtype(values.dtype):
        return "boolean", 1.0, ["is stored as true and false"]
    if types.is_datetime64_any_dtype(values.dtype):
        return "datetime", 1.0, ["is stored as moments"]
    if kind == "numeric" and types.is_numeric_dtype(values.dtype):
        return _of_numbers(name, present, distinct)
    return _of_texts(name, present.head(LOOKED_AT).astype(str).str.strip(), distinct, len(present), kind)


def _of_numbers(name: str, present: pd.Series, distinct: int) -> Found:
    import numpy as np

    numbers = present.to_numpy(dtype="float64")
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return "constant", 0.9, ["holds no finite number"]
    low, high, whole = numbers.min(), numbers.max(), bool((numbers % 1 == 0).all())
    if distinct == 2 and set(np.unique(numbers)) == {0.0, 1.0}:
        return "boolean", 0.85, ["holds 0 and 1 alone"]
    for pattern, most, what in ((_LATITUDE, 90, "latitude"), (_LONGITUDE, 180, "longitude")):
        if pattern.search(name) and -most <= low and high <= most and not whole:
            return "geographic", 0.95, [f"is named like a {what}", f"lies between -{most} and {most}"]
    if not whole:
        return "numeric", 0.95, ["holds fractions"]
    unique = distinct == len(present)
    if unique and len(present) >= 30:
        steps = np.diff(np.sort(numbers))
        dense = np.ptp(numbers) < 2.5 * len(numbers)
        if named_like_a_key(name):
            return "identifier", 0.95, ["is named like a key", "no value comes twice"]
        if dense and float((steps == 1).mean()) > 0.5:
            return "identifier", 0.8, ["whole numbers that count up", "no value comes twice"]
    if named_like_a_key(name) and distinct > 20:
        times = len(present) / distinct
        return "identifier", 0.7, ["is named like a key", f"a value comes {times:.1f} times, so it may say which rows belong together"]
    if _moments_in(numbers, name):
        return "datetime", 0.75, ["whole numbers that read as dates or seconds since 1970"]
    if _YEAR.search(name) and low >= 1800 and high <= 2200:
        return "ordered", 0.7, ["is named like a year", f"lies between {low:.0f} and {high:.0f}"]
    if _CYCLE.search(name) and low >= 0 and high <= 59 and distinct > 2:
        return "ordered", 0.7, ["is named like a part of a date", f"lies between {low:.0f} and {high:.0f}"]
    if _POSTAL.search(name):
        return "geographic", 0.7, ["is named like a postal code"]
    if distinct <= 10 and len(present) >= 10 * distinct:
        return _of_few_numbers(name, numbers)
    return "numeric", 0.9, [f"{distinct:,} different whole numbers"]


def _of_few_numbers(name: str, numbers: Any) -> Found:
    """Codes, places on a scale, or small counts, of which the larger are the rarer."""
    import numpy as np

    found, times = np.unique(numbers, return_counts=True)
    low, high = found[0], found[-1]
    span = f"whole numbers from {low:.0f} to {high:.0f}"
    if _JUDGED.search(name) and len(found) > 2:
        return "ordered", 0.75, ["is named like a judgement", span]
    if low == 0 and len(found) > 2 and times[-1] < RARER * times.max() and times.argmax() < len(found) / 2:
        return "numeric", 0.6, [f"{span}, the larger the rarer, as counts are"]
    if high - low == len(found) - 1 and low in (0.0, 1.0) and len(found) > 2:
        return "ordered", 0.6, [f"{span} without a gap"]
    return "categorical", 0.5, [f"{len(found)} different whole numbers, which may be codes"]


def _moments_in(numbers: Any, name: str) -> bool:
    """Whether whole numbers are days such as 20240131, or seconds or milliseconds since 1970 in a column that is named like a time."""
    import numpy as np

    if numbers.min() >= 19000101 and numbers.max() <= 22001231:
        month, day = numbers // 100 % 100, numbers % 100
        return bool(np.all((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)))
    named = re.search(r"time|date|epoch|stamp|created|updated|_at$|(^|_)ts$", name, re.I) is not None
    return named and any(3e8 * unit <= numbers.min() and numbers.max() <= 4e9 * unit for unit in (1, 1e3, 1e6, 1e9))


def _of_texts(name: str, texts: pd.Series, distinct: int, rows: int, kind: ColumnKind) -> Found:
    lowered = set(texts.str.lower().unique())
    if kind == "boolean" or lowered in YES_NO:
        return "boolean", 0.95 if kind == "boolean" else 0.9, [f"holds {' and '.join(sorted(lowered))} alone"]
    if kind == "datetime":
        return "datetime", 0.95, ["reads as dates"]
    if kind == "numeric":
        return "numeric", 0.8, ["texts that read as numbers"]
    if float(texts.str.fullmatch(_UUID).mean()) > 0.95:
        return "identifier", 0.95, ["reads as UUIDs or digests"]
    if float(texts.str.fullmatch(_COORDINATES).mean()) > 0.95:
        return "geographic", 0.9, ["reads as coordinates"]
    if _POSTAL.search(name) and float(texts.str.contains(r"\d").mean()) > 0.95:
        return "geographic", 0.7, ["is named like a postal code"]
    if float(texts.str.fullmatch(_CLOCK).mean()) > 0.95:
        return "datetime", 0.7, ["reads as times of day"]
    if are_ranges(lowered):
        return "ordered", 0.8, ["ranges of numbers"]
    if listed := _as_lists(texts):
        return "list", *listed
    unique = rows >= 30 and distinct >= 0.95 * rows
    one_word = float(texts.str.contains(r"\s").mean()) < 0.05
    if unique and (named_like_a_key(name) or one_word) and kind != "text":
        named = ["is named like a key"] if named_like_a_key(name) else ["single words"]
        return "identifier", 0.95 if named_like_a_key(name) else 0.8, [*named, "hardly a value comes twice"]
    if named_like_a_key(name) and distinct > 20:
        return (
            "identifier",
            0.7,
            ["is named like a key", f"a value comes {rows / distinct:.1f} times: it may say which rows belong together"],
        )
    if kind == "text":
        words = float((texts.str.count(r"\s+") + 1).mean())
        return "text", 0.9, [f"{words:.1f} words in the mean", "hardly a value comes twice"]
    if _PLACE.search(name) or _STATE.search(name) or ("state" in name.lower() and float(texts.str.fullmatch(_STATE_CODE).mean()) > 0.95):
        return "geographic", 0.7, ["is named like a place"]
    if scale := scale_of(lowered):
        return "ordered", 0.85, [f"words of a scale ({', '.join(scale[:5])})"]
    if _JUDGED.search(name) and distinct > 2 and float(texts.str.fullmatch(_MARK).mean()) > 0.95:
        return "ordered", 0.6, ["is named like a judgement", "letters as of school marks"]
    repeated = rows / distinct
    return "categorical", 0.9 if repeated >= 10 else 0.6, [f"{distinct:,} different values, each {repeated:.1f} times in the mean"]


def _as_lists(texts: pd.Series) -> tuple[float, list[str]] | None:
    """Whether the values are lists: of JSON, or of few words behind one separator."""
    if float(texts.str.fullmatch(_LISTED).mean()) > 0.95 and float(texts.head(200).map(_is_list).mean()) > 0.95:
        return 0.95, ["reads as JSON lists"]
    for separator in SEPARATORS:
        holding = texts.str.contains(separator, regex=False)
        if float(holding.mean()) < 0.3:
            continue
        parts = texts.str.split(separator).explode().str.strip()
        # Elements of lists come again, in many rows and few words; parts of a sentence do neither.
        if len(parts) >= 8 * parts.nunique() and float(parts.str.count(r"\s").mean()) < 1:
            return 0.75, [f"{parts.nunique()} words that come again, behind {separator!r}"]
    return None


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text.replace("'", '"')), list)
    except ValueError:
        return False
