"""Build the image of the Docker sandbox, prove it, and only then give it its tag.

Two builds of one Dockerfile. The first makes the libraries (a minute) and is kept under a name of its own, so that a
change to the project's code is only the second (seconds). The builder's cache is not used for that: to keep it, one
would have to keep the stage with the wheels, which is larger than the image.
"""

from __future__ import annotations

import fcntl
import io
import json
import re
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.sandbox.image import LOCK, TORCH_LOCK, Recipe, hash_of, inputs_hash, tag, tags
from team.sandbox.wheelhouse import Target, fill
from tools.sources.cache import usual_cache

if TYPE_CHECKING:
    from docker import DockerClient

Progress = Callable[[str], None]
_LABEL = "mlteam.sandbox"
"""On every image and stage of the Dockerfile, so that what a build leaves can be told from other people's images."""
_HASH_LABEL = "mlteam.sandbox.image"
_LAST_STAGE = "\nFROM libraries\n"
_LOG_LINES = 20
_SILENT_SECONDS = 900
"""How long the daemon may say nothing while it works: installing a gigabyte of libraries is one silent step."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""The builder prints what went to standard error in red."""
_NOISE = re.compile(r"\s*(--->|Removing intermediate|Successfully|$)")
_FACTS = """
import json, os, pip, sys, venv
libc = os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")
print(json.dumps([sys.version_info[:2], os.uname().machine, [int(libc[0]), int(libc[1])]]))
"""


@dataclass(frozen=True)
class Built:
    """An image that was proven and has its tag."""

    tag: str
    size_bytes: int
    """Of all its layers, the base's included."""
    seconds: float


def build(
    client: DockerClient,
    *,
    base: str,
    torch: bool,
    offline: bool,
    progress: Progress,
    keep_old: bool = False,
    recipe: Recipe | None = None,
) -> Built:
    """Build the image that fits this installation.

    Args:
        base: image with Python 3.11 or later, venv and pip; pulled if it is not there, unless `offline`.
        torch: whether torch goes in.
        offline: fetch wheels with the host's pip, and build without network.
        progress: called with lines of text.
        keep_old: leave the images of other versions of the project.

    Raises:
        UsageError: the base cannot be used.
        PrerequisiteMissing: the base is not there, or no wheels are to be had.
        MlteamError: the build failed, or the image did not prove itself. It got no tag.
    """
    recipe = recipe or Recipe()
    started = time.monotonic()
    client.api.timeout = _SILENT_SECONDS
    name = tag(torch, recipe)
    with _one_at_a_time(progress), _daemon_errors():
        try:
            base_id, target = _look_at(client, base, offline, recipe)
            builder = _Builder(client, recipe, base, base_id, offline, progress)
            image_id = builder.image(torch, builder.libraries(torch, target))
            _prove(client, image_id, progress)
            client.images.get(image_id).tag(*name.split(":"))
            if not keep_old:
                _remove_old(client, recipe, {builder.libraries_tag(True), builder.libraries_tag(False)}, progress)
            size = client.images.get(name).attrs["Size"]
        finally:
            # Stages without a tag: of this build and of earlier ones, for when a build is interrupted, the daemon still ends its step.
            client.images.prune(filters={"dangling": True, "label": _LABEL})
    return Built(name, size, time.monotonic() - started)


class _Builder:
    """The two builds, and what they have in common."""

    def __init__(self, client: DockerClient, recipe: Recipe, base: str, base_id: str, offline: bool, progress: Progress) -> None:
        self.client, self.recipe, self.base, self.base_id, self.offline, self.progress = client, recipe, base, base_id, offline, progress
        text = recipe.dockerfile.read_text(encoding="utf-8")
        self.head, marker, self.tail = text.partition(_LAST_STAGE)
        if not marker:
            raise UsageError(f"{recipe.dockerfile} has no last stage {_LAST_STAGE.strip()!r}")

    def libraries_tag(self, torch: bool) -> str:
        """The name of the image with the libraries, a hash of what they are made of."""
        files = self.recipe.library_files(torch)
        parts = [("Dockerfile", self.head.encode()), ("base", self.base_id.encode())]
        key = hash_of([*parts, *((name, path.read_bytes()) for name, path in files.items())])
        return f"{self.recipe.libraries_repository}:{key}{'-torch' if torch else ''}"

    def libraries(self, torch: bool, target: Target) -> str:
        """The tag of the image with the libraries, built unless it is there."""
        from docker.errors import ImageNotFound

        name = self.libraries_tag(torch)
        try:
            self.client.images.get(name)
            self.progress(f"libraries from {name}")
        except ImageNotFound:
            files = self.recipe.library_files(torch) | (self._wheels(torch, target) if self.offline else {})
            arguments = {"BASE_IMAGE": self.base, "TORCH": "yes" if torch else "no"}
            self._run(self.head, files, tag=name, target="libraries", buildargs=arguments)
        return name

    def image(self, torch: bool, libraries: str) -> str:
        """The id of the image, which has no tag yet."""
        label = {_HASH_LABEL: inputs_hash(torch, self.recipe)}
        return self._run(f"FROM {libraries}\n{self.tail}", self.recipe.code_files(), labels=label)

    def _wheels(self, torch: bool, target: Target) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for lock in (LOCK, *([TORCH_LOCK] if torch else [])):
            wheels = fill(self.recipe.folder / lock, target, self.progress)
            found |= {f"sandbox_image/wheelhouse/{wheel.name}": wheel for wheel in wheels.glob("*.whl")}
        if any("/nvidia" in name for name in found):
            self.progress("pip found no CPU build of torch, so the image gets CUDA's libraries, some gigabytes; --no-torch leaves them out")
        return found

    def _run(self, dockerfile: str, files: Mapping[str, Path], **options: Any) -> str:
        """Run one build; returns the image's id."""
        log: deque[str] = deque(maxlen=_LOG_LINES)
        image_id = ""
        network = "none" if self.offline else None
        with _context(dockerfile, files) as context:
            messages = self.client.api.build(
                fileobj=context, custom_context=True, network_mode=network, rm=True, forcerm=True, decode=True, **options
            )
            with closing(messages):  # the daemon goes on building until nobody listens
                for message in messages:
                    for line in _COLOUR.sub("", message.get("stream", "")).splitlines():
                        if not _NOISE.match(line):
                            log.append(line)
                            self.progress(line)
                    image_id = message.get("aux", {}).get("ID", image_id)
                    if "error" in message:
                        hint = [] if self.offline else ["If containers have no package index here: mlteam sandbox build --offline"]
                        raise MlteamError("\n".join(["the image could not be built:", *log, message["error"], *hint]))
        return image_id


