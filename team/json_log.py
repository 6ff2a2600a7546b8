"""Logs for machines: one JSON object a line on stderr, of the run's events and of everything that Python's `logging` is told.

An object has `timestamp` (ISO 8601 in UTC), `level`, `logger` and `message`; of a run also `run`, `stage`, `turn`, `role`, `event` (the
kind) and the event's own facts, but for texts that belong to the event log alone. Secrets are redacted as they are there.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from team.errors import UsageError
from team.events import (
    ApprovalAsked,
    ApprovalDecided,
    CandidateScored,
    CellExecuted,
    ConstraintAdded,
    Event,
    FellBack,
    HoldoutScored,
    KernelChanged,
    MessageSpoken,
    ModelCalled,
    RepairAsked,
    RunEnded,
    RunForked,
    RunResumed,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)
from team.log import redactor
from team.terminal import clean_json

VARIABLE = "MLTEAM_LOG_FORMAT"
LOG = "mlteam"
RUN_LOG, COMMAND_LOG = f"{LOG}.run", f"{LOG}.command"
TEXT_CHARS = 2_000
"""Of one text in a line; the event log has the whole."""
_FACTS = "mlteam_facts"
"""Under which a record carries what goes into its line beside the message."""
_LEFT_OUT = {
    "seq",
    "at",
    "kind",
    "schema_version",
    "settings",
    "versions",
    "briefing",
    "arguments",
    "result",
    "facts",
    "summary",
    "text",
    "spans",
}
"""Fields of events that are other fields of the line, or texts and tables that the event log keeps."""


def log_as(asked: str | None) -> Literal["text", "json"]:
    """Log in the format that an option, or else the variable MLTEAM_LOG_FORMAT, asks for, from here on.

    Raises:
        UsageError: it is neither `text` nor `json`.
    """
    found = asked or os.environ.get(VARIABLE) or "text"
    if found not in ("text", "json"):
        name = "--log-format" if asked else VARIABLE
        raise UsageError(f"{name} {found!r}: expected text or json.")
    if found == "json":
        install(sys.stderr)
        return "json"
    return "text"


def install(stream: TextIO) -> None:
    """Have everything that is logged in this process written to `stream` so, warnings of libraries among it."""
    uninstall()
    handler = _JsonHandler(stream)
    logging.getLogger().addHandler(handler)
    logging.getLogger(LOG).setLevel(logging.INFO)
    logging.captureWarnings(True)


def uninstall() -> None:
    """Undo `install`; nothing happens where there was none."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _JsonHandler)]:
        root.removeHandler(handler)
        logging.getLogger(LOG).setLevel(logging.NOTSET)
        logging.captureWarnings(False)


def installed() -> bool:
    return any(isinstance(one, _JsonHandler) for one in logging.getLogger().handlers)


def say(message: str, level: int = logging.INFO, *, logger: str = COMMAND_LOG, **facts: Any) -> bool:
    """Log a line of a command's own; False where logs are not JSON, and the caller prints it as text."""
    if installed():
        logging.getLogger(logger).log(level, "%s", message, extra={_FACTS: facts})
        return True
    return False


class JsonView:
    """Subscribe it to an event log. It stands where the live view stands otherwise, a context manager like that.

    Args:
        run: name of the run directory, where it is known before the run's first event.
    """

    def __init__(self, run: str | None = None) -> None:
        self._where: dict[str, Any] = {"run": run} if run else {}
        self._log = logging.getLogger(RUN_LOG)

    def __enter__(self) -> JsonView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def __call__(self, event: Event) -> None:
        self._follow(event)
        level, message = _told(event)
        if not self._log.isEnabledFor(level):
            return
        record = self._log.makeRecord(self._log.name, level, "", 0, "%s", (message,), None, extra={_FACTS: self._facts(event)})
        record.created = event.at
        self._log.handle(record)
        if isinstance(event, (StageEnded, RunEnded)):
            self._where.pop("stage", None)
        if isinstance(event, (TurnEnded, StageEnded, RunEnded)):
            self._where = {name: value for name, value in self._where.items() if name not in ("turn", "role")}

    def _follow(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._where = {"run": event.run}
            case RunResumed() | StageEntered():
                self._where["stage"] = event.stage
            case TurnStarted():
                self._where |= {"stage": event.stage, "turn": event.turn, "role": event.role}
            case _:
                pass

    def _facts(self, event: Event) -> dict[str, Any]:
        own = event.model_dump(mode="json", exclude=_LEFT_OUT, exclude_none=True)
        return {**self._where, "event": event.kind, **own}


def _told(event: Event) -> tuple[int, str]:
    """How bad an event is, and what it says in a line."""
    match event:
        case RunStarted():
            return logging.INFO, "run started"
        case RunResumed():
            return logging.INFO, "run resumed"
        case RunForked():
            return logging.INFO, f"run forked from {event.parent}"
        case SandboxChosen():
            return logging.INFO, f"sandbox {event.sandbox}: {event.why}"
        case StageEntered():
            return logging.INFO, f"stage {event.stage} entered"
        case StageEnded():
            return logging.INFO, f"stage {event.stage} ended: {event.outcome}"
        case TurnStarted():
            return logging.INFO, f"turn of the {event.role} started"
        case TurnEnded():
            return (logging.INFO, "turn ended") if event.status == "ok" else (logging.WARNING, f"turn failed: {event.error}")
        case MessageSpoken():
            return logging.INFO, event.text
        case ModelCalled():
            told = f"{event.provider} {event.model} called"
            return (logging.INFO, told) if event.error is None else (logging.WARNING, f"{told}: {event.error}")
        case RepairAsked():
            return logging.WARNING, f"asked again: {event.problem}"
        case ToolCalled():
            return logging.INFO, f"{event.tool} called"
        case ToolReturned():
            return (logging.INFO, f"{event.tool} returned") if event.status == "ok" else (logging.WARNING, f"{event.tool}: {event.status}")
        case CellExecuted():
            told = f"cell {event.cell}: {event.status}"
            return (logging.INFO, told) if event.status == "ok" else (logging.WARNING, told + (f", {event.cause}" if event.cause else ""))
        case KernelChanged():
            return logging.WARNING if event.change == "died" else logging.INFO, f"kernel: {event.change}"
        case ApprovalAsked():
            return logging.WARNING, f"{event.role} asks whether {event.tool} may {event.what}"
        case ApprovalDecided():
            return logging.INFO, f"{event.tool} {'allowed' if event.allowed else 'refused'} by {event.by}"
        case ConstraintAdded():
            return logging.INFO, f"from here on: {'; '.join(event.told)}"
        case CandidateScored():
            return logging.INFO, f"candidate {event.name} scored {event.score:.6g}"
        case HoldoutScored():
            return logging.INFO, f"holdout {event.metric} {event.score:.6g}"
        case FellBack():
            return logging.WARNING, event.reason
        case RunEnded():
            level = {"done": logging.INFO, "interrupted": logging.WARNING}.get(event.status, logging.ERROR)
            return level, f"run ended: {event.status}" + (f", {event.reason}" if event.reason else "")
        case _:
            return logging.INFO, event.kind.replace("_", " ")


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Only this class is looked for by `uninstall`."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, which no terminal obeys and in which secrets are redacted."""

    def __init__(self) -> None:
        super().__init__()
        self._redact = redactor()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:TEXT_CHARS],
        }
        facts: Mapping[str, Any] = getattr(record, _FACTS, {})
        line |= {name: value[:TEXT_CHARS] if isinstance(value, str) else value for name, value in facts.items() if name not in line}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
        return clean_json(self._redact(text))
