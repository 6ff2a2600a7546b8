"""Put load on a served model and print how long answers took: python load.py http://HOST:PORT --key KEY --rows rows.json

`rows.json` is a list of rows; each request takes the next one. Needs nothing but Python. Exit code 1 where a request was not answered.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

WAIT_S = 30.0


class Load:
    """Clients that ask one after another, each over one connection, until the time is over."""

    def __init__(self, address: str, key: str, bodies: list[bytes], seconds: float) -> None:
        self._parts, self._key, self._bodies, self._seconds = urlsplit(address), key, bodies, seconds
        self.ms: list[float] = []
        self.failed: list[str] = []
        self._lock = threading.Lock()

    def run(self, clients: int) -> None:
        threads = [threading.Thread(target=self._client, args=(number,), daemon=True) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self._seconds + 2 * WAIT_S)

    def _client(self, number: int) -> None:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=WAIT_S)
        headers = {"Content-Type": "application/json", "X-API-Key": self._key}
        until = time.monotonic() + self._seconds
        for body in itertools.islice(itertools.cycle(self._bodies), number, None):
            if time.monotonic() > until:
                break
            began = time.perf_counter()
            try:
                connection.request("POST", "/predict", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                problem = "" if answer.status == 200 else f"{answer.status}: {text[:200].decode(errors='replace')}"
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
                connection.close()
            with self._lock:
                self.ms.append(1000 * (time.perf_counter() - began))
                if problem:
                    self.failed.append(problem)
        connection.close()

    @property
    def summary(self) -> dict[str, float | int]:
        """Requests, those that were not answered with 200, requests a second, and milliseconds at the median, 95 and 99 %."""
        ordered = sorted(self.ms) or [0.0]
        at = {f"p{share}_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))], 2) for share in (50, 95, 99)}
        return {"requests": len(self.ms), "failed": len(self.failed), "per_second": round(len(self.ms) / self._seconds, 1), **at}


def main() -> None:
    parser = argparse.ArgumentParser(description="Put load on a served model.")
    parser.add_argument("address", help="http://HOST:PORT")
    parser.add_argument("--key", required=True)
    parser.add_argument("--rows", required=True, type=Path, help="JSON file: a list of rows")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=1)
    given = parser.parse_args()
    load = Load(given.address, given.key, [json.dumps({"row": row}).encode() for row in json.loads(given.rows.read_text())], given.seconds)
    load.run(given.clients)
    print(json.dumps(load.summary))
    if load.failed or not load.ms:
        sys.exit(f"{len(load.failed)} requests failed; the first: {(load.failed or ['nothing was answered'])[0]}")


if __name__ == "__main__":
    main()
