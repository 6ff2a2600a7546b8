"""The socket that a server listens on."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tools.serving.running import bind


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_answers_do_not_wait_for_more_to_send(host: str) -> None:
    """Of an answer in two parts the second would be held back until the client has acknowledged the first, which takes it 40 ms."""
    if ":" in host and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await seen.put(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    try:
        listening = bind(host, 0)
    except OSError as error:
        pytest.skip(f"{host} cannot be had here: {error}")
    async with await asyncio.start_server(answer, sock=listening):
        with contextlib.closing(socket.create_connection(listening.getsockname()[:2])):
            assert await asyncio.wait_for(seen.get(), 30) == 1


def test_a_port_that_is_taken_is_told_at_once() -> None:
    with contextlib.closing(bind("127.0.0.1", 0)) as first, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", first.getsockname()[1])
