"""Carry one Unix socket over standard input and output.

    python -I -S relay.py FOLDER NUMBER      (the socket FOLDER/k-NUMBER)

Runs in a container whose sockets the host cannot reach by name. It waits for the socket to appear, and ends with either side.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time

_PIECE = 1 << 16


def main() -> None:
    """Connect, then copy both ways until one side closes."""
    kernel = socket.socket(socket.AF_UNIX)
    address = f"{sys.argv[1]}/k-{sys.argv[2]}"
    while True:  # ended by whoever started it, when the kernel does not come up
        try:
            kernel.connect(address)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.005)
    threading.Thread(target=outwards, args=(kernel,), daemon=True).start()
    with contextlib.suppress(OSError):
        while piece := os.read(0, _PIECE):
            kernel.sendall(piece)


def outwards(kernel: socket.socket) -> None:
    """Copy what the kernel sends; the end of it ends the program."""
    with contextlib.suppress(OSError):
        while piece := kernel.recv(_PIECE):
            while piece:
                piece = piece[os.write(1, piece) :]
    os._exit(0)


if __name__ == "__main__":
    main()
