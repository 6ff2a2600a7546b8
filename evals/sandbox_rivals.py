"""AutoGen's two Jupyter executors as contestants of the sandbox bench.

They are used as their documentation shows. `DockerJupyterCodeExecutor` gets our own image with a kernel gateway in it, so that both
start from the same interpreter and libraries; its Dockerfile says what AutoGen's does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.sandbox_contestants import Conditions, Opened, Reply

if TYPE_CHECKING:
    from docker import DockerClient

REPOSITORY = "mlteam-bench-rival"
_GATEWAY = "jupyter-kernel-gateway==3.0.1"
_PYTHON = "/mlteam/venv/bin/python"
_START_SECONDS = 60.0
_INSTALL = "install AutoGen's executors: pip install 'mlteam[bench]'"
_DOCKERFILE = f"""
ARG BASE
FROM ${{BASE}}
USER root
COPY wheels /wheels
RUN python3 -m pip --python {_PYTHON} install --quiet --no-index --find-links /wheels --no-cache-dir {_GATEWAY} \\
    && rm -r /wheels && mkdir -p /workspace /home/rival && chown 1000:1000 /workspace /home/rival
ENV TOKEN="UNSET" HOME=/home/rival
USER 1000:1000
EXPOSE 8888
CMD exec {_PYTHON} -m jupyter kernelgateway --KernelGatewayApp.ip=0.0.0.0 --KernelGatewayApp.port=8888 \\
    --KernelGatewayApp.auth_token="${{TOKEN}}" --JupyterApp.answer_yes=true --JupyterWebsocketPersonality.list_kernels=true
"""


class JupyterLocal:
    """AutoGen's `JupyterCodeExecutor`: a kernel as a child of the host, through nbclient."""

    kernel_program = "ipykernel_launcher"
    spares = False

    def __init__(self, name: str) -> None:
        self.name = name

    def obstacle(self) -> str | None:
        try:
            from autogen_ext.code_executors.jupyter import JupyterCodeExecutor  # noqa: F401  # whether it can be
        except (ImportError, RuntimeError) as error:  # AutoGen makes some of the first into the second
            return f"{error}; {_INSTALL}"
        return None

    @asynccontextmanager
    async def open(self, work: Path, conditions: Conditions) -> AsyncIterator[Opened]:
        from autogen_ext.code_executors.jupyter import JupyterCodeExecutor

        executor = JupyterCodeExecutor(timeout=conditions.timeout_s, output_dir=None if conditions.bare else work)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # it leaves the tasks of cells behind that met their deadline
        try:
            with _silenced():
                await executor.start()
            yield _Executor(executor, str(work))
        finally:
            with contextlib.suppress(Exception):  # a session that some cell has ruined cannot always be stopped in order
                await executor.stop()
            gc.collect()
            loop.set_exception_handler(None)
            if conditions.bare:
                shutil.rmtree(executor.output_dir, ignore_errors=True)

    def containers(self, host: int) -> list[str]:
        return []


class JupyterDocker:
    """AutoGen's `DockerJupyterCodeExecutor`: a kernel behind a gateway in a container, through HTTP and a web socket."""

    kernel_program = ""
    spares = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._image = ""

    def obstacle(self) -> str | None:
        from team.sandbox.daemon import DaemonUnavailable, connect
        from team.sandbox.image import find

        try:
            from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor  # noqa: F401  # whether it can be
        except (ImportError, RuntimeError) as error:  # AutoGen makes some of the first into the second
            return f"{error}; {_INSTALL}"
        import docker.errors

        try:
            client = connect()
        except DaemonUnavailable as error:
            return str(error)
        try:
            base = find(client).current
            if base is None:
                return "there is no image to put its gateway into. Type: mlteam sandbox build"
            self._image = build(client, base)
        except (docker.errors.DockerException, OSError, RuntimeError) as error:
            return str(error)
        finally:
            client.close()
        return None

    @asynccontextmanager
    async def open(self, work: Path, conditions: Conditions) -> AsyncIterator[Opened]:
        from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor, DockerJupyterServer

        server = DockerJupyterServer(
            custom_image_name=self._image,
            container_name=f"{_of(os.getpid())}{uuid.uuid4().hex}",
            bind_dir=None if conditions.bare else work,
        )
        executor = DockerJupyterCodeExecutor(server, timeout=conditions.timeout_s)
        try:
            await _answers(executor)
            yield _Executor(executor, "/workspace")
        finally:
            with contextlib.suppress(Exception):  # a session that some cell has ruined cannot always be stopped in order
                await executor.stop()
            await server.stop()

    def containers(self, host: int) -> list[str]:
        from team.sandbox.daemon import connect

        client = connect()
        try:
            return [str(one["Id"]) for one in client.api.containers(all=True, filters={"name": _of(host)})]
        finally:
            client.close()


