"""Weights & Biases: a group of offline runs in the run directory, `wandb/`; with a key in WANDB_API_KEY they are sent too.

Its library starts a server of its own, keeps folders in the home directory and ends with the process, so all of it happens in
a process of ours (`wandb_writer.py`) that is given its environment and can be ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tools
from tools.host import RunPaths
from tools.trackers.contract import TOO_SLOW, Attachments, NotSent, Patience, Tracker, Written
from tools.trackers.run_record import RunRecord

FOLDER = "wandb"
KEY = "WANDB_API_KEY"
CLOUD = "https://api.wandb.ai"
PASSED = ("PATH", "HOME", "LANG", "TMPDIR", "WANDB_ENTITY", "WANDB_PROJECT")
"""Variables that the writer is given; what steers the library otherwise stays out."""
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
SENDING = (KEY, "WANDB_BASE_URL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", *_PROXIES)
"""And those that sending needs, when there is a key."""
QUIET = {
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_CONSOLE": "off",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_DISABLE_JOB_CREATION": "true",
}
"""Nothing about machine, repository or errors goes into a run."""


class WandB(Tracker):
    """The whole record at the end of the run; what stands in the log by then is not sent piece by piece."""

    def __init__(self, run: RunPaths) -> None:
        self._run = run

    def write(self, record: RunRecord, attachments: Attachments, patience: Patience) -> Written:
        if record.running:
            return Written(group_of(record), 0)
        deadline = time.monotonic() + patience.total_s
        home = self._run.path / FOLDER
        staging = self._run.path / f".{FOLDER}.tmp"
        shutil.rmtree(staging, ignore_errors=True)
        files = [str(path) for path in attachments.files]
        given = {
            "record": record.model_dump(mode="json"),
            "group": group_of(record),
            "folder": str(staging),
            "files": files,
            "package": str(attachments.package) if attachments.package else None,
        }
        environment = {name: os.environ[name] for name in PASSED if name in os.environ}
        environment |= {**QUIET, "WANDB_MODE": "offline", "PYTHONPATH": str(Path(tools.__file__).parents[1])}
        environment |= {f"WANDB_{kind}_DIR": str(staging / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        try:
            self._spoken([sys.executable, "-m", "tools.trackers.wandb_writer"], environment, deadline, json.dumps(given))
            shutil.rmtree(home, ignore_errors=True)
            (staging / FOLDER).replace(home)
        except OSError as error:
            raise NotSent(f"{FOLDER}/ could not be written ({error.strerror})", answered=True) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        if sends():
            self._send(home, patience, deadline)
        return Written(group_of(record), len(files))

    def _send(self, home: Path, patience: Patience, deadline: float) -> None:
        """Send the offline runs. One that is there already is written over, since its id is that of the run."""
        _takes_the_key(os.environ.get("WANDB_BASE_URL", CLOUD), patience.request_s)
        environment = {name: os.environ[name] for name in (*PASSED, *SENDING) if name in os.environ} | QUIET
        environment |= {f"WANDB_{kind}_DIR": str(home / ".state" / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        runs = sorted(str(path) for path in home.glob("offline-run-*"))
        self._spoken([sys.executable, "-m", "wandb", "sync", "--yes", *runs], environment, deadline, "")

    def _spoken(self, command: list[str], environment: dict[str, str], deadline: float, text: str) -> None:
        """Run a program to its end.

        Raises:
            NotSent: when it takes too long, or does not work.
        """
        # Files instead of pipes, which the library's server would hold open when our program has ended.
        with tempfile.TemporaryFile("w+") as asked, tempfile.TemporaryFile("w+", errors="replace") as answered:
            asked.write(text)
            asked.seek(0)
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=self._run.path,
                stdin=asked,
                stdout=answered,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise NotSent(TOO_SLOW, answered=False) from None
            finally:
                _end(process)
            answered.seek(0)
            said = answered.read()
        # Sending ends with code 0 whatever became of it.
        if process.returncode or re.search(r"^wandb: ERROR", said, re.MULTILINE):
            raise NotSent(f"its program {command[2]} did not work (code {process.returncode})", answered=True)


def sends() -> bool:
    """Whether runs are sent: nothing is without a key."""
    return bool(os.environ.get(KEY))


def group_of(record: RunRecord) -> str:
    """What the run is known by: the same whenever it is written."""
    digest = hashlib.sha256(json.dumps(record.key).encode()).hexdigest()[:8]
    return f"{record.run[:100]}-{digest}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and the library's server, which is of its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _takes_the_key(address: str, within_s: float) -> None:
    """Ask the server who we are, since the library would go on asking for minutes.

    Raises:
        NotSent: when nothing answers, or it does not take the key.
    """
    import httpx

    try:
        asked = {"query": "query Viewer { viewer { id } }"}
        answer = httpx.post(f"{address.rstrip('/')}/graphql", json=asked, auth=("api", os.environ[KEY]), timeout=within_s)
    except httpx.TimeoutException:
        raise NotSent(f"it did not answer within {within_s:g} s", answered=False) from None
    except Exception as error:  # an address of any form; words of others stay out
        refused = "refused" in str(error)
        raise NotSent("the connection was refused" if refused else "the connection failed", answered=False) from None
    if answer.status_code in (401, 403):
        raise NotSent(f"it does not take the key in {KEY}", answered=True)
    if answer.status_code != 200:
        raise NotSent(f"it answered {answer.status_code}", answered=answer.status_code < 500)
