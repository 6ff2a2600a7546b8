"""`bubblewrap`: the contract, and that what is outside stays outside."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import team
from team.errors import UsageError
from team.sandbox import Kernel, open_kernel
from team.sandbox.bubblewrap import HostView
from tests.contracts.sandbox import LIMITS, SandboxContract, told


@pytest.mark.bubblewrap
class TestBubblewrap(SandboxContract):
    """Differs in nothing."""

    name = "bubblewrap"

    @pytest.fixture(scope="module")
    @classmethod
    def kind(cls) -> str:
        return "bubblewrap"


@pytest.mark.bubblewrap
@pytest.mark.asyncio(loop_scope="module")
class TestIsolation:
    """A run folder with a vault beside the two folders that the kernel gets."""

    @pytest.fixture(scope="module")
    @classmethod
    def run(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        run = tmp_path_factory.mktemp("run")
        for name in ("work", "data", "vault"):
            (run / name).mkdir()
        (run / "vault" / "labels.csv").write_text("sealed")
        (run / "data" / "train.csv").write_text("a,b\n")
        return run

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    @classmethod
    async def kernel(cls, run: Path) -> AsyncIterator[Kernel]:
        async with open_kernel("bubblewrap", work=run / "work", data=run / "data", limits=LIMITS) as kernel:
            yield kernel

    async def test_no_network(self, kernel: Kernel) -> None:
        connected = asyncio.Event()
        server = await asyncio.start_server(lambda *_: connected.set(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            result = await told(
                kernel,
                "import socket\n"
                f"for address in (('127.0.0.1', {port}), ('192.0.2.1', 80)):\n"
                "    try: socket.create_connection(address, timeout=1); print('connected')\n"
                "    except OSError as error: print(type(error).__name__)",
            )
        assert "connected" not in result.text
        assert not connected.is_set()

    async def test_no_abstract_socket_of_the_host(self, kernel: Kernel) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"\0mlteam-test-{os.getpid()}")
            server.listen()
            result = await kernel.execute(
                f"import socket\nsocket.socket(socket.AF_UNIX).connect('\\0mlteam-test-{os.getpid()}')",
            )
        assert result.ename == "ConnectionRefusedError"

    async def test_loopback_inside_works(self, kernel: Kernel) -> None:
        result = await told(
            kernel,
            "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
            "socket.create_connection(s.getsockname()).close(); s.close(); print('ok')",
        )
        assert result.text == "ok\n"

    async def test_nothing_of_the_run_but_work_and_data(self, kernel: Kernel, run: Path) -> None:
        result = await told(
            kernel,
            "import os\n"
            f"print([os.path.exists(p) for p in ({str(run)!r}, {str(run / 'vault' / 'labels.csv')!r}, '../vault', '/mlteam/vault')])\n"
            "print(sorted(os.listdir('/mlteam')), os.getcwd(), os.environ['MLTEAM_WORK'], os.environ['MLTEAM_DATA'])",
        )
        assert result.text == (
            "[False, False, False, False]\n"
            "['code', 'connection', 'data', 'home', 'inside', 'work'] /mlteam/work /mlteam/work /mlteam/data\n"
        )

    async def test_nothing_of_the_project_but_tools(self, kernel: Kernel) -> None:
        project = Path(team.__file__).parent.parent
        result = await told(
            kernel,
            "import importlib.util, os, tools.show\n"
            # A library may bring a folder `tests` of its own.
            "found = [importlib.util.find_spec(name) for name in ('team', 'evals', 'reports', 'tests')]\n"
            f"print([bool(spec) and {str(project / 'tests')!r} in (spec.submodule_search_locations or []) for spec in found])\n"
            "names = ('team', '.git', 'tests', 'pyproject.toml', 'runs')\n"
            f"print([os.path.exists(os.path.join({str(project)!r}, name)) for name in names])\n"
            "print(os.listdir('/mlteam/code'), tools.show.__file__)",
        )
        assert result.text == ("[False, False, False, False]\n[False, False, False, False, False]\n['tools'] /mlteam/code/tools/show.py\n")

    async def test_nothing_of_the_users_home_but_the_interpreter(self, kernel: Kernel) -> None:
        allowed = [Path(p) for p in (sys.prefix, sys.base_prefix, Path(sys.executable).resolve().parent.parent)]
        home = Path.home()
        result = await told(
            kernel,
            "import os\n"
            f"for folder, names, files in os.walk({str(home)!r}):\n"
            f"    names[:] = [n for n in names if os.path.join(folder, n) not in {[str(p) for p in allowed]!r}]\n"
            "    for name in files: print(os.path.join(folder, name))",
        )
        assert result.text == ""

    async def test_no_process_of_the_host(self, kernel: Kernel) -> None:
        result = await told(
            kernel,
            "import os\npids = [p for p in os.listdir('/proc') if p.isdigit()]\n"
            "print(len(pids), {open(f'/proc/{p}/comm').read().strip() for p in pids} <= {'bwrap', 'python', 'python3', 'python3.11'})",
        )
        count, ours = result.text.split()
        assert int(count) <= 3
        assert ours == "True" or sys.version_info >= (3, 12)

    @pytest.mark.parametrize(
        "path",
        ["/x", "/usr/x", "/etc/x", "/mlteam/x", "/mlteam/data/x", "/mlteam/code/tools/x", "/dev/x", "/mlteam/inside/x", f"{sys.prefix}/x"],
    )
    async def test_nothing_can_be_written_but_work_and_what_ends_with_the_kernel(self, kernel: Kernel, path: str) -> None:
        result = await kernel.execute(f"open({path!r}, 'a')")
        assert result.status == "error"
        assert "Read-only file system" in (result.evalue or "") or "Permission denied" in (result.evalue or "")

    async def test_no_setting_of_the_machine_can_be_changed(self, kernel: Kernel) -> None:
        """Not even by a sandbox whose caller is root, to whom the files belong."""
        result = await told(
            kernel,
            "import os\n"
            "for folder in ('sys', 'bus', 'fs', 'irq', 'acpi', 'driver', 'scsi'):\n"
            "    for here, _, names in os.walk(f'/proc/{folder}'):\n"
            "        for name in names:\n"
            "            try: os.close(os.open(os.path.join(here, name), os.O_WRONLY)); print(here, name)\n"
            "            except OSError: pass",
        )
        assert result.text == ""

    @pytest.mark.parametrize("name", ["kcore", "keys", "kmsg", "slabinfo", "timer_list", "vmallocinfo"])
    async def test_what_the_machine_is_about_is_hidden(self, kernel: Kernel, name: str) -> None:
        result = await kernel.execute(f"open('/proc/{name}', 'rb').read(1)")
        assert result.ename in ("PermissionError", "FileNotFoundError")

    @pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "/mlteam/home"])
    async def test_folders_in_memory_are_limited(self, kernel: Kernel, folder: str) -> None:
        code = f"with open('{folder}/big', 'wb') as file:\n    while True: file.write(bytes(2**20))"
        result = await kernel.execute(code, timeout_s=20)
        assert "No space left on device" in (result.evalue or "")
        await told(kernel, f"import os; os.remove('{folder}/big')")

    async def test_no_rights(self, kernel: Kernel) -> None:
        result = await told(
            kernel,
            "import os, subprocess\n"
            "status = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)\n"
            "print(os.getuid(), [int(status[n], 16) for n in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')], status['NoNewPrivs'])\n"
            "print(subprocess.run(['unshare', '--user', 'true'], capture_output=True).returncode != 0)",
        )
        assert result.text == "1000 [0, 0, 0, 0, 0] 1\nTrue\n"


@pytest.mark.bubblewrap
async def test_a_run_folder_that_the_sandbox_would_show_is_refused() -> None:
    with pytest.raises(UsageError, match="--out"):
        async with open_kernel("bubblewrap", work=Path(sys.prefix)):
            raise AssertionError("opened")


class TestHostView:
    def test_later_layers_lie_over_earlier_ones(self) -> None:
        view = HostView([(Path("/usr"), True), (Path("/usr/src/app"), False), (Path("/usr/src/app/.venv"), True)])
        assert view.shows(Path("/usr/lib/x")) == Path("/usr")
        assert view.shows(Path("/usr/src/app/runs/1/work")) is None
        assert view.shows(Path("/usr/src/app/.venv/lib")) == Path("/usr/src/app/.venv")
        assert view.shows(Path("/home/me")) is None

    def test_a_covered_folder_is_empty_and_read_only(self) -> None:
        view = HostView([(Path("/usr"), True), (Path("/usr/src/app"), False)])
        arguments = view.arguments()
        assert arguments[-7:] == ["--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/src/app", "--remount-ro", "/usr/src/app"]

    def test_the_interpreter_is_shown_and_the_project_is_not(self) -> None:
        view = HostView.of_this_interpreter()
        assert view.shows(Path(sys.prefix))
        assert view.shows(Path(sys.base_prefix))
        assert view.shows(Path(team.__file__)) is None