def _look_at(client: DockerClient, base: str, offline: bool, recipe: Recipe) -> tuple[str, Target]:
    """The base image's id and what wheels it needs."""
    from docker.errors import APIError, ImageNotFound

    try:
        image = client.images.get(base)
    except ImageNotFound:
        try:
            if offline:
                raise PrerequisiteMissing("an offline build fetches none")
            image = client.images.pull(base)
        except (APIError, PrerequisiteMissing) as error:
            script = recipe.folder / "make_base.sh"
            raise PrerequisiteMissing(
                f"the base image {base} is not on this machine ({error}). Fetch it where a registry can be reached: docker pull {base}. "
                f"Or make one of Debian's packages, as root: {script} mlteam-base:debian12 && "
                "mlteam sandbox build --offline --base mlteam-base:debian12"
            ) from error
    try:
        code, lines = _run_container(client, str(image.id), command=["python3", "-c", _FACTS], entrypoint="")
        if code:
            raise ValueError(lines[-1])
        (major, minor), machine, (libc_major, libc_minor) = json.loads(lines[-1])
    except (APIError, ValueError, IndexError) as error:
        raise UsageError(f"the base image {base} needs Python 3.11 or later, with venv and pip, and GNU's C library: {error}") from error
    if (major, minor) < (3, 11):
        raise UsageError(f"the base image {base} has Python {major}.{minor}; 3.11 or later is needed, such as python:3.11-slim")
    return str(image.id), Target((major, minor), machine, (libc_major, libc_minor))


def _prove(client: DockerClient, image_id: str, progress: Progress) -> None:
    """Run the image's own check, under the restrictions that it will run under."""
    progress("proving the image")
    restrictions: dict[str, Any] = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    code, lines = _run_container(client, image_id, tmpfs={"/tmp": "size=256m"}, **restrictions)
    for line in lines:
        progress(line)
    if code:
        raise MlteamError(
            "\n".join([f"the new image does not work (exit code {code} of smoke.py), so it got no tag:", *lines[-_LOG_LINES:]])
        )


def _run_container(client: DockerClient, image_id: str, **options: Any) -> tuple[int, list[str]]:
    """Run a container without network to its end; returns its exit code and what it printed. Nothing of it stays."""
    container = client.containers.create(image_id, network_mode="none", **options)
    try:
        container.start()
        code = int(container.wait()["StatusCode"])
        return code, container.logs().decode(errors="replace").splitlines()
    finally:
        container.remove(force=True, v=True)


def _remove_old(client: DockerClient, recipe: Recipe, libraries: set[str], progress: Progress) -> None:
    """Remove the images of other versions, and the libraries that none but they need."""
    from docker.errors import APIError

    there = tags(client, recipe.repository) | tags(client, recipe.libraries_repository)
    for name in sorted(there - {tag(True, recipe), tag(False, recipe)} - libraries):
        try:
            client.images.remove(name)
            progress(f"removed {name}")
        except APIError as error:
            progress(f"{name} stays: {error.explanation}")


@contextmanager
def _context(dockerfile: str, files: Mapping[str, Path]) -> Iterator[IO[bytes]]:
    """A build context as a tar file: root's, readable by everybody, without times, so that equal contents are equal files."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            _add(archive, "Dockerfile", io.BytesIO(dockerfile.encode()), len(dockerfile.encode()))
            for name, path in files.items():
                with path.open("rb") as content:
                    _add(archive, name, content, path.stat().st_size)
        file.seek(0)
        yield file


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    archive.addfile(entry, content)


@contextmanager
def _one_at_a_time(progress: Progress) -> Iterator[None]:
    """Wait for another build of this user to end: it fills the same wheelhouse, and its stages look like leftovers."""
    folder = usual_cache()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def _daemon_errors() -> Iterator[None]:
    """What the daemon or the line to it says is told once, without a traceback."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise MlteamError(f"the Docker daemon did not do its part: {error}") from error
