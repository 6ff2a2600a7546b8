"""Bring a source to disk: a local file, an http(s) URL, or a table that scikit-learn bundles."""

from __future__ import annotations

import difflib
import errno
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tools.spec import InputRefused

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
"""Tables inside the scikit-learn package (linnerud has three targets: name one)."""
MAX_DOWNLOAD_BYTES = 4 * 2**30
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
SPARE_BYTES = 64 * 2**20
"""Free space that must remain for the run itself."""


@dataclass(frozen=True)
class Fetched:
    """A source on disk."""

    path: Path
    bytes: int
    sha256: str
    licence: str | None


def fetch(source: str, folder: Path) -> Fetched:
    """Copy or download `source` into `folder`.

    Raises:
        InputRefused: when the source does not exist, cannot be read, is too large for the disk, or does not answer;
            the message names it, what was expected and what to do.
    """
    if source.startswith("sklearn:"):
        return _bundled(source.removeprefix("sklearn:"), folder)
    if source.startswith(("http://", "https://")):
        return _download(source, folder)
    if "://" in source:
        raise InputRefused(f"source {source!r} has an unknown scheme; expected a file, http://, https:// or sklearn:NAME.")
    try:
        return _local(Path(source).expanduser(), folder)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputRefused(f"source {source!r} cannot be read: {error.strerror}.") from None


def _local(path: Path, folder: Path) -> Fetched:
    if path.is_dir():
        tables = sorted(p.name for p in path.iterdir() if p.suffix in (".csv", ".parquet"))
        hint = f" It holds {', '.join(tables[:3])}: name one of these." if tables else ""
        raise InputRefused(f"source {str(path)!r} is a directory, expected a file.{hint}")
    if not path.exists():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=3)
        hint = f" Near it: {', '.join(near)}." if near else f" The folder {str(path.parent)!r} has no such file; check the spelling."
        raise InputRefused(f"no such file: {str(path)!r}.{hint}")
    if not path.is_file():
        raise InputRefused(f"source {str(path)!r} is no regular file.")
    _check_space(folder, path.stat().st_size)
    copy = folder / f"source{_suffix(path)}"
    try:
        shutil.copyfile(path, copy)
    except PermissionError:
        raise InputRefused(f"source {str(path)!r} cannot be read: permission denied. Try: chmod +r {str(path)!r}") from None
    return _described(copy, None)


def _suffix(path: Path) -> str:
    """`.csv`, `.csv.gz`, …: what tells the kind of a table."""
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def _bundled(name: str, folder: Path) -> Fetched:
    if name not in BUNDLED:
        raise InputRefused(f"source 'sklearn:{name}' is not bundled with scikit-learn; expected one of: {', '.join(BUNDLED)}.")
    import sklearn.datasets

    table = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
    path = folder / "source.parquet"
    table.frame.to_parquet(path, index=False)
    return _described(path, "BSD-3-Clause (scikit-learn)")


def _download(url: str, folder: Path) -> Fetched:
    import httpx

    try:
        address = urlsplit(url)
    except ValueError as error:
        raise InputRefused(f"{url!r} is no URL: {error}.") from None
    path = folder / f"source{_suffix(Path(address.path)) or '.csv'}"
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise InputRefused(f"{url} answered {response.status_code} {response.reason_phrase}, expected 200. Check the address.")
            announced = int(response.headers.get("content-length") or 0)
            if announced > MAX_DOWNLOAD_BYTES:
                raise InputRefused(f"{url} announces {announced:,} bytes, more than the {MAX_DOWNLOAD_BYTES:,} that are fetched at most.")
            _check_space(folder, announced)
            _store(response, url, path)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise InputRefused(f"cannot fetch {url}: {reason}. Check the address and the network, or give a local file.") from None
    except httpx.InvalidURL as error:
        raise InputRefused(f"{url!r} is no URL: {error}.") from None
    return _described(path, None)


def _store(response: object, url: str, path: Path) -> None:
    received = 0
    with path.open("wb") as handle:
        for chunk in response.iter_bytes(1 << 20):  # type: ignore[attr-defined]  # an httpx.Response; httpx is imported late
            received += len(chunk)
            if received > MAX_DOWNLOAD_BYTES:
                raise InputRefused(f"{url} sent more than the {MAX_DOWNLOAD_BYTES:,} bytes that are fetched at most.")
            handle.write(chunk)


def _check_space(folder: Path, size: int) -> None:
    # The table is kept as it came and again as train, holdout and refit tables.
    needed = 3 * size + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputRefused(
            f"the disk of {str(folder.parent.parent)!r} has {free / 2**20:.0f} MiB free and the run needs about {needed / 2**20:.0f} MiB."
            " Free some, or name another folder with --out DIR."
        )


def _described(path: Path, licence: str | None) -> Fetched:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return Fetched(path=path, bytes=path.stat().st_size, sha256=digest.hexdigest(), licence=licence)
