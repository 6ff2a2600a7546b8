"""Data of OpenML: `openml:ID`, and `openml:task/ID` with the task's target and its own folds.

By the JSON API, two or three requests; the official client brings its own cache, parsers and pickles. OPENML_SERVER takes another server,
as the client's setting `server` does; public data needs no key.
"""

from __future__ import annotations

import os
import re
from typing import Any

from tools.sources.contract import Found, OwnSplit, Room
from tools.sources.spelling import Spelling
from tools.sources.web import HttpWire, read_json
from tools.spec import InputRefused

SERVER = "OPENML_SERVER"
SERVICE = "https://www.openml.org/api/v1"
MOST_SPLIT_BYTES = 256 << 20
_FOLD_LINE = re.compile(rb"\s*'?(TRAIN|TEST)'?\s*,\s*(\d+)(?:\.0)?\s*,\s*(\d+)(?:\.0)?\s*,\s*(\d+)(?:\.0)?\s*", re.IGNORECASE)
"""Type, row, repeat and fold, in the order in which OpenML writes them."""


class OpenML:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options()
        match = re.fullmatch(r"(task/)?(\d+)", spelling.rest)
        if match is None:
            raise InputRefused(f"source {spelling.text!r}: expected openml:ID or openml:task/ID, with a number.")
        api = os.environ.get(SERVER, SERVICE).rstrip("/").removesuffix("/xml") + "/json"
        data, target, splits = match[2], None, None
        if match[1]:
            data, target, splits = _task(read_json(f"{api}/task/{match[2]}", room), spelling)
        view = read_json(f"{api}/data/{data}", room)
        described = view.get("data_set_description") if isinstance(view, dict) else None
        if not isinstance(described, dict) or not described.get("url"):
            raise InputRefused(f"{spelling.text}: OpenML describes no data of this number. Check it.")
        name = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', str(described.get('name') or data))[:100].lstrip('.') or data}.arff"
        md5 = str(described.get("md5_checksum") or "")
        wire = HttpWire(str(described["url"]))
        digest = room.downloads.bring(wire, room.folder / name, md5=md5 if re.fullmatch(r"[0-9a-fA-F]{32}", md5) else None)
        return Found(
            licence=str(described["licence"])[:200] if described.get("licence") else None,
            target=target or (str(described["default_target_attribute"]) if described.get("default_target_attribute") else None),
            split=OwnSplit(folds=_folds(splits, room)) if splits else None,
            known={name: digest},
        )


def _task(view: Any, spelling: Spelling) -> tuple[str, str | None, str | None]:
    """Number of the data, target, and address of the folds."""
    try:
        inputs = {each["name"]: each for each in view["task"]["input"]}
        source = inputs["source_data"]["data_set"]
        procedure = inputs.get("estimation_procedure", {}).get("estimation_procedure", {})
        return str(int(source["data_set_id"])), source.get("target_feature"), procedure.get("data_splits_url") or None
    except (KeyError, TypeError, ValueError):
        raise InputRefused(f"{spelling.text}: OpenML describes no task with data of this number. Check it.") from None


def _folds(url: str, room: Room) -> list[list[int]]:
    """Test rows of each fold of the first repeat."""
    text = room.downloads.read(HttpWire(url), MOST_SPLIT_BYTES)
    folds: dict[int, list[int]] = {}
    for line in text[text.lower().find(b"@data") + len(b"@data") :].splitlines():
        found = _FOLD_LINE.fullmatch(line)
        if found and found[1].upper() == b"TEST" and int(found[3]) == 0:
            folds.setdefault(int(found[4]), []).append(int(found[2]))
    return [sorted(folds[fold]) for fold in sorted(folds)]
