"""The outbox of a run: the record that its tracking server has not taken yet, as a JSON file in the run directory.

The record is put there before it is sent and taken out when the server has it, so that a kill at any moment keeps it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from tools.host import RunPaths
from tools.recording import Written, artefacts
from tools.run_record import RunRecord
from tools.tracker import Patience, check_address, send
from tools.workspace import write_text

FILE = "tracker.json"


class Kept(BaseModel):
    """What waits in an outbox."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    server: Annotated[str, AfterValidator(check_address)]
    """Address of the server that shall have it."""
    record: RunRecord


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


def deliver(run: RunPaths, kept: Kept, patience: Patience) -> Written:
    """Send what was put into the outbox, and take it out.

    Raises:
        NotSent: when the server did not take it; it stays.
    """
    written = send(kept.record, kept.server, artefacts(run), patience)
    place(run).unlink(missing_ok=True)
    return written
