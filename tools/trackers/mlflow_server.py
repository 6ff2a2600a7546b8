"""A tracking server: its address, and sending it a record without waiting long for one that is down.

The server's own words never leave this module: an error page may repeat what the request carried.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tools.trackers.contract import TOO_SLOW, Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.mlflow_store import NotRecorded, Store, load_tracker
from tools.trackers.run_record import RunRecord

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


class Server(Tracker):
    """An MLflow server.

    Args:
        address: as `check_address` gives it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._store: Store | None = None

    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        load_tracker()
        attempt = _Attempt(self._address, self._store, record, attachments, patience)
        self._store = None
        attempt.start()
        # A timeout of the request itself tells more than this does, also on a machine that is busy.
        if attempt.spoken.wait(2 * patience.request_s + 1):
            attempt.join(patience.total_s + patience.request_s)
        if attempt.outcome is None:
            raise NotSent(TOO_SLOW, answered=False)
        if isinstance(attempt.outcome, NotSent):
            raise attempt.outcome
        self._store = attempt.store
        return attempt.outcome


class _Attempt(threading.Thread):
    """A daemon, which can be left behind: a name server that is silent, or an answer that comes byte by byte, heeds no timeout.

    Args:
        store: what the server was given before by this process; None where that is not known.
    """

    def __init__(self, address: str, store: Store | None, record: RunRecord, attachments: Attachments, patience: Patience) -> None:
        super().__init__(daemon=True)
        self._address, self._record, self._attachments, self._patience = address, record, attachments, patience
        self.store = store
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
                client = MlflowClient(tracking_uri=self._address)
                client.get_experiment_by_name(self._record.experiment)
                self.spoken.set()
                self.store = self.store or Store(client)
                return self.store.write(self._record, self._attachments, deadline=deadline)
        except NotRecorded as error:
            return NotSent(str(error), answered=time.monotonic() <= deadline)
        except Exception as error:  # whatever a library raises, the run goes on
            return _not_sent(error, self._patience)


class _Environment:
    """Variables that are set while anybody needs them so. Who needs other values waits; who needs the same does not."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._users = 0
        self._wanted: dict[str, str] = {}
        self._before: dict[str, str | None] = {}

    def enter(self, wanted: dict[str, str]) -> None:
        with self._free:
            self._free.wait_for(lambda: self._users == 0 or self._wanted == wanted)
            if self._users == 0:
                self._wanted, self._before = wanted, {name: os.environ.get(name) for name in wanted}
                os.environ.update(wanted)
            self._users += 1

    def leave(self) -> None:
        with self._free:
            self._users -= 1
            if self._users:
                return
            for name, value in self._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self._free.notify_all()


_ENVIRONMENT = _Environment()


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Let MLflow ask once and wait so long. It reads this from the environment alone, which is put back afterwards."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(patience.request_s),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout belongs to results
    }
    _ENVIRONMENT.enter(wanted)
    try:
        yield
    finally:
        _ENVIRONMENT.leave()


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
