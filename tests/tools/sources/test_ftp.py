"""Downloads from a real FTP server on loopback."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.sources.conftest import Fetching
from tools.spec import InputRefused

# pyftpdlib takes from the standard library what Python 3.12 has no more.
pytestmark = pytest.mark.filterwarnings("ignore:The async(ore|hat) module is deprecated:DeprecationWarning")
BODY = b"a,b\n" + random.Random(1).randbytes(1_500_000).hex().encode()


class Ftpd:
    def __init__(self, home: Path) -> None:
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import DTPHandler, FTPHandler
        from pyftpdlib.servers import FTPServer

        self.home, self.breaks = home, [0]
        self.says: int | None = None
        """How many bytes it says that files have; None for the truth."""
        self.commands: list[str] = []
        authorizer = DummyAuthorizer()
        authorizer.add_anonymous(str(home))
        authorizer.add_user("ann", "s3cret-ftp-word", str(home), perm="elr")
        ftpd = self

        class Breaking(DTPHandler):
            def send(self, data: bytes) -> Any:
                if ftpd.breaks[0] and self.get_transmitted_bytes() > ftpd.breaks[0]:
                    ftpd.breaks[0] = 0
                    self.close()
                    return 0
                return super().send(data)

        class Handler(FTPHandler):
            dtp_handler = Breaking
            use_sendfile = False
            auth_failed_timeout = 0

            def ftp_SIZE(self, path: str) -> None:
                super().ftp_SIZE(path) if ftpd.says is None else self.respond(f"213 {ftpd.says}")

            def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
                ftpd.commands.append(line)
                super().pre_process_command(line, cmd, arg)

        Handler.authorizer = authorizer
        self._server = FTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.address[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            self._server.serve_forever(timeout=0.05, blocking=False)

    def end(self) -> None:
        self._over.set()
        self._thread.join(60)
        self._server.close_all()


@pytest.fixture
def ftpd(tmp_path: Path) -> Iterator[Ftpd]:
    pytest.importorskip("pyftpdlib", reason="pyftpdlib is not installed: pip install -e '.[dev]'")
    home = tmp_path / "ftp"
    home.mkdir()
    (home / "t.csv").write_bytes(BODY)
    running = Ftpd(home)
    try:
        yield running
    finally:
        running.end()


def test_a_file_comes_and_goes_on_after_a_break(ftpd: Ftpd, fetching: Fetching) -> None:
    ftpd.breaks[0] = 1_000_000
    fetching(f"ftp://127.0.0.1:{ftpd.port}/t.csv")
    assert fetching.content("t.csv") == BODY
    assert [line.split()[0] for line in ftpd.commands if line.startswith(("REST", "RETR"))] == ["RETR", "REST", "RETR"]


def test_a_password_is_looked_up_and_left_nowhere(ftpd: Ftpd, fetching: Fetching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_WORD", "s3cret-ftp-word")
    fetching(f"ftp://ann:${{SHOP_WORD}}@127.0.0.1:{ftpd.port}/t.csv")
    assert fetching.content("t.csv") == BODY
    assert b"s3cret-ftp-word" not in fetching.left()
    monkeypatch.setenv("SHOP_WORD", "s3cret-wrong-word")
    with pytest.raises(InputRefused, match="answered '530") as refused:
        fetching(f"ftp://ann:${{SHOP_WORD}}@127.0.0.1:{ftpd.port}/t.csv")
    assert "s3cret" not in str(refused.value)


def test_what_is_not_there(ftpd: Ftpd, fetching: Fetching) -> None:
    with pytest.raises(InputRefused, match=r"none.csv answered '550"):
        fetching(f"ftp://127.0.0.1:{ftpd.port}/none.csv")
    with pytest.raises(InputRefused, match="names no file"):
        fetching(f"ftp://127.0.0.1:{ftpd.port}/")
    with pytest.raises(InputRefused, match="is no path"):
        fetching(f"ftp://127.0.0.1:{ftpd.port}/a%0D%0ADELE%20t.csv")
    assert not any(line.startswith("DELE") for line in ftpd.commands)


def test_a_server_that_sends_more_than_it_said(ftpd: Ftpd, fetching: Fetching) -> None:
    ftpd.says = 10
    with pytest.raises(InputRefused, match=r"bytes, and 2,000,000 are downloaded at most"):
        fetching(f"ftp://127.0.0.1:{ftpd.port}/t.csv", most_bytes=2_000_000)
    assert sum(path.stat().st_size for path in (fetching.cache / "data").rglob("*")) < 4_000_000
