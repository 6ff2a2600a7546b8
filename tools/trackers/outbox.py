"""The outbox of a run: the record that trackers have not taken yet, as a JSON file in the run directory.

The record is put there before it is sent, and a tracker is struck off when it has it, so that a kill at any moment keeps it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tools.host import RunPaths
from tools.trackers.contract import Attachments
from tools.trackers.places import read_places
from tools.trackers.run_record import RunRecord
from tools.workspace import write_text

FILE = "tracker.json"


def _one_place(text: str) -> str:
    (place,) = read_places(text)
    return place


class Kept(BaseModel):
    """What waits in an outbox."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2] = 2
    """1 had one `server`, and is read as it is."""
    places: Annotated[list[Annotated[str, AfterValidator(_one_place)]], Field(min_length=1)]
    """Names of the trackers that shall have it, as the setting has them."""
    record: RunRecord

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, document: Any) -> Any:
        if isinstance(document, dict) and document.get("schema_version") == 1 and "server" in document:
            rest = {name: value for name, value in document.items() if name not in ("server", "schema_version")}
            return {**rest, "places": [document["server"]]}
        return document


class DamagedOutbox(ValueError):
    """The file in the outbox is no record."""


def place(run: RunPaths) -> Path:
    """The file of the outbox, which is there while something waits."""
    return run.outbox / FILE


def keep(run: RunPaths, kept: Kept) -> None:
    """Put a record into the outbox, in place of what waits there."""
    write_text(place(run), kept.model_dump_json(indent=1))


def read(run: RunPaths) -> Kept | None:
    """What waits, or None.

    Raises:
        DamagedOutbox: when the file there is no record of this version.
    """
    try:
        text = place(run).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Kept.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise DamagedOutbox(f"{place(run)} is no record of a run: {where or 'the file'}: {problem['msg']}") from None


def strike_off(run: RunPaths, has: set[str]) -> list[str]:
    """Take trackers that have the record out, and give those that still wait for it."""
    kept = read(run)
    left = [name for name in kept.places if name not in has] if kept else []
    if kept and left:
        keep(run, kept.model_copy(update={"places": left}))
    else:
        place(run).unlink(missing_ok=True)
    return left


def attachments(run: RunPaths) -> Attachments:
    """What of the run goes with its record. A file that a link leads out of the run directory is left out."""
    home = run.path.resolve()
    files = [path for path in (run.contract, run.report, run.leaderboard) if path.is_file() and path.resolve().is_relative_to(home)]
    packaged = (run.model / "package.json").is_file() and run.model.resolve().is_relative_to(home)
    return Attachments(files, run.model if packaged else None)
