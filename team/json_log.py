"""Logs for machines: one JSON object a line on stderr, of the run's events and of everything that Python's `logging` is told.

An object has `timestamp` (ISO 8601 in UTC), `level`, `logger` and `message`; while a run goes on also `run`, `stage`, `turn`, `role`, and
`trace_id` and `span_id` as its trace has them; of an event its kind (`event`) and its own facts, but for texts that belong to the event log
alone. Secrets are redacted as they are there; where a run's `capture_content` is off, no line holds what somebody wrote.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from team.caps import warning
from team.errors import UsageError
from team.events import (
    ApprovalAsked,
    ApprovalDecided,
    BudgetWarned,
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
    RoleAsked,
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
    UserSpoken,
)
from team.log import redactor
from team.terminal import clean_json
from team.trace_place import TracePlace

VARIABLE = "MLTEAM_LOG_FORMAT"
LOG = "mlteam"
RUN_LOG, COMMAND_LOG = f"{LOG}.run", f"{LOG}.command"
_WRITTEN = {"error", "problem", "reason", "question", "answer", "told", "constraints", "findings", "idea", "lesson", "what"}
"""Fields of events in which somebody may have written something."""
_WORDY = (MessageSpoken, UserSpoken, RoleAsked, ConstraintAdded, RepairAsked, ApprovalAsked, FellBack, ModelCalled, TurnEnded, RunEnded)
"""Events whose message would hold it."""
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
    for handler in _handlers():
        logging.getLogger().removeHandler(handler)
        logging.getLogger(LOG).setLevel(logging.NOTSET)
        logging.captureWarnings(False)


def installed() -> bool:
    """Whether logs are JSON now."""
    return bool(_handlers())


def say(message: str, level: int = logging.INFO, *, logger: str = COMMAND_LOG, **facts: Any) -> bool:
    """Log a line of a command's own; False where logs are not JSON, and the caller prints it as text."""
    if installed():
        logging.getLogger(logger).log(level, "%s", message, extra={_FACTS: facts})
        return True
    return False


class JsonView:
    """Subscribe it to an event log. It stands where the live view stands otherwise, a context manager like that.

    Args:
        run: name of the run directory, where there is one already.
        before: events that stand in its log.
    """

    def __init__(self, run: str | None = None, before: Iterable[Event] = ()) -> None:
        self._where: dict[str, Any] = {"run": run} if run else {}
        self._place = TracePlace(run) if run else None
        self._capture = True
        self._log = logging.getLogger(RUN_LOG)
        for event in before:
            self._follow(event)
            self._leave(event)

    def __enter__(self) -> JsonView:
        for handler in _handlers():
            handler.where = self.here
        return self

    def __exit__(self, *_: object) -> None:
        for handler in _handlers():
            handler.where = dict

    def here(self) -> dict[str, Any]:
        """Where the run stands: fields of every line that is logged meanwhile."""
        ids = self._place.here() if self._place else None
        return self._where | ({"trace_id": ids[0], "span_id": ids[1]} if ids else {})

    def __call__(self, event: Event) -> None:
        facts = self._follow(event)
        level, message = _told(event)
        if not self._capture and isinstance(event, _WORDY):
            message = event.kind.replace("_", " ")
        record = self._log.makeRecord(self._log.name, level, "", 0, "%s", (message,), None, extra={_FACTS: facts})
        record.created = event.at
        self._log.handle(record)
        self._leave(event)

    def _follow(self, event: Event) -> dict[str, Any]:
        """Take in where an event happens, and give the fields of its line."""
        match event:
            case RunStarted():
                self._where = {"run": self._where.get("run", event.run)}
                self._capture = bool(event.settings.get("capture_content", True))
            case RunForked():
                self._capture = bool(event.changed.get("capture_content", self._capture))
            case RunResumed() | StageEntered():
                self._where["stage"] = event.stage
            case TurnStarted():
                self._where |= {"stage": event.stage, "turn": event.turn, "role": event.role}
            case _:
                pass
        self._place = self._place or TracePlace(self._where.get("run", ""))
        trace, span = self._place(event)
        left_out = _LEFT_OUT if self._capture else _LEFT_OUT | _WRITTEN
        own = event.model_dump(mode="json", exclude=left_out, exclude_none=True)
        return {**self._where, "trace_id": trace, "span_id": span, "event": event.kind, **own}

    def _leave(self, event: Event) -> None:
        over = {TurnEnded: ("turn", "role"), StageEnded: ("stage", "turn", "role"), RunEnded: ("stage", "turn", "role")}.get(
            type(event), ()
        )
        self._where = {name: value for name, value in self._where.items() if name not in over}


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
        case BudgetWarned():
            return logging.WARNING, warning(event)
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
        self.where: Callable[[], Mapping[str, Any]] = dict
        """Tells where a run stands that goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, _FACTS):
            setattr(record, _FACTS, self.where())
        super().emit(record)


def _handlers() -> list[_JsonHandler]:
    return [one for one in logging.getLogger().handlers if isinstance(one, _JsonHandler)]


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
