"""Metrics on loopback, for a Prometheus on this machine."""

from __future__ import annotations

import socketserver
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from team.errors import UsageError
from team.exposition import Read, registry

HOST = "127.0.0.1"
PATH = "/metrics"
PATIENCE_S = 10.0
"""That a reader may take to ask."""


class _Server(WSGIServer):
    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is nothing to tell."""


class MetricsServer:
    """`/metrics` on loopback, from a thread of its own, until it is closed.

    One reader is answered at a time. Whoever reaches this machine's loopback may read: the numbers hold names of runs, tools and
    models, and neither data nor words. A request that names another host is refused, as a web page would make one after rebinding a name.

    Args:
        port: 0 takes one that is free; `address` says which.

    Raises:
        UsageError: when the port cannot be had.
    """

    def __init__(self, read: Read, port: int) -> None:
        from prometheus_client import make_wsgi_app

        inner = make_wsgi_app(registry(read))

        def application(environ, start_response):  # type: ignore[no-untyped-def]  # as WSGI has it
            host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
            if host not in (HOST, "localhost", ""):
                start_response("403 Forbidden", [("Content-Type", "text/plain")])
                return [b"This page is for this machine alone.\n"]
            if environ.get("PATH_INFO") != PATH:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [b"The metrics are at /metrics.\n"]
            return inner(environ, start_response)

        try:
            self._server = make_server(HOST, port, application, _Server, _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"--metrics-port {port}: {why}. Name a port that is free.") from None
        self.port: int = self._server.server_port
        self.address = f"http://{HOST}:{self.port}{PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering. It can be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
