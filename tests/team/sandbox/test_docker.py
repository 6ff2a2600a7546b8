"""`docker`: the contract, by Unix sockets and by tunnels, and what only a container can meet."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import psutil
import pytest

from team.errors import SandboxUnavailable, UsageError
from team.sandbox import Limits, open_kernel
from team.sandbox.container import LABEL, sweep_containers
from team.sandbox.contract import Launcher
from team.sandbox.daemon import connect
from team.sandbox.docker import DockerLauncher
from team.sandbox.image import find
from team.sandbox.private import owner
from tests.contracts.sandbox import LIMITS, SandboxContract, told

Made = Callable[[], list[str]]
ANOTHER_PROCESS = "from team.sandbox.private import owner; print(owner())"


@pytest.mark.docker
class TestDocker(SandboxContract):
    """Differs in whose children its processes are, in that the next start removes the private folder of a host that was killed,
    and for a caller who is root in whose the files are that cells write."""

    name = "docker"

    @pytest.fixture(scope="module")
    @classmethod
    def kind(cls) -> str | Launcher:
        return "docker"

    @property
    def owner(self) -> int:
        return os.geteuid() or 65532

    def processes(self, host: int) -> list[psutil.Process]:
        daemon = connect()
        try:
            ours = [one["Id"] for one in daemon.api.containers(filters={"label": LABEL}) if f"/{host}/" in one["Labels"][LABEL]]
            guards = [psutil.Process(daemon.api.inspect_container(one)["State"]["Pid"]) for one in ours]
        finally:
            daemon.close()
        return [process for guard in guards for process in (guard, *guard.children(recursive=True))]

    async def swept(self, tmp_path: Path) -> None:
        work = tmp_path / "next"
        work.mkdir()
        async with open_kernel("docker", work=work):
            pass


@pytest.mark.docker
class TestTunnels(TestDocker):
    """The same over TCP on loopback, as on macOS and Windows."""

    @pytest.fixture(scope="module")
    @classmethod
    def kind(cls) -> str | Launcher:
        return DockerLauncher(transport="tcp")


@pytest.mark.docker
class TestContainer:
    """What the daemon says of a sandbox, and what becomes of it from outside."""

    @pytest.fixture
    def daemon(self) -> Iterator[docker.DockerClient]:
        client = connect()
        yield client
        client.close()

    @pytest.fixture
    def made(self, daemon: docker.DockerClient) -> Made:
        """Tells the containers that this process made since the test began: other tests have theirs."""

        def ours() -> list[str]:
            return [one["Id"] for one in daemon.api.containers(all=True, filters={"label": f"{LABEL}={owner()}"})]

        before = ours()
        return lambda: [one for one in ours() if one not in before]

    async def test_everything_that_can_be_taken_away_is(self, daemon: docker.DockerClient, made: Made, tmp_path: Path) -> None:
        async with open_kernel("docker", work=tmp_path, limits=Limits(memory_mb=500, processes=50, cpus=1)):
            facts = daemon.api.inspect_container(made()[0])
        host, asked = facts["HostConfig"], facts["Config"]
        assert host["NetworkMode"] == "none"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert not host["Privileged"]
        assert not host["PortBindings"]
        assert host["Memory"] == host["MemorySwap"] == 564 * 2**20
        assert host["NanoCpus"] == 10**9
        assert host["PidsLimit"] == 800
        assert host["LogConfig"]["Type"] == "none"
        assert asked["User"] not in ("", "0", "0:0", "root")
        assert {mount["Destination"] for mount in facts["Mounts"] if mount["RW"]} == {"/mlteam/work", "/mlteam/connection"}

    async def test_over_tunnels_only_the_work_folder_is_shared(self, daemon: docker.DockerClient, made: Made, tmp_path: Path) -> None:
        async with open_kernel(DockerLauncher(transport="tcp"), work=tmp_path):
            facts = daemon.api.inspect_container(made()[0])
        assert facts["HostConfig"]["NetworkMode"] == "none"
        assert [mount["Destination"] for mount in facts["Mounts"] if mount["RW"]] == ["/mlteam/work"]

    async def test_a_container_killed_from_outside_is_told_and_replaced(
        self, daemon: docker.DockerClient, made: Made, tmp_path: Path
    ) -> None:
        async with open_kernel("docker", work=tmp_path) as kernel:
            started = asyncio.Event()
            running = asyncio.create_task(
                kernel.execute("print(1, flush=True)\nimport time; time.sleep(60)", on_output=lambda _: started.set())
            )
            await started.wait()
            daemon.api.kill(made()[0])
            result = await running
            assert result.status == "died"
            assert "killed from outside" in (result.cause or "") or "removed from outside" in (result.cause or "")
            assert (await kernel.execute("print('alive')")).text == "alive\n"

    async def test_memory_beyond_what_the_guard_can_sample_is_told_as_such(self, tmp_path: Path) -> None:
        """Pages of files in memory belong to no process, so that the control group alone counts them."""
        async with open_kernel("docker", work=tmp_path, limits=Limits(memory_mb=300)) as kernel:
            code = "import time\nfor n in range(8):\n    for where in ('/tmp', '/dev/shm'):\n        try:\n"
            code += "            with open(f'{where}/{n}', 'wb') as file: file.write(bytes(40 * 2**20))\n        except OSError: pass\n"
            code += "block = bytearray(200 * 2**20); time.sleep(20)"
            result = await kernel.execute(code, timeout_s=30)
            assert result.status == "died"
            assert (result.cause or "").startswith("out of memory: ")
            assert "300 MiB allowed" in (result.cause or "")

    async def test_what_a_killed_host_left_is_swept(self, daemon: docker.DockerClient) -> None:
        gone = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], capture_output=True, text=True, check=True).stdout.strip()
        image = find(daemon).current
        left = daemon.api.create_container(image, ["true"], labels={LABEL: gone})["Id"]
        mine = daemon.api.create_container(image, ["true"], labels={LABEL: owner()})["Id"]
        theirs = daemon.api.create_container(image, ["true"], labels={LABEL: "another machine:boot/1/2"})["Id"]
        try:
            assert left in sweep_containers(daemon)
            kept = {one["Id"] for one in daemon.api.containers(all=True)}
            assert left not in kept
            assert {mine, theirs} <= kept
        finally:
            for container in (mine, theirs):
                daemon.api.remove_container(container)

    async def test_cancelling_the_start_leaves_nothing(self, made: Made, tmp_path: Path) -> None:
        async def start() -> None:
            async with open_kernel("docker", work=tmp_path):
                raise AssertionError("it was cancelled before")

        for turns in (1, 3, 10):
            task = asyncio.create_task(start())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert made() == []

    async def test_graphics_processors_that_are_not_there_are_refused(
        self, daemon: docker.DockerClient, made: Made, tmp_path: Path
    ) -> None:
        if "nvidia" in daemon.info().get("Runtimes", {}):
            pytest.skip("this machine has graphics processors")
        with pytest.raises(SandboxUnavailable, match="nvidia-container-toolkit"):
            async with open_kernel("docker", work=tmp_path, limits=Limits(gpus=1)):
                raise AssertionError("opened")
        assert made() == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="root alone becomes another user in the container")
    async def test_data_that_only_root_can_read_is_refused_with_what_to_do(self, tmp_path: Path) -> None:
        work, data = tmp_path / "work", tmp_path / "data"
        work.mkdir()
        data.mkdir()
        (data / "train.csv").touch(mode=0o600)
        with pytest.raises(UsageError, match=r"train\.csv' can be read by root alone.*chmod"):
            async with open_kernel("docker", work=work, data=data):
                raise AssertionError("opened")

    async def test_links_in_the_work_folder_do_not_change_owners_outside(self, tmp_path: Path) -> None:
        work, outside = tmp_path / "work", tmp_path / "outside"
        work.mkdir()
        outside.mkdir()
        (outside / "secret").touch()
        (work / "link").symlink_to(outside / "secret")
        (work / "folder").symlink_to(outside)
        async with open_kernel("docker", work=work, limits=LIMITS) as kernel:
            result = await told(kernel, "import os; print(os.path.exists('link'), sorted(os.listdir()))")
            assert result.text == "False ['folder', 'link']\n"
        assert (outside / "secret").stat().st_uid == outside.stat().st_uid == os.geteuid()
