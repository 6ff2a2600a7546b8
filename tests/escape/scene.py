"""The outside of an attack: a sealed run, secrets that must stay where they are, and whoever listens on the host."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from team.evidence import Evidence
from team.sandbox import CellResult, Kernel, Limits, open_kernel
from team.stages import Stage, State
from tests.escape.attack import Attack, Judge, Verdict, judged
from tests.escape.twins import Twin, Twins
from tests.rooming import Rooming
from tools.files import remove_tree
from tools.intake import fetch_data
from tools.sealing import seal_holdout

ROWS = 100
_BYSTANDER = """
import ctypes, sys
held = ctypes.create_string_buffer(sys.argv[1].encode(), 64)
print(ctypes.addressof(held), flush=True)
for line in sys.stdin:
    print(held.value.decode(errors="replace"), flush=True)
"""


class Bystander:
    """A process of the caller with a secret in its environment, its arguments and its memory."""

    def __init__(self, secret: str) -> None:
        env = {"PATH": os.environ["PATH"], "SERVICE_TOKEN": secret}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BYSTANDER, secret], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.address = int(self._process.stdout.readline())
        self.pid = self._process.pid

    def memory(self) -> str | None:
        """What stands in its memory where the secret was; None when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print("?", file=self._process.stdin, flush=True)
        except BrokenPipeError:
            return None
        return self._process.stdout.readline().strip() or None

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError), self._process:
            self._process.kill()


class Listeners:
    """Sockets of the host that nobody in a sandbox may reach."""

    def __init__(self, folder: Path) -> None:
        self.abstract = f"mlteam-escape-{os.getpid()}-{secrets.token_hex(4)}"
        self.path = folder / "service.sock"
        self._sockets = {
            "tcp4": _bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "tcp6": _bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)) if socket.has_ipv6 else None,
            "udp": _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "abstract": _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}"),
            "path": _bound(socket.AF_UNIX, socket.SOCK_STREAM, str(self.path)),
        }

    def port(self, name: str) -> int:
        listening = self._sockets[name]
        return int(listening.getsockname()[1]) if listening else 9

    def has(self, name: str) -> bool:
        return self._sockets[name] is not None

    def reached(self, name: str, within_s: float = 0.0) -> str | None:
        """What arrived at a socket since the last question: its first bytes, "" for a connection without any, or None."""
        listening = self._sockets[name]
        if listening is None:
            return None
        listening.settimeout(within_s)
        try:
            if listening.type == socket.SOCK_DGRAM:
                return listening.recv(4096).decode(errors="replace")
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(0.2)
                with contextlib.suppress(OSError):
                    return connection.recv(4096).decode(errors="replace")
                return ""
        except (BlockingIOError, TimeoutError):
            return None

    def close(self) -> None:
        for listening in self._sockets.values():
            if listening:
                listening.close()


