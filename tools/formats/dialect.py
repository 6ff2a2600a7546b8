"""How the inside of a source was read, kept so that later rows of the same kind are read the same way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_TEXTS = 1000
Short = Annotated[str, Field(max_length=500)]


class Dialect(BaseModel):
    """What was found or chosen; None where the format has no such thing, or the parts of a table do not agree on it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    encoding: Short | None = None
    """Of text and JSON, by a name that Python knows."""
    delimiter: Annotated[str, Field(max_length=10)] | None = None
    """One sign, or `blanks`."""
    header: Literal["none", "first"] | None = None
    decimal: Literal[",", "."] | None = None
    """The decimal sign, where some column tells it."""
    sheet: Short | None = None
    """Of a workbook."""
    key: Short | None = None
    """Of JSON and HDF5: where the table stands."""
    table: Short | None = None
    """Of several tables: the one whose rows were learnt from."""
    gather: Short | None = None
    texts: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=MOST_TEXTS)
    """Columns of a file of text that were no numbers: `007` is none where another value was `A07`."""

    @property
    def said(self) -> dict[str, str]:
        """The options of SOURCE that ask for the same; without the encoding, which the bytes of another file may gainsay."""
        return {name: value for name, value in self.model_dump(exclude={"encoding", "texts"}).items() if value is not None}


def agreed(dialects: list[Dialect]) -> Dialect:
    """What all parts of a table agree on; columns are text that are so in any."""
    first = dialects[0] if dialects else Dialect()
    same = {
        name: value
        for name, value in first.model_dump(exclude={"texts"}).items()
        if all(getattr(other, name) == value for other in dialects)
    }
    return Dialect(**same, texts=list(dict.fromkeys(name for one in dialects for name in one.texts))[:MOST_TEXTS])


def texts_of(names: list[str]) -> list[str]:
    """Columns that are kept on record as text; none of them where there are too many, so that all are treated alike."""
    return names if len(names) <= MOST_TEXTS and all(len(name) <= 200 for name in names) else []
