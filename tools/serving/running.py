"""Run an application until it is told to stop: SIGTERM and Ctrl-C let requests that are under way end first."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from tools.serving.gate import App

GRACE_S = 20
"""Seconds that requests may take to end after a signal."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that the server listens on; port 0 takes a free one.

    Raises:
        OSError: when the address is taken or none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once only over sockets that say that they speak TCP; over others the second part of an answer waits 40 ms for the
    # client's word that the first has come (Nagle's algorithm, and acknowledgements that are put off).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)  # who asks before the server is up waits, and a port that is taken is told here
    except BaseException:
        made.close()
        raise
    return made


async def serve(app: App, listening: socket.socket, leaving: Callable[[], None] | None = None) -> None:
    """Answer requests on a bound socket until a signal comes.

    Args:
        leaving: called when one has come, so that answers without an end of their own are ended.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,  # lines are the application's own
        access_log=False,
        lifespan="on",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            if leaving is not None:
                leaving()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Take signals as the wish to end, and go on behind `serve`: uvicorn's own would end the process there, and leave a sandbox."""
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for one, handler in before.items():
                    signal.signal(one, handler)

    await Server(config).serve(sockets=[listening])