class Scene:
    """One kernel beside a sealed run of its own.

    Attributes:
        secret: a token that stands in files, environments and processes of the host, and nowhere in the sandbox.
        outside: a folder of the host beside the run.
        canary: a file in it that holds the secret.
        room: the toolroom, for what reaches the host through a tool call.
    """

    def __init__(self, kind: str, folder: Path, stack: AsyncExitStack, twins: Twins) -> None:
        self.kind = kind
        self._twins = twins
        self.secret = f"canary-{secrets.token_hex(12)}"
        self.outside = folder / "outside"
        self.outside.mkdir(parents=True)
        self.canary = self.outside / "canary.txt"
        self._write_canary()
        self.listeners = Listeners(folder)
        stack.callback(self.listeners.close)
        self.bystander = Bystander(self.secret)
        stack.callback(lambda: self.bystander.close())
        self.source = folder / "prices.csv"
        self.source.write_text(table())
        rooming = Rooming(folder / "runs", self.source, stack, target="price", search_s=600)
        self.run, self.vault, self.room, self.events = rooming.run, rooming.hosting.vault, rooming.room, rooming.events
        self.log = rooming.log
        stack.callback(self.log.close)
        self.room.kernel = self._own_kernel
        fetch_data(rooming.hosting.host)
        seal_holdout(rooming.hosting.host)
        self.labels = _labels(self.run.vault / "holdout_labels.parquet")
        self.remembered = ""
        self.kept: dict[str, bytes] = {}
        """The data folder as it was, for an attack on it."""
        self.last_code = ""
        self.payload = ""
        """What a pickle runs, for an attack that leaves one."""
        self._stack = stack
        self.kernel: Kernel

    async def twins(self) -> tuple[Twin, Twin]:
        """A run on the hostile table in this kind of sandbox, and one on its harmless twin."""
        return await self._twins.of(self.kind)

    async def open(self, limits: Limits | None) -> None:
        opened = open_kernel(self.kind, work=self.run.work, data=self.run.data, limits=limits)
        self.kernel = await self._stack.enter_async_context(opened)

    async def _own_kernel(self) -> Kernel:
        return self.kernel

    async def play(self, attack: Attack, judge: Judge) -> tuple[Verdict, CellResult]:
        """Put things in place, run the hostile cell, and judge."""
        async with self.after(attack) as result:
            return await judged(judge, self, result), result

    @asynccontextmanager
    async def after(self, attack: Attack) -> AsyncIterator[CellResult]:
        """What the hostile cell came back as; what goes on after it goes on in the block."""
        self.clean()
        if attack.before:
            attack.before(self)
        try:
            if attack.cell:
                self.last_code = attack.code(self.facts())
                yield await self.kernel.execute(self.last_code, timeout_s=attack.timeout_s)
            else:
                yield CellResult(status="ok", text="", outputs=[], seconds=0.0)
        finally:
            if attack.lasting:
                await self.kernel.restart()

    def clean(self) -> None:
        """Undo what the last attack left in the folders."""
        for path in self.run.work.iterdir():
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink()
        self._write_canary()
        self.events.clear()
        self.room.state = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, sealed=True)
        self.room.evidence = Evidence(self.run, self.vault, self.log.append)
        for name in ("tcp4", "tcp6", "udp", "abstract", "path"):
            while self.listeners.reached(name) is not None:
                pass

    def replace_bystander(self) -> None:
        """Start another one, after one was ended or changed."""
        self.bystander.close()
        self.bystander = Bystander(self.secret)

    def facts(self) -> dict[str, str]:
        """What a cell may be told of the outside, as Python literals: an attacker may have guessed it."""
        return {
            "canary": repr(str(self.canary)),
            "outside": repr(str(self.outside)),
            "run": repr(str(self.run.path)),
            "vault": repr(str(self.run.vault)),
            "source": repr(str(self.source)),
            "tcp4": str(self.listeners.port("tcp4")),
            "tcp6": str(self.listeners.port("tcp6")),
            "udp": str(self.listeners.port("udp")),
            "abstract": repr(self.listeners.abstract),
            "service": repr(str(self.listeners.path)),
            "pid": str(self.bystander.pid),
            "address": str(self.bystander.address),
            "handle": repr(_handle(self.canary)),
            "payload": repr(self.payload),
            "sandboxed": str(self.kind != "unsafe-local"),
            "resolvers": repr(_resolvers()),
        }

    def leaked(self, result: CellResult) -> str | None:
        """Whether the secret stands in what came back."""
        return "the secret came back" if self.secret in result.text or self.secret in str(result.outputs) else None

    def labels_in(self, text: str) -> int:
        """How many of the holdout's labels stand in `text`."""
        return sum(label in text for label in self.labels)

    def _write_canary(self) -> None:
        self.outside.chmod(0o755)
        for path in self.outside.iterdir():
            if path != self.canary and path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink()
        self.canary.write_text(f"{self.secret}\n")
        self.canary.chmod(0o644)

    @property
    def canary_is_whole(self) -> bool:
        return self.canary.is_file() and self.canary.read_text() == f"{self.secret}\n" and self.canary.stat().st_mode & 0o7777 == 0o644


@asynccontextmanager
async def open_scene(kind: str, folder: Path, limits: Limits | None, twins: Twins) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        scene = Scene(kind, folder, stack, twins)
        await scene.open(limits)
        yield scene


def table() -> str:
    """A regression whose labels are told apart from each other and from every other number."""
    lines = ["area,rooms,price"]
    lines += [f"{20 + i * 1.5},{1 + i % 5},{1000 + i * 37 + (i * 7919 % 9973) / 9973:.6f}" for i in range(ROWS)]
    return "\n".join(lines) + "\n"


def _labels(path: Path) -> list[str]:
    import pandas as pd

    return [f"{value:.6f}" for value in pd.read_parquet(path)["price"]]


def _bound(family: int, kind: int, address: object) -> socket.socket | None:
    bound = socket.socket(family, kind)
    try:
        bound.bind(address)  # type: ignore[arg-type]  # as its family has it
    except OSError:  # no IPv6 on this machine
        bound.close()
        return None
    if kind == socket.SOCK_STREAM:
        bound.listen()
    return bound


def _resolvers() -> list[str]:
    """The name servers of this machine."""
    path = Path("/etc/resolv.conf")
    lines = path.read_text().splitlines() if path.exists() else []
    return [words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"]


def _handle(path: Path) -> bytes:
    """The kernel's own name of a file, by which it can be opened without any path; empty where there is none."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.c_uint.from_buffer(handle).value = 128
    mount = ctypes.c_int()
    if not hasattr(libc, "name_to_handle_at") or libc.name_to_handle_at(-100, os.fsencode(path), handle, ctypes.byref(mount), 0):
        return b""
    return handle.raw[: 8 + ctypes.c_uint.from_buffer(handle).value]
