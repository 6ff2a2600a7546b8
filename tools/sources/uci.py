"""Data of the UCI Machine Learning Repository: `uci:ID`.

By the API that the repository's own ucimlrepo asks: one request says where the table lies, and which column is the target. The package adds
only that it reads the table whole into memory. UCI_API takes another address; the service has no variable of its own.
"""

from __future__ import annotations

import os

from tools.sources.contract import Found, Room
from tools.sources.spelling import Spelling
from tools.sources.web import HttpWire, file_name, read_json
from tools.spec import InputRefused

ADDRESS = "UCI_API"
SERVICE = "https://archive.ics.uci.edu/api/dataset"


class Uci:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5")
        number = spelling.rest
        if not number.isdecimal():
            raise InputRefused(f"source {spelling.text!r}: expected uci:ID, with a number.")
        view = read_json(f"{os.environ.get(ADDRESS, SERVICE)}?id={number}", room)
        data = view.get("data") if isinstance(view, dict) else None
        if not isinstance(data, dict):
            raise InputRefused(f"{spelling.text}: the repository describes no data of this number. Check it.")
        url = data.get("data_url")
        if not url:
            raise InputRefused(
                f"{spelling.text} is in the repository, but not as a table that its API gives out. Download it, and give the file."
            )
        variables = data.get("variables") or []
        targets = [str(v.get("name")) for v in variables if isinstance(v, dict) and str(v.get("role")).lower() == "target"]
        name = file_name(str(url), f"uci-{number}.csv")
        digest = room.downloads.bring(
            HttpWire(str(url)), room.folder / name, sha256=spelling.options.get("sha256"), md5=spelling.options.get("md5")
        )
        return Found(target=targets[0] if len(targets) == 1 else None, known={name: digest})
