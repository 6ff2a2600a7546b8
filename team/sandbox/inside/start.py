"""The program that runs inside every sandbox: an IPython kernel with what we do not need left out.

    python start.py CONNECTION_FILE RICH_OUTPUT_BYTES [--filter-calls]

It imports nothing of this project. It runs no cell and leaves no name behind: the first cell of a session finds the
namespace that a fresh notebook has. It differs from `python -m ipykernel_launcher` in this:

- with --filter-calls, the filter of system calls that lies beside it is loaded before all else;
- no history database, no debugger and no comm to a person (`input()` is refused with a message that says what to do);
- a message is never large: long text is sent in pieces, a display over the limit is replaced by a note, so that the
  host need not receive what it would throw away;
- every execute reply names the user's variables, so that the host can say what a crash lost;
- a crash in compiled code writes the Python traceback to stderr, where the host finds it;
- the work folder is importable, but after the installed packages: a file `random.py` that a cell wrote must not keep
  the next kernel from starting.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import importlib.util
import os
import struct
import sys
import termios
import time
from typing import Any

if "--filter-calls" in sys.argv:
    # By its path, since -P keeps this folder off sys.path, and without a name that a cell could meet.
    _spec = importlib.util.spec_from_file_location("seccomp", os.path.join(os.path.dirname(__file__), "seccomp.py"))
    assert _spec is not None
    assert _spec.loader is not None
    _seccomp = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(_seccomp)
    _seccomp.install()

sys.modules["debugpy"] = None  # type: ignore[assignment]  # importing it takes a third of the start-up; nobody attaches

from ipykernel.iostream import OutStream  # noqa: E402
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from ipykernel.kernelbase import Kernel  # noqa: E402
from jupyter_client.session import Session  # noqa: E402
from traitlets.config import Config  # noqa: E402
from zmq.constants import SocketOption  # noqa: E402

_PIECE = 1_000_000
"""Most characters of one stream message, and of an exception's message or traceback."""
_LET_THROUGH_SECONDS = 0.5
_NAMES = 200
"""Most variable names that a reply carries."""
_DISPLAYS = ("display_data", "update_display_data", "execute_result")


class NoInput(RuntimeError):
    """Raised by `input()` and `getpass()`."""


class QuietSession(Session):  # type: ignore[misc]  # jupyter_client's classes are untyped
    """Keeps each outgoing message small."""

    rich_output_bytes = 0

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(msg_or_type, dict):
            kind, body = msg_or_type["msg_type"], msg_or_type["content"]
        else:
            kind, body = msg_or_type, content
        if kind == "stream" and len(body["text"]) > _PIECE:
            return self._send_pieces(stream, msg_or_type, **kwargs)
        if kind in _DISPLAYS and isinstance(body["data"], dict):
            body["data"] = self._cut_display(body["data"])
        elif kind in ("error", "execute_reply") and body.get("status", "error") == "error":
            body["evalue"] = _cut(body["evalue"])
            body["traceback"] = _cut("\n".join(body["traceback"])).split("\n")
        return super().send(stream, msg_or_type, content, *args, **kwargs)

    def _send_pieces(self, stream: Any, msg: dict[str, Any], **kwargs: Any) -> None:
        text = msg["content"]["text"]
        for start in range(0, len(text), _PIECE):
            content = {"name": msg["content"]["name"], "text": text[start : start + _PIECE]}
            super().send(stream, self.msg("stream", content, parent=msg["parent_header"]), **kwargs)

    def _cut_display(self, data: dict[str, Any]) -> dict[str, Any]:
        size = {mime: len(value) if isinstance(value, str) else len(repr(value)) for mime, value in data.items()}
        if sum(size.values()) <= self.rich_output_bytes:
            return data
        kept, left = {}, self.rich_output_bytes
        for mime in sorted(size, key=size.__getitem__):
            left -= size[mime]
            if left >= 0:
                kept[mime] = data[mime]
        cut = ", ".join(f"{mime} of {size[mime]:,} bytes" for mime in data if mime not in kept)
        note = f"[left out of this display: {cut}; at most {self.rich_output_bytes:,} bytes are kept]"
        return {**kept, "text/plain": f"{kept['text/plain']}\n{note}" if "text/plain" in kept else note}


