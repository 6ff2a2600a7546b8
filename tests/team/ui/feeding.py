"""Server-sent events read off a line as a browser reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx

LONGEST_S = 90.0


class Said(NamedTuple):
    kind: str
    data: str
    number: int | None


def said(answer: httpx.Response) -> Iterator[Said]:
    """Each event of a stream, until it ends."""
    kind, data, number = "message", [], None
    until = time.monotonic() + LONGEST_S
    for line in answer.iter_lines():  # something is said every few seconds, so this comes round
        assert time.monotonic() < until, f"the stream has not ended within {LONGEST_S:g} s"
        if not line:
            if data:
                yield Said(kind, "\n".join(data), number)
            kind, data, number = "message", [], None
        elif line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            data.append(line[6:])
        elif line.startswith("id: "):
            number = int(line[4:])


def all_said(client: httpx.Client, path: str, **headers: str) -> list[Said]:
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(said(answer))
