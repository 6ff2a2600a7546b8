"""Datasets of the Hugging Face Hub: `hf:owner/name`, with `#config=NAME` for files of one configuration and `#revision=NAME`.

Files are taken as they lie in the repository; a loading script is never run. The Hub's API says what they are called, how large they are
and, of large ones, their SHA-256: one request, so that huggingface_hub and what it brings along are no needed install. HF_TOKEN and
HF_ENDPOINT are its variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from tools.sources.contract import Found, OwnSplit, Room
from tools.sources.spelling import Spelling
from tools.sources.web import HttpWire, read_json
from tools.spec import InputRefused

ENDPOINT = "HF_ENDPOINT"
SERVICE = "https://huggingface.co"
KINDS = (
    "parquet",
    "csv",
    "tsv",
    "jsonl",
    "json",
    "arrow",
    "txt",
    "zip",
    "gz",
    "zst",
    "xz",
    "bz2",
    "7z",
    "tar",
    "arff",
    "xlsx",
    "feather",
    "orc",
)
"""Endings of data files, the ones to prefer first; of these only the best kind that there is gets fetched."""
NO_DATA = re.compile(r"(^|/)(\.|dataset_infos?\.json$|readme|license|state\.json$)", re.IGNORECASE)
PARTS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"}
PARTS |= {"test": "test", "testing": "test", "eval": "test", "evaluation": "test"}
"""The Hub's own words for parts of a split, by which it reads them out of file names."""


class HuggingFace:
    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("config", "revision")
        name = spelling.rest
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or ".." in name:
            raise InputRefused(f"source {spelling.text!r}: expected hf:OWNER/NAME.")
        home = os.environ.get(ENDPOINT, SERVICE).rstrip("/")
        token = room.secrets.get("HF_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        asked = spelling.options.get("revision", "main")
        view = read_json(f"{home}/api/datasets/{name}/revision/{quote(asked, safe='')}?blobs=true", room, headers)
        files = list(_data_files(view, spelling))
        revision = quote(str(view.get("sha") or asked), safe="")
        known: dict[str, str] = {}
        parts: dict[str, list[str]] = {}
        for path, digest in files:
            wire = HttpWire(f"{home}/datasets/{name}/resolve/{revision}/{quote(path)}", headers)
            known[path] = room.downloads.bring(wire, room.folder / path, sha256=digest)
            if part := _part(path):
                parts.setdefault(part, []).append(path)
        whole = sum(len(paths) for paths in parts.values()) == len(files) and len(parts) > 1
        return Found(licence=_licence(view), split=OwnSplit(parts=parts) if whole else None, known=known)


def _data_files(view: Any, spelling: Spelling) -> Iterator[tuple[str, str | None]]:
    """Path and SHA-256 of the files to take."""
    listed = view.get("siblings") if isinstance(view, dict) else None
    found = {str(file["rfilename"]): file for file in listed or () if isinstance(file, dict) and "rfilename" in file}
    config = spelling.options.get("config")
    fitting = [
        path
        for path in sorted(found)
        if not NO_DATA.search(path) and (not config or config in re.split(r"[/_.-]", path) or f"{config}/" in path)
    ]
    kind = next((kind for kind in KINDS if any(path.lower().endswith(f".{kind}") for path in fitting)), None)
    taken = [path for path in fitting if kind and path.lower().endswith(f".{kind}")]
    if not taken:
        there = ", ".join(sorted(found)[:5]) or "no files"
        raise InputRefused(f"{spelling.text} holds no data file{f' of {config!r}' if config else ''} that is read here; it has {there}.")
    for path in taken:
        if path.startswith("/") or ".." in path.split("/") or not path.isprintable():
            raise InputRefused(f"{spelling.text} has a file called {path[:80]!r}, which is no name for one.")
        large = found[path].get("lfs")
        digest = str(large.get("sha256") or large.get("oid") or "").removeprefix("sha256:") if isinstance(large, dict) else ""
        yield path, digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None


def _part(path: str) -> str | None:
    words = [word for word in re.split(r"[^a-z]+", path.lower()) if word in PARTS]
    return PARTS[words[-1]] if words else None


def _licence(view: Any) -> str | None:
    card = view.get("cardData") if isinstance(view, dict) else None
    found = card.get("license") if isinstance(card, dict) else None
    return ", ".join(map(str, found))[:200] if isinstance(found, list) else str(found)[:200] if found else None
