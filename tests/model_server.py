"""A server on loopback that speaks both wire protocols, streaming and not, and does wrong what a test asks for, request by request."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Say:
    """A reply, whatever protocol it is asked in."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Name and arguments of each call; arguments that are text are sent as they are."""
    finish: str | None = None
    """`length`, `refusal`, or the usual one."""
    thinking: list[dict[str, Any]] = field(default_factory=list)
    refusal: str = ""
    usage: tuple[int, int, int, int] | None = (10, 2, 0, 0)
    """Tokens in, out, read from a cache, written to one; None where the server counts none."""
    then: str = ""
    """`cut`: the connection ends in the middle; `stall`: nothing comes any more after some of it; `hold`: the rest comes when
    `ModelServer.go` is set."""
    piece: int = 8
    """Characters a piece of a stream."""


@dataclass
class Fail:
    """An HTTP error in the protocol's own form."""

    status: int
    message: str = "no"
    kind: str = "some_error"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Raw:
    """Bytes as they are."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


@dataclass
class Silent:
    """No answer at all."""


@dataclass
class Hangup:
    """The connection ends without a word."""


Reaction = Say | Fail | Raw | Silent | Hangup


@dataclass
class Seen:
    """A request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ModelServer:
    """Reacts to one request after the other as its script says; the last line of the script is for all that follow."""

    def __init__(self) -> None:
        self.script: list[Reaction] = []
        self.seen: list[Seen] = []
        self.left = asyncio.Event()
        """Set when a client went away before its answer was complete."""
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.url = ""
        self.serving: set[asyncio.Task[Any]] = set()

    def will(self, *reactions: Reaction) -> None:
        self.script = list(reactions)

    def reacts(self, request: Seen) -> Reaction:
        """What a request gets."""
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self.serving.add(task)
        try:
            while request := await self._read(reader):
                self.seen.append(request)
                reaction = self.reacts(request)
                self.asked.set()
                if not await self._react(reaction, request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except asyncio.IncompleteReadError:
            return None
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Seen(head[0].split()[1], headers, json.loads(body))

    async def _react(self, reaction: Reaction, request: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        anthropic = request.path.startswith("/v1/messages")
        if isinstance(reaction, Hangup):
            return False
        if isinstance(reaction, Silent):
            await self._until_left(reader)
            return False
        if isinstance(reaction, Fail):
            error = {"message": reaction.message, "type": reaction.kind, "code": reaction.kind}
            document = {"type": "error", "error": error} if anthropic else {"error": error}
            reaction, extra = Raw(json.dumps(document).encode(), status=reaction.status), reaction.headers
            return await self._send(writer, reaction, extra)
        if isinstance(reaction, Raw):
            return await self._send(writer, reaction, {})
        say = anthropic_message(reaction) if anthropic else openai_completion(reaction)
        if not request.body.get("stream"):
            body = json.dumps(say).encode()
            if not reaction.then:
                return await self._send(writer, Raw(body), {})
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            writer.write(head + body[: len(body) // 2])
        else:
            pieces = list(anthropic_events(say, reaction.piece) if anthropic else openai_chunks(say, reaction))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for piece in pieces[: len(pieces) // 2] if reaction.then else pieces:
                writer.write(piece)
        await writer.drain()
        if reaction.then == "stall":
            await self._until_left(reader)
        if reaction.then == "hold":
            await self.go.wait()
            writer.writelines(pieces[len(pieces) // 2 :])
            await writer.drain()
        return False

    async def _until_left(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self.left.set()

    async def _send(self, writer: asyncio.StreamWriter, raw: Raw, headers: Mapping[str, str]) -> bool:
        lines = {"content-type": raw.content_type, "content-length": str(len(raw.body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {raw.status} X\r\n{head}\r\n".encode() + raw.body)
        await writer.drain()
        return True


class Deciding(ModelServer):
    """Reacts as `react` decides by the request."""

    def __init__(self, react: Callable[[Seen], Reaction]) -> None:
        super().__init__()
        self._decide = react

    def reacts(self, request: Seen) -> Reaction:
        return self._decide(request)


@asynccontextmanager
async def model_server(made: Callable[[], ModelServer] = ModelServer) -> AsyncIterator[ModelServer]:
    """A server that is up."""
    served = made()
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0, limit=1 << 24)
    served.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        listening.close()
        for task in served.serving:
            task.cancel()
        await asyncio.gather(*served.serving)


@contextmanager
def served(react: Callable[[Seen], Reaction]) -> Iterator[tuple[str, Callable[[], None]]]:
    """A server in a thread of its own, for a test that waits for a program: its address, and what lets go what is held."""
    ready, loop, ending = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    servers: list[ModelServer] = []

    async def serve() -> None:
        async with model_server(lambda: Deciding(react)) as one:
            servers.append(one)
            ready.set()
            await ending.wait()

    def let_go() -> None:
        loop.call_soon_threadsafe(servers[0].go.set)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield servers[0].url, let_go
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(60)
        loop.close()


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def openai_completion(say: Say) -> dict[str, Any]:
    calls = [
        {"id": f"call_{k}", "type": "function", "function": {"name": name, "arguments": _text(arguments)}}
        for k, (name, arguments) in enumerate(say.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": say.text or None}
    message |= {"tool_calls": calls} if calls else {}
    message |= {"refusal": say.refusal} if say.refusal else {}
    message |= {"reasoning_content": "".join(t.get("thinking", "") for t in say.thinking)} if say.thinking else {}
    finish = {"refusal": "stop", None: "tool_calls" if calls else "stop"}.get(say.finish, say.finish)
    found = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }
    if say.usage:
        new, out, read, written = say.usage
        found["usage"] = {
            "prompt_tokens": new + read + written,
            "completion_tokens": out,
            "total_tokens": new + read + written + out,
            "prompt_tokens_details": {"cached_tokens": read},
        }
    return found


def openai_chunks(completion: dict[str, Any], say: Say) -> list[bytes]:
    message = completion["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": message["reasoning_content"]}] if message.get("reasoning_content") else []
    deltas += [{"content": text} for text in _cut(message["content"] or "", say.piece)]
    deltas += [{"refusal": text} for text in _cut(message.get("refusal") or "", say.piece)]
    for index, call in enumerate(message.get("tool_calls", [])):
        function = call["function"]
        deltas.append(
            {
                "tool_calls": [
                    {"index": index, "id": call["id"], "type": "function", "function": {"name": function["name"], "arguments": ""}}
                ]
            }
        )
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": text}}]} for text in _cut(function["arguments"], say.piece)]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": completion["choices"][0]["finish_reason"]})
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**base, "choices": [choice]} for choice in choices]
    chunks += [{**base, "choices": [], "usage": completion["usage"]}] if "usage" in completion else []
    return [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def anthropic_message(say: Say) -> dict[str, Any]:
    content: list[dict[str, Any]] = [*say.thinking]
    content += [{"type": "text", "text": say.text}] if say.text else []
    content += [{"type": "tool_use", "id": f"toolu_{k}", "name": name, "input": arguments} for k, (name, arguments) in enumerate(say.calls)]
    usual = "tool_use" if say.calls else "end_turn"
    message: dict[str, Any] = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": {"length": "max_tokens", None: "refusal" if say.refusal else usual}.get(say.finish, say.finish),
        "stop_sequence": None,
    }
    if say.refusal:
        message["stop_details"] = {"type": "refusal", "category": None, "explanation": say.refusal}
    if say.usage:
        new, out, read, written = say.usage
        message["usage"] = {
            "input_tokens": new,
            "output_tokens": out,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
        }
    return message


def anthropic_events(message: dict[str, Any], size: int) -> list[bytes]:
    usage = message.get("usage")
    start = {**message, "content": [], "stop_reason": None, **({"usage": {**usage, "output_tokens": 1}} if usage else {})}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            empty, deltas = (
                {**block, "input": {}},
                [{"type": "input_json_delta", "partial_json": t} for t in _cut(_text(block["input"]), size)],
            )
        elif block["type"] == "text":
            empty, deltas = {**block, "text": ""}, [{"type": "text_delta", "text": t} for t in _cut(block["text"], size)]
        elif block["type"] == "thinking":
            empty = {**block, "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": t} for t in _cut(block["thinking"], size)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            empty, deltas = block, []
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {
        "stop_reason": message["stop_reason"],
        "stop_sequence": None,
        **({"stop_details": message["stop_details"]} if "stop_details" in message else {}),
    }
    counted = {"usage": {"output_tokens": usage["output_tokens"], "input_tokens": None}} if usage else {}
    events += [{"type": "message_delta", "delta": end, **counted}, {"type": "message_stop"}]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def _cut(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]
