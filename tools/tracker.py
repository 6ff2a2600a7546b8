"""A tracking server: its address, and sending it a record without waiting long for one that is down.

The server's own words never leave this module: an error page may repeat what the request carried.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tools.recording import TOO_SLOW, NotRecorded, Written, load_tracker, write
from tools.run_record import RunRecord

CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
"""Where MLflow looks for what a server asks for."""
ASKS = f"; set {CREDENTIALS}"
_REASONS = (
    (r"too many (\d{3}) error responses|failed with error code (\d{3})|\b(\d{3}) (?:Server|Client) Error", "it answered {}"),
    (r"[Tt]imed? ?out", "it did not answer within {}"),
    (r"Connection refused", "the connection was refused"),
    (r"Failed to resolve", "its name is not known here"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted here"),
    (r"Failed to establish|Connection aborted|Connection reset|Network is unreachable", "the connection failed"),
    (r"not in a valid JSON format", "it does not answer as an MLflow server does"),
)
"""What MLflow and the libraries below it say when a request failed, and what is told of it."""
_ENVIRONMENT = threading.Lock()


class Patience(NamedTuple):
    """How long a server may take."""

    request_s: int
    """Seconds of silence after which one request has failed. It is not tried again."""
    total_s: float
    """Seconds for all of a record."""


IN_A_RUN = Patience(4, 30.0)
BY_COMMAND = Patience(30, 600.0)


class NotSent(Exception):
    """The server did not take the record; the message says why, in a few words.

    Attributes:
        answered: whether the server answered, so that another record may fare better.
    """

    def __init__(self, why: str, answered: bool) -> None:
        super().__init__(why)
        self.answered = answered


def check_address(address: str) -> str:
    """The address of a server in one spelling, so that equal servers are equal texts.

    Raises:
        ValueError: when it is none. A user name, a password or a query in it are refused and never repeated: the address
            stands in settings, events and records.
    """
    expected = "expected http://HOST:PORT or https://HOST"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError(f"that is no address; {expected}") from None
    if "@" in address or parts.query or parts.fragment:
        raise ValueError(
            f"an address with a user name, a password or a query would stand in settings and events; {expected}, and set {CREDENTIALS}"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[!-~]+", address):
        raise ValueError(f"{address!r} is no address of a server; {expected}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def send(record: RunRecord, server: str, files: Sequence[Path], patience: Patience) -> Written:
    """Send a record; sending it again replaces it.

    Args:
        server: an address as `check_address` gives it.
        files: what is stored with the record, where the server takes files.

    Raises:
        NotSent: when the server is down, silent, too slow or refuses.
    """
    load_tracker()
    attempt = _Attempt(record, server, files, patience)
    attempt.start()
    if attempt.spoken.wait(patience.request_s + 1):
        attempt.join(patience.total_s + patience.request_s)
    if attempt.outcome is None:
        raise NotSent(TOO_SLOW, answered=False)
    if isinstance(attempt.outcome, NotSent):
        raise attempt.outcome
    return attempt.outcome


class _Attempt(threading.Thread):
    """A daemon, which can be left behind: a name server that is silent, or an answer that comes byte by byte, heeds no timeout."""

    def __init__(self, record: RunRecord, server: str, files: Sequence[Path], patience: Patience) -> None:
        super().__init__(daemon=True)
        self._record, self._server, self._files, self._patience = record, server, files, patience
        self.spoken = threading.Event()
        """Set when the server has answered once, or never will."""
        self.outcome: Written | NotSent | None = None

    def run(self) -> None:
        self.outcome = self._tried()
        self.spoken.set()

    def _tried(self) -> Written | NotSent:
        from mlflow.tracking import MlflowClient

        deadline = time.monotonic() + self._patience.total_s
        try:
            with patient(self._patience):
                client = MlflowClient(tracking_uri=self._server)
                client.get_experiment_by_name(self._record.experiment)
                self.spoken.set()
                return write(client, self._record, self._files, deadline=deadline)
        except NotRecorded as error:
            return NotSent(str(error), answered=time.monotonic() <= deadline)
        except Exception as error:  # whatever a library raises, the run goes on
            return _not_sent(error, self._patience)


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Let MLflow ask once and wait so long. It reads this from the environment alone, which is put back afterwards."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(patience.request_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to results
    }
    with _ENVIRONMENT:
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _not_sent(error: Exception, patience: Patience) -> NotSent:
    said = re.split("Response (?:body|text)", str(error))[0]
    for number, (pattern, words) in enumerate(_REASONS):
        if match := re.search(pattern, said):
            code = next((group for group in match.groups() if group), "")
            why = words.format(code or f"{patience.request_s} s") + (ASKS if code in ("401", "403") else "")
            return NotSent(why, answered=number == 0 and not code.startswith("5"))
    refusal = getattr(error, "error_code", None) or type(error).__name__
    asks = ASKS if refusal in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED") else ""
    return NotSent(f"it refused the record ({refusal}){asks}", answered=True)
