"""Objects in s3://, gs:// and az:// buckets, by fsspec. Credentials, regions and endpoints are those that each provider's own tools read:
AWS_* variables and profiles, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_*. Without any, the bucket is read as anybody may.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator
from typing import Any

from tools.sources.contract import Found, Room
from tools.sources.downloading import CHUNK_BYTES, Answer, Transient
from tools.sources.secrets import conceal, hidden
from tools.sources.spelling import Spelling
from tools.spec import InputRefused

MODULES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "cloud"), "az": ("adlfs", "cloud")}
"""Package and extra by scheme."""
SECRETS = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"),
    *("AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_CONNECTION_STRING"),
)
MOST_OBJECTS = 100_000


class Cloud:
    """An object, all objects below a prefix that ends in `/`, or those that fit a pattern."""

    def bring(self, spelling: Spelling, room: Room) -> Found:
        spelling.refuse_options("sha256", "md5")
        for name in SECRETS:
            conceal(os.environ.get(name, ""))
        for part in os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";"):
            if part.startswith(("AccountKey=", "SharedAccessSignature=")):
                conceal(part.partition("=")[2])
        path = spelling.rest.removeprefix("//")
        if not path.strip("/") or "/" not in path.strip("/") + path[-1:]:
            raise InputRefused(
                f"source {spelling.address!r} names no object; expected {spelling.scheme}://BUCKET/KEY or a prefix with / behind."
            )
        system, found = _reached(spelling, path)
        if not found:
            raise InputRefused(f"there is nothing at {spelling.address}. Check the bucket and the key; a prefix ends in /.")
        names = _names(path, found)
        options = spelling.options if len(found) == 1 else {}
        known = {}
        for object_, name in zip(found, names, strict=True):
            wire = CloudWire(system, spelling.scheme, object_)
            known[name] = room.downloads.bring(wire, room.folder / name, sha256=options.get("sha256"), md5=options.get("md5"))
        return Found(known=known)


def _reached(spelling: Spelling, path: str) -> tuple[Any, list[str]]:
    """The file system and the objects meant: with credentials, or without where there are none."""
    package, extra = MODULES[spelling.scheme]
    # Whether a bucket has folders of its own is of no use here, and gcsfs would ask for it by gRPC and for a machine's own credentials,
    # which takes minutes where there are none.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import fsspec

        __import__(package)
    except ImportError:
        raise InputRefused(f"{spelling.scheme}:// needs {package}. Type: pip install 'mlteam[{extra}]'") from None
    problem = "nobody answered"
    for anonymous in ({}, {"anon": True} if spelling.scheme != "gs" else {"token": "anon"}):
        system = fsspec.filesystem(spelling.scheme, skip_instance_cache=True, use_listings_cache=False, **anonymous)
        try:
            return system, _objects(system, path)
        except Exception as error:  # each provider has errors of its own
            if type(error).__name__ not in ("NoCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError", "ValueError"):
                raise InputRefused(f"cannot read {spelling.address}: {_said(error)}. Check the address and the credentials.") from None
            problem = _said(error)
    raise InputRefused(f"cannot read {spelling.address}: {problem}. Set the provider's own variables for credentials.")


def _objects(system: Any, path: str) -> list[str]:
    if any(sign in path for sign in "*?["):
        found = [name for name in system.glob(path) if system.isfile(name)]
    elif path.endswith("/"):
        found = [name for name in system.find(path) if not name.endswith("/")]
    else:
        found = [path] if system.exists(path) else []
    if len(found) > MOST_OBJECTS:
        raise InputRefused(f"{len(found):,} objects fit; at most {MOST_OBJECTS:,} are taken.")
    return sorted(found)


def _names(path: str, found: list[str]) -> list[str]:
    """Names below a folder; keys can be anything, also `../x`."""
    top = posixpath.commonpath([posixpath.dirname(name) for name in found])
    names = [posixpath.relpath(name, top) for name in found]
    for name in names:
        if name.startswith("/") or ".." in name.split("/") or not name.isprintable() or len(name) > 1000:
            raise InputRefused(f"an object is called {name[:80]!r}, which is no name for a file.")
    return names


class CloudWire:
    """One object; its ETag, or its size and time of change, is the validator."""

    def __init__(self, system: Any, scheme: str, path: str) -> None:
        self._system, self._path = system, path
        self.key = f"{scheme}://{path}"

    @contextlib.contextmanager
    def open(self, start: int, validator: str | None, cached: str | None) -> Iterator[Answer]:
        try:
            facts = self._system.info(self._path)
            size = int(facts["size"])
            now = str(facts.get("ETag") or facts.get("etag") or f"{size} {facts.get('LastModified') or facts.get('last_modified')}")
            if cached == now:
                yield Answer(iter(()), unchanged=True)
                return
            begin = start if validator == now and start <= size else 0
            with self._system.open(self._path, "rb", block_size=4 * CHUNK_BYTES, cache_type="readahead") as file:
                file.seek(begin)
                yield Answer(iter(lambda: file.read(CHUNK_BYTES), b""), begin, size, now)
        except FileNotFoundError:
            raise InputRefused(f"there is nothing at {self.key}. Check the bucket and the key.") from None
        except PermissionError as error:
            raise InputRefused(f"{self.key} may not be read: {_said(error)}. Check the credentials.") from None
        except (OSError, TimeoutError) as error:
            raise Transient(_said(error)) from None


def _said(error: Exception) -> str:
    return hidden(" ".join((str(error) or type(error).__name__).split())[:300])
