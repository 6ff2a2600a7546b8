"""Files behind http(s) URLs."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tools.sources.contract import Found, Room
from tools.sources.downloading import CHUNK_BYTES, Answer, Transient
from tools.sources.secrets import Secrets, hidden
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MOST_REDIRECTS = 10
UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
"""How an answer may be packed. Others, and one within another, can make so much of a few bytes that memory does not hold it."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may be another in a moment."""


class Web:
    """`https://host/rows.csv`, with `#sha256=`, `#md5=`, and `#bearer=NAME` for a token that is looked up under NAME."""

    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5", "bearer")
        bearer = spelling.options.get("bearer")
        wire = HttpWire(spelling.address, {"Authorization": f"Bearer ${{{bearer}}}"} if bearer else {}, room.secrets)
        name = file_name(spelling.address, "table.csv")
        options = spelling.options
        digest = room.downloads.bring(wire, room.folder / name, sha256=options.get("sha256"), md5=options.get("md5"))
        return Found(known={name: digest})


class HttpWire:
    """One file at an HTTP server.

    Args:
        url: a user and a password before the host are sent as basic authentication.
        headers: sent to the host of `url` alone, never to one that it redirects to.
        secrets: what `${NAME}` in them is filled in from; only of what the user wrote, never of an address that a server gave.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, secrets: Secrets | None = None) -> None:
        try:
            address = urlsplit(url)
            address.port  # noqa: B018  # a port that is none raises here
        except ValueError as error:
            raise InputRefused(f"{url!r} is no URL: {error}.") from None
        if not address.hostname:
            raise InputRefused(f"{url!r} is no URL: it names no host; expected one such as https://HOST/rows.csv")
        user, _, host = address.netloc.rpartition("@")
        plain = urlunsplit((address.scheme, host, address.path, address.query, ""))
        self._key = plain
        self._url = secrets.filled(plain) if secrets else plain
        self._headers = {name: secrets.filled(value, quoted=False) if secrets else value for name, value in (headers or {}).items()}
        if user:
            name, _, password = user.partition(":")
            pair = ":".join(secrets.filled(unquote(part), quoted=False) if secrets else unquote(part) for part in (name, password))
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()

    @property
    def key(self) -> str:
        return self._key

    @contextlib.contextmanager
    def open(self, start: int, validator: str | None, cached: str | None) -> Iterator[Answer]:
        import httpx

        asked = {"Accept-Encoding": "identity"}  # of packed bytes neither size nor place would be known
        if start and validator:
            asked |= {"Range": f"bytes={start}-", "If-Range": validator}
        elif cached:
            asked |= {"If-None-Match": cached} if '"' in cached else {"If-Modified-Since": cached}
        try:
            with (
                httpx.Client(timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)) as client,
                self._response(client, asked) as response,
            ):
                yield self._answer(response, start)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Transient(self._said(error), nobody=True) from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            raise InputRefused(f"{self._key!r} is no URL: {self._said(error)}.") from None
        except httpx.HTTPError as error:
            raise Transient(self._said(error)) from None

    @contextlib.contextmanager
    def _response(self, client: httpx.Client, asked: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The answer of the last server of a chain. Credentials are for the first one's scheme, host and port alone."""
        import httpx

        url, home = httpx.URL(self._url), _origin(httpx.URL(self._url))
        for _ in range(MOST_REDIRECTS + 1):
            own = self._headers if _origin(url) == home else {}
            with client.stream("GET", url, headers={**asked, **own}) as response:
                place = response.headers.get("location")
                if response.status_code not in (301, 302, 303, 307, 308) or not place:
                    yield response
                    return
                url = url.join(place)
            if url.scheme not in ("http", "https"):
                raise InputRefused(f"{self._key} redirects to an address of scheme {url.scheme!r}, which is not followed.")
        raise InputRefused(f"{self._key} redirects more than {MOST_REDIRECTS} times. Check the address.")

    def _answer(self, response: httpx.Response, start: int) -> Answer:
        status, headers = response.status_code, response.headers
        if status == 304:
            return Answer(chunks=iter(()), unchanged=True)
        if status in AGAIN:
            raise Transient(f"it answered {status} {response.reason_phrase}", retry_after_s=_retry_after(headers.get("retry-after")))
        packed = headers.get("content-encoding", "identity").strip().lower() != "identity"
        if packed and headers["content-encoding"].strip().lower() not in UNPACKED:
            said = hidden(headers["content-encoding"])[:80]
            raise InputRefused(
                f"{self._key} sent its answer packed as {said!r}, which nobody asked for. Download it by hand and name the file."
            )
        validator = None if packed else _validator(headers)
        if status == 206:
            found = re.match(r"bytes (\d{1,18})-\d*/(\d{1,18}|\*)", headers.get("content-range", ""))
            if found is None or int(found[1]) != start:
                raise Transient("it sent another part than was asked for")
            return Answer(response.iter_raw(CHUNK_BYTES), start, None if found[2] == "*" else int(found[2]), validator)
        if status == 416:  # what has come is longer than the file is now
            return Answer(_begun_anew())
        if status != 200:
            raise InputRefused(
                f"{self._key} answered {status} {hidden(response.reason_phrase)}, expected 200. "
                + ("Credentials are missing or not taken: see docs/data.md." if status in (401, 403) else "Check the address.")
            )
        length = headers.get("content-length", "")
        chunks = response.iter_bytes(CHUNK_BYTES) if packed else response.iter_raw(CHUNK_BYTES)
        return Answer(chunks, 0, int(length) if length.isdecimal() and not packed else None, validator)

    def _said(self, error: Exception) -> str:
        return hidden(str(error) or type(error).__name__).replace(self._url, self._key)


def _begun_anew() -> Iterator[bytes]:
    raise Transient("what had come is longer than the file is now")
    yield b""


def read_json(url: str, room: Room, headers: Mapping[str, str] | None = None) -> Any:
    """A service's answer in JSON.

    Raises:
        InputRefused: when it is none, or does not come.
    """
    import json

    wire = HttpWire(url, headers)
    try:
        return json.loads(room.downloads.read(wire))
    except ValueError:
        raise InputRefused(f"{wire.key} did not answer in JSON. Check the address of the service.") from None


def file_name(url: str, otherwise: str) -> str:
    """A name for the file behind a URL: the last part of its path, without what a file system or a reader could stumble over."""
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    name = re.sub(r"[^\w.()+=@ -]", "_", last)[-120:].lstrip(".")
    return name if "." in name else f"{name}.csv" if name else otherwise


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


def _validator(headers: httpx.Headers) -> str | None:
    tag = headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return str(tag)
    return headers.get("last-modified")


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
