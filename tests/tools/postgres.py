"""A PostgreSQL server of one's own, for tests marked `postgres`."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

WORD = "s3cret-of-the-shop"


def binaries() -> Path:
    """The folder of the newest server's programs."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1].parent


class Cluster:
    """A PostgreSQL server of one's own, on loopback, owned by nobody in particular."""

    def __init__(self, binaries: Path) -> None:
        # A short path, since a socket's may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="mlteam-pg-"))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._binaries = binaries
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        (word := self.folder / "word").write_text(WORD)
        word.chmod(0o644)
        self._run("initdb", "-D", "db", "-U", "ann", "-A", "scram-sha-256", "--pwfile", str(word), "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", "db", "-w", "-t", "120", "-l", str(self.folder / "log"), "-o", options, "start")

    def address(self, database: str) -> str:
        """Where a client finds it, password and all."""
        return f"postgresql://ann:{WORD}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self._run("pg_ctl", "-D", "db", "-w", "-t", "60", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        who = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        command = [str(self._binaries / program), *arguments]
        subprocess.run(command, cwd=self.folder, check=True, timeout=180, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **who)
