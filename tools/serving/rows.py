"""What a request holds, as pydantic models that are made from the inputs of a package; what breaks them is told column by column."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, RootModel, StrictBool, StrictStr, Tag, create_model

from tools.package.inputs import LONGEST_TEXT, Input, Inputs

MOST_TOLD = 10
"""Problems of one request that are named."""
MOST_SHOWN = 80
"""Characters of a wrong value that are repeated."""


def request_model(inputs: Inputs, most_rows: int) -> Any:
    """The body of a request: `{"row": {…}}` or `{"rows": [{…}, …]}`, of 1 to `most_rows` rows."""
    fields: dict[str, Any] = {f"column_{place}": _field(column) for place, column in enumerate(inputs.columns)}
    strict = ConfigDict(extra="forbid", serialize_by_alias=True)
    row = create_model("Row", __config__=strict, **fields)
    one = create_model("OneRow", __config__=ConfigDict(extra="forbid"), row=(row, ...))
    many = create_model(
        "ManyRows",
        __config__=ConfigDict(extra="forbid"),
        rows=(list[row], Field(min_length=1, max_length=most_rows)),
    )
    either = Annotated[Annotated[one, Tag("row")] | Annotated[many, Tag("rows")], Discriminator(_which)]
    return create_model("PredictRequest", __base__=RootModel[either])


def _which(body: Any) -> str:
    """Whether one row is meant or many: what is neither is told as a wrong single one."""
    holds = body if isinstance(body, dict) else getattr(body, "__dict__", {})
    return "rows" if "rows" in holds else "row"


def rows_of(body: Any) -> list[dict[str, Any]]:
    """The rows of a validated request, by the columns' own names."""
    asked = body.root
    return [row.model_dump() for row in (asked.rows if hasattr(asked, "rows") else [asked.row])]


def _field(column: Input) -> tuple[Any, Any]:
    kind = _type(column)
    optional = not column.required
    told: dict[str, Any] = {"alias": column.name}
    if column.kind == "datetime":
        told["description"] = "a date or moment as text, such as 2024-02-13 or 2024-02-13 15:04"
    return (kind | None if column.nullable or optional else kind), Field(None if optional else ..., **told)


def _type(column: Input) -> Any:
    match column.kind:
        case "boolean":
            return StrictBool
        case "numeric":
            bounds = column.accepted
            low, high = bounds or (None, None)
            return Annotated[float, Field(strict=True, allow_inf_nan=False, ge=low, le=high)]
        case "datetime":
            return Annotated[StrictStr, Field(max_length=100), AfterValidator(_date(column))]
        case _ if column.categories:
            return Literal[tuple(column.categories)]
    return Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]


def _date(column: Input) -> Any:
    def check(text: str) -> str:
        import pandas as pd

        from tools.features import DAY_NS
        from tools.few_rows import read_date

        moment = read_date(text, column.day_first)
        if np.isnat(moment):
            raise ValueError("no date; expected one such as 2024-02-13")
        bounds = column.accepted
        days = float(moment.astype(np.int64)) / DAY_NS
        if bounds and not bounds[0] <= days <= bounds[1]:
            first, last = (pd.Timestamp(0) + pd.Timedelta(days=round(bound)) for bound in bounds)
            raise ValueError(f"out of range; expected a date from {first.date()} to {last.date()}")
        return text

    return check


def problems(errors: list[Any]) -> list[dict[str, Any]]:
    """What is wrong with a request, in words: `row` (the first is 0), `column`, `problem`.

    Args:
        errors: as pydantic lists them.
    """
    told = []
    for error in errors[:MOST_TOLD]:
        where = list(error["loc"][1:])  # without "body"
        place: dict[str, Any] = {}
        rest = where[1:] if where and where[0] in ("row", "rows") else where
        if rest and rest[0] in ("row", "rows"):
            rest = rest[1:]
        if rest and isinstance(rest[0], int):
            place["row"], rest = rest[0], rest[1:]
        if rest:
            place["column"] = str(rest[0])[:MOST_SHOWN]
        told.append({**place, "problem": _said(error, place)})
    return told


def _said(error: Any, place: dict[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "missing":
            return "is missing" if "column" in place else 'expected {"row": {…}} or {"rows": [{…}, …]}'
        case "extra_forbidden":
            return "is no column of the model" if "column" in place else "is not expected here"
        case "too_short":
            return "holds no rows; expected one at least"
        case "too_long":
            return f"holds more than {context.get('max_length')} rows; send them in several requests"
        case "finite_number":
            return f"{_shown(error)} is no finite number"
        case "greater_than_equal" | "less_than_equal":
            side = "least" if kind == "greater_than_equal" else "most"
            return f"{_shown(error)} is out of range; expected at {side} {context.get('ge', context.get('le')):g}"
        case "literal_error":
            return f"{_shown(error)} is a category that the model has not seen; expected {context.get('expected', '')[:400]}"
        case "float_type" | "string_type" | "bool_type":
            expected = {"float_type": "a number", "string_type": "text", "bool_type": "true or false"}[kind]
            return f"{_shown(error)}: expected {expected}"
        case "value_error":
            return f"{_shown(error)}: {error['msg'].removeprefix('Value error, ')}"
    return f"{error['msg'][:200]}"


def _shown(error: Any) -> str:
    given = error.get("input")
    try:
        text = json.dumps(given, ensure_ascii=True)
    except (TypeError, ValueError):
        text = repr(given)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


class Answers(BaseModel):
    """The answer to a request: for each row, in the order of the request, what `mlteam predict` writes of it."""

    model_config = ConfigDict(extra="forbid")

    answers: list[dict[str, float | int | str | None]]
    model: str
    """The run that the model is of."""


class Problem(BaseModel):
    """Why a request was not answered."""

    model_config = ConfigDict(extra="forbid")

    error: str
    problems: list[dict[str, Any]] = []
    more: int = 0
    """Problems beyond those that are named."""
