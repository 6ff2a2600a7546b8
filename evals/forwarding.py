"""The inner end of a jail's way out: a port on the jail's loopback that leads to a Unix socket, and the command that may use it.

    python -I -S forwarding.py SOCKET COMMAND...

The command takes the place of this process, with the proxy in its environment; the port ends with the jail. The standard library alone.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading

PIECE_BYTES = 1 << 16
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def main() -> None:
    way, command = sys.argv[1], sys.argv[2:]
    listening = socket.create_server(("127.0.0.1", 0))
    if not os.fork():
        serve(listening, way)
    port = listening.getsockname()[1]
    listening.close()
    os.execvpe(command[0], command, {**os.environ, **dict.fromkeys(VARIABLES, f"http://127.0.0.1:{port}")})


def serve(listening: socket.socket, way: str) -> None:
    while True:
        guest, _ = listening.accept()
        threading.Thread(target=_lead, args=(guest, way), daemon=True).start()


def _lead(guest: socket.socket, way: str) -> None:
    with guest, socket.socket(socket.AF_UNIX) as onward, selectors.DefaultSelector() as selector:
        try:
            onward.connect(way)
            selector.register(guest, selectors.EVENT_READ, onward)
            selector.register(onward, selectors.EVENT_READ, guest)
            while selector.get_map():
                for key, _ in selector.select():
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    if piece := source.recv(PIECE_BYTES):
                        target.sendall(piece)
                    else:
                        selector.unregister(source)
                        target.shutdown(socket.SHUT_WR)
        except OSError:  # either end is gone
            return


if __name__ == "__main__":
    main()
