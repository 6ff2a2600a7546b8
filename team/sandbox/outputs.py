"""Collect what a cell puts out: notebook outputs under size limits, and the same as plain text."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from team.sandbox.contract import Limits, OnOutput, Output
from tools.show import PROGRESS_MIME, RESULT_MIME
from tools.spans import SPANS_MIME

# The escapes of ECMA-48: control sequences, operating system commands, and two-character ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_MAX_DISPLAYS = 2_000
"""Displays kept of one cell, however small."""
_MAX_SWITCHES = 8_000
"""Changes between streams and displays after which the text of both streams is kept as one."""
_MAX_SPANS_BYTES = 4 << 20
"""Of what one cell says that it timed."""
_MAX_NOTES = 20
"""Displays left out with a note of their own; the rest are counted in one note at the end."""


@dataclass(eq=False)
class _Stream:
    """Consecutive text of one stream."""

    name: str
    pieces: deque[str] = field(default_factory=deque)


@dataclass(eq=False)
class _Display:
    """A display, a result of the last line, or an exception."""

    output: Output
    size: int


class Outputs:
    """The outputs of one cell, fed with the messages of the kernel's iopub channel as they arrive.

    Memory stays within a few times the limits whatever is sent. The messages come from code that is not trusted: a
    malformed one is dropped and counted, never believed.

    Attributes:
        result: the last JSON object displayed as a tool's result.
        error: class name, message and traceback of the exception, once it was sent.
        execution_count: number of the cell, once the kernel said it.
        malformed: messages that were dropped.
    """

    def __init__(self, limits: Limits, on_output: OnOutput | None = None) -> None:
        self.result: dict[str, Any] | None = None
        self.error: tuple[str, str, str] | None = None
        self.execution_count: int | None = None
        self.malformed = 0
        self._limits = limits
        self._on_output = on_output
        self._told = self._spans = 0
        self._handlers: dict[str, Callable[[str, dict[str, Any]], Output | None]] = {
            "stream": self._stream,
            "display_data": self._display,
            "execute_result": self._display,
            "update_display_data": self._update,
            "error": self._error,
            "clear_output": self._clear,
            "execute_input": self._input,
        }
        self._reset()

    def _reset(self) -> None:
        self._items: list[_Stream | _Display] = []
        self._by_id: dict[str, _Display] = {}
        self._progress: _Display | None = None
        self._rich = self._left_out = self._displays = 0
        self._head_room = self._limits.output_bytes // 2
        self._tail: deque[_Stream] = deque()
        self._tail_start: int | None = None
        self._tail_size = self._cut = 0
        self._clear_next = False

    def feed(self, kind: str, content: dict[str, Any]) -> None:
        """Take one message of type `kind`; types that put nothing out are ignored.

        Raises:
            Exception: whatever the `on_output` callback raises.
        """
        handler = self._handlers.get(kind)
        if handler is None:
            return
        try:
            output = handler(kind, content)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            self.malformed += 1
            return
        if output is not None and self._on_output is not None:
            self._on_output(output)

    def notebook(self) -> list[Output]:
        """The outputs in notebook format 4."""
        self._trim(self._limits.output_bytes // 2)
        outputs: list[Output] = []
        for index, item in enumerate(self._items):
            if isinstance(item, _Display):
                outputs.append(item.output)
                continue
            text = "".join(item.pieces)
            if index == self._tail_start and self._cut:
                text = f"{self._cut_line()}{text}"
            if outputs and outputs[-1].get("name") == item.name:  # where the head of the text ends and its tail begins
                outputs[-1]["text"] += text
            elif text:
                outputs.append({"output_type": "stream", "name": item.name, "text": text})
        notes = []
        if self._left_out > _MAX_NOTES:
            notes.append(f"[{self._left_out:,} displays left out in all]\n")
        if self.malformed:
            notes.append(f"[{self.malformed:,} outputs that follow no format were dropped]\n")
        if notes:
            outputs.append({"output_type": "stream", "name": "stderr", "text": "".join(notes)})
        return outputs

    def text(self) -> str:
        """Streams and plain text of displays in order, at most `Limits.output_bytes` and a line that says what was cut."""
        parts: list[str] = []
        for output in self.notebook():
            if output["output_type"] == "stream":
                parts.append(output["text"])
            elif (data := output.get("data")) and PROGRESS_MIME not in data and (plain := data.get("text/plain")):
                newline = "" if not parts or parts[-1].endswith("\n") else "\n"
                parts.append(f"{newline}{plain}\n")
        return _excerpt(plain_text("".join(parts)), self._limits.output_bytes + 200)

    def _stream(self, kind: str, content: dict[str, Any]) -> Output | None:
        name, text = content["name"], _encodable(content["text"])
        if name not in ("stdout", "stderr"):
            raise ValueError(name)
        if not text:
            return None
        self._make_room()
        size = _size(text)
        if len(self._items) > _MAX_SWITCHES:
            self._head_room = 0
        if self._head_room:
            head = _first_bytes(text, self._head_room)
            self._append(name, head)
            self._head_room -= _size(head)
            rest = text[len(head) :]
            if rest:
                self._head_room = 0
        else:
            rest = text
        if rest:
            if self._tail_start is None:
                self._tail_start = len(self._items)
                first = _Stream(name)
                self._items.append(first)
                self._tail.append(first)
            self._append(name, rest, tail=True)
            self._tail_size += _size(rest)
            if self._tail_size > self._limits.output_bytes:  # twice the tail that is kept, so that trimming costs little
                self._trim(self._limits.output_bytes // 2)
        self._told += size
        if self._told - size >= self._limits.output_bytes:
            return None
        return {"output_type": "stream", "name": name, "text": _first_bytes(text, self._limits.output_bytes - self._told + size)}

    def _append(self, name: str, text: str, *, tail: bool = False) -> None:
        last = self._items[-1] if self._items else None
        many = len(self._items) > _MAX_SWITCHES
        if not (isinstance(last, _Stream) and (last.name == name or many)):
            last = _Stream(name)
            self._items.append(last)
            if tail:
                self._tail.append(last)
        last.pieces.append(text)
        if len(last.pieces) > 4096:  # one object for each of many small prints would cost more than their text
            last.pieces = deque(["".join(last.pieces)])

    def _trim(self, room: int) -> None:
        """Drop the oldest text after the head until at most `room` bytes of it are left."""
        excess = self._tail_size - room
        while excess > 0:
            stream = self._tail[0]
            if not stream.pieces:
                self._tail.popleft()
                continue
            piece = stream.pieces.popleft()
            size = _size(piece)
            if size > excess:
                kept = _last_bytes(piece, size - excess)
                stream.pieces.appendleft(kept)
                size -= _size(kept)
            excess -= size
            self._tail_size -= size
            self._cut += size

    def _cut_line(self) -> str:
        return f"\n[... {self._cut:,} bytes cut; the first and last {self._limits.output_bytes // 2:,} are kept ...]\n"

    def _display(self, kind: str, content: dict[str, Any]) -> Output | None:
        data, size = _checked(content["data"])
        metadata = _document(content.get("metadata") or {})
        if not isinstance(metadata, dict):
            raise TypeError("metadata is no object")
        output: Output = {"output_type": kind, "data": data, "metadata": metadata}
        size += len(str(metadata))
        if SPANS_MIME in data:
            return self._pass_on_spans(output, size)
        if kind == "execute_result":
            output["execution_count"] = self.execution_count
        if PROGRESS_MIME in data:
            return self._show_progress(output, size)
        self._make_room()
        if RESULT_MIME in data and size <= self._limits.rich_output_bytes:
            self._take_result(data)
        item = self._keep(output, size)
        display_id = (content.get("transient") or {}).get("display_id")
        if item is not None and isinstance(display_id, str):
            self._by_id[display_id] = item
        return item.output if item else None

    def _pass_on_spans(self, output: Output, size: int) -> Output | None:
        """What a cell timed is for the trace alone: no output of the notebook."""
        self._spans += size
        return output if self._spans <= _MAX_SPANS_BYTES else None

    def _take_result(self, data: dict[str, Any]) -> None:
        value = data[RESULT_MIME]
        self.result = value if isinstance(value, dict) else None
        if self.result is None:
            note = f"[the result displayed is no JSON object but {type(value).__name__}, and was not taken]"
            data["text/plain"] = f"{data.get('text/plain', '')}\n{note}".lstrip("\n")

    def _show_progress(self, output: Output, size: int) -> Output | None:
        if size > self._limits.rich_output_bytes:
            raise ValueError("progress is a line, not a table")
        if self._progress is None:
            self._progress = _Display(output, size)
            self._items.append(self._progress)
        self._progress.output = output
        return output

    def _update(self, kind: str, content: dict[str, Any]) -> Output | None:
        item = self._by_id.get(content["transient"]["display_id"])
        data, size = _checked(content["data"])
        if item is None or self._rich - item.size + size > self._limits.rich_output_bytes:
            return None
        self._rich += size - item.size
        item.size = size
        item.output = {**item.output, "data": data}
        return item.output

    def _keep(self, output: Output, size: int) -> _Display | None:
        """File a display if there is room for it, else a note while there are few notes."""
        if self._rich + size > self._limits.rich_output_bytes or self._displays >= _MAX_DISPLAYS:
            self._left_out += 1
            if self._left_out > _MAX_NOTES:
                return None
            kinds = ", ".join(sorted(str(mime)[:100] for mime in output.get("data", {"an exception": ""})))
            note = (
                f"[left out: {kinds} of {size:,} bytes; at most {self._limits.rich_output_bytes:,} bytes of displays are kept of one cell]"
            )
            output, size = {"output_type": "display_data", "data": {"text/plain": note}, "metadata": {}}, 0
        self._rich += size
        self._displays += 1
        item = _Display(output, size)
        self._items.append(item)
        return item

    def _error(self, kind: str, content: dict[str, Any]) -> Output | None:
        name, value = _encodable(content["ename"]), _encodable(content["evalue"])
        lines = [_encodable(line) for line in content["traceback"]]
        self._make_room()
        self.error = (name, value, plain_text("\n".join(lines)))
        output = {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}
        item = self._keep(output, _size(value) + sum(map(_size, lines)))
        return item.output if item else None

    def _clear(self, kind: str, content: dict[str, Any]) -> Output | None:
        self._clear_next = True
        if not content.get("wait"):
            self._make_room()
        return None

    def _make_room(self) -> None:
        if self._clear_next:
            self._reset()

    def _input(self, kind: str, content: dict[str, Any]) -> Output | None:
        if isinstance(content["execution_count"], int):
            self.execution_count = content["execution_count"]
        return None


def plain_text(text: str) -> str:
    """`text` as a terminal would leave it: no escapes, and of a line that was overwritten after `\\r` only its last state."""
    text = _ESCAPES.sub("", text)
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line for line in lines)


def _checked(data: Any) -> tuple[dict[str, Any], int]:
    """A display's data fit for a notebook file, and its size in bytes. Raises ValueError or TypeError when it is not."""
    size = 0
    checked = {}
    for mime, value in data.items():
        text = _encodable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False))
        is_json = mime == "application/json" or mime.endswith("+json")
        checked[_encodable(mime)] = json.loads(text) if is_json and not isinstance(value, str) else text
        size += _size(text)
    return checked, size


def _document(value: Any) -> Any:
    return json.loads(_encodable(json.dumps(value, ensure_ascii=False, allow_nan=False)))


def _encodable(text: Any) -> str:
    """`text` without the lone surrogates that JSON can smuggle in and no file can hold."""
    if not isinstance(text, str):
        raise TypeError(f"expected text, got {type(text).__name__}")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))


def _first_bytes(text: str, size: int) -> str:
    """The longest start of `text` that fits into `size` bytes."""
    return text[:size] if text.isascii() else text.encode("utf-8")[:size].decode("utf-8", "ignore")


def _last_bytes(text: str, size: int) -> str:
    """The longest end of `text` that fits into `size` bytes; `size` is at least 1."""
    return text[-size:] if text.isascii() else text.encode("utf-8")[-size:].decode("utf-8", "ignore")


def _excerpt(text: str, size: int) -> str:
    if _size(text) <= size:
        return text
    head, tail = _first_bytes(text, size // 2), _last_bytes(text, size // 2)
    return f"{head}\n[... {_size(text) - _size(head) - _size(tail):,} bytes cut ...]\n{tail}"
