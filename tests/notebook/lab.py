"""A real JupyterLab with a headless browser before it: open a notebook, execute it, look at it. Nothing but loopback is reached."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from tornado.websocket import WebSocketClientConnection, websocket_connect

START_S = 120.0
TOKEN = "for-this-test"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def obstacle() -> str | None:
    """What is missing here, and how to get it; None where nothing is."""
    if lab_program() is None:
        return "there is no JupyterLab: pip install jupyterlab, here or in an environment whose jupyter-lab JUPYTER_LAB names"
    if browser_program() is None:
        return "there is no Chromium: apt-get install chromium"
    return None


def lab_program() -> str | None:
    beside = Path(sys.executable).with_name("jupyter-lab")
    return os.environ.get("JUPYTER_LAB") or (str(beside) if beside.exists() else shutil.which("jupyter-lab"))


def browser_program() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def jupyter_lab(folder: Path, *, dark: bool = False) -> Iterator[str]:
    """JupyterLab over `folder`, whose kernel is this Python with this repository; its address."""
    with ExitStack() as stack:
        own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlteam-lab-", ignore_cleanup_errors=True)))
        kernel = own / "share" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
        overrides = own / "settings"
        overrides.mkdir()
        theme = {"@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}}
        news = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
        (own / "config" / "labconfig").mkdir(parents=True)
        (overrides / "overrides.json").write_text(json.dumps(theme | news))
        port = free_port()
        environment = {
            **os.environ,
            "JUPYTER_PATH": str(own / "share"),
            "JUPYTER_CONFIG_DIR": str(own / "config"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
            "IPYTHONDIR": str(own / "ipython"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        command = [
            str(lab_program()), "--no-browser", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={folder}", f"--LabServerApp.app_settings_dir={overrides}", f"--LabApp.app_settings_dir={overrides}",
            f"--LabApp.user_settings_dir={own / 'user'}", f"--LabApp.workspaces_dir={own / 'workspaces'}",
            "--allow-root", "--LabApp.expose_app_in_browser=True",
        ]  # fmt: skip
        log = stack.enter_context((own / "lab.log").open("w"))
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        stack.callback(end, server)
        address = f"http://127.0.0.1:{port}"
        _until_it_answers(f"{address}/api/status?token={TOKEN}", server, own / "lab.log")
        yield address


class Page:
    """A page of a browser, over its debugging protocol."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection, self._number = connection, 0

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        number = self._number
        await self._connection.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = await self._connection.read_message()
            if message is None:
                raise ConnectionError("the browser has gone")
            document = json.loads(message)
            if document.get("id") == number:
                assert "error" not in document, document
                found: dict[str, Any] = document["result"]
                return found

    async def value(self, script: str) -> Any:
        """What a JavaScript expression is worth."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str, within_s: float) -> Any:
        """Wait until an expression is true and return its value."""
        async with asyncio.timeout(within_s):
            while not (found := await self.value(script)):
                await asyncio.sleep(0.25)
            return found

    async def screenshot(self, path: Path) -> None:
        found = await self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


@asynccontextmanager
async def browser(address: str, *, width: int = 1280, height: int = 1600) -> AsyncIterator[Page]:
    """A headless browser that has opened `address`."""
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="mlteam-browser-", ignore_cleanup_errors=True))
        command = [
            str(browser_program()), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(end, process)
        port = await _debugging_port(Path(profile) / "DevToolsActivePort", process)
        pages = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=START_S).json()
        target = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"]
        connection = await websocket_connect(re.sub("localhost", "127.0.0.1", target), max_message_size=1 << 28)
        try:
            page = Page(connection)
            await page.ask("Page.navigate", url=address)
            yield page
        finally:
            connection.close()
            while await connection.read_message() is not None:  # the last is None, and then its socket is closed
                pass


async def _debugging_port(file: Path, process: subprocess.Popen[bytes]) -> int:
    async with asyncio.timeout(START_S):
        while not (file.exists() and (lines := file.read_text().splitlines())):
            assert process.poll() is None, "the browser did not start"
            await asyncio.sleep(0.1)
    return int(lines[0])


def _until_it_answers(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    transport = httpx.HTTPTransport(retries=0)
    with httpx.Client(transport=transport, timeout=5) as client:
        for _ in range(int(START_S * 5)):
            assert server.poll() is None, log.read_text()[-2000:]
            try:
                if client.get(address).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    raise TimeoutError(log.read_text()[-2000:])


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, at the latest in 15 seconds."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
