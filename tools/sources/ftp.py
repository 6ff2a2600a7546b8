"""Files behind ftp:// URLs, by the standard library's client. Passwords travel in the clear, as the protocol has it."""

from __future__ import annotations

import contextlib
import ftplib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from tools.sources.contract import Found, Room
from tools.sources.downloading import CHUNK_BYTES, Answer, Transient
from tools.sources.secrets import hidden
from tools.sources.spelling import Spelling
from tools.sources.web import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, file_name
from tools.spec import InputRefused


class Ftp:
    """`ftp://host/rows.csv`, or `ftp://ann:${PASSWORD}@host/rows.csv`."""

    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5")
        name = file_name(spelling.address, "table.csv")
        options = spelling.options
        wire = FtpWire(spelling.address, room)
        return Found(known={name: room.downloads.bring(wire, room.folder / name, sha256=options.get("sha256"), md5=options.get("md5"))})


class FtpWire:
    """One file. Its size and time of change stand for a validator."""

    def __init__(self, url: str, room: Room) -> None:
        try:
            address = urlsplit(url)
            self._port = address.port or ftplib.FTP_PORT
        except ValueError as error:
            raise InputRefused(f"{url!r} is no URL: {error}.") from None
        if not address.hostname or not address.path.strip("/"):
            raise InputRefused(f"{url!r} names no file; expected ftp://HOST/PATH.")
        self.key = f"ftp://{address.netloc.rpartition('@')[2]}{address.path}"
        self._host, self._path = address.hostname, unquote(address.path)
        user, _, password = address.netloc.rpartition("@")[0].partition(":")
        self._login = [room.secrets.filled(unquote(part), quoted=False) for part in (user, password)]

    @contextlib.contextmanager
    def open(self, start: int, validator: str | None, cached: str | None) -> Iterator[Answer]:
        connected = False
        try:
            with ftplib.FTP(timeout=READ_TIMEOUT_S) as client:
                client.connect(self._host, self._port, timeout=CONNECT_TIMEOUT_S)
                connected = True
                client.login(*self._login)
                client.voidcmd("TYPE I")
                total = client.size(self._path)
                now = f"{total} {self._changed(client)}"
                if cached == now:
                    yield Answer(iter(()), unchanged=True)
                    return
                begin = start if validator == now else 0
                with client.transfercmd(f"RETR {self._path}", rest=begin or None) as data:
                    yield Answer(iter(lambda: data.recv(CHUNK_BYTES), b""), begin, total, now)
        except ftplib.error_temp as error:
            raise Transient(f"it answered {hidden(str(error))}") from None
        except ftplib.error_perm as error:
            raise InputRefused(f"{self.key} answered {hidden(str(error))!r}. Check the path, the user and the password.") from None
        except (OSError, EOFError, ftplib.Error) as error:
            raise Transient(hidden(str(error)) or type(error).__name__, nobody=not connected) from None
        except ValueError as error:  # a line break in a path
            raise InputRefused(f"{self.key!r} is no path: {hidden(str(error))}.") from None

    def _changed(self, client: ftplib.FTP) -> str:
        with contextlib.suppress(ftplib.Error):
            return client.sendcmd(f"MDTM {self._path}")
        return "no time"
