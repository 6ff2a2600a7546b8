"""Datasets and competitions of Kaggle: `kaggle:owner/name` and `kaggle:competition/NAME`.

Not by the official client: it reads its configuration and authenticates when it is imported, prints, and ends the process where no key is
found. The API behind it is two requests: a description, and a zip archive of all files. Variables, key file and endpoint are the client's.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

from tools.sources.contract import Found, Room
from tools.sources.secrets import conceal
from tools.sources.spelling import Spelling
from tools.sources.web import HttpWire, read_json
from tools.spec import InputRefused

ENDPOINT = "KAGGLE_API_ENDPOINT"
SERVICE = "https://www.kaggle.com"


class Kaggle:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5")
        parts = re.fullmatch(r"([\w-]+)/([\w-]+)", spelling.rest)
        if parts is None:
            raise InputRefused(f"source {spelling.text!r}: expected kaggle:OWNER/NAME or kaggle:competition/NAME.")
        owner, name = parts.groups()
        api = os.environ.get(ENDPOINT, SERVICE).rstrip("/") + "/api/v1"
        headers = _credentials(room)
        licence = None
        if owner == "competition":
            url = f"{api}/competitions/data/download-all/{name}"
        else:
            licence = _licence(read_json(f"{api}/datasets/view/{owner}/{name}", room, headers))
            url = f"{api}/datasets/download/{owner}/{name}"
        archive = f"{name}.zip"
        options = spelling.options
        wire = HttpWire(url, headers)
        digest = room.downloads.bring(wire, room.folder / archive, sha256=options.get("sha256"), md5=options.get("md5"))
        return Found(licence=licence, known={archive: digest})


def _credentials(room: Room) -> dict[str, str]:
    """A header for the API. Public datasets come without; competitions do not."""
    import base64

    token = room.secrets.get("KAGGLE_API_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    user, key = os.environ.get("KAGGLE_USERNAME") or room.secrets.get("KAGGLE_USERNAME"), room.secrets.get("KAGGLE_KEY")
    if not (user and key):
        user, key = _key_file(room)
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()} if user and key else {}


def _key_file(room: Room) -> tuple[str | None, str | None]:
    """User and key of `kaggle.json`, where the official client keeps it."""
    path = Path(os.environ.get("KAGGLE_CONFIG_DIR") or "~/.kaggle").expanduser() / "kaggle.json"
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise InputRefused(f"{str(path)!r} is open to others; expected mode 0600. Type: chmod 600 {str(path)!r}")
        found = json.loads(path.read_text(encoding="utf-8"))
        conceal(str(found["key"]))
        return str(found["username"]), str(found["key"])
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputRefused(f"{str(path)!r} is no key file of Kaggle; expected JSON with username and key.") from None


def _licence(view: object) -> str | None:
    found = view.get("licenseName") if isinstance(view, dict) else None
    return str(found)[:200] if found else None