class _Executor:
    """A started executor of AutoGen."""

    def __init__(self, executor: Any, folder: str) -> None:
        self.folder = folder
        self._executor = executor

    async def run(self, code: str) -> Reply:
        from autogen_core import CancellationToken
        from autogen_core.code_executor import CodeBlock

        try:
            result = await self._executor.execute_code_blocks([CodeBlock(code=code, language="python")], CancellationToken())
        except Exception as error:  # it lets through whatever nbclient, websockets and aiohttp raise
            return Reply(False, f"{type(error).__name__}: {error}")
        images = tuple(path.read_bytes() for path in map(Path, result.output_files) if path.suffix == ".png")
        return Reply(result.exit_code == 0, result.output, images)

    async def renew(self) -> None:
        with _silenced():
            await self._executor.restart()

    async def settle(self) -> None:
        pass


@contextmanager
def _silenced() -> Iterator[None]:
    """Give a kernel that is started meanwhile a standard error that nobody reads: it warns there of its own TCP ports."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


async def _answers(executor: Any) -> None:
    """Start the kernel. The server counts as started when its container runs, which is before anything listens in it."""
    import aiohttp
    import requests

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            return await executor.start()
        except (requests.RequestException, aiohttp.ClientError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.02)


def _of(host: int) -> str:
    """How the names of a process's containers begin."""
    return f"{REPOSITORY}-{host}-"


def build(client: DockerClient, base: str) -> str:
    """The tag of an image with a kernel gateway on top of `base`, which is built unless it is there.

    Raises:
        RuntimeError: pip could not fetch the gateway, or the build failed.
        docker.errors.DockerException, OSError: the daemon refused something, or is gone.
    """
    import docker.errors

    made_of = f"{client.images.get(base).id}{_DOCKERFILE}"
    tag = f"{REPOSITORY}:{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(tag)
        return tag
    print(f"building {tag} from {base}", file=sys.stderr)
    facts = "import platform; print(platform.python_version(), platform.machine())"
    python, machine = client.containers.run(base, [_PYTHON, "-c", facts], network_mode="none", remove=True).decode().split()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")
        _fetch(Path(folder, "wheels"), python, machine)
        try:
            client.images.build(path=folder, tag=tag, buildargs={"BASE": base}, network_mode="none", rm=True, forcerm=True)
        except docker.errors.BuildError as error:
            raise RuntimeError(f"its image could not be built: {error.msg}") from None
    return tag


def _fetch(folder: Path, python: str, machine: str) -> None:
    """Fill a folder with the gateway's wheels and all that they need, for the image's Python."""
    fitting = [f"--platform={name}_{machine}" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={python}", *fitting, _GATEWAY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise RuntimeError(f"pip could not fetch {_GATEWAY} for Python {python}: {' '.join(complaint) or done.stderr[-500:]}")


def remove_images(client: DockerClient) -> list[str]:
    """Remove the images that `build` made. Returns their tags."""
    tags = [tag for image in client.images.list(name=REPOSITORY) for tag in image.tags]
    for tag in tags:
        client.images.remove(tag)
    return tags