class QuietKernel(IPythonKernel):
    """IPython's kernel without debugger and stdin."""

    def start(self) -> None:
        Kernel.start(self)  # type: ignore[no-untyped-call]  # IPythonKernel.start would wait for a debugger

    async def do_execute(self, *args: Any, **kwargs: Any) -> Any:
        reply = await super().do_execute(*args, **kwargs)  # type: ignore[no-untyped-call]
        _let_through(1, 2)
        return reply

    def raw_input(self, prompt: str = "") -> str:
        raise NoInput(f"input({prompt!r}) cannot be answered: nobody types into this kernel. Write the value into the code.")

    def getpass(self, prompt: str = "", stream: Any = None, **_: Any) -> str:
        raise NoInput(f"getpass({prompt!r}) cannot be answered: nobody types into this kernel, and it is given no secrets.")

    def finish_metadata(self, parent: Any, metadata: dict[str, Any], reply_content: Any) -> dict[str, Any]:
        namespace, hidden = self.shell.user_ns, self.shell.user_ns_hidden  # type: ignore[union-attr]  # set when it was made
        names = [name for name in namespace if isinstance(name, str) and name[:1] != "_" and name not in hidden]
        metadata["names"] = names[:_NAMES]
        return dict(super().finish_metadata(parent, metadata, reply_content))  # type: ignore[no-untyped-call]


class QuietApp(IPKernelApp):
    """Wires the two above together."""

    def _session_default(self) -> QuietSession:
        return QuietSession(parent=self)

    def init_iopub(self, context: Any) -> None:
        # A publisher drops messages at its high-water mark, the cell's end included. Unsent output counts against the
        # memory limit of the sandbox instead.
        context.setsockopt(SocketOption.SNDHWM, 0)
        super().init_iopub(context)  # type: ignore[no-untyped-call]

    def init_pdb(self) -> None:
        """Left out: there is no terminal to debug at."""

    def init_path(self) -> None:
        sys.path.append("")


def _let_through(*descriptors: int) -> None:
    """Wait a moment for what child processes and compiled code wrote: a thread of the kernel carries it to the outputs."""
    until = time.monotonic() + _LET_THROUGH_SECONDS
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # no pipe any more: a cell closed it
            while struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))[0] and time.monotonic() < until:
                time.sleep(0.002)  # also what the thread has taken out, but not yet passed on


def _cut(text: str) -> str:
    if len(text) <= _PIECE:
        return text
    half = _PIECE // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters cut ...]\n{text[-half:]}"


def main() -> None:
    """Start the kernel described by the connection file and serve until it is ended."""
    connection_file, rich_output_bytes = sys.argv[1], int(sys.argv[2])
    sys.argv = [""]
    OutStream.flush_interval = 0.05  # what a cell printed this long before a crash is not lost with it
    QuietSession.rich_output_bytes = rich_output_bytes
    stderr = os.dup(2)  # a copy, because the kernel is going to redirect 2 to itself
    faulthandler.enable(file=stderr, all_threads=False)
    os.environ["MLTEAM_STDERR"] = str(stderr)  # for whoever has to say something there when the kernel cannot any more
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    config.Completer.use_jedi = False
    config.IPKernelApp.log_level = "CRITICAL"
    app = QuietApp.instance(config=config, kernel_class=QuietKernel, connection_file=connection_file)
    app.initialize([])
    for name in ("CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):  # ipykernel sets them; whoever reads this is no terminal
        os.environ.pop(name, None)
    os.environ["TERM"] = "dumb"
    app.start()


if __name__ == "__main__":
    main()
