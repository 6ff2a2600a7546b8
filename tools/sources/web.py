"""A file behind an http(s) URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tools.sources.contract import Found, Room
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

MAX_DOWNLOAD_BYTES = 4 * 2**30
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0


class Web:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        import httpx

        spelling.refuse_options()
        url = spelling.address
        name = Path(urlsplit(url).path).name or "table.csv"
        path = room.folder / (name if "." in name else f"{name}.csv")
        try:
            with (
                httpx.Client(follow_redirects=True, timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)) as client,
                client.stream("GET", url) as response,
            ):
                if response.status_code != 200:
                    raise InputRefused(f"{url} answered {response.status_code} {response.reason_phrase}, expected 200. Check the address.")
                announced = int(response.headers.get("content-length") or 0)
                if announced > MAX_DOWNLOAD_BYTES:
                    raise InputRefused(
                        f"{url} announces {announced:,} bytes, more than the {MAX_DOWNLOAD_BYTES:,} that are fetched at most."
                    )
                room.expect(announced)
                _store(response, url, path)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise InputRefused(f"cannot fetch {url}: {reason}. Check the address and the network, or give a local file.") from None
        except httpx.InvalidURL as error:
            raise InputRefused(f"{url!r} is no URL: {error}.") from None
        return Found()


def _store(response: object, url: str, path: Path) -> None:
    received = 0
    with path.open("wb") as handle:
        for chunk in response.iter_bytes(1 << 20):  # type: ignore[attr-defined]  # an httpx.Response; httpx is imported late
            received += len(chunk)
            if received > MAX_DOWNLOAD_BYTES:
                raise InputRefused(f"{url} sent more than the {MAX_DOWNLOAD_BYTES:,} bytes that are fetched at most.")
            handle.write(chunk)
