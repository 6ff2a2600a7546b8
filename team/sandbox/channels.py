"""The host's side of the Jupyter protocol with one kernel, over Unix sockets in a shared folder or tunnels to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import zmq.asyncio
import zmq.error
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from zmq.constants import SocketOption

from team.sandbox.contract import Limits
from team.sandbox.outputs import Outputs

_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}
CONNECTED = (1, 2, 5)
"""Numbers of the sockets that are used: shell, iopub and control."""
_QUEUED = 32
"""Messages of one channel that wait in the host's memory; the kernel's own memory holds the rest."""
_SLICE_SECONDS = 0.01
"""How long a flood of output may keep the event loop from other tasks."""
_ASK_AGAIN_SECONDS = 0.1

Message = dict[str, Any]


class Channels:
    """Shell, iopub and control channel of one kernel.

    Each message is authenticated, but the key is known to the code in the sandbox, so its content is checked like any
    input from outside, and one that cannot be read is skipped.

    Attributes:
        received: output messages read so far, those of other cells included.
    """

    def __init__(self, folder: Path, inside: PurePosixPath, limits: Limits) -> None:
        """Choose a key and write `folder/kernel.json`, the connection file for a kernel that sees `folder` as `inside`."""
        self.received = 0
        self._asked: set[str] = set()
        self._folder = folder
        info = {**_PORTS, "transport": "ipc", "ip": f"{inside}/k", "key": secrets.token_hex(32), "signature_scheme": "hmac-sha256"}
        (folder / "kernel.json").write_text(json.dumps(info), encoding="utf-8")
        context = zmq.asyncio.Context()
        context.setsockopt(SocketOption.RCVHWM, _QUEUED)
        # A cell may put a link to some other socket of the host in the place of its own, so a lost connection stays lost:
        # it would be tried again after a day. (Never, which is -1, makes ZMQ wait for a second when it is closed.)
        context.setsockopt(SocketOption.RECONNECT_IVL, 86_400_000)
        context.setsockopt(SocketOption.SNDTIMEO, 0)  # sending waits for nobody: there may be nobody any more
        context.setsockopt(SocketOption.MAXMSGSIZE, 16 * 2**20 + 2 * limits.rich_output_bytes)
        self._context = context
        self._client = AsyncKernelClient(context=context)
        self._info = info

    async def connect(self, tunnels: Mapping[int, int]) -> None:
        """Wait until the kernel has made its sockets, connect, and wait until it answers and its output arrives.

        The caller sets a limit on the wait.

        Args:
            tunnels: number of a socket and the TCP port on loopback that leads to it; empty when the folder is shared.
        """
        if tunnels:
            ports = {name: tunnels.get(number, 0) for name, number in _PORTS.items()}
            where = {**ports, "transport": "tcp", "ip": "127.0.0.1"}
        else:
            while not all(_listens(self._folder / f"k-{number}") for number in CONNECTED):
                await asyncio.sleep(0.005)
            where = {"ip": str(self._folder / "k")}
        self._client.load_connection_info({**self._info, **where})
        self._client.start_channels(stdin=False, hb=False)
        self._send(self._client.shell_channel, "kernel_info_request", {})
        await self._message(self._client.shell_channel)
        # A subscription takes effect some time after the connection; what was published before is lost.
        while not await self._client.iopub_channel.socket.poll(_ASK_AGAIN_SECONDS * 1000):
            self._send(self._client.shell_channel, "kernel_info_request", {})

    def execute(self, code: str, metadata: Mapping[str, str] | None = None) -> str:
        """Send one cell; returns the id that its reply and its outputs carry.

        Args:
            metadata: of the message, which code in the cell can read.
        """
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        return self._send(self._client.shell_channel, "execute_request", content, metadata)

    def ask(self) -> None:
        """Ask for a sign of life, which `reply` takes for a reply."""
        self._asked.add(self._send(self._client.shell_channel, "kernel_info_request", {}))

    async def reply(self, cell: str) -> Message:
        """Wait for the reply to a cell (`execute_reply`), or for the answer to `ask` (`kernel_info_reply`)."""
        self._asked.clear()
        while True:
            message = await self._message(self._client.shell_channel)
            if message["parent_header"].get("msg_id") in (cell, *self._asked):
                return message

    async def outputs(self, cell: str, outputs: Outputs) -> None:
        """Feed a cell's outputs to `outputs` until the kernel says that there are no more."""
        slice_end = time.monotonic() + _SLICE_SECONDS
        while True:
            message = await self._message(self._client.iopub_channel)
            self.received += 1
            if message["parent_header"].get("msg_id") == cell:
                if message["msg_type"] == "status":
                    if message["content"].get("execution_state") == "idle":
                        return
                else:
                    outputs.feed(message["msg_type"], message["content"])
            # Receiving does not suspend while messages are waiting, and the deadline must get its turn.
            if time.monotonic() >= slice_end:
                await asyncio.sleep(0)
                slice_end = time.monotonic() + _SLICE_SECONDS

    async def interrupt(self) -> None:
        """Have KeyboardInterrupt raised in the cell; returns when the kernel has sent itself the signal."""
        request = self._send(self._client.control_channel, "interrupt_request", {})
        while True:
            message = await self._message(self._client.control_channel)
            if message["parent_header"].get("msg_id") == request:
                return

    def close(self) -> None:
        """Close all sockets at once, dropping what was not sent."""
        # Not by `stop_channels`, which opens the one for input to close it, through whatever link lies in its place by now.
        self._context.destroy(linger=0)

    def _send(self, channel: AsyncZMQSocketChannel, kind: str, content: dict[str, Any], metadata: Mapping[str, str] | None = None) -> str:
        """Send a request; returns its id. One that cannot be sent, because the kernel cut the line, is never answered."""
        request = self._client.session.msg(kind, content, metadata=dict(metadata or {}))
        with contextlib.suppress(zmq.error.Again):
            channel.send(request)
        return str(request["header"]["msg_id"])

    async def _message(self, channel: AsyncZMQSocketChannel) -> Message:
        """The next readable message of a channel."""
        while True:
            frames = await channel.socket.recv_multipart()
            try:
                message: Message = channel.session.deserialize(channel.session.feed_identities(frames)[1])
            except Exception:  # a forged message can fail in any way that parsing can
                continue
            parts = (message.get("content"), message.get("parent_header"), message.get("metadata"))
            if isinstance(message.get("msg_type"), str) and all(isinstance(part, dict) for part in parts):
                return message


def _listens(path: Path) -> bool:
    """Whether somebody takes connections at a Unix socket. Its file is there a moment earlier, and ZMQ would not try again."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.setblocking(False)
        try:
            knocking.connect(str(path))
        except OSError:
            return False
    return True
